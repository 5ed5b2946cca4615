"""Instruments, snapshots and candle history by REST."""

from __future__ import annotations

import time
from typing import Any

import pytest
import trio

from actors.venue.messages import BlockedByVenue
from actors.venue.settings import MS, SECOND
from protocols.backbone import RestTickersQuery, Unanswered
from protocols.control import InstrumentsChanged
from protocols.errors import ConfigError
from protocols.ids import Symbol
from protocols.market import BookSnapshot, SnapshotFailed, SnapshotRequest
from protocols.reconcile import CandlesQuery, InstrumentsQuery
from protocols.venues.binance_spot import BinanceSpotPublic
from supervisors.actor import AskError
from tests.actors.venue.spot import BTC, ETH, INSTRUMENTS, LIMITER, READER, REST, Spot, sessions
from tools.simulator import Fault, FaultKind

MINUTE = 60 * SECOND


@pytest.mark.req("R011")
async def test_instruments_are_loaded_told_and_answered_and_limits_given_to_the_limiter() -> None:
    async with sessions(only=(INSTRUMENTS,)) as spot:
        await spot.world.ready(INSTRUMENTS)
        told = await spot.reader.one(InstrumentsChanged)
        assert {instrument.symbol for instrument in told.instruments} == {BTC, ETH}
        assert await spot.world.ask(INSTRUMENTS, InstrumentsQuery()) == told
        await spot.world.until(lambda: spot.world.inspect(LIMITER)["used"].get("weight/60s", [0, 0])[1] == 6000)


async def test_an_unreachable_venue_is_waited_for_with_the_gate_shut() -> None:
    async with sessions(only=(INSTRUMENTS,)) as spot:
        spot.sim.strike(Fault(kind=FaultKind.ERROR_BEFORE, match="exchangeInfo", count=3))
        spot.world.crash(INSTRUMENTS, RuntimeError("start over"))
        await spot.world.until(lambda: spot.world.unready_reason(INSTRUMENTS).startswith("instruments not loaded:"))
        with pytest.raises(AskError):
            await spot.world.ask(INSTRUMENTS, InstrumentsQuery())
        await spot.world.ready(INSTRUMENTS)
        assert spot.world.inspect(INSTRUMENTS)["loads"] == 1


@pytest.mark.req("R144")
async def test_a_symbol_that_the_venue_does_not_have_is_a_configuration_error() -> None:
    async with sessions(only=(INSTRUMENTS,), symbols=(BTC, Symbol("NOSUCHUSDT"))) as spot:
        await spot.world.until(lambda: bool(spot.world.crashes(INSTRUMENTS)))
        text = spot.world.crashes(INSTRUMENTS)[0]
        assert ConfigError.__name__ in text
        assert "NOSUCHUSDT" in text


def ask_snapshot(spot: Spot, symbol: Symbol = BTC, depth: int = 100) -> None:
    spot.world.tell(REST, SnapshotRequest(symbol, depth, READER))


async def test_a_snapshot_is_the_venues_book() -> None:
    async with sessions(only=(REST,)) as spot:
        ask_snapshot(spot)
        snapshot = await spot.reader.one(BookSnapshot)
        assert snapshot.symbol == BTC
        assert snapshot.bids[0][0] < snapshot.asks[0][0]
        assert 0 < len(snapshot.bids) <= 100


async def test_a_snapshot_that_fails_is_said_and_the_next_one_works() -> None:
    async with sessions(only=(REST,)) as spot:
        spot.sim.strike(Fault(kind=FaultKind.ERROR_BEFORE, match="depth", count=1))
        ask_snapshot(spot)
        assert (await spot.reader.one(SnapshotFailed)).symbol == BTC
        ask_snapshot(spot)
        await spot.reader.one(BookSnapshot)


async def test_a_symbol_that_waits_is_not_asked_for_twice() -> None:
    async with sessions(only=(REST,)) as spot:
        spot.sim.strike(Fault(kind=FaultKind.DELAY_REPLY, match="depth", delay_ms=300, count=1))
        for _ in range(10):
            ask_snapshot(spot)
        ask_snapshot(spot, ETH)
        await spot.reader.wait_for(BookSnapshot, 2)
        await trio.sleep(0.1)
        assert len(spot.reader.of(BookSnapshot)) == 2
        ask_snapshot(spot)
        await spot.reader.wait_for(BookSnapshot, 3)


async def test_candles_are_closed_and_oldest_first() -> None:
    async with sessions(only=(REST,)) as spot:
        await spot.world.ready(REST)
        candles = await spot.world.ask(REST, CandlesQuery(BTC, MINUTE, 50))
        opened = [candle.open_ns for candle in candles]
        assert len(candles) == 50
        assert opened == list(range(opened[0], opened[0] + 50 * MINUTE, MINUTE))
        assert all(candle.closed for candle in candles)


async def test_candles_that_cannot_be_had_are_an_error_of_the_asker() -> None:
    async with sessions(only=(REST,)) as spot:
        await spot.world.ready(REST)
        spot.sim.strike(Fault(kind=FaultKind.ERROR_BEFORE, match="klines", count=1))
        with pytest.raises(AskError):
            await spot.world.ask(REST, CandlesQuery(BTC, MINUTE, 50))


@pytest.mark.req("R011")
async def test_a_read_that_was_given_up_counts_although_the_venue_has_not_counted_it_yet() -> None:
    """It arrives after a later one, whose answer therefore says less than what is used."""
    async with sessions(only=(REST,)) as spot:
        await spot.world.ready(REST)
        dialect: Any = spot.sim.venue
        venue = dialect.peer_limits("127.0.0.1").weight
        spot.sim.strike(Fault(kind=FaultKind.LATE_ACCEPT, match="klines", delay_ms=1_000, count=1))
        with pytest.raises(AskError, match="no answer within"):
            await spot.world.ask(REST, CandlesQuery(BTC, MINUTE, 50, patience_ns=300 * MS))
        assert await spot.world.ask(REST, RestTickersQuery((BTC,)))
        said = venue.used(spot.sim.exchange.clock.now_ns())
        await spot.world.until(lambda: spot.world.inspect(LIMITER)["used"]["weight/60s"][0] > 0)
        ours = spot.world.inspect(LIMITER)["used"]["weight/60s"][0]
        await spot.world.until(lambda: venue.used(spot.sim.exchange.clock.now_ns()) != said)
        assert ours >= venue.used(spot.sim.exchange.clock.now_ns())


async def test_a_snapshot_does_not_wait_for_other_peoples_reads() -> None:
    async with sessions(only=(REST,)) as spot:
        spot.sim.strike(Fault(kind=FaultKind.DELAY_REPLY, match="klines", delay_ms=400, count=None))
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(spot.world.ask, REST, CandlesQuery(BTC, MINUTE, 5))
            await trio.sleep(0.05)
            before = spot.world.inspect(REST)
            ask_snapshot(spot)
            await spot.reader.one(BookSnapshot)
            assert before["snapshots"] == 0
            assert len(nursery.child_tasks) >= 15, "the reads are still under way"
            nursery.cancel_scope.cancel()


async def test_a_read_ends_with_the_patience_of_its_asker_and_says_what_was_awaited() -> None:
    """Those that found no free place by then are not sent; a venue that hangs holds no place for longer."""
    async with sessions(only=(REST,)) as spot:
        await spot.world.ready(REST)
        spot.sim.strike(Fault(kind=FaultKind.DELAY_REPLY, match="klines", delay_ms=60_000, count=None))
        told: list[str] = []

        async def ask() -> None:
            try:
                found = await spot.world.ask(REST, CandlesQuery(BTC, MINUTE, 5, patience_ns=SECOND * 4 // 5))
            except AskError as error:
                told.append(str(error))
            else:
                assert isinstance(found, Unanswered)
                told.append(found.text)

        async with trio.open_nursery() as nursery:
            for _ in range(9):
                nursery.start_soon(ask)
        sent = [text for text in told if "/api/v3/klines: no answer within 0.8 s" in text]
        others = [text for text in told if text not in sent]
        assert len(told) == 9
        assert 1 <= len(sent) <= 4, told
        assert all("has too much to do: waited 0.8 s" in text or "no permit of" in text for text in others), told
        assert len(await spot.world.ask(REST, RestTickersQuery((BTC,)))) == 1, "the places are free again"


async def test_a_read_that_the_limiter_holds_back_says_so_and_is_no_failure_of_the_venue() -> None:
    async with sessions(only=(REST,)) as spot:
        await spot.world.ready(REST)
        spot.world.tell(LIMITER, BlockedByVenue(time.time_ns() + 60 * SECOND, "too many requests"))
        found = await spot.world.ask(REST, RestTickersQuery((BTC,), patience_ns=SECOND))
        assert isinstance(found, Unanswered)
        assert "the venue has blocked us for" in found.text
        assert "too many requests" in found.text


async def test_candles_before_a_time_are_those_that_open_before_it() -> None:
    async with sessions(only=(REST,)) as spot:
        await spot.world.ready(REST)
        newest = await spot.world.ask(REST, CandlesQuery(BTC, MINUTE, 5))
        before = await spot.world.ask(REST, CandlesQuery(BTC, MINUTE, 3, newest[-1].open_ns))
        assert [bar.open_ns for bar in before] == [bar.open_ns for bar in newest[1:4]]


async def test_of_all_that_a_venue_lists_only_what_is_traded_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most venues cannot be asked for some symbols alone."""
    asked = BinanceSpotPublic.instruments_request
    monkeypatch.setattr(BinanceSpotPublic, "instruments_request", lambda codec, symbols: asked(codec, (BTC, ETH)))
    async with sessions(only=(INSTRUMENTS,), symbols=(BTC,)) as spot:
        told = await spot.reader.one(InstrumentsChanged)
        assert [instrument.symbol for instrument in told.instruments] == [BTC]
