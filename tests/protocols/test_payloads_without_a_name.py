"""Payloads beyond those that the tests of each venue name are decoded too: any folder of the data's layout will do.

Set `BULKHEAD_DATA` to one, and run this file.  What each message must mean is known for the named ones alone
(`test_payloads` of each venue); of every other one it must be known what became of it: events, a message that our
vocabulary lacks, a refusal in words, or a route that nothing here asks.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from protocols.errors import RemoteProtocolError
from protocols.ids import Symbol
from protocols.venue import HttpReply, Reply, UnrecognizedMessage, VenueError
from tests.protocols.hostile import check_sane
from tests.protocols.payload_files import (
    CODECS,
    RECEIVED_NS,
    Payload,
    payloads,
    rest_reads,
    routes,
    stream_reads,
)

X = Symbol("X")
KNOWN: dict[str, set[str]] = {
    "binance_spot/payloads/gct_wsHandleData.jsonl": set(),
    "binance_spot/payloads/jkorf.jsonl": set(),
    "binance_spot/payloads/nautilus.jsonl": set(),
    "binance_spot/rest/http_recorded.jsonl.gz": set(),
    "binance_usdm/payloads/jkorf.jsonl": set(),
    "binance_usdm/payloads/nautilus.jsonl": set(),
    "binance_usdm/rest/http_recorded.jsonl.gz": {"/fapi/v1/ticker/24hr"},  # an error's object, without its status
    "bybit/payloads/gct_wsAuth.jsonl": set(),
    "bybit/payloads/jkorf.jsonl": {"/v5/market/tickers"},  # of products that we do not carry out
    "bybit/payloads/nautilus.jsonl": set(),
    "okx/payloads/gct_wsAllTrades.jsonl": set(),
    "okx/payloads/gct_wsOrders.jsonl": set(),
    "okx/payloads/jkorf.jsonl": {"/api/v5/market/books"},  # without sequence numbers
    "okx/payloads/nautilus.jsonl": set(),
    "okx/ws/messages_spot_2026-08.jsonl": set(),
    "upbit/payloads/jkorf.jsonl": {"/v1/orderbook"},  # grouped levels
    "upbit/payloads/myorder_two_fills.jsonl": set(),
    "upbit/payloads/rest_schema_examples.json": set(),
    "upbit/ws/messages_default_2026-08-13.jsonl": set(),
}
"""The files that the venues' own tests name, with the paths of ours whose answers in them must be refused."""
BEST_FIRST = ("decoded", "error", "unrecognized", "nothing", "refused")


def outcome(read: Callable[[], Any]) -> str:
    """What became of a message; whatever is raised but a refusal in words comes through."""
    try:
        got = read()
    except RemoteProtocolError as error:
        return "refused" if str(error) else "refused without a word"
    check_sane(got)
    events = got if isinstance(got, tuple | list) else (got,)
    strangers = [event for event in events if isinstance(event, UnrecognizedMessage)]
    assert all(stranger.what and stranger.raw for stranger in strangers)
    if strangers:
        return "unrecognized"
    if got is None or not events:
        return "nothing"
    failed = isinstance(got, VenueError) or any(isinstance(event, Reply) and event.error for event in events)
    return "error" if failed else "decoded"


def became(payload: Payload) -> str:
    """The best that any of our codecs makes of it.

    Every decoder is asked, also those of other messages: they must refuse it, or find what they look for.
    """
    reply = HttpReply(200, {}, payload.body, RECEIVED_NS, RECEIVED_NS)
    scope: set[str] = set()
    answers: set[str] = set()
    streamed: set[str] = set()
    for pair in CODECS[payload.venue]():
        rest = {name: outcome(partial(read, reply)) for name, read in rest_reads(pair, X).items()}
        answers |= set(rest.values())
        streamed |= {outcome(partial(read, payload.body)) for read in stream_reads(pair).values()}
        decoder = None if payload.route is None else routes(payload.venue, pair).get(payload.route)
        scope |= set() if decoder is None else {rest[decoder]}
    if payload.route is not None:
        return _best(scope) if scope else "out of scope"
    # Nothing says whether it came over a socket.  What the sockets refuse may be an answer.
    return _best(answers) if streamed == {"refused"} else _best(streamed)


def _best(found: set[str]) -> str:
    assert found <= set(BEST_FIRST), found
    return next(how for how in BEST_FIRST if how in found)


def judged(found: list[Payload]) -> tuple[Counter[str], set[str]]:
    """What became of the messages, and the paths of ours whose answers were refused."""
    seen: Counter[str] = Counter()
    refused: set[str] = set()
    for payload in found:
        how = became(payload)
        seen[how] += 1
        if how == "refused" and payload.route is not None:
            refused.add(payload.route[1])
    return seen, refused


def test_every_message_of_every_file(data_dir: Path, subtests: pytest.Subtests) -> None:
    for name, found in payloads(data_dir):
        with subtests.test(name):
            seen, refused = judged(found)
            assert seen["decoded"] + seen["out of scope"], seen
            if name in KNOWN:
                assert refused == KNOWN[name]


def test_known_payloads_are_found_under_any_name(data_dir: Path, tmp_path: Path) -> None:
    """Packed or not: what becomes of them does not hang on what the file is called."""
    known = {name: found for name, found in payloads(data_dir) if name in KNOWN}
    if not known:
        pytest.skip("the data folder holds none of the files that the tests name")
    assert known.keys() == KNOWN.keys()
    for number, name in enumerate(known):
        path = data_dir / name
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        target = tmp_path / Path(name).parent.parent / "payloads" / f"other_{number}{path.suffixes[0]}"
        target.parent.mkdir(parents=True, exist_ok=True)
        if number % 2:
            target.with_suffix(f"{target.suffix}.gz").write_bytes(gzip.compress(raw))
        else:
            target.write_bytes(raw)
    others = [found for _, found in payloads(tmp_path)]
    assert sorted(map(len, others)) == sorted(map(len, known.values()))
    assert all(found in others for found in known.values())


@pytest.mark.parametrize("venue", CODECS)
def test_half_a_message_is_refused_in_words(data_dir: Path, tmp_path: Path, venue: str) -> None:
    folder = tmp_path / venue / "payloads"
    folder.mkdir(parents=True)
    bodies = [payload.body.strip() for _, found in payloads(data_dir) for payload in found]
    cut = [{"source": "cut", "raw": body[: len(body) // 2].decode("utf-8", "replace")} for body in bodies[::7]]
    (folder / "cut.jsonl").write_text("\n".join(map(json.dumps, cut)))
    ((_, found),) = payloads(tmp_path)
    assert len(found) == len(cut) > 0
    seen, _ = judged(found)
    assert seen.keys() <= {"refused", "error"}, seen
