"""How each venue speaks to the clients of its public socket: subscriptions understood, answers and pictures written.

For servers that a test has in its hands; written from the venues' references, without any code of the engine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol

import attrs
from websockets.frames import Opcode

Name = tuple[str, str]
"""Kind and symbol of a stream."""


class Books(Protocol):
    """The true books, as far as pictures of them are wanted."""

    last_ids: dict[str, int]
    last_raw: dict[str, str]
    """The newest frame of each symbol's book."""

    @property
    def books(self) -> Mapping[str, object]:
        """By symbol: those that have begun."""
        ...

    def rows(self, symbol: str) -> tuple[Sequence[tuple[str, str]], Sequence[tuple[str, str]]]:
        """Bids and asks, best first, as written."""
        ...


@attrs.define
class Heard:
    """What a client's frame asks for, and what to say to it."""

    add: list[Name] = attrs.Factory(list)
    remove: list[Name] = attrs.Factory(list)
    replace: bool = False
    answers: list[str] = attrs.Factory(list)


class Speech(Protocol):
    """How a venue speaks to its clients."""

    opcode: Opcode

    def hear(self, text: str) -> Heard: ...

    def picture(self, truth: Books, symbol: str) -> str | None:
        """The frame with which a subscription to a book begins; None where it begins with nothing."""
        ...

    def rest(self, truth: Books, target: str) -> str | None:
        """The answer to a request for a book; None while that has not begun."""
        ...


class BinanceSpeech:
    """Both products."""

    opcode = Opcode.TEXT
    _KINDS: ClassVar[dict[str, str]] = {
        "kline_1m": "candles",
        "depth@100ms": "book",
        "bookTicker": "ticker",
        "trade": "trade",
        "aggTrade": "trade",
    }

    def hear(self, text: str) -> Heard:
        asked = json.loads(text)
        names = [(self._KINDS[kind], symbol.upper()) for symbol, _, kind in (p.partition("@") for p in asked["params"])]
        answers = [json.dumps({"result": None, "id": asked["id"]})]
        if asked["method"] == "SUBSCRIBE":
            return Heard(add=names, answers=answers)
        return Heard(remove=names, answers=answers)

    def picture(self, truth: Books, symbol: str) -> str | None:
        return None

    def rest(self, truth: Books, target: str) -> str | None:
        symbol = target.partition("symbol=")[2].partition("&")[0]
        if symbol not in truth.books:
            return None
        bids, asks = truth.rows(symbol)
        return json.dumps({"lastUpdateId": truth.last_ids[symbol], "bids": bids, "asks": asks})


class BybitSpeech:
    """One product's public socket."""

    opcode = Opcode.TEXT
    _KINDS: ClassVar[dict[str, str]] = {"orderbook.200": "book", "orderbook.1": "ticker", "publicTrade": "trade"}

    def hear(self, text: str) -> Heard:
        asked = json.loads(text)
        if asked["op"] == "ping":
            return Heard(answers=[json.dumps({"success": True, "ret_msg": "pong", "op": "ping", "conn_id": "c"})])
        names = [(self._KINDS[kind], symbol) for kind, _, symbol in (t.rpartition(".") for t in asked["args"])]
        answer = {"success": True, "ret_msg": "", "conn_id": "c", "req_id": asked["req_id"], "op": asked["op"]}
        return Heard(
            names if asked["op"] == "subscribe" else [],
            names if asked["op"] == "unsubscribe" else [],
            answers=[json.dumps(answer)],
        )

    def picture(self, truth: Books, symbol: str) -> str | None:
        if symbol not in truth.books:
            return None
        bids, asks = truth.rows(symbol)
        frame = json.loads(truth.last_raw[symbol])
        frame["type"] = "snapshot"
        frame["data"] |= {"b": bids, "a": asks}
        return json.dumps(frame, separators=(",", ":"))

    def rest(self, truth: Books, target: str) -> str | None:
        raise AssertionError(f"a book of this depth is healed by its stream, and REST was asked: {target}")


class OkxSpeech:
    """The public socket of the time when there were checksums, with the sequence numbers of today."""

    opcode = Opcode.TEXT
    _KINDS: ClassVar[dict[str, str]] = {"books": "book", "bbo-tbt": "ticker", "trades": "trade"}

    def hear(self, text: str) -> Heard:
        if text == "ping":
            return Heard(answers=["pong"])
        asked = json.loads(text)
        names = [(self._KINDS[arg["channel"]], arg["instId"]) for arg in asked["args"]]
        answers = [json.dumps({"id": asked["id"], "event": asked["op"], "arg": arg}) for arg in asked["args"]]
        return Heard(
            names if asked["op"] == "subscribe" else [], names if asked["op"] == "unsubscribe" else [], answers=answers
        )

    def picture(self, truth: Books, symbol: str) -> str | None:
        if symbol not in truth.books:
            return None
        bids, asks = ([[price, qty, "0", "1"] for price, qty in rows] for rows in truth.rows(symbol))
        frame = json.loads(truth.last_raw[symbol])
        frame["action"] = "snapshot"
        frame["data"][0] |= {"bids": bids, "asks": asks, "prevSeqId": -1}
        return json.dumps(frame, separators=(",", ":"))

    def rest(self, truth: Books, target: str) -> str | None:
        raise AssertionError(f"the book is healed by its stream, and REST was asked: {target}")


class UpbitSpeech:
    """One request replaces the one before it; nothing is acknowledged."""

    opcode = Opcode.BINARY
    _KINDS: ClassVar[dict[str, str]] = {"orderbook": "book", "trade": "trade"}

    def hear(self, text: str) -> Heard:
        ticket, *parts = json.loads(text)
        if any(part.get("method") == "LIST_SUBSCRIPTIONS" for part in parts):
            return Heard(
                answers=[json.dumps({"method": "LIST_SUBSCRIPTIONS", "result": [], "ticket": ticket["ticket"]})]
            )
        names = [(self._KINDS[part["type"]], code) for part in parts if "type" in part for code in part["codes"]]
        return Heard(add=names, replace=True)

    def picture(self, truth: Books, symbol: str) -> str | None:
        return truth.last_raw.get(symbol)

    def rest(self, truth: Books, target: str) -> str | None:
        raise AssertionError(f"every message is a book, and REST was asked: {target}")


def speech_of(venue: str) -> Speech:
    """By the venue's family."""
    family = venue.partition("-")[0]
    speeches: dict[str, type[Speech]] = {
        "binance": BinanceSpeech,
        "bybit": BybitSpeech,
        "okx": OkxSpeech,
        "upbit": UpbitSpeech,
    }
    return speeches[family]()
