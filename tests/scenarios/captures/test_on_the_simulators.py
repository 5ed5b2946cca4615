"""The same recordings as the simulators play them: the dialects, the engine's sessions and books, real sockets."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import trio

from protocols.base import Message
from protocols.ids import Symbol, Venue
from protocols.market import GapOpened, Quote
from protocols.reconcile import book_path
from protocols.venues.registry import VENUES
from tests.scenarios.captures.recordings import CAPTURES, Base, Truth, read_recording
from tests.scenarios.captures.rig import PATIENCE_S, reading, top_of
from tests.scenarios.captures.test_every_capture import DROPS, FULL, QUICK_STEPS
from tools.simulator import CaptureConfig, SimulatorConfig, open_simulator

LISTS = {
    "binance_spot/ws/2021": "binance_spot/rest/exchange_info_2021-10-12.json.gz",
    "binance_usdm/ws/2021": "binance_usdm/rest/exchange_info_2021-07-22.json.gz",
    "bybit": "bybit/rest",
    "upbit": "upbit/rest/market_all_2021-04-17.json.gz",
}
"""The venues' own instrument lists, for recordings with instruments that the simulator does not know of itself."""
CONNECTIONS = {"binance-usdm": 2}
"""That must listen before the play begins; one unless said."""
OKX_FIRST = 1_000


def truth_id(family: str, update_id: int) -> int:
    """The recordings of OKX have no numbers; the simulator counts by ones, `recordings` by threes."""
    return OKX_FIRST + 3 * (update_id - OKX_FIRST) if family == "okx" else update_id


def at_the_usual_pace(path: Path, folder: Path) -> Path:
    """The recording with its book stream under the name that the engine asks for; the messages are the same."""
    with gzip.open(path, "rt") as lines:
        text = lines.read()
    if "@depth@0ms" not in text:
        return path
    renamed = folder / path.name
    with gzip.open(renamed, "wt", compresslevel=1) as file:
        file.write(text.replace("@depth@0ms", "@depth@100ms"))
    return renamed


@pytest.mark.slow
@pytest.mark.req("R350")
@pytest.mark.parametrize("name", [name for name in CAPTURES if "orderbook1" not in name])
async def test_no_book_is_ever_wrong_on_the_venues_simulator(data_dir: Path, name: str, tmp_path: Path) -> None:
    recording = read_recording(data_dir, name)
    if recording is None:
        pytest.skip(f"{name} is not in the recorded data")
    if len(recording.steps) > QUICK_STEPS and DROPS < FULL:
        pytest.skip(f"{len(recording.steps)} frames: with BULKHEAD_DROPS={FULL} only; the other tests play them, too")
    truth = Truth()
    for step in recording.steps:
        if isinstance(step, Base):
            truth.base(step)
        elif step.change is not None:
            truth.take(step)
    venue, family = Venue(recording.venue), VENUES[recording.venue].family
    by_rest = any(isinstance(step, Base) for step in recording.steps)
    config = SimulatorConfig(
        venue=family,
        market=CaptureConfig(
            path=at_the_usual_pace(data_dir / f"{name.partition(':')[0]}.jsonl.gz", tmp_path),
            speed=0,
            wait_subscribers=CONNECTIONS.get(family, 1),
            wait_snapshots=len(recording.symbols) if by_rest else 0,
        ),
        exchange_info=next((data_dir / path for start, path in LISTS.items() if name.startswith(start)), None),
        symbols=() if family == "upbit" else None,
    )
    log: dict[str, list[Message]] = {symbol: [] for symbol in recording.symbols}
    async with open_simulator(config) as sim:
        origin = f"ws://127.0.0.1:{sim.port}"
        async with reading(venue, log, origin, sim.rest_url) as world:

            def reached(symbol: str) -> bool:
                actor = world.runtime.cell(book_path(venue, Symbol(symbol))).actor
                last_id = 0 if actor is None else int(str(actor.inspect()["last_id"]))
                return truth_id(family, last_id) >= truth.last_ids[symbol]

            with trio.fail_after(PATIENCE_S):
                await sim.wait_replayed()
                while not all(map(reached, log)):  # noqa: ASYNC110
                    await trio.sleep(0.01)
    quotes = [message for said in log.values() for message in said if isinstance(message, Quote)]
    wrong = [
        quote
        for quote in quotes
        if top_of(quote) not in truth.tops.get((quote.symbol, truth_id(family, quote.update_id)), ())
    ]
    assert wrong == []
    gaps = {symbol: [m.text for m in said if isinstance(m, GapOpened)][1:] for symbol, said in log.items()}
    assert gaps == {symbol: [] for symbol in log}
    print(f"{name} on the simulator: {len(quotes)} quotes, none wrong")
