"""OKX as a whole: what the dialect's parts share, and what the server and the simulator call."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

import attrs
import orjson

from tools.simulator.core.accounts import Account
from tools.simulator.core.algos import Algo
from tools.simulator.core.capture import ReplayCodec
from tools.simulator.core.clock import MS, SECOND, Clock
from tools.simulator.core.decimals import ZERO
from tools.simulator.core.dialect import Arrival, Parts
from tools.simulator.core.exchange import Exchange, Listener
from tools.simulator.core.faults import FaultPlan
from tools.simulator.core.hub import Hub, Message
from tools.simulator.core.latency import Latency
from tools.simulator.core.limits import Window
from tools.simulator.core.live import LiveConfig, LiveFeed
from tools.simulator.core.market import Market
from tools.simulator.core.memory import Memory
from tools.simulator.core.model import ExecType, Execution, Fill, Order, OrdStatus, OrdType, RejectReason, Side
from tools.simulator.core.net import WsConnection
from tools.simulator.core.private import PrivateChannel
from tools.simulator.core.scheduler import Scheduler
from tools.simulator.core.server import HttpRequest, HttpResponse
from tools.simulator.dialects.okx import (
    algos,
    methods_account,
    methods_algo,
    methods_public,
    methods_trade,
    order_rows,
    rest,
)
from tools.simulator.dialects.okx.errors import TEXTS, OkxError
from tools.simulator.dialects.okx.gateway import Method, MethodTable, Outcome
from tools.simulator.dialects.okx.instruments import OkxInstrument
from tools.simulator.dialects.okx.limits import Buckets, OkxLimits
from tools.simulator.dialects.okx.live import OkxLive
from tools.simulator.dialects.okx.order_rows import Bill
from tools.simulator.dialects.okx.orders import NAMELESS, POSITION_SIDES, Terms, terms
from tools.simulator.dialects.okx.params import Params
from tools.simulator.dialects.okx.private import PrivateEvents
from tools.simulator.dialects.okx.replay import OkxReplay
from tools.simulator.dialects.okx.sockets import PATHS, Session
from tools.simulator.dialects.okx.streams import PublicStreams

KINDS = {"public": "streams", "private": "private", "business": "business"}
STATUS_BODY = {"503": "50001", "500": "50026", "429": "50011"}
RESET_SEQ_ID = 3


@attrs.define
class Settings:
    """How an account is set up. `acct_lv`: 1 spot, 2 futures, 3 multi-currency, 4 portfolio margin."""

    acct_lv: str = "2"
    vip: int = 0


class DeadMan:
    """Timers of `cancel-all-after`: one for the account, one for each tag (5.6)."""

    TAGS = 20

    def __init__(self, venue: OkxVenue) -> None:
        self._venue = venue
        self._due: dict[tuple[Account, str], int] = {}

    def arm(self, account: Account, tag: str, seconds: int) -> int:
        """When it will fire, ns; 0 where it is off. Raises OkxError 51071 for too many tags."""
        venue, key = self._venue, (account, tag)
        if not seconds:
            self._due.pop(key, None)
            return 0
        if tag and key not in self._due and sum(who is account and bool(one) for who, one in self._due) >= self.TAGS:
            raise OkxError("51071")
        due = self._due[key] = venue.clock.now_ns() + seconds * SECOND
        venue.scheduler.after(seconds, lambda: self._fire(key, due))
        return due

    def _fire(self, key: tuple[Account, str], due: int) -> None:
        """One order after the other, unless the timer was set anew meanwhile."""
        if self._due.get(key) != due:
            return
        del self._due[key]
        account, tag = key
        for order in list(account.open_orders.values()):
            if order.is_live and tag in ("", terms(order).tag):
                self._venue.cancel(order, order_rows.DEAD_MAN)


class OkxVenue(Listener):
    """Serves requests and streams over one exchange. Implements `core.dialect.Dialect` and `core.delivery.Desk`."""

    def __init__(self, parts: Parts) -> None:
        self.exchange: Exchange = parts.exchange
        self.instruments: dict[str, OkxInstrument] = {one.inst_id: one for one in parts.instruments}
        self.by_code = {one.code: one for one in self.instruments.values()}
        self.clock: Clock = parts.clock
        self.faults: FaultPlan = parts.faults
        self.scheduler: Scheduler = parts.scheduler
        self.latency: Latency = parts.latency
        self.limits: OkxLimits = parts.limits
        self.buckets = Buckets()
        self.hub = Hub(parts.faults, parts.scheduler)
        self.user_data = PrivateChannel(parts.faults, parts.scheduler)
        self.private = self.events = PrivateEvents(self)
        self.streams = PublicStreams(self.exchange.markets, self.instruments.values(), self.hub, self.clock)
        self.streams.mark_of = lambda name: self.exchange.markets[name].mark_px
        self.streams.funding_of = lambda name: self.exchange.markets[name].funding_rate
        self.streams.interest_of = self._open_interest
        self.exchange.listeners += [self.private, self.streams, self]
        self.methods = MethodTable()
        for module in (methods_public, methods_trade, methods_algo, methods_account):
            self.methods.add(*module.METHODS)
        self.sessions: set[Session] = set()
        self.dead_man = DeadMan(self)
        self.arrivals: dict[str, Arrival] = defaultdict(Arrival)
        self.requests: Counter[str] = Counter()
        self.snapshots: Counter[str] = Counter()
        self.history_of: Callable[[str], None] | None = None
        self.replay: OkxReplay | None = None
        self._settings: dict[Account, Settings] = {}
        self._bills: dict[Account, list[Bill]] = defaultdict(list)
        self._fills: dict[Order, list[Bill]] = defaultdict(list)
        self._attempts: dict[str, Window] = {}
        self._blocked: dict[str, int] = {}
        self._last_bill = self._last_nameless = self._last_connection = 0
        # Numbers begin with the time, so that a venue that was started anew does not use its numbers again.
        self._first_id = self.clock.now_ns() // MS * 1_000_000
        self.exchange.name_order = lambda order: str(self._first_id + order.order_id)

    # ----------------------------------------------------------------------------------- server's calls
    def kind_of(self, path: str) -> str:
        return KINDS.get(PATHS.get(path.rstrip("/"), ""), "rest")

    async def http(self, request: HttpRequest) -> HttpResponse:
        return await rest.serve(self, request)

    def refuse_websocket(self, connection: WsConnection) -> HttpResponse | None:
        """Unknown paths, and more than three connections a second of one address."""
        if connection.target.split("?", 1)[0].rstrip("/") not in PATHS:
            return HttpResponse(status=404, body=b"not found")
        attempts = self._attempts.setdefault(connection.peer, Window(SECOND, self.limits.connections_per_s))
        now = self.clock.now_ns()
        if attempts.full(now):
            return HttpResponse(status=429, body=b"too many connections")
        attempts.add(1, now)
        return None

    async def websocket(self, connection: WsConnection) -> None:
        self._last_connection += 1
        access = PATHS[connection.target.split("?", 1)[0].rstrip("/")]
        session = Session(self, connection, access, f"{self._last_connection:08x}")
        self.sessions.add(session)
        try:
            await session.run()
        finally:
            self.sessions.discard(session)

    # -------------------------------------------------------------------------------- the simulator's calls
    def begin(self) -> None:
        self.streams.begin()

    def tick(self, now_ns: int) -> None:
        self.streams.tick(now_ns)
        self.private.tick(now_ns)

    def urls(self, http: str, ws: str) -> dict[str, str]:
        return {
            "rest": http,
            "streams": f"{ws}/ws/v5/public",
            "business": f"{ws}/ws/v5/business",
            "private": f"{ws}/ws/v5/private",
            "ws_api": f"{ws}/ws/v5/private",
        }

    def revoke_key(self, api_key: str) -> None:
        key = self.exchange.accounts.keys.get(api_key)
        if key is None:
            raise ValueError(f"no API key {api_key!r} to revoke")
        key.enabled = False
        for session in list(self.sessions):
            if session.key is key:
                session.key_revoked()

    def announce_shutdown(self, then_close_after_s: float) -> None:
        """Notice 64008 on every connection, and its end."""
        for session in list(self.sessions):
            session.announce_shutdown()
            self.scheduler.after(then_close_after_s, session.connection.close)

    def deposited(self, account: Account, asset: str, amount: Decimal) -> None:
        account.update_ns = self.clock.now_ns()
        self.private.money_moved(account, {asset})

    def state(self) -> dict[str, Any]:
        return {
            "sessions": [
                {"path": session.access, "account": "" if session.key is None else session.key.account.name}
                for session in self.sessions
            ],
            "rate_limited": self.buckets.refused,
        }

    def memory(self) -> Memory:
        """Numbers begin where they began: conditional orders are known by theirs.  Timers end with the process."""
        return Memory(
            logs={"bills": self._bills},
            values={
                "numbers": (self._numbers, self._go_on_from),
                "settings": (lambda: self._settings, self._settings.update),
            },
            rebuild=self._rebuild,
        )

    def _numbers(self) -> list[int]:
        return [self._first_id, self._last_bill, self._last_nameless]

    def _go_on_from(self, numbers: list[int]) -> None:
        self._first_id, self._last_bill, self._last_nameless = numbers

    def _rebuild(self, refused: Sequence[Order]) -> None:
        for bills in self._bills.values():
            for bill in bills:
                self._fills[bill.order].append(bill)
        for order in refused:
            self.keep_unborn(order)

    def replay_codec(self) -> ReplayCodec:
        self.replay = OkxReplay(self)
        return self.replay

    def live_feed(self, config: LiveConfig) -> LiveFeed:
        self.replay = OkxReplay(self)
        self.replay.strict = True
        return OkxLive(self.hub, self.replay, config, tuple(self.instruments))

    # --------------------------------------------------------------------------------- delivery's calls
    def internal_error(self, status: int) -> Outcome:
        code = STATUS_BODY.get(str(status), "50001" if status >= 502 else "50026")
        return Outcome(code=code, msg=TEXTS[code], status=status)

    def unknown_outcome(self) -> Outcome:
        """HTTP 400 by the book: the text says that the result is undetermined."""
        return Outcome(code="50004", msg=TEXTS["50004"], status=400)

    def blocked(self, peer: str, until_ns: int, *, ban: bool) -> Outcome:
        """Too many requests; or, for a ban, the firewall's page that comes before the API."""
        self._blocked[peer] = until_ns
        if ban:
            return Outcome(code="50011", msg=TEXTS["50011"], status=403, page=b"<html><body>Forbidden</body></html>")
        return Outcome(code="50011", msg=TEXTS["50011"], status=429)

    def drop_sockets(self, peer: str) -> None:
        for session in list(self.sessions):
            if session.connection.peer == peer:
                session.connection.close(1008, "banned")

    def check_blocked(self, peer: str) -> None:
        """Raises OkxError 50011 while the address is told to wait."""
        until = self._blocked.get(peer)
        if until is None:
            return
        if self.clock.now_ns() < until:
            raise OkxError("50011", status=429)
        del self._blocked[peer]

    # --------------------------------------------------------------------------------------- bookkeeping
    def settings(self, account: Account) -> Settings:
        found = self._settings.get(account)
        if found is None:
            found = self._settings[account] = Settings()
        return found

    def of(self, account: Account) -> list[Session]:
        """The account's connections."""
        return [one for one in self.sessions if one.key is not None and one.key.account is account]

    def account_name(self, api_key: str) -> str:
        key = self.exchange.accounts.keys.get(api_key)
        return "" if key is None else key.account.name

    def leverage(self, account: Account, instrument: OkxInstrument) -> Decimal:
        """Of a contract: what was set, or the most that the instrument has where that is less."""
        found = account.margin(instrument.inst_id)
        found.leverage = min(found.leverage, Decimal(instrument.max_lever))
        return found.leverage

    def nameless(self) -> str:
        """A key for an order to which the client gave no id."""
        self._last_nameless += 1
        return f"{NAMELESS}{self._last_nameless}"

    def algo_name(self, algo: Algo) -> str:
        return str(self._first_id + algo.algo_id)

    def algo_number(self, name: str) -> int:
        """0 for text that is no number of ours."""
        return int(name) - self._first_id if name.isdigit() else 0

    def note_arrivals(self, method: Method, items: Iterable[Params]) -> None:
        """Count every client order id with which a new order reached the venue."""
        self.requests[method.name] += 1
        if method.places:
            for params in items:
                name = params.text("clOrdId")
                if name:
                    self.arrivals[name].seen += 1

    def note_snapshot(self, symbol: str) -> None:
        self.snapshots[symbol] += 1

    def need_history(self, symbol: str) -> None:
        if self.history_of is not None:
            self.history_of(symbol)

    # ------------------------------------------------------------------------------------ orders and fills
    def cancel(self, order: Order, source: str, *, code: str = "", msg: str = "") -> None:
        """Cancel a live order and say why."""
        kept = terms(order)
        kept.cancel_source, kept.code, kept.msg = source, code, msg
        self.exchange.cancel(order)

    def exists(self, order: Order) -> bool:
        """A refused order has a number of the engine's, but the venue never had it."""
        return order.ord_status is not OrdStatus.REJECTED or terms(order).cancel_source == order_rows.WOULD_TAKE

    def is_unborn(self, execution: Execution) -> bool:
        """A post-only order that would have taken: accepted, canceled, never in the book."""
        return execution.ord_rej_reason is RejectReason.WOULD_MATCH

    def keep_unborn(self, order: Order) -> None:
        """It can be asked for like any other."""
        account = order.account
        assert account is not None
        account.orders.append(order)
        self.exchange.last_by_cl[account.name, order.symbol, order.cl_ord_id] = order

    def book_fill(self, order: Order, fill: Fill) -> None:
        """Number a fill among the account's bills."""
        assert order.account is not None
        self._last_bill += 1
        bill = Bill(self._first_id + self._last_bill, order, fill)
        self._bills[order.account].append(bill)
        self._fills[order].append(bill)

    def bills(self, account: Account) -> list[Bill]:
        """All fills of the account, oldest first."""
        return self._bills[account]

    def fills_of(self, order: Order) -> list[Bill]:
        return self._fills.get(order, [])

    def closing_order(self, account: Account, instrument: OkxInstrument, side: str) -> Order | None:
        """A market order of a whole position; None where there is none."""
        position = account.positions.get((instrument.inst_id, POSITION_SIDES[side]))
        if position is None or not position.qty:
            return None
        order = Order(
            symbol=instrument.inst_id,
            account=account,
            cl_ord_id=self.nameless(),
            side=Side.SELL if position.qty > 0 else Side.BUY,
            ord_type=OrdType.MARKET,
            order_qty=abs(position.qty),
            position_side=position.side,
            reduce_only=side == "net",
        )
        order.extra["okx"] = Terms(
            inst_type=instrument.inst_type,
            td_mode="cross",
            ord_type="market",
            pos_side=side,
            reduce_only=True,
        )
        return order

    def _open_interest(self, symbol: str) -> Decimal:
        """Contracts that accounts hold long; of the street nothing is known."""
        return sum(
            (
                position.qty
                for account in self.exchange.accounts.by_name.values()
                for position in account.positions.values()
                if position.symbol == symbol and position.qty > 0
            ),
            ZERO,
        )

    # ----------------------------------------------------------------------------------- pictures, numbers
    def seq_id(self, market: Market) -> int:
        """The number of the book as REST tells it."""
        return market.update_id if self.replay is None else self.replay.seq_id(market.symbol)

    def book_picture(self, channel: str, inst_id: str) -> bytes | None:
        """What a new subscriber of a book begins with; None where a recording will bring it."""
        market = self.exchange.markets[inst_id]
        body = (
            self.streams.book_snapshot(channel, market) if self.replay is None else self.replay.picture(channel, market)
        )
        if body is not None:
            self.note_snapshot(inst_id)
        return body

    def type_picture(self, channel: str, name: str) -> bytes | None:
        """The instruments of a type; the other channels of this kind begin silent."""
        if channel != "instruments":
            return None
        rows = [one.raw for one in self.instruments.values() if one.inst_type == name]
        return orjson.dumps({"arg": {"channel": channel, "instType": name}, "data": rows})

    def instrument_changed(self, inst_id: str, **changes: Any) -> None:
        """A field of an instrument changes; the channel pushes only the changed row (section 4)."""
        before = self.instruments[inst_id]
        after = OkxInstrument.from_raw({**before.raw, **changes}, before.code)
        self.instruments[inst_id] = self.by_code[after.code] = after
        self.exchange.markets[inst_id].spec = after.spec
        arg = {"channel": "instruments", "instType": after.inst_type}
        body = orjson.dumps({"arg": arg, "data": [after.raw]})
        self.hub.publish(Message(f"instruments:{after.inst_type}", body))

    def reset_sequence(self, inst_id: str) -> None:
        """Maintenance: the numbers of a book begin again, the next update names the last old one (7.1)."""
        self.exchange.markets[inst_id].update_id = RESET_SEQ_ID

    # ------------------------------------------------------------------- what the exchange says (records)
    def on_execution(self, order: Order, execution: Execution) -> None:
        if execution.exec_type is ExecType.NEW and not order.counted_new:
            order.counted_new = True
            self.arrivals[order.cl_ord_id].accepted += 1
        elif execution.exec_type is ExecType.REJECTED and self.is_unborn(execution):
            self.arrivals[order.cl_ord_id].accepted += 1
        elif execution.exec_type is ExecType.TRADE and order.ord_status is OrdStatus.FILLED:
            for item in terms(order).attached:
                self.exchange.after_action.append(lambda item=item: algos.attach(self, order, item))  # type: ignore[misc]
