"""`make demo`: every vendor's demo batches through a real Airflow against the sandbox, from nothing to the outcome table."""

from __future__ import annotations

import fcntl
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console

from ferry.core.errors import FerryError
from ferry.ledger.store import LedgerStore
from ferry.vendors import all_vendors
from scripts.environment import ROOT, USER
from scripts.outcome import Outcome, outcome_of, problems, standing_of, table_of, write_json
from scripts.processes import sweep
from scripts.progress import Progress
from scripts.rehearsal import DemoBatch, DemoError, copy_to, demo_batches, differences, rehearsal, started_twice
from scripts.setting import prepare
from scripts.stack import ApiError, Stack, StackError, leftovers
from scripts.trouble import last_errors

BATCHES = ROOT / "include" / "batches"
HOME = ROOT / "var" / "demo"
RESULT = ROOT / "var" / "demo.json"
DISPATCH = "dispatch_batches"
PATIENCE = 480.0
"""Seconds for all batches together; the demo takes about two minutes on two free cores."""
ENDED = ("success", "failed")


def main() -> int:
    """0 if every batch ended as its demo.yaml says and every number adds up."""
    console = Console(width=None if sys.stdout.isatty() else 150)
    try:
        with alone(HOME.parent), ending_on_signals():
            return play(console)
    except (DemoError, StackError, ApiError, FerryError) as error:
        console.print(f"The demo failed: {error}", style="red", markup=False, highlight=False)
        console.print(f"Logs: {HOME / 'logs'}")
        return 1
    except KeyboardInterrupt:
        console.print("Interrupted; nothing is left running.", style="yellow")
        return 130


def play(console: Console) -> int:
    """The whole demo."""
    batches = demo_batches(BATCHES)
    begun = time.monotonic()
    sweep_leftovers(console)
    RESULT.unlink(missing_ok=True)
    stack = Stack(HOME, batches=HOME / "batches")
    copy_to(batches, stack.batches)
    console.print("Starting the sandbox and Airflow (api-server, scheduler, dag-processor, triggerer); about 30 seconds ...")
    with stack:
        prepare(stack, BATCHES, batches, pause=False)
        introduce(console, stack, batches)
        ledger = LedgerStore(str(stack.ledger))
        ledger.migrate()
        with Progress(console, stack, ledger, batches) as progress:
            dispatch(stack, batches)
            stack.wait_for(lambda: progress.show() and all_ended(stack), "the batches to end", PATIENCE, every=1.0)
            progress.show()
        good = judge(console, stack, ledger, batches, progress.slots_held)
    console.print(f"{time.monotonic() - begun:.0f} s from start to end; nothing is left running.")
    return 0 if good else 1


def introduce(console: Console, stack: Stack, batches: list[DemoBatch]) -> None:
    """What is about to be seen."""
    console.print(f"Airflow: {stack.base_url}  user [bold]{USER}[/]  password [bold]{stack.password}[/]  (until the demo ends)")
    for batch in batches:
        told = f"  {batch.name}: {batch.expected.about} Expected: {batch.expected.verdict}."
        console.print(told, markup=False, highlight=False)


def dispatch(stack: Stack, batches: list[DemoBatch]) -> None:
    """What a person would do: a backfill of the days on which the batches are due."""
    days: list[date] = sorted(batch.due for batch in batches)
    window = {"from_date": f"{days[0]}T00:00:00Z", "to_date": f"{days[-1]}T00:00:00Z"}
    stack.api("POST", "/backfills", {"dag_id": DISPATCH, **window, "reprocess_behavior": "failed", "dag_run_conf": {}})


def all_ended(stack: Stack) -> bool:
    """True once every dispatch of the backfill has ended, and with it every DAG run that it waits for."""
    runs: list[dict[str, Any]] = stack.api("GET", f"/dags/{DISPATCH}/dagRuns", run_type="backfill", limit=100)["dag_runs"]
    return bool(runs) and all(run["state"] in ENDED for run in runs)


def judge(console: Console, stack: Stack, ledger: LedgerStore, batches: list[DemoBatch], slots_held: int) -> bool:
    """Show how it ended and compare it with what was announced, with the vendor, and with the ledger's own hashes."""
    outcomes = [outcome_of(standing_of(ledger, batch), batch, stack.evidence) for batch in batches]
    write_json(outcomes, RESULT)
    console.print(table_of(outcomes))
    for outcome in outcomes:
        console.print(f"evidence of {outcome.vendor}/{outcome.batch_id}: {shown(outcome.evidence)}", highlight=False)
    states = {vendor: stack.sandbox("GET", f"/{vendor}/state") for vendor in {batch.vendor for batch in batches}}
    twice = [ref for vendor, state in states.items() for ref in started_twice(rehearsal(BATCHES, vendor), state)]
    lost = sum(abs(unaccounted(outcome)) for outcome in outcomes)
    told = (f"starts sent twice: {len(twice)}", f"worker slots held while waiting: {slots_held}", f"rows unaccounted for: {lost}")
    console.print("   ".join(told))
    wrong = [f"{ref} was started more than once" for ref in twice] + [f"ledger: {fault}" for fault in ledger.verify()]
    console.print(f"ledger: {shown(stack.ledger)}   for programs: {shown(RESULT)}", highlight=False)
    for outcome, batch in zip(outcomes, batches, strict=True):
        mine = [*problems(outcome, batch), *differences(batch, states[batch.vendor])]
        wrong += [f"{batch.name}: {problem}" for problem in mine]
        wrong += last_errors(stack, batch, outcome.attempts) if mine else []
    for line in wrong:
        console.print(line, style="red", markup=False, highlight=False)
    if not wrong:
        console.print("Every batch ended as announced, the vendor holds what was sent, the ledger's chains hold.", style="green")
    return not wrong and not slots_held and not lost


def unaccounted(outcome: Outcome) -> int:
    """Records without exactly one fate."""
    counts = outcome.counts
    return counts.sent - counts.accepted - counts.rejected - counts.unprocessed - counts.waived


def sweep_leftovers(console: Console) -> None:
    """End what an earlier demo left behind because it was killed with -9; the lock says that none is being played now."""
    if mark := leftovers(HOME):
        console.print("Ending what an earlier demo left running ...")
        sweep(mark)


def shown(path: str | Path) -> str:
    """A path as people here would type it."""
    return str(path).replace(f"{ROOT}/", "")


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Only one demo at a time in a checkout; the lock ends with the process, however it ends."""
    folder.mkdir(exist_ok=True)
    with (folder / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoError("Another `make demo` is being played in this checkout; wait for it to end.") from None
        yield


@contextmanager
def ending_on_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP end the demo the way Ctrl-C does: everything is cleared away first."""

    def interrupt(_number: int, _frame: Any) -> NoReturn:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not interrupt the clearing away
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    yield


if __name__ == "__main__":
    # Known here and not in a traceback: an unknown vendor folder is the one thing that breaks every command.
    all_vendors()
    sys.exit(main())
