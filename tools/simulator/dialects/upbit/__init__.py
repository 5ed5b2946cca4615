"""Upbit (Korea, spot) as its documents describe it. Section numbers refer to the venue reference `upbit.md`."""
