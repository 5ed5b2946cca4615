"""Signatures (reference section 4): all products of the venue sign alike, see `binance_common.signer`."""

from __future__ import annotations

from protocols.venues.binance_common.signer import Ed25519Signer, HmacSigner, RsaSigner, signer_for

__all__ = ["Ed25519Signer", "HmacSigner", "RsaSigner", "signer_for"]
