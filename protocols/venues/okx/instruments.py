"""The instrument list to `Instrument` (reference section 4).

Orders are taken in state `live` alone, and where steps and least quantity are said.  In `post_only` (since 2026-05-06)
only post-only orders are, which counts as cancel-only here; every other word, known or not, means that nothing is
tradable.  A row announces changes of its steps and bounds (`upcChg`): the list must be read again then.

| rule          | spot                     | linear swap                                  |
| ------------- | ------------------------ | -------------------------------------------- |
| quantity      | coins of `baseCcy`       | contracts of `ctVal x ctMult` coins          |
| step, least   | `lotSz`, `minSz`         | `lotSz`, `minSz`                             |
| most, limit   | `maxLmtSz`               | `maxLmtSz`                                   |
| most, market  | none (`maxMktSz` is USDT)| `maxMktSz`                                   |
| base, quote   | `baseCcy`, `quoteCcy`    | `ctValCcy`, `settleCcy`; never cut from a name |

There is no minimum notional for ordinary orders.  Inverse contracts are left out: their quantities mean dollars.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from protocols.enums import OrdType
from protocols.errors import RemoteProtocolError
from protocols.ids import Symbol, Venue
from protocols.instruments import Instrument, InstrumentStatus, PriceStep, Product, plain
from protocols.venues.okx.algos import CONDITIONAL
from protocols.venues.okx.endpoints import INST_TYPES
from protocols.venues.okx.limits import ALGO_ORDERS_MAX, OPEN_ORDERS_MAX
from protocols.venues.okx.wire import InstrumentRow
from protocols.venues.okx.words import stamp_of
from protocols.venues.values import ZERO, amount

__all__ = ["ORD_TYPES", "instruments_of"]

ORD_TYPES = frozenset({OrdType.LIMIT, OrdType.MARKET}) | CONDITIONAL
_ONE = Decimal(1)
_STATUSES = {"live": InstrumentStatus.TRADING, "post_only": InstrumentStatus.CANCEL_ONLY}


def instruments_of(
    venue: Venue, product: Product, rows: Iterable[InstrumentRow], now_ns: int
) -> tuple[Instrument, ...]:
    """The rows of this product, as of `now_ns`.

    Raises RemoteProtocolError for an impossible number of a tradable one; of what cannot be traded anyway (announced,
    suspended, settled) rows may be half empty, and one that cannot be read is left out.
    """
    inst_type = INST_TYPES[product]
    found = []
    for row in rows:
        if row.instType != inst_type or (product is not Product.SPOT and row.ctType != "linear"):
            continue
        try:
            found.append(_instrument(venue, product, row, now_ns))
        except RemoteProtocolError:
            if row.state in _STATUSES:
                raise
    return tuple(found)


def _instrument(venue: Venue, product: Product, row: InstrumentRow, now_ns: int) -> Instrument:
    spot = product is Product.SPOT
    base, quote = (row.baseCcy, row.quoteCcy) if spot else (row.ctValCcy, row.settleCcy)
    if not base or not quote:
        raise RemoteProtocolError(f"instrument {row.instId}: base {base!r} or quote {quote!r} is missing")
    is_whole = all((row.tickSz, row.lotSz, row.minSz))  # without them every quantity and price would seem right
    return Instrument(
        venue=venue,
        symbol=Symbol(row.instId),
        product=product,
        base=base,
        quote=quote,
        status=_STATUSES.get(row.state, InstrumentStatus.HALTED) if is_whole else InstrumentStatus.HALTED,
        price_steps=(PriceStep(ZERO, _bound(row.tickSz)),),
        qty_step=_bound(row.lotSz),
        min_qty=_bound(row.minSz),
        max_qty=_bound(row.maxLmtSz),
        market_max_qty=ZERO if spot else _bound(row.maxMktSz),
        contract_size=_ONE if spot else _contract_size(row),
        max_open_orders=OPEN_ORDERS_MAX,
        max_algo_orders=ALGO_ORDERS_MAX,
        ord_types=ORD_TYPES,
        venue_code=row.instIdCode or 0,
        changes_ns=_next_change(row, now_ns),
    )


def _next_change(row: InstrumentRow, now_ns: int) -> int:
    """When the first of the announced changes comes; 0 where none is to come."""
    announced = (stamp_of(change.effTime) for change in row.upcChg)
    return min((at_ns for at_ns in announced if at_ns > now_ns), default=0)


def _contract_size(row: InstrumentRow) -> Decimal:
    """Coins in one contract: 1 contract of BTC-USDT-SWAP is 0.01 BTC."""
    size = amount(row.ctVal) * amount(row.ctMult or "1")
    if not size:
        raise RemoteProtocolError(f"instrument {row.instId}: a contract of nothing")
    return Decimal(plain(size))


def _bound(text: str) -> Decimal:
    """A step or bound without the trailing zeros that would show up in every rounded price; "" is no rule."""
    return Decimal(plain(amount(text))) if text else ZERO
