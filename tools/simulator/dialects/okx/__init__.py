"""OKX v5: spot and linear swaps on one account, with the venue's paths, words and refusals.

Section numbers in this package refer to the venue reference `okx-v5.md` (as of 2026-11-20).
"""
