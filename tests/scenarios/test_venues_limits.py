"""Five times more demand than a venue's limits allow: the venue never has to refuse, and nothing is dropped silently.

The real limits of each dialect, real sockets, the whole engine.  Orders, cancels and public queries come five times as
fast as the venue takes them.  What does not fit waits for its turn or is refused by us, in words.

BULKHEAD_DEMAND_S=60 makes each run as long as the acceptance wants it.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from actors.venue.limiter import LimiterActor
from actors.venue.messages import BlockedByVenue
from protocols.backbone import Unanswered
from protocols.enums import OrdStatus, Side
from protocols.ids import ClOrdID
from protocols.orders import CancelRejected, ExecutionReport, OrderRefused
from protocols.reconcile import CandlesQuery, rest_path
from protocols.venue import Lane, Limit
from supervisors.actor import AskError
from tests.conformance.desk import PATIENCE_S, Desk
from tests.conformance.rig import conformity
from tests.conformance.subjects import SUBJECTS, Subject

SECONDS = float(os.environ.get("BULKHEAD_DEMAND_S", "1.5"))
TIMES = 5
REFUSED = (403, 418, 429)
ENDS = {"CANCELED", "refused rate_limited", "refused stale", "refused max_open_orders"}
"""The last: where cancels have to wait, as many orders rest as the venue lets rest at once."""
_NS = 1_000_000_000
SUBJECT_OF = {subject.kind: subject for subject in SUBJECTS}


def per_second(limits: tuple[Limit, ...], name: str) -> float:
    """What the tightest window of a limit allows in a second."""
    rates = [limit.limit * _NS / limit.interval_ns for limit in limits if name in (limit.name, *limit.groups)]
    return min(rates, default=50.0)


@attrs.define
class Demand:
    """What was asked for, and what came of it."""

    desk: Desk
    queries: Counter[str] = attrs.Factory(Counter)
    query_waits: list[float] = attrs.Factory(list)
    """Seconds from each question to its answer."""
    placed: list[ClOrdID] = attrs.Factory(list)
    canceled: set[ClOrdID] = attrs.Factory(set)

    async def ask(self, rate: float) -> None:
        """Public queries, each on its own."""
        async with trio.open_nursery() as nursery:
            for _ in range(int(rate * SECONDS)):
                nursery.start_soon(self._query)
                await trio.sleep(1 / rate)

    async def _query(self) -> None:
        query = CandlesQuery(self.desk.symbol, 60 * _NS, 10)
        self.queries["asked"] += 1
        since = trio.current_time()
        try:
            found = await self.desk.host.runtime.ask(rest_path(self.desk.subject.venue), query, 60 * _NS)
        except AskError as error:
            # Told what became of it, in words: too much to do, no room in time, an answer that did not come.
            self.queries["silent" if "did not answer" in str(error) else "refused"] += 1
        else:
            self.queries["refused" if isinstance(found, Unanswered) else "answered"] += 1
            if not isinstance(found, Unanswered):
                self.query_waits.append(trio.current_time() - since)

    async def trade(self, rate: float) -> None:
        """Orders that rest, each canceled as soon as it lives."""
        desk, until = self.desk, trio.current_time() + SECONDS
        while trio.current_time() < until:
            self.placed.append(desk.place(desk.order(Side.BUY, desk.small, desk.away(Side.BUY))))
            self._cancel_what_lives()
            await trio.sleep(1 / rate)

    def _cancel_what_lives(self) -> None:
        for message in self.desk.heard:
            if not isinstance(message, ExecutionReport) or message.ord_status is not OrdStatus.NEW:
                continue
            if message.cl_ord_id not in self.canceled:
                self.canceled.add(message.cl_ord_id)
                self.desk.cancel(message.cl_ord_id)

    async def settled(self) -> Counter[str]:
        """Wait until every order has an end, and say which."""
        with trio.fail_after(PATIENCE_S + 4 * SECONDS):
            while True:
                self._cancel_what_lives()
                ends = {m.cl_ord_id: m for m in self.desk.heard if isinstance(m, OrderRefused | ExecutionReport)}
                again = {m.cl_ord_id for m in self.desk.heard if isinstance(m, CancelRejected)}
                self.canceled -= again  # a cancel that found no room is tried again
                self.desk.heard[:] = [m for m in self.desk.heard if not isinstance(m, CancelRejected)]
                open_ends = [one for one in self.placed if not _is_over(ends.get(one))]
                if not open_ends:
                    return Counter(_word(ends[one]) for one in self.placed)
                await trio.sleep(0.1)


def _is_over(last: OrderRefused | ExecutionReport | None) -> bool:
    return isinstance(last, OrderRefused) or (last is not None and last.ord_status.is_final)


def _word(end: OrderRefused | ExecutionReport) -> str:
    return f"refused {end.reason.value}" if isinstance(end, OrderRefused) else end.ord_status.name


@pytest.mark.slow
@pytest.mark.req("R264")
@pytest.mark.parametrize("kind", ["binance-spot", "binance-usdm", "bybit-linear", "okx-swap", "upbit"])
async def test_five_times_the_demand_is_never_refused_by_the_venue(kind: str, tmp_path: Path) -> None:
    subject: Subject = SUBJECT_OF[kind]
    async with conformity(subject, tmp_path) as desk:
        answers = _count_answers(desk)
        demand = Demand(desk)
        limits = subject.parts.limits
        reads = {"weight": 2, "raw": 1, "candle": 1, "candles": 1}  # what a query of candles costs, by limit
        rate = min(
            per_second(limits, name) / cost
            for name, cost in reads.items()
            if any(name in (limit.name, *limit.groups) for limit in limits)
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(demand.ask, TIMES * rate)
            nursery.start_soon(demand.trade, TIMES * per_second(limits, "orders"))
        ends = await demand.settled()
        limiter = desk.host.runtime.cell(f"/venues/{subject.parts.family}/limiter")
        actor = limiter.actor
        assert isinstance(actor, LimiterActor)
        cancels = actor.waited[Lane.CANCEL].percentile(0.99) / _NS
        queries = sorted(demand.query_waits)[int(len(demand.query_waits) * 0.99)]

        assert [answers[status] for status in REFUSED] == [0, 0, 0], f"the venue refused: {answers}"
        assert limiter.counts.get(BlockedByVenue, 0) == 0, desk.host.news
        assert demand.queries["answered"] + demand.queries["refused"] == demand.queries["asked"], demand.queries
        assert demand.queries["answered"] > 0
        assert ends["CANCELED"] > 0, ends
        assert set(ends) <= ENDS, ends
        assert cancels < queries, f"cancels waited {cancels:.3f} s for their turn, queries {queries:.3f} s"
        await desk.tidy()


def _count_answers(desk: Desk) -> Counter[int]:
    """Status of every REST answer of the venue from now on."""
    venue: Any = desk.sim.venue
    answer, seen = venue.http, Counter[int]()

    async def http(request: Any) -> Any:
        response = await answer(request)
        seen[response.status] += 1
        return response

    venue.http = http
    return seen
