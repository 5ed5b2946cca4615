"""python-okx, the venue's own connector, against the simulator: only the base addresses differ.

Its WebSockets speak TLS and nothing else, so a TLS end stands before the simulator, with a certificate made for this
run that the client is told to trust by the usual environment variable.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from okx.Account import AccountAPI
from okx.MarketData import MarketAPI
from okx.PublicData import PublicAPI
from okx.Trade import TradeAPI
from okx.websocket.WsPrivateAsync import WsPrivateAsync
from okx.websocket.WsPublicAsync import WsPublicAsync

from tests.judges.conftest import RunningSimulator

SPOT, SWAP = "BTC-USDT", "BTC-USDT-SWAP"
PATIENCE_S = 20
# The client hands text to its HTTP library in a way that the library would like to see changed.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture(scope="module")
def venue(shared_simulator: Callable[..., RunningSimulator]) -> RunningSimulator:
    return shared_simulator("okx")


@pytest.fixture(scope="module")
def apis(venue: RunningSimulator) -> Iterator[Callable[[Any], Any]]:
    """`apis(TradeAPI)`: one of the client's interfaces, logged on as the account."""
    made: dict[Any, Any] = {}
    keys = venue.keys

    def get(kind: Any) -> Any:
        if kind not in made:
            with pytest.MonkeyPatch.context() as patch:
                patch.delenv("SSL_CERT_FILE", raising=False)  # of a test whose certificate is still to be made
                made[kind] = kind(
                    keys["hmac_key"], keys["hmac_secret"], keys["passphrase"], flag="1", domain=venue.rest
                )
        return made[kind]

    yield get
    for api in made.values():
        api.close()


def rows(answer: dict[str, Any]) -> list[Any]:
    assert answer["code"] == "0", answer
    found: list[Any] = answer["data"]
    return found


def _price(apis: Any, inst_id: str, share: float) -> str:
    last = float(rows(apis(MarketAPI).get_ticker(inst_id))[0]["last"])
    return f"{last * share:.1f}"


# ---------------------------------------------------------------------------------------------------- REST
def test_public_data(apis: Any) -> None:
    listed = {row["instId"]: row for row in rows(apis(PublicAPI).get_instruments("SPOT"))}
    assert listed[SPOT]["state"] == "live"
    swaps = {row["instId"]: row for row in rows(apis(PublicAPI).get_instruments("SWAP"))}
    assert (swaps[SWAP]["ctVal"], swaps[SWAP]["ctType"]) == ("0.01", "linear")
    assert int(rows(apis(PublicAPI).get_system_time())[0]["ts"]) > 1_700_000_000_000
    assert rows(apis(PublicAPI).get_mark_price("SWAP", instId=SWAP))[0]["instId"] == SWAP
    assert rows(apis(PublicAPI).get_funding_rate(SWAP))[0]["fundingRate"] == "0.0001"
    (book,) = rows(apis(MarketAPI).get_orderbook(SPOT, "5"))
    assert len(book["bids"]) == len(book["asks"]) == 5
    assert len(book["bids"][0]) == 4
    bars = rows(apis(MarketAPI).get_candlesticks(SPOT, bar="1m", limit="5"))
    assert [int(newer[0]) - int(older[0]) for newer, older in itertools.pairwise(bars)] == [60_000] * 4
    assert {row["instId"] for row in rows(apis(MarketAPI).get_tickers("SWAP"))} >= {SWAP}


@pytest.mark.parametrize("inst_id, mode, size, more", [(SPOT, "cash", "0.01", "0.02"), (SWAP, "cross", "1", "2")])
def test_place_amend_query_cancel(apis: Any, inst_id: str, mode: str, size: str, more: str) -> None:
    trade = apis(TradeAPI)
    name = "pyokx" + inst_id.replace("-", "")
    (placed,) = rows(
        trade.place_order(inst_id, mode, "buy", "limit", size, px=_price(apis, inst_id, 0.9), clOrdId=name, tag="judge")
    )
    assert (placed["sCode"], placed["clOrdId"], placed["tag"]) == ("0", name, "judge")
    (shown,) = rows(trade.get_order(inst_id, ordId=placed["ordId"]))
    assert (shown["state"], shown["sz"], shown["avgPx"], shown["tdMode"]) == ("live", size, "", mode)

    (amended,) = rows(trade.amend_order(inst_id, clOrdId=name, newSz=more, reqId="change1"))
    assert (amended["sCode"], amended["reqId"]) == ("0", "change1")
    pending = {row["ordId"]: row for row in rows(trade.get_order_list(instId=inst_id))}
    assert pending[placed["ordId"]]["sz"] == more

    rows(trade.cancel_order(inst_id, clOrdId=name))
    assert rows(trade.get_order_list(instId=inst_id)) == []
    (ended,) = rows(trade.get_order(inst_id, clOrdId=name))
    assert (ended["state"], ended["cancelSource"]) == ("canceled", "1")
    kind = "SPOT" if inst_id == SPOT else "SWAP"
    assert placed["ordId"] in {row["ordId"] for row in rows(trade.get_orders_history(kind))}
    again = trade.cancel_order(inst_id, clOrdId=name)
    assert (again["code"], again["data"][0]["sCode"]) == ("1", "51400")


def test_batches_with_a_part_refused(apis: Any) -> None:
    trade = apis(TradeAPI)
    base = {"instId": SPOT, "tdMode": "cash", "side": "buy", "ordType": "limit", "px": _price(apis, SPOT, 0.9)}
    answer = trade.place_multiple_orders([base | {"sz": "0.01"}, base | {"sz": "100000"}, base | {"sz": "0.02"}])
    assert answer["code"] == "2"
    assert [row["sCode"] for row in answer["data"]] == ["0", "51008", "0"]
    ids = [row["ordId"] for row in answer["data"] if row["sCode"] == "0"]
    amended = trade.amend_multiple_orders([{"instId": SPOT, "ordId": order_id, "newSz": "0.03"} for order_id in ids])
    assert [row["sCode"] for row in rows(amended)] == ["0", "0"]
    ended = trade.cancel_multiple_orders([{"instId": SPOT, "ordId": order_id} for order_id in [*ids, "1"]])
    assert (ended["code"], [row["sCode"] for row in ended["data"]]) == ("2", ["0", "0", "51400"])


def test_fills_balances_positions(apis: Any) -> None:
    trade, account = apis(TradeAPI), apis(AccountAPI)
    before = rows(account.get_account_balance("USDT"))[0]["details"][0]
    (bought,) = rows(trade.place_order(SWAP, "cross", "buy", "market", "2"))
    fills = rows(trade.get_fills("SWAP", ordId=bought["ordId"]))
    assert sum(float(fill["fillSz"]) for fill in fills) == 2
    assert all(float(fill["fee"]) < 0 for fill in fills)
    (position,) = rows(account.get_positions("SWAP", SWAP))
    assert (position["pos"], position["posSide"], position["mgnMode"]) == ("2", "net", "cross")
    after = rows(account.get_account_balance("USDT"))[0]["details"][0]
    assert float(after["cashBal"]) == pytest.approx(
        float(before["cashBal"]) + sum(float(fill["fee"]) for fill in fills), abs=1e-6
    )
    assert float(after["availBal"]) < float(after["cashBal"])
    rows(trade.close_positions(SWAP, "cross"))
    (flat,) = rows(account.get_positions("SWAP", SWAP))
    assert flat["pos"] == "0"


def test_account_settings(apis: Any) -> None:
    account = apis(AccountAPI)
    (settings,) = rows(account.get_account_config())
    assert (settings["acctLv"], settings["posMode"]) == ("2", "net_mode")
    (set_to,) = rows(account.set_leverage("7", "cross", instId=SWAP))
    assert set_to["lever"] == "7"
    assert rows(account.get_leverage("cross", instId=SWAP))[0]["lever"] == "7"
    rows(account.set_position_mode("long_short_mode"))
    try:
        refused = apis(TradeAPI).place_order(SWAP, "cross", "buy", "market", "1")
        assert refused["data"][0]["sCode"] == "51000"  # posSide is missing
        rows(apis(TradeAPI).place_order(SWAP, "cross", "sell", "market", "1", posSide="short"))
        (leg,) = rows(account.get_positions("SWAP"))
        assert (leg["pos"], leg["posSide"]) == ("1", "short")
        assert account.set_position_mode("net_mode")["code"] == "59000"
        rows(apis(TradeAPI).close_positions(SWAP, "cross", posSide="short"))
    finally:
        rows(account.set_position_mode("net_mode"))
    (fees,) = rows(account.get_fee_rates("SWAP"))
    assert (fees["makerU"], fees["feeGroup"][0]["taker"]) == ("-0.0002", "-0.0005")


def test_algo_orders(apis: Any) -> None:
    trade = apis(TradeAPI)
    (placed,) = rows(
        trade.place_algo_order(
            SWAP, "cross", "sell", "conditional", "1", slTriggerPx=_price(apis, SWAP, 0.8), slOrdPx="-1",
            algoClOrdId="stop1", posSide="net",
        )
    )  # fmt: skip
    assert [row["algoId"] for row in rows(trade.order_algos_list("conditional"))] == [placed["algoId"]]
    rows(trade.cancel_algo_order([{"instId": SWAP, "algoId": placed["algoId"]}]))
    assert rows(trade.order_algos_list("conditional")) == []
    (ended,) = rows(trade.order_algos_history("conditional", algoId=placed["algoId"]))
    assert (ended["state"], ended["algoClOrdId"]) == ("canceled", "stop1")


# -------------------------------------------------------------------------------------------------- streams
def _certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate of 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "simulator")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


@asynccontextmanager
async def _tls_end(port: int, folder: Path) -> AsyncIterator[int]:
    """A port that speaks TLS and passes everything on to another."""
    certificate, key = _certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    tasks: set[asyncio.Task[None]] = set()

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65_536):
                target.write(data)
                await target.drain()
        except OSError:
            pass  # one side went away: the other is closed below
        finally:
            target.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection("127.0.0.1", port)
        for pair in ((reader, forth), (back, writer)):
            task = asyncio.create_task(copy(*pair))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()


class Heard:
    """What a client's callback was given."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def __call__(self, message: str) -> None:
        self.messages.put_nowait(json.loads(message))

    async def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while True:
            message = await self.messages.get()
            if wanted(message):
                return message


def _of(channel: str) -> Callable[[dict[str, Any]], bool]:
    return lambda message: message.get("arg", {}).get("channel") == channel and "data" in message


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    return tmp_path


def test_public_streams(venue: RunningSimulator, trusted: Path) -> None:
    async def scenario() -> None:
        async with _tls_end(venue.port, trusted) as port:
            public = WsPublicAsync(f"wss://127.0.0.1:{port}/ws/v5/public")
            business = WsPublicAsync(f"wss://127.0.0.1:{port}/ws/v5/business")
            heard, candles = Heard(), Heard()
            tasks = [await public.start(), await business.start()]
            topics = [{"channel": name, "instId": SPOT} for name in ("books", "bbo-tbt", "tickers", "trades")]
            await public.subscribe(topics, heard, id="a1")
            await business.subscribe([{"channel": "candle1m", "instId": SPOT}], candles)
            assert (await heard.until(lambda message: message.get("event") == "subscribe"))["id"] == "a1"
            picture = await heard.until(_of("books"))
            assert (picture["action"], picture["data"][0]["prevSeqId"]) == ("snapshot", -1)
            last = picture["data"][0]["seqId"]
            for _ in range(5):
                update = await heard.until(_of("books"))
                (row,) = update["data"]
                assert (update["action"], row["prevSeqId"], row["checksum"]) == ("update", last, 0)
                last = row["seqId"]
            assert (await heard.until(_of("trades")))["data"][0]["side"] in ("buy", "sell")
            assert len((await candles.until(_of("candle1m")))["data"][0]) == 9
            await public.unsubscribe(topics[:1], heard)
            await heard.until(lambda message: message.get("event") == "unsubscribe")
            await public.stop()
            await business.stop()
            await asyncio.gather(*tasks)

    asyncio.run(asyncio.wait_for(scenario(), PATIENCE_S))


def test_private_stream_and_orders(venue: RunningSimulator, apis: Any, trusted: Path) -> None:
    code = rows(apis(PublicAPI).get_instruments("SPOT", instId=SPOT))[0]["instIdCode"]
    price = _price(apis, SPOT, 0.9)

    async def scenario() -> None:
        async with _tls_end(venue.port, trusted) as port:
            keys = venue.keys
            client = WsPrivateAsync(
                keys["hmac_key"], keys["passphrase"], keys["hmac_secret"], f"wss://127.0.0.1:{port}/ws/v5/private"
            )
            heard = Heard()
            task = await client.start()
            await client.subscribe([{"channel": "orders", "instType": "ANY"}, {"channel": "account"}], heard)
            account = await heard.until(_of("account"))
            assert (account["eventType"], account["lastPage"]) == ("snapshot", True)
            order = {"instIdCode": code, "tdMode": "cash", "side": "buy", "ordType": "limit", "sz": "0.01", "px": price}
            await client.place_order([order | {"clOrdId": "ws1"}], id="p1")
            answer = await heard.until(lambda message: message.get("id") == "p1")
            assert (answer["op"], answer["code"], answer["data"][0]["sCode"]) == ("order", "0", "0")
            live = (await heard.until(_of("orders")))["data"][0]
            assert (live["state"], live["clOrdId"], live["avgPx"]) == ("live", "ws1", "0")
            await client.amend_order([{"instIdCode": code, "clOrdId": "ws1", "newSz": "0.02", "reqId": "r9"}], id="m1")
            amended = (await heard.until(_of("orders")))["data"][0]
            assert (amended["sz"], amended["amendResult"], amended["reqId"]) == ("0.02", "0", "r9")
            await client.cancel_order([{"instIdCode": code, "clOrdId": "ws1"}], id="c1")
            ended = (await heard.until(_of("orders")))["data"][0]
            assert (ended["state"], ended["cancelSource"]) == ("canceled", "1")
            await client.place_order([{name: value for name, value in order.items() if name != "instIdCode"}], id="p2")
            refused = await heard.until(lambda message: message.get("id") == "p2")
            assert (refused["code"], refused["data"][0]["sCode"]) == ("1", "50014")  # instIdCode is missing
            await client.stop()
            await task

    asyncio.run(asyncio.wait_for(scenario(), PATIENCE_S))
