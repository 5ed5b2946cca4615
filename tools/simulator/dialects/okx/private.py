"""Private channels (section 8): who listens to what of an account, and what the exchange makes them hear.

Event faults match `<channel>:<what happened>`: `orders:live`, `orders:partially_filled`, `orders:filled`,
`orders:canceled`, `fills:fill`, `account:update`, `positions:update`, `balance_and_position:filled`,
`orders-algo:effective`, ...
"""

from __future__ import annotations

from collections.abc import Hashable
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

import attrs
import orjson

from tools.simulator.core.accounts import Account, Position
from tools.simulator.core.algos import Algo
from tools.simulator.core.clock import MS, SECOND
from tools.simulator.core.exchange import Listener, WalletChange
from tools.simulator.core.market import Market
from tools.simulator.core.model import ExecType, Execution, Fill, Order
from tools.simulator.dialects.okx import account_rows, algos, order_rows
from tools.simulator.dialects.okx.errors import OkxError
from tools.simulator.dialects.okx.params import Params
from tools.simulator.dialects.okx.text import ms

if TYPE_CHECKING:
    from tools.simulator.dialects.okx.venue import OkxVenue

PRIVATE_CHANNELS = {
    "orders": "private",
    "fills": "private",
    "account": "private",
    "positions": "private",
    "balance_and_position": "private",
    "liquidation-warning": "private",
    "account-greeks": "private",
    "orders-algo": "business",
    "algo-advance": "business",
}
"""Channel -> connection. The last two of each kind are taken and stay silent: nothing here makes them speak."""
TYPED = frozenset({"orders", "positions", "orders-algo", "algo-advance", "liquidation-warning"})
FILTERS = ("instType", "instFamily", "instId", "ccy")
PAGE_ROWS = 20
REGULAR_S = 5
_WALLET_EVENTS = {"ORDER": "filled", "FUNDING": "funding_fee", "TRANSFER": "transferred", "LIQUIDATION": "liquidation"}


class Speaker(Protocol):
    """A connection."""

    def send(self, body: bytes) -> None: ...


@attrs.frozen(eq=False, kw_only=True)
class Subscription:
    """One private topic of one connection. Topics with the same `variant` get the same bytes."""

    speaker: Speaker
    account: Account
    channel: str
    wanted: tuple[tuple[str, str], ...]
    events_only: bool

    @classmethod
    def of(cls, speaker: Speaker, account: Account, channel: str, arg: dict[str, Any]) -> Subscription:
        """From a topic as the client words it; `extraParams` is text with JSON inside. Raises OkxError 60013."""
        params = Params(arg)
        wanted = tuple((name, params.text(name)) for name in FILTERS if params.text(name))
        if channel in TYPED and not params.text("instType"):
            raise OkxError("60013")
        try:
            extra = orjson.loads(arg.get("extraParams") or "{}")
            events_only = str(extra.get("updateInterval", "")) == "0"
        except (orjson.JSONDecodeError, AttributeError, TypeError):
            raise OkxError("60013") from None
        return cls(speaker=speaker, account=account, channel=channel, wanted=wanted, events_only=events_only)

    @property
    def topic(self) -> str:
        return f"{self.channel}?{self.wanted}"

    @property
    def variant(self) -> Hashable:
        return self.channel, self.wanted

    def send_event(self, subscription: Any, event: bytes) -> None:
        self.speaker.send(event)


@attrs.define
class Doings:
    """What an action under way has done to one account."""

    fills: list[tuple[Order, Fill]] = attrs.Factory(list)
    assets: set[str] = attrs.Factory(set)  # of which money has moved, or is bound otherwise
    wallet: WalletChange | None = None


class PrivateEvents(Listener):
    """Renders what the exchange reports for those who listen."""

    def __init__(self, venue: OkxVenue) -> None:
        self._venue = venue
        self._subscriptions: dict[Subscription, None] = {}
        self._doings: dict[Account, Doings] = {}

    # ------------------------------------------------------------------------------------ subscriptions
    def add(self, subscription: Subscription) -> None:
        """From now on; balances and positions begin with a picture, orders do not."""
        self._subscriptions[subscription] = None
        self._venue.user_data.subscribe(subscription.account, subscription)
        self.picture(subscription)

    def drop(self, subscription: Subscription) -> None:
        self._subscriptions.pop(subscription, None)
        self._venue.user_data.unsubscribe(subscription.account, subscription)

    def picture(self, subscription: Subscription) -> None:
        """The whole of a channel, in pages; act on it only after the last."""
        venue, account = self._venue, subscription.account
        ex, now = venue.exchange, venue.clock.now_ns()
        head = _arg(subscription.channel, subscription.wanted, account)
        if subscription.channel == "account":
            currency = dict(subscription.wanted).get("ccy")
            assets = [one for one in account_rows.assets_of(account) if currency in (None, one)]
            rows: list[Any] = [account_rows.detail(ex, account, asset) for asset in assets]
            pages = [[account_rows.account_row(ex, account, page, now)] for page in _pages(rows)]
        elif subscription.channel == "positions":
            pages = _pages(
                [
                    account_rows.position_row(ex, position, venue.instruments[position.symbol], now)
                    for position in account_rows.held(account)
                    if _fits(subscription.wanted, venue, position.symbol)
                ]
            )
        elif subscription.channel == "balance_and_position":
            positions = account_rows.held(account)
            row = self._both(account, "snapshot", account_rows.assets_of(account), positions, [])
            subscription.speaker.send(orjson.dumps({"arg": head, "data": [row]}))
            return
        else:
            return
        for number, page in enumerate(pages, 1):
            body = {
                "arg": head,
                "eventType": "snapshot",
                "curPage": number,
                "lastPage": number == len(pages),
                "data": page,
            }
            subscription.speaker.send(orjson.dumps(body))

    def tick(self, now_ns: int) -> None:
        """Whoever did not ask for events only gets the picture again every five seconds."""
        if now_ns % (REGULAR_S * SECOND) < 100 * MS:
            for subscription in list(self._subscriptions):
                if not subscription.events_only and subscription.channel in ("account", "positions"):
                    self.picture(subscription)

    # --------------------------------------------------------------------------- what the exchange says
    def on_execution(self, order: Order, execution: Execution) -> None:
        account = order.account
        if account is None:
            return
        order_rows.note_end(order, execution)
        if execution.exec_type is ExecType.REJECTED and not self._venue.is_unborn(execution):
            return  # refused to who asked, and there is no such order
        if execution.exec_type is ExecType.TRADE and execution.fill is not None:
            self._doing(account).fills.append((order, execution.fill))
            self._venue.book_fill(order, execution.fill)
        instrument = self._venue.instruments[order.symbol]
        if instrument.is_swap:
            self._doing(account).assets.add(instrument.quote)  # an order binds margin, or no longer does
        if execution.exec_type is ExecType.TRADE_PREVENTION and order.is_live:
            return
        self.order_state(order, fill=execution.fill)
        if execution.fill is not None:
            fill = execution.fill
            self._emit(account, "fills", "fill", order.symbol, lambda: order_rows.fills_push(order, fill))

    def order_state(self, order: Order, *, fill: Fill | None = None) -> None:
        """One row of `orders`, of a fill or of a state."""
        account, venue = order.account, self._venue
        assert account is not None
        instrument = venue.instruments[order.symbol]

        def row() -> dict[str, Any]:
            last_px: Decimal = venue.exchange.markets[order.symbol].last_px
            return order_rows.order_row(order, instrument, last=fill, channel=True, last_px=last_px)

        self._emit(account, "orders", order_rows.state_of(order), order.symbol, row)

    def on_algo(self, algo: Algo) -> None:
        venue = self._venue
        if algos.is_known(algo):
            self._emit(
                algo.account,
                "orders-algo",
                algos.state_of(algo),
                algo.symbol,
                lambda: algos.algo_row(venue, algo),
            )

    def on_balances(self, account: Account, assets: set[str]) -> None:
        self._doing(account).assets |= assets

    def on_wallet(self, account: Account, change: WalletChange) -> None:
        """Contracts have moved money or positions."""
        doing = self._doing(account)
        doing.wallet = change
        doing.assets |= set(change.balances)

    def on_book(self, market: Market) -> None:
        """The action is over: tell each account what it has done to money and positions, once."""
        doings, self._doings = self._doings, {}
        for account, doing in doings.items():
            if self._venue.user_data.wanted(account):
                self._tell(account, doing)

    def _doing(self, account: Account) -> Doings:
        found = self._doings.get(account)
        if found is None:
            found = self._doings[account] = Doings()
        return found

    def _tell(self, account: Account, doing: Doings) -> None:
        """Money, then positions, then both."""
        venue, ex = self._venue, self._venue.exchange
        now = venue.clock.now_ns()
        self._tell_money(account, doing.assets)
        positions = [] if doing.wallet is None else list(doing.wallet.positions)
        for position in positions:
            row = account_rows.position_row(ex, position, venue.instruments[position.symbol], now)
            self._emit(account, "positions", "update", position.symbol, lambda row=row: row, eventType="event_update")
        event = "filled" if doing.wallet is None else _WALLET_EVENTS.get(doing.wallet.reason, "set_leverage")
        if any("liquidation" in order.extra for order, _ in doing.fills):
            event = "liquidation"
        if doing.fills or doing.wallet is not None:
            self._tell_both(account, event, doing.assets, positions, doing.fills)

    def on_settings(self, account: Account, symbol: str) -> None:
        """A new leverage changes what positions bind."""
        position = next((each for each in account_rows.held(account) if each.symbol == symbol), None)
        if position is not None:
            self._tell_both(account, "set_leverage", set(), [position], [])

    def money_moved(self, account: Account, assets: set[str]) -> None:
        """A deposit or a withdrawal."""
        self._tell_money(account, assets)
        self._tell_both(account, "transferred", assets, [], [])

    # ----------------------------------------------------------------------------------------- telling
    def _tell_money(self, account: Account, assets: set[str]) -> None:
        if not assets or not self._venue.user_data.wanted(account):
            return
        ex, now = self._venue.exchange, self._venue.clock.now_ns()

        def build(variant: Any) -> bytes | None:
            channel, wanted = variant
            currency = dict(wanted).get("ccy")
            chosen = sorted(asset for asset in assets if currency in (None, asset))
            if channel != "account" or not chosen:
                return None
            details = [account_rows.detail(ex, account, asset) for asset in chosen]
            row = account_rows.account_row(ex, account, details, now)
            body = {"arg": _arg(channel, wanted, account), "eventType": "event_update", "data": [row]}
            return orjson.dumps(body)

        self._venue.user_data.emit(account, "account:update", build)

    def _tell_both(
        self,
        account: Account,
        event: str,
        assets: set[str],
        positions: list[Position],
        fills: list[tuple[Order, Fill]],
    ) -> None:
        self._emit(
            account,
            "balance_and_position",
            event,
            "",
            lambda: self._both(account, event, assets, positions, fills),
        )

    def _both(
        self,
        account: Account,
        event: str,
        assets: Any,
        positions: list[Position],
        fills: list[tuple[Order, Fill]],
    ) -> dict[str, Any]:
        instruments = self._venue.instruments
        return {
            "pTime": ms(self._venue.clock.now_ns()),
            "eventType": event,
            "balData": account_rows.balance_data(account, assets),
            "posData": [account_rows.position_data(instruments[each.symbol], each) for each in positions],
            "trades": [{"instId": order.symbol, "tradeId": str(fill.trade.trade_id)} for order, fill in fills],
        }

    def _emit(self, account: Account, channel: str, what: str, symbol: str, build_row: Any, **more: Any) -> None:
        """One row to every variant of the channel that wants the instrument."""
        venue = self._venue
        if not venue.user_data.wanted(account):
            return
        row: list[Any] = []

        def build(variant: Any) -> bytes | None:
            here, wanted = variant
            if here != channel or (symbol and not _fits(wanted, venue, symbol)):
                return None
            if not row:
                row.append(build_row())
            return orjson.dumps({"arg": _arg(channel, wanted, account), **more, "data": row})

        venue.user_data.emit(account, f"{channel}:{what}", build)


def _arg(channel: str, wanted: tuple[tuple[str, str], ...], account: Account) -> dict[str, str]:
    return {"channel": channel, **dict(wanted), "uid": str(account.uid)}


def _fits(wanted: tuple[tuple[str, str], ...], venue: OkxVenue, symbol: str) -> bool:
    """Is the instrument one of those that a topic asks for?"""
    instrument = venue.instruments[symbol]
    for name, value in wanted:
        if name == "instType" and value not in ("ANY", instrument.inst_type):
            return False
        if name == "instFamily" and value != instrument.family:
            return False
        if name == "instId" and value != symbol:
            return False
    return True


def _pages(rows: list[Any]) -> list[list[Any]]:
    return [rows[start : start + PAGE_ROWS] for start in range(0, len(rows), PAGE_ROWS)] or [[]]
