"""Streams and public REST, field by field (reference sections 4 and 7)."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from protocols.enums import OrdRejReason, Side, Source
from protocols.errors import LocalProtocolError, RemoteProtocolError, Unrecognized
from protocols.ids import Symbol
from protocols.instruments import Product
from protocols.market import BookDelta, BookSnapshot, BookTicker, Candle, Trade
from protocols.venue import Channel, ChecksBooks, Disposition, Reply, StreamTerminated, UnrecognizedMessage, VenueError
from protocols.venues.okx import OkxPublic
from protocols.venues.okx.public import INTERVALS
from tests.protocols.okx.frames import CANDLE, RECEIVED_NS, SPOT, SWAP, TRADE, book_row, public_frame, reply, rest

D = Decimal
PUBLIC = OkxPublic(Product.LINEAR)
MINUTE = 60_000_000_000
EVENT_NS = 1_767_225_600_130_000_000


def decoded(raw: str | bytes, public: OkxPublic = PUBLIC) -> list[Any]:
    return list(public.decode(raw, RECEIVED_NS, 3))


def only(raw: str | bytes) -> Any:
    (event,) = decoded(raw)
    return event


def test_an_unknown_side_costs_its_trade_alone() -> None:
    rows = [TRADE, TRADE | {"side": "both"}, TRADE | {"tradeId": "9"}]
    first, unknown, last = OkxPublic(Product.LINEAR).decode(public_frame("trades", rows), RECEIVED_NS, 1)
    assert isinstance(unknown, UnrecognizedMessage)
    assert [one.trade_id for one in (first, last) if isinstance(one, Trade)] == [TRADE["tradeId"], "9"]


def test_rows_may_grow_at_their_end() -> None:
    """The venue has lengthened such rows before; what follows is not ours to read."""
    public = OkxPublic(Product.LINEAR)
    longer = [[*row, "new", "7"] for row in book_row()["bids"]]
    frames = [
        [public_frame("books", [row], action="update") for row in (book_row(bids=longer), book_row())],
        [public_frame("candle1m", [row]) for row in ([*CANDLE, "more"], CANDLE)],
    ]
    for grown, plain in frames:
        assert list(public.decode(grown, RECEIVED_NS, 1)) == list(public.decode(plain, RECEIVED_NS, 1))


class TestBooks:
    def test_an_update(self) -> None:
        assert only(public_frame("books", [book_row()], action="update")) == BookDelta(
            PUBLIC.venue, SWAP, 16, 21, 15, ((D(60000), D(0)),), ((D(60001), D("1.5")),), EVENT_NS, RECEIVED_NS, 3
        )

    def test_the_range_of_a_heartbeat_and_of_a_reset(self) -> None:
        for seq_id, first in ((15, 15), (3, 3), (16, 16), (21, 16)):
            event = only(public_frame("books", [book_row(seqId=seq_id)], action="update"))
            assert (event.first_id, event.last_id, event.prev_id) == (first, seq_id, 15)

    @pytest.mark.parametrize("more", [{"action": "snapshot"}, {}])
    def test_a_snapshot(self, more: dict[str, str]) -> None:
        frame = public_frame("books", [book_row(prevSeqId=-1, seqId=10)], **more)
        assert only(frame) == BookSnapshot(
            PUBLIC.venue, SWAP, 10, ((D(60000), D(0)),), ((D(60001), D("1.5")),), RECEIVED_NS, 3, EVENT_NS
        )

    def test_a_picture_is_one_whatever_number_it_gives_its_predecessor(self) -> None:
        assert isinstance(only(public_frame("books", [book_row()], action="snapshot")), BookSnapshot)

    @pytest.mark.parametrize("checksum", [0, 1, -855196043, "x", None])
    def test_the_checksum_is_not_looked_at(self, checksum: object) -> None:
        """Fixed at 0 since 2026-06-23: whatever it says, the book stands on its sequence."""
        assert only(public_frame("books", [book_row(checksum=checksum)], action="update")).last_id == 21

    @pytest.mark.parametrize("action", ["snapshot", "update"])
    def test_the_checksum_of_old_recordings_is_read_on_request(self, action: str) -> None:
        codec = OkxPublic(PUBLIC.product, checksums=True)
        frame = public_frame("books", [book_row(checksum=-855196043)], action=action)
        (event,) = codec.decode(frame, RECEIVED_NS, 3)
        assert isinstance(event, BookDelta | BookSnapshot)
        assert event.checksum == -855196043
        assert isinstance(codec.sequencer(SWAP), ChecksBooks)

    @pytest.mark.parametrize("channel", ["books-l2-tbt", "books50-l2-tbt"])
    def test_the_faster_books_are_read_alike(self, channel: str) -> None:
        assert isinstance(only(public_frame(channel, [book_row()], action="update")), BookDelta)

    def test_digits_are_kept(self) -> None:
        row = book_row(bids=[["0.00000001", "1.50", "0", "1"]])
        assert str(only(public_frame("books", [row], action="update")).bids[0][1]) == "1.50"

    @pytest.mark.parametrize(
        "changes",
        [{"seqId": None}, {"prevSeqId": "15"}, {"seqId": -2}, {"seqId": 2**62}, {"bids": [["1", "1"]]}, {"ts": "-1"},
         {"bids": [["NaN", "1", "0", "1"]]}, {"asks": [["0", "1", "0", "1"]]}, {"asks": [["1", "-1", "0", "1"]]},
         {"asks": [["1", "1e30", "0", "1"]]}, {"ts": 1767225600130}],
    )  # fmt: skip
    def test_impossible_rows_are_refused(self, changes: dict[str, Any]) -> None:
        with pytest.raises(RemoteProtocolError):
            decoded(public_frame("books", [book_row(**changes)], action="update"))

    def test_without_numbers_there_is_no_book(self) -> None:
        row = book_row()
        del row["seqId"]
        with pytest.raises(RemoteProtocolError, match="seqId"):
            decoded(public_frame("books", [row], action="update"))


def test_best_prices() -> None:
    row = {"asks": [["60001", "4", "0", "13"]], "bids": [["60000", "2", "0", "12"]], "ts": "1767225600130", "seqId": 7}
    assert only(public_frame("bbo-tbt", [row])) == BookTicker(
        PUBLIC.venue, SWAP, D(60000), D(2), D(60001), D(4), 7, EVENT_NS, RECEIVED_NS
    )
    empty = only(public_frame("bbo-tbt", [row | {"bids": []}]))
    assert (empty.bid_px, empty.bid_qty, empty.ask_px) == (D(0), D(0), D(60001))


@pytest.mark.parametrize("channel", ["trades", "trades-all"])
def test_trades(channel: str) -> None:
    rows = [TRADE, TRADE | {"tradeId": "130639475", "side": "sell"}]
    first, second = decoded(public_frame(channel, rows))
    assert first == Trade(PUBLIC.venue, SWAP, "130639474", D(60000), D("0.012"), Side.BUY, EVENT_NS, RECEIVED_NS)
    assert (second.trade_id, second.aggressor) == ("130639475", Side.SELL)


def test_candles() -> None:
    open_ns = 1_767_225_600_000_000_000
    bar = Candle(
        PUBLIC.venue,
        SWAP,
        MINUTE,
        open_ns,
        D(60000),
        D(60010),
        D(59990),
        D(60005),
        D("12.3"),
        False,
        received_ns=RECEIVED_NS,
        source=Source.STREAM,
    )
    assert only(public_frame("candle1m", [CANDLE])) == bar
    assert only(public_frame("candle1m", [[*CANDLE[:8], "1"]])).closed
    assert only(public_frame("candle1Dutc", [CANDLE])).interval_ns == 86_400_000_000_000


class TestWhatWeDoNotKnow:
    @pytest.mark.parametrize(
        "raw, what",
        [
            (public_frame("books5", []), Unrecognized("channel", "books5")),
            (public_frame("candle1D", [CANDLE]), Unrecognized("channel", "candle1D")),
            (public_frame("candle7m", [CANDLE]), Unrecognized("channel", "candle7m")),
            (public_frame("books", [book_row()], action="replace"), Unrecognized("action", "replace")),
            (public_frame("trades", [TRADE | {"side": "both"}]), Unrecognized("trades.side", "both")),
            (b'{"event":"greeting","connId":"a"}', Unrecognized("event", "greeting")),
            (b'{"event":"notice","code":"64999","msg":"?"}', Unrecognized("event", "notice")),
        ],
    )
    def test_is_kept_with_its_text(self, raw: bytes, what: Unrecognized) -> None:
        assert only(raw) == UnrecognizedMessage(PUBLIC.venue, (what,), raw.decode())

    @pytest.mark.parametrize(
        "raw",
        [b"", b"ping!", b"null", b"1", b"[]", b"{}", b'{"data":[]}', b'{"arg":{"channel":"books"},"data":[]}',
         b'{"arg":{"channel":"trades","instId":"X"}}', b'{"arg":{"channel":"trades","instId":"X"},"data":{}}', b"\xff"],
    )  # fmt: skip
    def test_or_refused_where_it_has_no_shape(self, raw: bytes) -> None:
        with pytest.raises(RemoteProtocolError):
            decoded(raw)


class TestEvents:
    def test_pong(self) -> None:
        assert only("pong") == only(b"pong") == Reply("", payload={"event": "pong"})

    def test_a_frame_is_confirmed_when_all_its_topics_are(self) -> None:
        public = OkxPublic(Product.SPOT)
        public.subscribe([(Channel.BOOK, SPOT), (Channel.TRADES, SPOT), (Channel.BOOK_TICKER, SPOT)], 7)
        acks = [
            msgspec.json.encode(
                {"id": "7", "event": "subscribe", "arg": {"channel": name, "instId": SPOT}, "connId": "a"}
            )
            for name in ("books", "trades", "bbo-tbt")
        ]
        assert [decoded(ack, public) for ack in acks] == [[], [], [Reply("7", payload={"event": "subscribe"})]]

    def test_an_error_ends_the_wait(self) -> None:
        public = OkxPublic(Product.SPOT)
        public.subscribe([(Channel.BOOK, SPOT), (Channel.TRADES, SPOT)], 7)
        raw = b'{"id":"7","event":"error","code":"60018","msg":"wrong channel","connId":"a"}'
        error = VenueError(Disposition.BUG, "60018", "wrong channel", OrdRejReason.UNSUPPORTED)
        assert decoded(raw, public) == [Reply("7", error=error)]

    def test_connections_that_broke_do_not_pile_up(self) -> None:
        public = OkxPublic(Product.SPOT)
        for number in range(1000):
            public.subscribe([(Channel.BOOK, SPOT), (Channel.TRADES, SPOT)], number)
        assert len(public._acks._left) <= 64
        assert decoded(b'{"id":"999","event":"subscribe","arg":{}}', public) == []
        assert len(decoded(b'{"id":"999","event":"subscribe","arg":{}}', public)) == 1

    def test_too_many_requests(self) -> None:
        got = only(b'{"event":"error","code":"60014","msg":"Requests too frequent","connId":"a"}')
        assert got.error.disposition is Disposition.RATE_LIMITED
        assert got.error.until_ns > RECEIVED_NS

    def test_an_upgrade_is_announced(self) -> None:
        got = only(b'{"event":"notice","code":"64008","msg":"The connection will soon be closed","connId":"a"}')
        assert isinstance(got, StreamTerminated)
        assert "soon be closed" in got.text

    def test_counts_of_connections(self) -> None:
        assert decoded(b'{"event":"channel-conn-count","channel":"orders","connCount":"2","connId":"a"}') == []
        assert isinstance(only(b'{"event":"channel-conn-count-error","channel":"orders"}'), StreamTerminated)


class TestRest:
    def test_time(self) -> None:
        assert PUBLIC.time_request().path == "/api/v5/public/time"
        assert PUBLIC.decode_time(reply(rest([{"ts": "1767225600123"}]))) == 1_767_225_600_123_000_000

    def test_a_book(self) -> None:
        row = {"asks": [["60001", "4", "0", "13"]], "bids": [["60000", "2", "0", "12"]], "ts": "1767225600130"}
        got = PUBLIC.decode_snapshot(SWAP, reply(rest([row | {"seqId": 7}])), 5)
        assert got == BookSnapshot(
            PUBLIC.venue, SWAP, 7, ((D(60000), D(2)),), ((D(60001), D(4)),), RECEIVED_NS, 5, 1767225600130 * 1_000_000
        )
        for body in (rest([row]), rest([]), rest([], "51001"), {}, b""):
            with pytest.raises(RemoteProtocolError):
                PUBLIC.decode_snapshot(SWAP, reply(body), 5)

    def test_candles_come_oldest_first_and_closed(self) -> None:
        rows = [
            [str(1767225600000 + 60_000 * n), "1", "2", "0.5", "1.5", "9", "1", "1", "0" if n == 3 else "1"]
            for n in (3, 2, 1, 0)
        ]
        got = PUBLIC.decode_candles(SWAP, MINUTE, reply(rest(rows)))
        assert [bar.open_ns for bar in got] == [(1767225600000 + 60_000 * n) * 1_000_000 for n in (0, 1, 2)]
        assert all(bar.closed and bar.interval_ns == MINUTE for bar in got)

    @pytest.mark.parametrize("text, interval_ns", [("1m", MINUTE), ("1H", 60 * MINUTE), ("1Dutc", 1440 * MINUTE)])
    def test_candles_are_asked_with_one_more(self, text: str, interval_ns: int) -> None:
        request = PUBLIC.candles_request(SWAP, interval_ns, 10)
        assert request.query == f"instId=BTC-USDT-SWAP&bar={text}&limit=11"
        assert PUBLIC.candles_request(SWAP, interval_ns, 5000).query.endswith("limit=300")

    def test_an_interval_that_the_venue_lacks(self) -> None:
        with pytest.raises(LocalProtocolError, match="interval_ns was 7"):
            PUBLIC.candles_request(SWAP, 7, 10)

    def test_intervals_are_of_the_length_that_they_say(self) -> None:
        unit = {"s": 1, "m": 60, "H": 3600, "D": 86_400, "W": 604_800}
        for text, length in INTERVALS.items():
            plain = text.removesuffix("utc")
            assert length == int(plain[:-1]) * unit[plain[-1]] * 1_000_000_000

    def test_names_are_percent_encoded(self) -> None:
        assert PUBLIC.snapshot_request(Symbol("a&b=1"), 1).query == "instId=a%26b%3D1&sz=1"


def test_the_sequencer_takes_its_snapshot_from_the_stream_or_from_rest() -> None:
    assert OkxPublic(Product.SPOT).sequencer(SPOT).snapshot_depth == 0
    assert OkxPublic(Product.SPOT, rest_snapshots=True).sequencer(SPOT).snapshot_depth == 400


def test_frames_are_text_or_bytes() -> None:
    frame = public_frame("trades", [TRADE])
    assert decoded(frame) == decoded(frame.decode())
    assert json.loads(frame)["arg"]["instId"] == SWAP
