"""What holds of the simulated OKX whatever happens: books that follow, money that adds up, answers to every request."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulator.okx.wire import SPOT, SWAP, order, quiet_config, venue_of
from tools.simulator import Side, Simulator
from tools.simulator.core.accounts import ApiKey, KeyKind
from tools.simulator.core.clock import ManualClock
from tools.simulator.core.hub import Message
from tools.simulator.dialects.okx.depth import CHANNELS, best, rows
from tools.simulator.dialects.okx.gateway import Call, Method, Outcome, Security, execute
from tools.simulator.dialects.okx.params import Params
from tools.simulator.dialects.okx.venue import OkxVenue

D = Decimal
SIDES = st.sampled_from(list(Side))


def opened() -> Simulator:
    sim = Simulator(quiet_config(), ManualClock())
    sim.open_market()
    return sim


class Asker:
    """Asks the venue without a socket, as one account."""

    def __init__(self, sim: Simulator, account: str = "alpha") -> None:
        self.venue: OkxVenue = venue_of(sim)
        self._key = ApiKey("key", KeyKind.HMAC, "secret", sim.account(account))
        self.methods: dict[str, Method] = {each.name: each for each in self.venue.methods.by_path.values()}

    def ask(self, name: str, *items: dict[str, Any], by_code: bool = False) -> Outcome:
        method = self.methods[name]
        call = Call(
            method=method,
            items=[Params(item) for item in items],
            peer="here",
            received_ns=self.venue.clock.now_ns(),
            by_code=by_code,
            key=None if method.security is Security.NONE else self._key,
        )
        return execute(self.venue, call)


# --------------------------------------------------------------------------------------------------- books
class Reader:
    """A subscriber of one book, as a client keeps it."""

    def __init__(self, venue: OkxVenue, channel: str) -> None:
        self._stream = f"{channel}:{SPOT}"
        venue.hub.subscribe(self._stream, self)
        picture = venue.streams.book_snapshot(channel, venue.exchange.markets[SPOT])
        (row,) = json.loads(picture)["data"]
        self.last = row["seqId"]
        self.sides = {side: {level[0]: level for level in row[side]} for side in ("bids", "asks")}
        venue.hub.unsubscribe(self._stream, self)  # what the picture itself set off is in it
        venue.hub.subscribe(self._stream, self)

    def deliver(self, message: Message) -> None:
        (row,) = json.loads(message.data)["data"]
        assert row["prevSeqId"] == self.last < row["seqId"]
        self.last = row["seqId"]
        for side, levels in self.sides.items():
            for level in row[side]:
                if level[1] == "0":
                    del levels[level[0]]  # only what was told is taken back
                else:
                    levels[level[0]] = level

    async def room(self, frames: int) -> None:
        """It takes everything."""


CHANGES = st.lists(st.tuples(SIDES, st.integers(-400, 400), st.integers(1, 50), st.booleans()), min_size=1, max_size=60)


@given(changes=CHANGES, pauses=st.integers(1, 5), channel=st.sampled_from(["books", "books50-l2-tbt"]))
@settings(max_examples=40)
def test_who_follows_a_channel_has_the_venues_levels(
    changes: list[tuple[Side, int, int, bool]], pauses: int, channel: str
) -> None:
    """Quotes and trades in any order and portions: picture and updates make the best levels, no more, no less."""
    sim = opened()
    venue, market = venue_of(sim), sim.exchange.markets[SPOT]
    reader = Reader(venue, channel)
    for number, (side, ticks, size, trades) in enumerate(changes):
        if trades:
            sim.trade(SPOT, side, D(size) / 100)
        else:
            sim.quote(SPOT, side, D(size) / 100, market.last_px + ticks * market.spec.tick_size)
        if number % pauses == 0 or number + 1 == len(changes):
            venue.tick(sim.clock.now_ns())
    for side, name in ((Side.BUY, "bids"), (Side.SELL, "asks")):
        shown = rows(best(market, side, CHANNELS[channel].levels))
        assert {row[0]: row for row in shown} == reader.sides[name]


# ------------------------------------------------------------------------------------------ money and orders
ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["place", "amend", "cancel", "outside"]),
        st.sampled_from([SPOT, SWAP]),
        SIDES,
        st.sampled_from(["limit", "market", "ioc", "fok", "post_only"]),
        st.integers(-30, 30),
        st.integers(1, 400),
    ),
    max_size=40,
)


@given(actions=ACTIONS)
@settings(max_examples=40)
def test_money_is_what_the_fills_say(actions: list[tuple[str, str, Side, str, int, int]]) -> None:
    """Balances equal the start plus what the bills moved; what is told as bound is what open orders bind."""
    sim = opened()
    asker = Asker(sim)
    start = {asset: sum(amounts) for asset, amounts in sim.balances("alpha").items()}
    for number, (what, inst_id, side, word, ticks, size) in enumerate(actions):
        market = sim.exchange.markets[inst_id]
        price = market.last_px + ticks * market.spec.tick_size * 10
        amount = D(size) / (1000 if inst_id == SPOT else 10)
        word_of_side = "buy" if side is Side.BUY else "sell"
        if what == "place":
            asker.ask("order", order(inst_id, side=word_of_side, ordType=word, px=str(price), sz=str(amount)))
        elif what == "outside":
            sim.trade(inst_id, side, amount)
        else:
            mine = [one for one in sim.open_orders("alpha") if one.symbol == inst_id]
            if mine:
                target = {"instId": inst_id, "ordId": mine[number % len(mine)].venue_id}
                changes = {"newSz": str(amount), "newPx": str(price)} if what == "amend" else {}
                asker.ask(f"{what}-order", target | changes)
    moved = dict.fromkeys(start, D(0))
    for row in asker.ask("fills", {"limit": "100"}).data if len(asker.venue.bills(sim.account("alpha"))) <= 100 else []:
        sign = 1 if row["side"] == "buy" else -1
        qty, px = D(row["fillSz"]), D(row["fillPx"])
        if row["instId"] == SPOT:
            moved["BTC"] += sign * qty
            moved["USDT"] -= sign * (qty * px).quantize(D("0.00000001"), rounding="ROUND_FLOOR")
        else:
            moved["USDT"] += D(row["fillPnl"])
        moved[row["feeCcy"]] += D(row["fee"])
    (told,) = asker.ask("balance", {}).data
    details = {detail["ccy"]: detail for detail in told["details"]}
    if len(asker.venue.bills(sim.account("alpha"))) <= 100:
        for asset, before in start.items():
            assert D(details[asset]["cashBal"]) == before + moved[asset]
    for asset, (free, locked) in sim.balances("alpha").items():
        assert D(details[asset]["cashBal"]) == free + locked
        assert D(details[asset]["availBal"]) <= free
    for row in asker.ask("orders-pending", {}).data:
        assert row["state"] in ("live", "partially_filled")
        assert D(row["accFillSz"]) < D(row["sz"])


# ------------------------------------------------------------------------------------------ bad requests
WORDS = st.sampled_from(
    (
        "  0 -1 1 0.1 1e5 NaN 99999999999999999999999 buy sell limit market cash cross BTC-USDT BTC-USDT-SWAP SPOT "
        "SWAP ANY long net true false conditional oco trigger 1m ü " + "x" * 70
    ).split(" ")
)
VALUES = st.one_of(WORDS, st.none(), st.booleans(), st.integers(), st.lists(WORDS, max_size=2), st.just({"a": 1}))
NAMES = st.sampled_from(
    [
        "instId",
        "instIdCode",
        "instType",
        "tdMode",
        "side",
        "posSide",
        "ordType",
        "sz",
        "px",
        "clOrdId",
        "ordId",
        "tag",
        "newSz",
        "newPx",
        "reqId",
        "cxlOnFail",
        "reduceOnly",
        "tgtCcy",
        "stpMode",
        "attachAlgoOrds",
        "algoId",
        "algoClOrdId",
        "slTriggerPx",
        "tpTriggerPx",
        "triggerPx",
        "callbackRatio",
        "closeFraction",
        "after",
        "before",
        "begin",
        "end",
        "limit",
        "bar",
        "type",
        "lever",
        "mgnMode",
        "posMode",
        "acctLv",
        "ccy",
        "timeOut",
        "amt",
        "state",
        "pxAmendType",
        "banAmend",
        "posId",
        "autoCxl",
    ]
)


@given(
    name=st.sampled_from(sorted(Asker(opened()).methods)),
    item=st.dictionaries(NAMES, VALUES, max_size=10),
    sane=st.booleans(),
    by_code=st.booleans(),
)
@settings(max_examples=150)
def test_no_request_breaks_the_venue(name: str, item: dict[str, Any], sane: bool, by_code: bool) -> None:
    """Whatever is asked: an answer with a code of the venue's, in JSON, and never an exception."""
    sim = opened()
    body = (order() | item) if sane else item
    outcome = Asker(sim).ask(name, body, by_code=by_code)
    text = json.loads(json.dumps(outcome.body()))
    assert text["code"].isdigit()
    for row in outcome.data:
        if outcome.code in ("1", "2") and isinstance(row, dict):
            assert row["sCode"].isdigit()
