"""What an operator can ask and order.

Asking changes nothing.  Orders are few, each is written to the journal with who gave it.  Halting is always allowed, in
one step; releasing takes two: the first answers with what would happen and a code, the second repeats the code.

A halt is not done when it has been said: an account that was resyncing at that moment could not cancel what rests, so
`enforce` tells every account of the scope again until each has had the chance, and no order is left.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

import attrs
import trio

from actors.control.venue_rows import venue_rows
from actors.control.wire import Failure, plain
from protocols.base import Event, Message, message
from protocols.control import ExposureQuery, PauseStrategy, PnlQuery, SetTradingState
from protocols.enums import TradingState
from protocols.ids import AccountID, Path, StrategyID, Venue
from protocols.journal import JOURNAL, Append, FlushQuery, OperatorCommand
from protocols.orders import FIRM_GATE, CancelAll, account_gate, account_path
from protocols.positions import AccountPicture, AccountQuery, counted_once
from supervisors.actor import AskError, Context
from supervisors.cell import Cell
from supervisors.ends import DeadLetter
from supervisors.inspection import dead_letters, picture, tree
from supervisors.runtime import Lifecycle, Runtime
from supervisors.supervisor import Supervisor

SECOND_NS = 1_000_000_000
RELEASE_CODE_TTL_NS = 60 * SECOND_NS
RESTART_PATIENCE_S = 10
ENFORCE_EVERY_NS = SECOND_NS // 2
_ASK_NS = 2 * SECOND_NS
_TAP_BUFFER = 1000
_REPLY_FIRST_NS = SECOND_NS // 10

TapChannel = trio.MemoryReceiveChannel[tuple[int, Path, Message]]


@message
class RestartDue(Event):
    """The control socket was asked to restart itself, and its answer is on its way."""


@attrs.frozen(kw_only=True)
class Premises:
    """What the control plane knows of the engine around it."""

    runtime: Runtime
    root: Callable[[], Supervisor]
    accounts: tuple[tuple[AccountID, Venue], ...]
    strategies: Mapping[StrategyID, Path]
    name: str
    """What its operator calls this engine."""
    profile: str
    build: str
    config_hash: str
    config_text: str
    started_ns: int
    stop: Callable[[str], None]
    """Begin the orderly end (drain, then stop)."""
    allow_faults: bool
    """Crashes on request: only where no real money is."""
    timezone: str
    """Of the times that people read."""
    stopping: Callable[[], str]
    """Why the engine is stopping; "" while it is not."""
    news: Callable[[], Sequence[tuple[int, Lifecycle]]]
    """The newest steps in actors' lives that deserve attention, numbered."""
    limiters: Mapping[Venue, Path] = attrs.field(factory=dict)
    """Every venue, and who limits what is sent to it."""


class Verbs:
    """Carries requests out; one method a verb."""

    ctx: Context

    def __init__(self, premises: Premises) -> None:
        self._premises = premises
        self._release_code: tuple[str, str, int] | None = None
        self._to_cancel: dict[tuple[AccountID, Venue], TradingState] = {}
        """Accounts under a halt that may still have resting orders."""
        self._table: dict[str, Callable[[Mapping[str, Any]], Awaitable[Any]]] = {
            "status": self._status,
            "venues": self._venues,
            "tree": self._tree,
            "actor": self._actor,
            "dead_letters": self._dead_letters,
            "events": self._events,
            "restart": self._restart,
            "pause": self._pause,
            "resume": self._resume,
            "orders": self._orders,
            "positions": self._positions,
            "balances": self._balances,
            "money": self._money,
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
            result = plain(await handler(args))
        except AskError as error:
            raise Failure(str(error), "the actor is resyncing or down; see `bulkhead inspect`") from error
        self.ctx.flush()  # who was ordered has heard it before the operator gets the answer
        return result

    @asynccontextmanager
    async def tap(self, args: Mapping[str, Any]) -> AsyncIterator[TapChannel]:
        """Messages of one actor as they come: (time, sender, message)."""
        cell = self._cell(args)
        send, receive = trio.open_memory_channel[tuple[int, Path, Message]](_TAP_BUFFER)
        async with receive:
            cell.listen(send)
            yield receive

    # ---- asking ------------------------------------------------------------------------------------------------

    async def _status(self, args: Mapping[str, Any]) -> object:
        runtime, premises = self._premises.runtime, self._premises
        rows = tree(premises.root())
        actors = [row for row in rows if row.kind != "supervisor"]
        return {
            "name": premises.name,
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
            "stopping": premises.stopping(),
            "timezone": premises.timezone,
            "not_ready": [{"path": row.path, "why": row.note} for row in actors if not row.ready],
            "journal_failure": self._journal_failure(),
            "venues": await self._venues(args),
        }

    def _journal_failure(self) -> str:
        """Why no new order can leave; "" while the journal writes."""
        cell = self._premises.runtime.find(JOURNAL)
        shown = cell.actor.inspect() if cell is not None and cell.actor is not None else {}
        return "" if shown.get("healthy", True) else str(shown["text"])

    async def _venues(self, args: Mapping[str, Any]) -> object:
        premises = self._premises
        return venue_rows(premises.runtime, premises.limiters, premises.accounts)

    async def _tree(self, args: Mapping[str, Any]) -> object:
        return tree(self._premises.root())

    async def _actor(self, args: Mapping[str, Any]) -> object:
        return picture(self._premises.runtime, self._cell(args).path)

    async def _dead_letters(self, args: Mapping[str, Any]) -> object:
        return [_readable(letter) for letter in dead_letters(self._premises.runtime, _count(args, "limit", 100))]

    async def _events(self, args: Mapping[str, Any]) -> object:
        shown = self._premises.news()[-_count(args, "limit", 100) :]
        return [{"number": number, **attrs.asdict(event)} for number, event in shown]

    async def _orders(self, args: Mapping[str, Any]) -> object:
        return [order for found in await self._pictures(args, unproven=True) for order in found.open_orders]

    async def _positions(self, args: Mapping[str, Any]) -> object:
        return [position for found in await self._pictures(args, unproven=True) for position in found.positions]

    async def _balances(self, args: Mapping[str, Any]) -> object:
        return [balance for found in await self._pictures(args, unproven=True) for balance in found.balances]

    async def _money(self, args: Mapping[str, Any]) -> object:
        """What there is of each asset over all accounts and venues; a wallet that several venues show counts once."""
        balances = [balance for found in await self._pictures(args) for balance in found.balances]
        totals: dict[str, Decimal] = {}
        for balance in counted_once(balances):
            totals[balance.asset] = totals.get(balance.asset, Decimal(0)) + balance.total
        return [{"asset": asset, "total": total} for asset, total in sorted(totals.items())]

    async def _pictures(self, args: Mapping[str, Any], *, unproven: bool = False) -> list[AccountPicture]:
        """`unproven`: also what the records say of accounts that their venue has not confirmed, so that a venue that is
        down hides no other; but where no venue has confirmed anything, nobody knows, and that is no empty list."""
        wanted = _optional_text(args, "account")
        if wanted is not None and wanted not in {account for account, _ in self._premises.accounts}:
            known = ", ".join(sorted({account for account, _ in self._premises.accounts}))
            raise Failure(f"no account {wanted}", f"one of {known}")
        paths = [account_path(*pair) for pair in self._premises.accounts if wanted in (None, pair[0])]
        query = AccountQuery(unproven=unproven and len(self._not_reconciled(paths)) < len(paths))
        return [await self.ctx.ask(path, query, _ASK_NS) for path in paths]

    def _not_reconciled(self, paths: Sequence[Path]) -> list[Path]:
        return [path for path in paths if not self._premises.runtime.cell(path).ready]

    async def _pnl(self, args: Mapping[str, Any]) -> object:
        return await self.ctx.ask("/portfolio", PnlQuery(), _ASK_NS)

    async def _risk(self, args: Mapping[str, Any]) -> object:
        scopes = [FIRM_GATE, *sorted({account_gate(account) for account, _ in self._premises.accounts})]
        return [await self.ctx.ask(scope, ExposureQuery(), _ASK_NS) for scope in scopes]

    async def _config(self, args: Mapping[str, Any]) -> object:
        return {"text": self._premises.config_text, "hash": self._premises.config_hash}

    def _cell(self, args: Mapping[str, Any]) -> Cell:
        path = _text(args, "path")
        cell = self._premises.runtime.find(path)
        if cell is None:
            below = [
                cell.path for cell in self._premises.runtime.cells() if cell.path.startswith(f"{path.rstrip('/')}/")
            ]
            if path.startswith("/") and below:
                raise Failure(f"{path} is a group of actors", f"name one of them, as {below[0]}")
            close = get_close_matches(path, [cell.path for cell in self._premises.runtime.cells()], n=1, cutoff=0.7)
            hint = f"did you mean {close[0]}? " if close else ""
            raise Failure(f"no actor at {path}", f"{hint}`bulkhead inspect` shows the addresses")
        return cell

    # ---- ordering ----------------------------------------------------------------------------------------------

    def _note(self, verb: str, args: Mapping[str, Any]) -> str:
        """Write who ordered what into the journal and the log; returns the principal.

        The name is what the client says, the user id is what the kernel says.
        """
        principal = f"{args.get('principal') or 'operator'} (uid {args.get('uid', '?')})"
        told = {key: value for key, value in sorted(args.items()) if key not in ("principal", "code", "uid")}
        detail = ", ".join(f"{key}={value}" for key, value in told.items())
        self.ctx.note("ordered", f"{verb} {detail} by {principal}")
        record = OperatorCommand(principal, verb, detail, self.ctx.now_ns)
        self.ctx.send(JOURNAL, Append("control", "engine", (record,), (), self.ctx.path))
        return principal

    async def _restart(self, args: Mapping[str, Any]) -> object:
        cell = self._cell(args)
        principal = self._note("restart", args)
        if cell.path == self.ctx.path:
            self.ctx.after(_REPLY_FIRST_NS, RestartDue())
            return {
                "path": cell.path,
                "epoch": cell.epoch,
                "ready": False,
                "why_not": "the control socket restarts after this answer",
                "recovery_ns": None,
            }
        cell.restart(principal)
        with trio.move_on_after(RESTART_PATIENCE_S):
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
        cell = self._cell(args)
        path = cell.path
        strategy = next((s for s, address in self._premises.strategies.items() if address == path), None)
        self._note("pause" if paused else "resume", args)
        if strategy is not None and not args.get("hard", False):
            self.ctx.send(path, PauseStrategy(strategy, paused))
            how = "it makes no new decisions; its orders stay" if paused else "it makes decisions again"
            return {"path": path, "paused": paused, "how": how}
        cell.set_paused(paused)
        return {"path": path, "paused": paused, "how": "its mail waits" if paused else "its mail flows again"}

    async def _kill(self, args: Mapping[str, Any]) -> object:
        scope = _optional_text(args, "scope") or "firm"
        gate = self._gate(scope)
        state = TradingState.REDUCING if args.get("reduce_only") else TradingState.HALTED
        principal = self._note("kill", args)
        cause = str(args.get("cause") or "ordered at the console")
        self.ctx.send(gate, SetTradingState(scope, state, principal, cause))
        told: list[str] = []
        if not args.get("keep_orders", False):
            for account, venue in self._in_scope(scope):
                self.ctx.send(account_path(account, venue), CancelAll(account, venue, self.ctx.path))
                self._to_cancel[account, venue] = state
                told.append(f"{account}/{venue}")
        return {"scope": scope, "state": state, "cancels_sent_to": told}

    async def enforce(self) -> None:
        """For ever: where a halt is in force, cancel what an account could not cancel when it was told."""
        while True:
            await self.ctx.sleep(ENFORCE_EVERY_NS)
            for (account, venue), state in list(self._to_cancel.items()):
                path = account_path(account, venue)
                try:
                    found: AccountPicture = await self.ctx.ask(path, AccountQuery(), _ASK_NS)
                except AskError:
                    continue  # still resyncing: it keeps its place in the list
                if found.open_orders:
                    self.ctx.send(path, CancelAll(account, venue, self.ctx.path))
                if not found.open_orders or state is TradingState.REDUCING:
                    # Under REDUCING new orders may come, those that reduce: each account is told once.
                    self._to_cancel.pop((account, venue), None)

    def _in_scope(self, scope: str) -> list[tuple[AccountID, Venue]]:
        return [pair for pair in self._premises.accounts if scope in ("firm", pair[0])]

    async def _unkill(self, args: Mapping[str, Any]) -> object:
        scope = _optional_text(args, "scope")
        if scope is None:
            scope = "firm"  # an empty text is none: what halts may halt too much, what releases names what it releases
        gate = self._gate(scope)
        pictures = await self._pictures({} if scope == "firm" else {"account": scope})
        code = _optional_text(args, "code")
        if code is None:
            fresh = secrets.token_hex(3)
            self._release_code = (scope, fresh, self.ctx.monotonic_ns + RELEASE_CODE_TTL_NS)
            return {
                "scope": scope,
                "code": fresh,
                "valid_s": RELEASE_CODE_TTL_NS // SECOND_NS,
                "accounts_reconciled": [f"{p.account}/{p.venue}" for p in pictures],
                "open_orders": sum(len(p.open_orders) for p in pictures),
                "in_doubt": sum(order.in_doubt for p in pictures for order in p.open_orders),
            }
        expected, self._release_code = self._release_code, None
        if expected is None or expected[:2] != (scope, code) or self.ctx.monotonic_ns > expected[2]:
            raise Failure("the code is not valid (any more) for this scope", "ask for a new one: `bulkhead unkill`")
        principal = self._note("unkill", args)
        for pair in self._in_scope(scope):
            self._to_cancel.pop(pair, None)
        self.ctx.send(gate, SetTradingState(scope, TradingState.ACTIVE, principal, "released at the console"))
        return {"scope": scope, "state": TradingState.ACTIVE}

    def _gate(self, scope: str) -> Path:
        if scope == "firm":
            return FIRM_GATE
        accounts = {account for account, _ in self._premises.accounts}
        if scope not in accounts:
            raise Failure(f"no scope {scope!r}", f"firm, or one of {', '.join(sorted(accounts))}")
        return account_gate(AccountID(scope))

    async def _flush(self, args: Mapping[str, Any]) -> object:
        return await self.ctx.ask(JOURNAL, FlushQuery(), 10 * SECOND_NS)

    async def _stop(self, args: Mapping[str, Any]) -> object:
        principal = self._note("stop", args)
        self._premises.stop(f"`bulkhead stop` of {principal}")
        return {"stopping": True}

    async def _crash(self, args: Mapping[str, Any]) -> object:
        if not self._premises.allow_faults:
            raise Failure("faults can be ordered only where no real money is", "use the demo, replay or paper profile")
        cell = self._cell(args)
        where = _optional_text(args, "where") or "now"
        if where not in ("now", "before", "after"):
            raise Failure(f"where was {where}", "now, before or after")
        self._note("crash", args)
        cell.sabotage(where)
        return {"path": cell.path, "where": where}


def _text(args: Mapping[str, Any], name: str) -> str:
    value = _optional_text(args, name)
    if not value:
        raise Failure(f"{name} is missing", f'give "{name}" as text')
    return value


def _optional_text(args: Mapping[str, Any], name: str) -> str | None:
    value = args.get(name)
    if value is not None and not isinstance(value, str):
        raise Failure(f"{name} is not text", f'give "{name}" as text')
    return value


def _count(args: Mapping[str, Any], name: str, default: int) -> int:
    value = args.get(name, default)
    if type(value) is not int or value < 1:
        raise Failure(f"{name} is not a whole number above 0", f'give "{name}" as a number')
    return value


def _readable(letter: DeadLetter) -> dict[str, object]:
    """A dead letter with the kinds of the messages, which their fields alone do not tell."""
    shown = attrs.asdict(letter, recurse=False)
    shown["kind"] = type(letter.message).__name__
    shown["recent"] = [{"kind": type(item).__name__, "message": item} for item in letter.recent]
    return shown
