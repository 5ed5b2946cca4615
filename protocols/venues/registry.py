"""Which venues exist: the codec, the sequence rule and the signer of each kind.

A further venue is one folder beside this file and one row here; nothing above `protocols` names a venue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from protocols.ids import AccountID
from protocols.venue import BookSequencer, Limit, PrivateCodec, PublicCodec, Signer
from protocols.venues.binance_spot import BinanceSpotPrivate, BinanceSpotPublic
from protocols.venues.binance_spot.book import BinanceSpotSequencer
from protocols.venues.binance_spot.limits import DOCUMENTED
from protocols.venues.binance_spot.signer import signer_for


@attrs.frozen
class VenueParts:
    """How to make the parts of one kind of venue."""

    public: Callable[[], PublicCodec]
    private: Callable[[AccountID, Signer, int], PrivateCodec]
    """(account, signer, request window in ms)."""
    sequencer: Callable[[], BookSequencer]
    signer: Callable[[str, str], Signer]
    """(API key, secret)."""
    limits: tuple[Limit, ...]
    """What the venue documents; holds until it has told its limits itself."""


VENUES: Mapping[str, VenueParts] = {
    "binance-spot": VenueParts(
        public=BinanceSpotPublic,
        private=lambda account, signer, window_ms: BinanceSpotPrivate(account, signer, recv_window_ms=window_ms),
        sequencer=BinanceSpotSequencer,
        signer=signer_for,
        limits=DOCUMENTED,
    ),
}
