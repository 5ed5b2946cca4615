"""The simulator's own endpoints under `/sim/`, for whoever runs it. JSON in, JSON out, loopback only.

| request | does |
| --- | --- |
| `GET /sim/state` | orders, balances, arrivals, connections, faults, replay progress |
| `GET /sim/fills` | every execution of every account, oldest first |
| `GET /sim/fault` | rules in force and counts |
| `POST /sim/fault` | `{"kind": "drop", "match": "*@depth*", "count": 3}`: put in force, or do now |
| `DELETE /sim/fault` | `{"fault_id": 4}` lifts one, `{}` lifts all |
| `POST /sim/trade` | `{"symbol", "side", "qty", "price"?}`: somebody else trades |
| `POST /sim/quote` | `{"symbol", "side", "qty", "price"}`: somebody else quotes |
| `POST /sim/mark` | `{"symbol", "price"}`: the mark price of a contract, until further notice |
| `POST /sim/funding` | `{"symbol", "rate"}`: funding is paid now |
| `POST /sim/liquidate` | `{"account", "symbol", "side"?}`: the venue closes a position by force |
| `GET /sim/accounts` | names, balances, API keys (no secrets) |
| `POST /sim/accounts` | `{"name", "balances"?, "api_key"?, "kind"?, "secret"?}`: open one |
| `POST /sim/deposit` | `{"account", "asset", "amount"}`; negative takes out |
| `POST /sim/replay` | stop waiting for subscribers and snapshots |
| `POST /sim/stop` | end the process |
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import attrs
import orjson

from tools.simulator.core.accounts import Account, KeyKind, Position
from tools.simulator.core.clock import Clock
from tools.simulator.core.decimals import text8
from tools.simulator.core.dialect import Dialect
from tools.simulator.core.faults import Fault
from tools.simulator.core.model import Fill, Order, PositionSide, Side
from tools.simulator.core.net import WsConnection
from tools.simulator.core.server import HttpRequest, HttpResponse

if TYPE_CHECKING:
    from tools.simulator.simulator import Simulator

LOOPBACK = ("127.", "::1", "::ffff:127.")


class Front:
    """Sends `/sim/` to the admin and everything else to the venue."""

    def __init__(self, venue: Dialect, admin: Admin) -> None:
        self._venue = venue
        self._admin = admin

    def kind_of(self, path: str) -> str:
        return "sim" if path.startswith("/sim/") else self._venue.kind_of(path)

    async def http(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith("/sim/"):
            return self._admin.answer(request)
        response = await self._venue.http(request)
        # As every web server does; on venues without a time endpoint it is the only clock there is.
        response.headers.append(("date", formatdate(self._admin.clock.now_ns() / 1e9, usegmt=True)))
        return response

    def refuse_websocket(self, connection: WsConnection) -> HttpResponse | None:
        return self._venue.refuse_websocket(connection)

    async def websocket(self, connection: WsConnection) -> None:
        await self._venue.websocket(connection)


class Admin:
    """Answers for one simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self._sim = simulator

    @property
    def clock(self) -> Clock:
        """The venue's, skewed or not."""
        return self._sim.clock

    def answer(self, request: HttpRequest) -> HttpResponse:
        """One admin request. Anything wrong with it is a 400 that says what."""
        if not request.peer.startswith(LOOPBACK):
            return _json(403, {"error": "the admin endpoints answer on loopback only"})
        try:
            body = orjson.loads(request.body) if request.body else {}
            if not isinstance(body, dict):
                raise TypeError("the body must be a JSON object")
            return self._dispatch(request.method, request.path, body)
        except (ValueError, KeyError, TypeError, InvalidOperation) as error:
            text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
            return _json(400, {"error": text or type(error).__name__})

    def _dispatch(self, verb: str, path: str, body: dict[str, Any]) -> HttpResponse:
        sim = self._sim
        match (verb, path.rstrip("/")):
            case ("GET", "/sim/state"):
                return _json(200, self.state())
            case ("GET", "/sim/fills"):
                return _json(200, self._fills())
            case ("GET", "/sim/fault"):
                return _json(200, self._faults())
            case ("POST", "/sim/fault"):
                fault = sim.strike(Fault(**body))
                return _json(200, {"fault_id": fault.fault_id})
            case ("DELETE", "/sim/fault"):
                if "fault_id" not in body:
                    sim.faults.clear()
                elif not sim.faults.remove(int(body["fault_id"])):
                    raise ValueError(f"no rule {body['fault_id']} is in force")
                return _json(200, {})
            case ("POST", "/sim/trade"):
                price = None if body.get("price") is None else Decimal(str(body["price"]))
                sim.trade(_text(body, "symbol"), Side(_text(body, "side")), _number(body, "qty"), price)
                return _json(200, {})
            case ("POST", "/sim/quote"):
                side, price = Side(_text(body, "side")), _number(body, "price")
                sim.quote(_text(body, "symbol"), side, _number(body, "qty"), price)
                return _json(200, {})
            case ("POST", "/sim/mark"):
                sim.mark(_text(body, "symbol"), _number(body, "price"))
                return _json(200, {})
            case ("POST", "/sim/funding"):
                sim.fund(_text(body, "symbol"), _number(body, "rate"))
                return _json(200, {})
            case ("POST", "/sim/liquidate"):
                sim.liquidate(_text(body, "account"), _text(body, "symbol"), PositionSide(body.get("side", "BOTH")))
                return _json(200, {})
            case ("GET", "/sim/accounts"):
                return _json(200, self._accounts())
            case ("POST", "/sim/accounts"):
                return _json(200, self._create_account(body))
            case ("POST", "/sim/deposit"):
                sim.deposit(_text(body, "account"), _text(body, "asset"), _number(body, "amount"))
                return _json(200, {})
            case ("POST", "/sim/replay"):
                if sim.replay is None:
                    raise ValueError("the market is generated, there is no replay")
                sim.replay.go()
                return _json(200, sim.replay.progress())
            case ("POST", "/sim/stop"):
                return HttpResponse(body=b"{}", after=sim.stop)
            case _:
                return _json(404, {"error": f"no {verb} {path}; GET /sim/state is a good start"})

    # ------------------------------------------------------------------------------------------- views
    def state(self) -> dict[str, Any]:
        """The whole venue as plain values."""
        sim = self._sim
        venue = sim.venue
        return {
            "venue": sim.family.name,
            "time_ns": sim.clock.now_ns(),
            "markets": {
                name: {
                    "update_id": market.update_id,
                    "last_px": text8(market.last_px),
                    "bid_levels": len(market.book.bids),
                    "ask_levels": len(market.book.asks),
                    "trades": len(market.trades),
                    "open_orders": len(market.open_orders),
                }
                for name, market in sim.exchange.markets.items()
            },
            "accounts": {
                name: {
                    "balances": _balances(account),
                    "orders": [_order(order) for order in account.orders],
                    "positions": [_position(position) for position in account.positions.values() if position.qty],
                    "fills": {symbol: len(fills) for symbol, fills in account.fills.items()},
                    "subscriptions": venue.user_data.count(account),
                }
                for name, account in sim.exchange.accounts.by_name.items()
            },
            "arrivals": {name: [count.seen, count.accepted] for name, count in venue.arrivals.items()},
            "requests": dict(venue.requests),
            "events": dict(venue.user_data.sent),
            "streams": dict(venue.hub.published),
            "connections": [
                {
                    "id": number,
                    "kind": kind,
                    "sent_bytes": stream.sent_bytes,
                    "received_bytes": stream.received_bytes,
                }
                for number, (kind, stream) in sim.server.streams.items()
            ],
            "accepted_connections": sim.server.accepted,
            "failures": sim.server.failures,
            **self._faults(),
            "replay": None if sim.replay is None else sim.replay.progress(),
            "live": None if sim.live is None else sim.live.progress(),
            "dialect": venue.state(),
        }

    def _fills(self) -> dict[str, Any]:
        """Account -> symbol -> executions."""
        accounts = self._sim.exchange.accounts.by_name
        return {
            name: {symbol: [_fill(fill) for fill in fills] for symbol, fills in account.fills.items()}
            for name, account in accounts.items()
        }

    def _faults(self) -> dict[str, Any]:
        rules = [attrs.asdict(fault) | {"kind": fault.kind.value} for fault in self._sim.faults.active()]
        return {"faults": rules, "fault_counts": dict(self._sim.faults.counts)}

    def _accounts(self) -> dict[str, Any]:
        accounts = self._sim.exchange.accounts
        return {
            name: {
                "balances": _balances(account),
                "keys": [
                    {"api_key": key.api_key, "kind": key.kind.value, "enabled": key.enabled}
                    for key in accounts.keys.values()
                    if key.account is account
                ],
            }
            for name, account in accounts.by_name.items()
        }

    def _create_account(self, body: dict[str, Any]) -> dict[str, Any]:
        """Without a key the account gets the derived pair, which is then part of the answer."""
        from tools.simulator.simulator import AccountConfig, demo_account

        name = _text(body, "name")
        given = body.get("balances")
        balances = None if given is None else {asset: Decimal(str(amount)) for asset, amount in given.items()}
        config = demo_account(name, seed=self._sim.config.seed, balances=balances)
        if "api_key" in body:
            key = (_text(body, "api_key"), KeyKind(body.get("kind", "HMAC")), _text(body, "secret"))
            config = AccountConfig(
                name=name, balances=config.balances, keys=(key,), passphrase=body.get("passphrase", "")
            )
            self._sim.create_account(config)
            return {"name": name, "api_key": key[0]}
        self._sim.create_account(config)
        derived = self._sim.credentials(name)
        return attrs.asdict(derived)


def _json(status: int, body: dict[str, Any]) -> HttpResponse:
    return HttpResponse(status=status, body=orjson.dumps(body))


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name!r} must be given as text")
    return value


def _number(body: dict[str, Any], name: str) -> Decimal:
    value = body.get(name)
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise TypeError(f"{name!r} must be given as a decimal number in text")
    return Decimal(value)


def _balances(account: Account) -> dict[str, list[str]]:
    return {asset: [text8(each.free), text8(each.locked)] for asset, each in account.balances.items()}


def _position(position: Position) -> dict[str, Any]:
    return {
        "symbol": position.symbol,
        "side": position.side.value,
        "qty": text8(position.qty),
        "entry_px": text8(position.entry_px),
        "realized": text8(position.realized),
    }


def _fill(fill: Fill) -> dict[str, Any]:
    return {
        "trade_id": fill.trade.trade_id,
        "order_id": fill.order_id,
        "side": fill.side.value,
        "price": text8(fill.trade.price),
        "qty": text8(fill.trade.qty),
        "commission": text8(fill.commission),
        "commission_asset": fill.commission_asset,
        "time_ns": fill.trade.time_ns,
    }


def _order(order: Order) -> dict[str, Any]:
    return {
        "symbol": order.symbol,
        "order_id": order.order_id,
        "cl_ord_id": order.cl_ord_id,
        "side": order.side.value,
        "ord_type": order.ord_type.value,
        "ord_status": order.ord_status.value,
        "price": text8(order.price),
        "order_qty": text8(order.order_qty),
        "cum_qty": text8(order.cum_qty),
        "cum_quote": text8(order.cum_quote),
        "transact_ns": order.transact_ns,
    }
