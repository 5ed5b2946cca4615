"""What an operator can ask and order.

Asking changes nothing.  Orders are few, each is written to the journal with who gave it.  Halting is always allowed, in
one step; releasing takes two: the first answers with what would happen and a code, the second repeats the code.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import attrs
import trio

from actors.control.wire import Failure, plain
from protocols.base import Message
from protocols.control import ExposureQuery, PauseStrategy, PnlQuery, SetTradingState
from protocols.enums import TradingState
from protocols.ids import AccountID, Path, StrategyID, Venue
from protocols.journal import JOURNAL, Append, FlushQuery, OperatorCommand
from protocols.orders import FIRM_GATE, CancelAll, account_gate, account_path
from protocols.positions import AccountPicture, AccountQuery
from supervisors.actor import AskError, Context
from supervisors.inspection import dead_letters, picture, tree
from supervisors.runtime import Runtime
from supervisors.supervisor import Supervisor

SECOND_NS = 1_000_000_000
_RELEASE_CODE_TTL_NS = 60 * SECOND_NS


@attrs.frozen(kw_only=True)
class Premises:
    """What the control plane knows of the engine around it."""

    runtime: Runtime
    root: Callable[[], Supervisor]
    accounts: tuple[tuple[AccountID, Venue], ...]
    strategies: Mapping[StrategyID, Path]
    profile: str
    build: str
    config_hash: str
    config_text: str
    started_ns: int
    stop: Callable[[str], None]
    """Begin the orderly end (drain, then stop)."""
    allow_faults: bool
    """Crashes on request: only where no real money is."""


class Verbs:
    """Carries requests out; one method a verb."""

    ctx: Context

    def __init__(self, premises: Premises) -> None:
        self._premises = premises
        self._release_code: tuple[str, str, int] | None = None
        self._table: dict[str, Callable[[Mapping[str, Any]], Awaitable[Any]]] = {
            "status": self._status,
            "tree": self._tree,
            "actor": self._actor,
            "dead_letters": self._dead_letters,
            "restart": self._restart,
            "pause": self._pause,
            "resume": self._resume,
            "orders": self._orders,
            "positions": self._positions,
            "balances": self._balances,
            "pnl": self._pnl,
            "risk": self._risk,
            "kill": self._kill,
            "unkill": self._unkill,
            "flush": self._flush,
            "config": self._config,
            "stop": self._stop,
            "crash": self._crash,
        }

    async def carry_out(self, verb: str, args: Mapping[str, Any]) -> Any:
        """The result as plain values, or `Failure`."""
        handler = self._table.get(verb)
        if handler is None:
            raise Failure(f"no such verb: {verb}", f"one of {', '.join(sorted([*self._table, 'tap']))}")
        try:
            return plain(await handler(args))
        except KeyError as error:
            raise Failure(str(error.args[0]), "see `bulkhead inspect` for the addresses") from error
        except AskError as error:
            raise Failure(str(error), "the actor is resyncing or down; see `bulkhead inspect`") from error

    async def tap(self, args: Mapping[str, Any]) -> AsyncIterator[Any]:
        """Messages of one actor as they come: time, sender, kind, fields."""
        path = _text(args, "path")
        cell = self._premises.runtime.find(path)
        if cell is None:
            raise Failure(f"no actor at {path}", "see `bulkhead inspect` for the addresses")
        send, receive = trio.open_memory_channel[tuple[int, Path, Message]](1000)
        cell.listen(send)
        async with receive:
            async for at_ns, sender, message in receive:
                yield {
                    "at_ns": at_ns,
                    "sender": sender,
                    "kind": type(message).__name__,
                    "message": plain(message),
                }

    # ---- asking ------------------------------------------------------------------------------------------------

    async def _status(self, args: Mapping[str, Any]) -> object:
        runtime, premises = self._premises.runtime, self._premises
        rows = tree(premises.root())
        actors = [row for row in rows if row.kind != "supervisor"]
        return {
            "profile": premises.profile,
            "build": premises.build,
            "config_hash": premises.config_hash,
            "started_ns": premises.started_ns,
            "now_ns": self.ctx.now_ns,
            "actors": len(actors),
            "ready": sum(row.ready for row in actors),
            "restarts": sum(row.restarts for row in actors),
            "handled": sum(row.handled for row in actors),
            "dead_letters": runtime.dead_letter_count,
            "not_ready": [{"path": row.path, "why": row.note} for row in actors if not row.ready],
        }

    async def _tree(self, args: Mapping[str, Any]) -> object:
        return tree(self._premises.root())

    async def _actor(self, args: Mapping[str, Any]) -> object:
        return picture(self._premises.runtime, _text(args, "path"))

    async def _dead_letters(self, args: Mapping[str, Any]) -> object:
        return dead_letters(self._premises.runtime, int(args.get("limit", 100)))

    async def _orders(self, args: Mapping[str, Any]) -> object:
        return [order for found in await self._pictures(args) for order in found.open_orders]

    async def _positions(self, args: Mapping[str, Any]) -> object:
        return [position for found in await self._pictures(args) for position in found.positions]

    async def _balances(self, args: Mapping[str, Any]) -> object:
        return [balance for found in await self._pictures(args) for balance in found.balances]

    async def _pictures(self, args: Mapping[str, Any]) -> list[AccountPicture]:
        wanted = args.get("account")
        if wanted is not None and wanted not in {account for account, _ in self._premises.accounts}:
            known = ", ".join(sorted({account for account, _ in self._premises.accounts}))
            raise Failure(f"no account {wanted}", f"one of {known}")
        return [
            await self.ctx.ask(account_path(account, venue), AccountQuery(), 2 * SECOND_NS)
            for account, venue in self._premises.accounts
            if wanted in (None, account)
        ]

    async def _pnl(self, args: Mapping[str, Any]) -> object:
        return await self.ctx.ask("/portfolio", PnlQuery(), 2 * SECOND_NS)

    async def _risk(self, args: Mapping[str, Any]) -> object:
        scopes = [FIRM_GATE, *sorted({account_gate(account) for account, _ in self._premises.accounts})]
        return [await self.ctx.ask(scope, ExposureQuery(), 2 * SECOND_NS) for scope in scopes]

    async def _config(self, args: Mapping[str, Any]) -> object:
        return {"text": self._premises.config_text, "hash": self._premises.config_hash}

    # ---- ordering ----------------------------------------------------------------------------------------------

    def _note(self, verb: str, args: Mapping[str, Any]) -> str:
        """Write who ordered what into the journal; returns the principal."""
        principal = str(args.get("principal") or "operator")
        detail = ", ".join(f"{key}={value}" for key, value in sorted(args.items()) if key not in ("principal", "code"))
        record = OperatorCommand(principal, verb, detail, self.ctx.now_ns)
        self.ctx.send(JOURNAL, Append("control", "engine", (record,), (), self.ctx.path))
        return principal

    async def _restart(self, args: Mapping[str, Any]) -> object:
        cell = self._premises.runtime.cell(_text(args, "path"))
        if cell.path == self.ctx.path:
            raise Failure("the control socket cannot restart itself", "restart the engine")
        self._note("restart", args)
        cell.sabotage("now")
        with trio.move_on_after(10):
            await self._premises.runtime.wait_ready(cell.path)
        last = cell.restarts[-1] if cell.restarts else None
        return {
            "path": cell.path,
            "epoch": cell.epoch,
            "ready": cell.ready,
            "why_not": cell.unready_reason,
            "recovery_ns": last.recovery_ns if last is not None else None,
        }

    async def _pause(self, args: Mapping[str, Any]) -> object:
        return self._set_paused(args, True)

    async def _resume(self, args: Mapping[str, Any]) -> object:
        return self._set_paused(args, False)

    def _set_paused(self, args: Mapping[str, Any], paused: bool) -> object:
        path = _text(args, "path")
        verb = "pause" if paused else "resume"
        strategy = next((s for s, address in self._premises.strategies.items() if address == path), None)
        self._premises.runtime.cell(path)
        self._note(verb, args)
        if strategy is not None and not args.get("hard", False):
            self.ctx.send(path, PauseStrategy(strategy, paused))
            return {"path": path, "paused": paused, "how": "the strategy makes no new decisions; its orders stay"}
        self._premises.runtime.cell(path).set_paused(paused)
        return {"path": path, "paused": paused, "how": "its mail waits in the mailbox"}

    async def _kill(self, args: Mapping[str, Any]) -> object:
        scope = str(args.get("scope", "firm"))
        gate = self._gate(scope)
        state = TradingState.REDUCING if args.get("reduce_only") else TradingState.HALTED
        principal = self._note("kill", args)
        cause = str(args.get("cause") or "ordered at the console")
        self.ctx.send(gate, SetTradingState(scope, state, principal, cause))
        canceled = []
        if not args.get("keep_orders", False):
            for account, venue in self._premises.accounts:
                if scope in ("firm", account):
                    self.ctx.send(account_path(account, venue), CancelAll(account, venue, self.ctx.path))
                    canceled.append(f"{account}/{venue}")
        return {"scope": scope, "state": state, "cancels_sent_to": canceled}

    async def _unkill(self, args: Mapping[str, Any]) -> object:
        scope = str(args.get("scope", "firm"))
        gate = self._gate(scope)
        pictures = await self._pictures({} if scope == "firm" else {"account": scope})
        code = args.get("code")
        if code is None:
            fresh = secrets.token_hex(3)
            self._release_code = (scope, fresh, self.ctx.monotonic_ns + _RELEASE_CODE_TTL_NS)
            return {
                "scope": scope,
                "code": fresh,
                "valid_s": _RELEASE_CODE_TTL_NS // SECOND_NS,
                "accounts_reconciled": [f"{p.account}/{p.venue}" for p in pictures],
                "open_orders": sum(len(p.open_orders) for p in pictures),
                "in_doubt": sum(order.in_doubt for p in pictures for order in p.open_orders),
            }
        expected, self._release_code = self._release_code, None
        if expected is None or expected[:2] != (scope, code) or self.ctx.monotonic_ns > expected[2]:
            raise Failure("the code is not valid (any more) for this scope", "ask for a new one: `bulkhead unkill`")
        principal = self._note("unkill", args)
        self.ctx.send(gate, SetTradingState(scope, TradingState.ACTIVE, principal, "released at the console"))
        return {"scope": scope, "state": TradingState.ACTIVE}

    def _gate(self, scope: str) -> Path:
        if scope == "firm":
            return FIRM_GATE
        accounts = {account for account, _ in self._premises.accounts}
        if scope not in accounts:
            raise Failure(f"no scope {scope}", f"firm, or one of {', '.join(sorted(accounts))}")
        return account_gate(AccountID(scope))

    async def _flush(self, args: Mapping[str, Any]) -> object:
        return await self.ctx.ask(JOURNAL, FlushQuery(), 10 * SECOND_NS)

    async def _stop(self, args: Mapping[str, Any]) -> object:
        principal = self._note("stop", args)
        self._premises.stop(f"ordered by {principal}")
        return {"stopping": True}

    async def _crash(self, args: Mapping[str, Any]) -> object:
        if not self._premises.allow_faults:
            raise Failure("faults can be ordered only where no real money is", "use the demo, replay or paper profile")
        cell = self._premises.runtime.cell(_text(args, "path"))
        where = str(args.get("where", "now"))
        if where not in ("now", "before", "after"):
            raise Failure(f"where was {where}", "now, before or after")
        self._note("crash", args)
        cell.sabotage(where)
        return {"path": cell.path, "where": where}


def _text(args: Mapping[str, Any], name: str) -> str:
    value = args.get(name)
    if not isinstance(value, str) or not value:
        raise Failure(f"{name} is missing", f'give "{name}" as text')
    return value
