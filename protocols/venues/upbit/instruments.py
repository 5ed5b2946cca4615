"""Markets to `Instrument` (reference section 4).

The price step depends on the price and on the quote currency, and the table of the KRW markets has changed three
times: it is kept by date, and the date of an answer picks the table, so that a backtest rounds as the venue did then.
The venue tells the step at the *present* price alone (`orderbook/instruments`); that one is held against the table:

* it is a step of the table: the table stands;
* it is not: the table is out of date for this market, and the step that the venue just said is used at every price;
* of KRW-USDT and KRW-USDC, which have been exceptions, the table is never believed against the venue.

Markets of a quote currency that we have no rules for are not tradable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

import attrs

from protocols.enums import OrdType, TimeInForce
from protocols.errors import RemoteProtocolError
from protocols.ids import Symbol, Venue
from protocols.instruments import Instrument, InstrumentStatus, PriceStep, Product, plain
from protocols.venues.upbit.wire import Chance, Market
from protocols.venues.values import ZERO, checked_amount

__all__ = ["Fees", "fees_of", "instrument_of_chance", "instruments_of", "price_steps"]

_S = 1_000_000_000
_QTY_STEP = Decimal("0.00000001")
_ORD_TYPES = frozenset({OrdType.LIMIT, OrdType.MARKET})
_TIMES_IN_FORCE = frozenset({TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK})


def _table(*rows: tuple[str, str]) -> tuple[PriceStep, ...]:
    return tuple(PriceStep(Decimal(start), Decimal(step)) for start, step in rows)


_KRW_2024 = _table(
    ("0", "0.00000001"),
    ("0.0001", "0.0000001"),
    ("0.001", "0.000001"),
    ("0.01", "0.00001"),
    ("0.1", "0.0001"),
    ("1", "0.001"),
    ("10", "0.01"),
    ("100", "0.1"),
    ("1000", "1"),
    ("10000", "10"),
    ("100000", "50"),
    ("500000", "100"),
    ("1000000", "500"),
    ("2000000", "1000"),
)
_KRW_2025 = _table(
    ("0", "0.00000001"),
    ("0.00001", "0.0000001"),
    ("0.0001", "0.000001"),
    ("0.001", "0.00001"),
    ("0.01", "0.0001"),
    ("0.1", "0.001"),
    ("1", "0.01"),
    ("10", "0.1"),
    ("100", "1"),
    ("5000", "5"),
    ("10000", "10"),
    ("50000", "50"),
    ("100000", "100"),
    ("500000", "500"),
    ("1000000", "1000"),
)
_USDT = _table(
    ("0", "0.00000001"),
    ("0.0001", "0.0000001"),
    ("0.001", "0.000001"),
    ("0.01", "0.00001"),
    ("0.1", "0.0001"),
    ("1", "0.001"),
    ("10", "0.01"),
)
_BTC = _table(("0", "0.00000001"))

# Midnight in Seoul of the day on which each rule began, ns since the epoch.
_2024_10_14 = 1_728_831_600 * _S
_2025_03_21 = 1_742_482_800 * _S
_2025_07_31 = 1_753_887_600 * _S

_WHOLE_WON = frozenset(
    (
        "ADA",
        "ALGO",
        "BLUR",
        "CELO",
        "ELF",
        "EOS",
        "GRS",
        "GRT",
        "ICX",
        "MANA",
        "MINA",
        "POL",
        "SAND",
        "SEI",
        "STG",
        "TRX",
    )
)
"""From 2024-10-14 on these moved by 1 KRW between 100 and 1,000."""
_HALF_WON = frozenset({"USDT", "USDC"})
"""From 2025-03-21 on these moved by 0.5 KRW between 1,000 and 10,000.  Whether they still are an exception is told in
two ways: for them the step that the venue says counts, where it is not the table's at their price."""
_WON = Decimal(1)


@attrs.frozen
class _QuoteRules:
    """What holds for all markets of one quote currency."""

    min_total: Decimal
    max_total: Decimal = ZERO


_QUOTES: Mapping[str, _QuoteRules] = {
    "KRW": _QuoteRules(Decimal(5000), Decimal(1_000_000_000)),
    "BTC": _QuoteRules(Decimal("0.00005")),
    "USDT": _QuoteRules(Decimal("0.5")),
}


def price_steps(symbol: Symbol, at_ns: int) -> tuple[PriceStep, ...]:
    """The steps of one market as they were at a moment; empty for a quote currency without rules.

    Before 2024-01-29 other tables held, which are not known here: the oldest known one is given.
    """
    quote, _, base = symbol.partition("-")
    if quote == "KRW":
        return _krw_steps(base, at_ns)
    return _USDT if quote == "USDT" else _BTC if quote == "BTC" else ()


def _krw_steps(base: str, at_ns: int) -> tuple[PriceStep, ...]:
    if at_ns >= _2025_07_31:
        return _KRW_2025
    steps = _KRW_2024
    if at_ns >= _2024_10_14 and base in _WHOLE_WON:
        steps = _with(steps, Decimal(100), Decimal(1))
    if at_ns >= _2025_03_21 and base in _HALF_WON:
        steps = _with(steps, Decimal(1000), Decimal("0.5"))
    return steps


def _with(steps: tuple[PriceStep, ...], start: Decimal, step: Decimal) -> tuple[PriceStep, ...]:
    return tuple(PriceStep(start, step) if row.from_price == start else row for row in steps)


def instruments_of(venue: Venue, rows: Iterable[Market], at_ns: int) -> tuple[Instrument, ...]:
    """The instruments of a list of markets, by the rules of that moment."""
    return tuple(_instrument(venue, row, at_ns) for row in rows)


def _instrument(venue: Venue, row: Market, at_ns: int) -> Instrument:
    quote, _, base = row.market.partition("-")
    if not quote or not base:
        raise RemoteProtocolError(f"market {row.market!r} is not QUOTE-BASE")
    symbol = Symbol(row.market)
    steps = price_steps(symbol, at_ns)
    rules = _QUOTES.get(quote)
    tick = ZERO if row.tick_size is None else Decimal(plain(checked_amount(row.tick_size)))
    if tick and (all(tick != one.step for one in steps) or (quote == "KRW" and base in _HALF_WON and tick != _WON)):
        steps = (PriceStep(ZERO, tick),)
    return Instrument(
        venue=venue,
        symbol=symbol,
        product=Product.SPOT,
        base=base,
        quote=quote,
        status=InstrumentStatus.HALTED if rules is None else InstrumentStatus.TRADING,
        price_steps=steps or _BTC,
        min_price=min(one.step for one in steps or _BTC),
        qty_step=_QTY_STEP,
        min_notional=ZERO if rules is None else rules.min_total,
        max_notional=ZERO if rules is None else rules.max_total,
        max_notional_applies_to_market=True,
        ord_types=_ORD_TYPES,
        times_in_force=_TIMES_IN_FORCE,
    )


# ---- what an account is told (orders/chance) -------------------------------------------------------------------


@attrs.frozen
class Fees:
    """Fees of one account on one market, as fractions of the order's value, charged in quote."""

    bid: Decimal
    ask: Decimal
    maker_bid: Decimal
    maker_ask: Decimal


def fees_of(row: Chance) -> Fees:
    """What the account pays; where the venue does not tell makers apart, all pay the same."""
    bid, ask = checked_amount(row.bid_fee), checked_amount(row.ask_fee)
    return Fees(
        bid,
        ask,
        bid if row.maker_bid_fee is None else checked_amount(row.maker_bid_fee),
        ask if row.maker_ask_fee is None else checked_amount(row.maker_ask_fee),
    )


def instrument_of_chance(instrument: Instrument, row: Chance) -> Instrument:
    """`instrument` with the bounds that the venue told this account, which count more than the documented ones."""
    market = row.market
    if market.id != instrument.symbol:
        raise RemoteProtocolError(f"asked for {instrument.symbol}, answered for {market.id}")
    totals = [checked_amount(side.min_total) for side in (market.bid, market.ask) if side.min_total is not None]
    types = {*(market.bid_types or ()), *(market.ask_types or ())}
    ord_types = instrument.ord_types
    if types:
        ord_types = frozenset(
            ours for ours, theirs in ((OrdType.LIMIT, "limit"), (OrdType.MARKET, "market")) if theirs in types
        )
    return attrs.evolve(
        instrument,
        status=InstrumentStatus.TRADING if market.state == "active" else InstrumentStatus.HALTED,
        min_notional=Decimal(plain(max(totals))) if totals else instrument.min_notional,
        max_notional=instrument.max_notional
        if market.max_total is None
        else Decimal(plain(checked_amount(market.max_total))),
        ord_types=ord_types,
    )
