"""Algo orders (section 5.7): conditional, oco, trigger and trailing ones, with their own ids, lists and channel.

The waiting and firing is `core.algos`; here is what a request means and how one is told. A fired one puts an ordinary
order into `orders`, which names its `algoId` and says by `source` what it came from.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import attrs

from tools.simulator.core.accounts import Account
from tools.simulator.core.algos import Algo, AlgoLeg, AlgoStatus
from tools.simulator.core.decimals import ZERO
from tools.simulator.core.model import Order, OrdType, PriceKind, Side
from tools.simulator.dialects.okx.errors import OkxError, bad_param, empty
from tools.simulator.dialects.okx.instruments import SPOT, OkxInstrument
from tools.simulator.dialects.okx.orders import SIDES, SPOT_MODES, OrderReader, Terms, check_size
from tools.simulator.dialects.okx.params import Params
from tools.simulator.dialects.okx.text import ms, plain

if TYPE_CHECKING:
    from tools.simulator.dialects.okx.venue import OkxVenue

SOURCES = {"trigger": "6", "conditional": "7", "oco": "7", "move_order_stop": "25"}
NOT_CARRIED_OUT = ("chase", "twap", "smart_iceberg", "iceberg")
AT_MARKET = "-1"
_PRICE_KINDS = {"last": PriceKind.LAST, "index": PriceKind.INDEX, "mark": PriceKind.MARK}
_KIND_WORDS = {kind: word for word, kind in _PRICE_KINDS.items()}
_STATES = {
    AlgoStatus.NEW: "live",
    AlgoStatus.TRIGGERING: "live",
    AlgoStatus.TRIGGERED: "effective",
    AlgoStatus.FINISHED: "effective",
    AlgoStatus.CANCELED: "canceled",
    AlgoStatus.EXPIRED: "canceled",
    AlgoStatus.REJECTED: "order_failed",
}


@attrs.define(kw_only=True)
class AlgoTerms:
    """What the venue remembers of an algo order beside what must be known to fire it."""

    ord_type: str
    td_mode: str
    side: str
    pos_side: str
    size: Decimal
    tag: str
    reduce_only: bool
    names: tuple[str, ...]
    """Of its legs: "tp", "sl", "trigger" or "trailing"."""
    tgt_ccy: str = ""
    attached: bool = False


def terms(algo: Algo) -> AlgoTerms:
    found = algo.extra["okx"]
    assert isinstance(found, AlgoTerms)
    return found


def is_known(algo: Algo) -> bool:
    """Told to the account: not while it is between two states, nor when its child ends."""
    return algo.status not in (AlgoStatus.TRIGGERING, AlgoStatus.FINISHED)


def state_of(algo: Algo) -> str:
    return _STATES[algo.status]


class AlgoReader:
    """Turns a request into an `Algo`. Raises OkxError with the code of the first thing wrong."""

    def __init__(self, venue: OkxVenue, account: Account, instrument: OkxInstrument, params: Params) -> None:
        self._venue = venue
        self._account = account
        self._instrument = instrument
        self._params = params

    def read(self) -> Algo:
        params, instrument = self._params, self._instrument
        word = params.choice("ordType", (*SOURCES, *NOT_CARRIED_OUT))
        if word in NOT_CARRIED_OUT:
            raise OkxError("51000", f"Parameter ordType error: {word} is not carried out by this simulator")
        closes = params.text("closeFraction") == "1"
        size = params.decimal("sz")
        if size is None and not closes:
            raise empty("sz")
        if size is not None:
            check_size(instrument, size, market=False)
        # What an ordinary order of the same kind may not be, this one may not either.
        base = OrderReader(self._venue, self._account, instrument, Params(self._as_order(size))).read()
        kept = base.extra["okx"]
        assert isinstance(kept, Terms)
        legs = self._legs(word, base, size or ZERO)
        algo = Algo(
            account=self._account,
            symbol=instrument.inst_id,
            cl_algo_id=params.name("algoClOrdId"),
            legs=tuple(leg for _, leg in legs),
            close_position=closes,
        )
        algo.extra["okx"] = AlgoTerms(
            ord_type=word,
            td_mode=kept.td_mode,
            side="buy" if base.is_buy else "sell",
            pos_side=kept.pos_side,
            size=size or ZERO,
            tag=kept.tag,
            reduce_only=kept.reduce_only,
            names=tuple(name for name, _ in legs),
            tgt_ccy=params.text("tgtCcy"),
        )
        if algo.cl_algo_id and any(
            each.cl_algo_id == algo.cl_algo_id for each in self._venue.exchange.algos.of(self._account)
        ):
            raise OkxError("51065", "algoClOrdId already exists")
        return algo

    def _as_order(self, size: Decimal | None) -> dict[str, Any]:
        """The fields that an algo order shares with an ordinary one, as one that breaks no rule of its own.

        On spot `cross` is taken, too, in the account modes where orders are `cash`: clients send it.
        """
        names = ("tdMode", "side", "posSide", "reduceOnly", "tag")
        fields = {name: self._params.values.get(name) for name in names}
        if self._instrument.inst_type == SPOT and fields["tdMode"] in ("cash", "cross"):
            fields["tdMode"] = SPOT_MODES[self._venue.settings(self._account).acct_lv][0]
        return {
            **fields,
            "ordType": "market" if self._instrument.is_swap else "ioc",
            "px": plain(self._instrument.tick),
            "pxAmendType": "1",
            "sz": plain(size or self._instrument.min_size),
        }

    def _legs(self, word: str, base: Order, size: Decimal) -> list[tuple[str, AlgoLeg]]:
        if word == "trigger":
            return [("trigger", self._triggered(base, size))]
        if word == "move_order_stop":
            return [("trailing", self._trailing(base, size))]
        legs = [
            (name, self._leg(name, base, size, rises=(name == "sl") is base.is_buy))
            for name in ("tp", "sl")
            if self._params.text(f"{name}TriggerPx")
        ]
        if len(legs) != (2 if word == "oco" else 1):
            raise bad_param("slTriggerPx")
        return legs

    def _leg(self, name: str, base: Order, size: Decimal, *, rises: bool) -> AlgoLeg:
        trigger_px = self._price(f"{name}TriggerPx")
        kind = self._params.choice(f"{name}TriggerPxType", _PRICE_KINDS, "last")
        order = self._child(base, size, self._params.text(f"{name}OrdPx", AT_MARKET), f"{name}OrdPx")
        return AlgoLeg(order=order, rises=rises, trigger_px=trigger_px, trigger_by=_PRICE_KINDS[kind])

    def _triggered(self, base: Order, size: Decimal) -> AlgoLeg:
        """Fires when the price comes to it, from wherever it is now."""
        trigger_px = self._price("triggerPx")
        kind = _PRICE_KINDS[self._params.choice("triggerPxType", _PRICE_KINDS, "last")]
        now = self._venue.exchange.markets[base.symbol].price_of(kind)
        order = self._child(base, size, self._params.text("orderPx", AT_MARKET), "orderPx")
        return AlgoLeg(order=order, rises=trigger_px > now, trigger_px=trigger_px, trigger_by=kind)

    def _trailing(self, base: Order, size: Decimal) -> AlgoLeg:
        ratio, spread = self._params.decimal("callbackRatio"), self._params.decimal("callbackSpread")
        if not ratio and not spread:
            raise empty("callbackRatio")
        return AlgoLeg(
            order=self._child(base, size, AT_MARKET, "orderPx"),
            rises=base.is_buy,
            callback=ratio or ZERO,
            spread=ZERO if ratio else spread or ZERO,
            activation_px=self._params.decimal("activePx") or ZERO,
        )

    def _price(self, name: str) -> Decimal:
        price = self._params.decimal(name)
        if not price:
            raise empty(name) if price is None else bad_param(name)
        if price % self._instrument.tick:
            raise OkxError("51150")
        return price

    def _child(self, base: Order, size: Decimal, price: str, name: str) -> Order:
        """The order that a leg sets free."""
        kept = base.extra["okx"]
        assert isinstance(kept, Terms)
        at_market = price == AT_MARKET
        if not at_market:
            self._price(name)
        return child_order(self._venue, base, kept, size, None if at_market else Decimal(price))


def child_order(venue: OkxVenue, base: Order, kept: Terms, size: Decimal, price: Decimal | None) -> Order:
    """A market or limit order on the terms of another one. Its `algoId` is filled in when that is known."""
    order = Order(
        symbol=base.symbol,
        account=base.account,
        cl_ord_id=venue.nameless(),
        side=base.side,
        ord_type=OrdType.MARKET if price is None else OrdType.LIMIT,
        price=price or ZERO,
        order_qty=size,
        stp_mode=base.stp_mode,
        position_side=base.position_side,
        reduce_only=base.reduce_only,
    )
    order.extra["okx"] = attrs.evolve(
        kept,
        ord_type="market" if price is None else "limit",
        size=plain(size),
        tgt_ccy="base_ccy" if price is None and kept.inst_type == "SPOT" else "",
        attached=(),
    )
    return order


def place(venue: OkxVenue, algo: Algo) -> Algo:
    """Let it wait; its children learn its numbers."""
    kept = terms(algo)
    placed = venue.exchange.algos.place(algo)
    for leg in algo.legs:
        child = leg.order.extra["okx"]
        assert isinstance(child, Terms)
        child.algo_id, child.algo_cl_ord_id = venue.algo_name(algo), algo.cl_algo_id
        child.source = SOURCES[kept.ord_type]
    return placed


def attach(venue: OkxVenue, parent: Order, item: Mapping[str, Any]) -> None:
    """Take-profit and stop that a filled order brings along (`attachAlgoOrds`): the other side, what was filled."""
    kept = parent.extra["okx"]
    assert isinstance(kept, Terms)
    assert parent.account is not None
    legs = [name for name in ("tp", "sl") if item.get(f"{name}TriggerPx")]
    other = Side.SELL if parent.is_buy else Side.BUY
    values: dict[str, Any] = {
        **item,
        "ordType": "oco" if len(legs) == 2 else "conditional",
        "tdMode": kept.td_mode,
        "side": next(word for word, side in SIDES.items() if side is other),
        "sz": plain(parent.cum_qty),
        "tag": kept.tag,
        "algoClOrdId": item.get("attachAlgoClOrdId") or "",
    }
    if kept.inst_type != "SPOT":
        values["posSide"] = kept.pos_side
        values["reduceOnly"] = kept.pos_side == "net"
    algo = AlgoReader(venue, parent.account, venue.instruments[parent.symbol], Params(values)).read()
    place(venue, algo)
    terms(algo).attached = True


def algo_row(venue: OkxVenue, algo: Algo) -> dict[str, Any]:
    """One algo order, by REST and on the channel."""
    kept, instrument = terms(algo), venue.instruments[algo.symbol]
    legs = dict(zip(kept.names, algo.legs, strict=True))
    child, fired = algo.child, algo.fired
    row: dict[str, Any] = {
        "instType": instrument.inst_type,
        "instId": algo.symbol,
        "ccy": "",
        "algoId": venue.algo_name(algo),
        "algoClOrdId": algo.cl_algo_id,
        "clOrdId": "",
        "ordId": "" if child is None else child.venue_id,
        "ordIdList": [] if child is None else [child.venue_id],
        "tag": kept.tag,
        "sz": plain(kept.size) if kept.size else "",
        "closeFraction": "1" if algo.close_position else "",
        "ordType": kept.ord_type,
        "side": kept.side,
        "posSide": kept.pos_side,
        "tdMode": kept.td_mode,
        "tgtCcy": kept.tgt_ccy,
        "state": state_of(algo),
        "lever": "",
        "reduceOnly": "true" if kept.reduce_only else "false",
        "actualSz": plain(child.order_qty) if child is not None else "0",
        "actualPx": plain(child.price) if child is not None and child.price else "",
        "actualSide": "" if fired is None else next(name for name, leg in legs.items() if leg is fired),
        "triggerTime": ms(algo.triggered_ns) if algo.triggered_ns else "",
        "last": plain(venue.exchange.markets[algo.symbol].last_px),
        "failCode": "0" if algo.reason is None else "51008",
        "linkedOrd": {"ordId": ""},
        "attachAlgoOrds": [],
        "cTime": ms(algo.created_ns),
        "uTime": ms(algo.updated_ns),
    }
    for name in ("tp", "sl"):
        leg = legs.get(name)
        row[f"{name}TriggerPx"] = "" if leg is None else plain(leg.trigger_px)
        row[f"{name}TriggerPxType"] = "" if leg is None else _KIND_WORDS[leg.trigger_by]
        row[f"{name}OrdPx"] = _order_px(leg)
    trigger, trailing = legs.get("trigger"), legs.get("trailing")
    row["triggerPx"] = "" if trigger is None else plain(trigger.trigger_px)
    row["triggerPxType"] = "" if trigger is None else _KIND_WORDS[trigger.trigger_by]
    row["ordPx"] = row["orderPx"] = _order_px(trigger)
    row["callbackRatio"] = plain(trailing.callback) if trailing is not None and trailing.callback else ""
    row["callbackSpread"] = plain(trailing.spread) if trailing is not None and trailing.spread else ""
    row["activePx"] = plain(trailing.activation_px) if trailing is not None and trailing.activation_px else ""
    row["moveTriggerPx"] = plain(trailing.trigger_px) if trailing is not None and trailing.trigger_px else ""
    return row


def _order_px(leg: AlgoLeg | None) -> str:
    if leg is None:
        return ""
    return AT_MARKET if leg.order.ord_type is OrdType.MARKET else plain(leg.order.price)
