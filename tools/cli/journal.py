"""`bulkhead replay`: the journal read back into state, without an engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs
import click

from actors.account.settings import AccountSettings
from actors.account.state import AccountState
from actors.journal.replay import Verification, read, repair_tail, verify
from protocols.canonical import canonical_json, state_hash
from protocols.errors import JournalError
from protocols.ids import AccountID, Venue
from protocols.journal import StateSnapshot
from tools.cli.common import json_option, load, print_json, profile_options
from tools.cli.failure import CommandFailure
from tools.engine.summary import counted


@attrs.define
class KeyReplay:
    """One account's stream, folded from its first record."""

    state: AccountState
    records: int = 0
    snapshots: int = 0
    mismatches: list[int] = attrs.Factory(list)
    """Sequence numbers of snapshots whose hash is not that of the records before them."""


def fold_accounts(directory: Path) -> dict[str, KeyReplay]:
    """Every account's state from an empty start; each snapshot on the way is checked against the records."""
    found: dict[str, KeyReplay] = {}
    for stored in read(directory):
        kind, _, rest = stored.key.partition("/")
        if kind != "account":
            continue
        replay = found.get(stored.key)
        if replay is None:
            account, _, venue = rest.rpartition("/")
            state = AccountState(AccountID(account), Venue(venue), AccountSettings().retention)
            replay = found[stored.key] = KeyReplay(state)
        replay.records += 1
        if isinstance(stored.record, StateSnapshot):
            replay.snapshots += 1
            if stored.record.state_hash != replay.state.hash():
                replay.mismatches.append(stored.seq)
        else:
            replay.state.apply(stored.record)
    return found


@click.command()
@profile_options
@click.option("--journal", "directory", type=click.Path(path_type=Path), help="Journal folder; default: [data] dir.")
@click.option(
    "--repair",
    is_flag=True,
    help="First cut off damage at the very end; what is cut is kept beside it in a .torn file.",
)
@json_option
def replay(profile: str, overrides: tuple[str, ...], directory: Path | None, repair: bool, as_json: bool) -> None:
    """Check every line of the journal, rebuild every account's state from it, and print the hashes.

    It only reads (without --repair), so it may be run beside a running engine.  Exit code 1 when a line is damaged, or
    when a snapshot contradicts the records before it.  An unfinished write at the end is no damage: it is what a
    crash leaves, and the next start cuts it off.
    """
    if directory is None:
        directory = load(profile, overrides).data.dir / "journal"
    if directory.is_file():
        raise CommandFailure(f"{directory} is a file", f"name the folder of the journal: --journal {directory.parent}")
    if not directory.is_dir():
        raise CommandFailure(f"there is no journal at {directory}", "name it with --journal, or run the engine first")
    try:
        repaired = repair_tail(directory) if repair else ""
        checked = verify(directory)
        replays = fold_accounts(directory)
    except JournalError as error:
        raise CommandFailure(str(error)) from error  # which says what to do about it
    hashes = {key: found.state.hash() for key, found in sorted(replays.items())}
    if as_json:
        print_json({"directory": str(directory), "repaired": repaired, **_document(checked, replays, hashes)})
    else:
        if repaired:
            click.echo(repaired)
        _tell(checked, replays, hashes)
    mismatches = {key: found.mismatches for key, found in replays.items() if found.mismatches}
    if mismatches:
        raise CommandFailure(f"snapshots contradict the records before them: {mismatches}", "report this as a bug")


def _whole(hashes: Mapping[str, str]) -> str:
    """One hash over all accounts."""
    return state_hash(canonical_json(hashes))


def _document(checked: Verification, replays: Mapping[str, KeyReplay], hashes: Mapping[str, str]) -> dict[str, object]:
    return {
        "hash": _whole(hashes),
        "records": checked.records,
        "runs": checked.runs,
        "unfinished_runs": checked.unfinished_runs,
        "unfinished_write": checked.torn,
        "keys": {
            key: {
                "hash": value,
                "records": replays[key].records,
                "snapshots": replays[key].snapshots,
                "snapshot_mismatches": replays[key].mismatches,
            }
            for key, value in hashes.items()
        },
    }


def _tell(checked: Verification, replays: Mapping[str, KeyReplay], hashes: Mapping[str, str]) -> None:
    for key, value in hashes.items():
        found = replays[key]
        click.echo(f"{value}  {key}  {counted(found.records, 'record')}, {counted(found.snapshots, 'snapshot')}")
    records, runs = counted(checked.records, "record"), counted(checked.runs, "run")
    unfinished = counted(checked.unfinished_runs, "run")
    click.echo(
        f"{_whole(hashes)}  all accounts, {records} of {runs} in the journal, {unfinished} without an orderly end"
    )
    if checked.torn:
        click.echo(f"unfinished write, which the next start cuts off: {checked.torn}")
