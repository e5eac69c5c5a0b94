"""`make demo`: every vendor's demo batches through a real Airflow against the sandbox, from nothing to the outcome table."""

from __future__ import annotations

import argparse
import fcntl
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console

from ferry.core.errors import FerryError
from ferry.ledger.store import LedgerStore
from scripts.client import ApiError, Client, StackError
from scripts.environment import ROOT
from scripts.judgement import judge
from scripts.people import ENDED, People
from scripts.processes import sweep
from scripts.progress import Progress
from scripts.rehearsal import DemoBatch, DemoError, copy_to, demo_batches
from scripts.setting import DISPATCH, prepare
from scripts.stack import Stack, leftovers

PATIENCE = 600.0
"""Seconds for all batches together; the demo takes about two minutes on two free cores."""
DISPATCH_TRIES = 6
"""Airflow gives a backfill up, cleanly, if another process of its own writes to SQLite at that moment."""
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: list[str] | None = None) -> int:
    """0 if every batch ended as its demo.yaml says and every number adds up; 130 if it was interrupted."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--var", type=Path, default=ROOT / "var", help="folder for state and results (default: var)")
    var: Path = parser.parse_args(arguments).var.resolve()
    console = Console(width=None if sys.stdout.isatty() else 150)
    try:
        with alone(var), ending_on_signals():
            return play(console, var)
    except (DemoError, StackError, ApiError, FerryError) as error:
        console.print(f"The demo failed: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        console.print(f"Logs: {var / 'demo' / 'logs'}", highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("Interrupted; nothing is left running.", style="yellow")
        return 130


def play(console: Console, var: Path) -> int:
    """The whole demo."""
    begun = time.monotonic()
    home, result = var / "demo", var / "demo.json"
    batches = demo_batches()
    sweep_leftovers(console, home)
    result.unlink(missing_ok=True)
    stack = Stack(home, batches=home / "batches")
    copy_to([batch for batch in batches if not batch.expected.begins], stack.batches)
    console.print("Starting the sandbox and Airflow (api-server, scheduler, dag-processor, triggerer); about 30 seconds ...")
    with stack:
        ledger = LedgerStore(str(stack.ledger))
        ledger.migrate()
        shown = rehearse(console, stack, ledger, batches, lambda: dispatch(stack, batches))
        good = judge(shown, result)
    console.print(f"{time.monotonic() - begun:.0f} s from start to end; nothing is left running.")
    return 0 if good else 1


def rehearse(
    console: Console,
    client: Client,
    ledger: LedgerStore,
    batches: list[DemoBatch],
    begin: Callable[[], None],
    *,
    patience: float = PATIENCE,
) -> Progress:
    """Have the batches moved by an Airflow that runs, from `begin` until the last of them has ended."""
    prepare(client, batches)
    introduce(console, client, batches)
    with Progress(console, client, ledger, batches) as progress:
        people = People(console, client, ledger, batches)
        people.begin()
        begin()
        client.wait_for(lambda: look(progress, people) and all_ended(client, people), "the batches to end", patience, every=1.0)
    return progress


def look(progress: Progress, people: People) -> bool:
    """Show what is new, and let people answer and trigger; true once no task is at work or about to be."""
    people.answer()
    people.trigger()
    return progress.show()


def introduce(console: Console, client: Client, batches: list[DemoBatch]) -> None:
    """What is about to be seen."""
    console.print(f"Airflow: {client.login}")
    for batch in batches:
        told = f"  {batch.name}: {batch.expected.about} Expected: {batch.expected.verdict}."
        console.print(told, markup=False, highlight=False, soft_wrap=True)


def dispatch(stack: Stack, batches: list[DemoBatch]) -> None:
    """What a person would do: a backfill of the days on which the batches are due.

    On the command line, because on SQLite the API cannot: its own log entry of the request locks the database against it.
    """
    first, last = days_of(batches)
    command = ["backfill", "create", "--dag-id", DISPATCH, "--from-date", str(first), "--to-date", str(last)]
    for left in reversed(range(DISPATCH_TRIES)):
        try:
            stack.airflow(*command, "--reprocess-behavior", "failed")
        except StackError as error:
            if not left or "locked" not in str(error):
                raise
        else:
            return


def days_of(batches: list[DemoBatch]) -> tuple[date, date]:
    """The first and the last day on which batches are due."""
    days = sorted(batch.due for batch in batches if batch.due)
    return days[0], days[-1]


def all_ended(stack: Client, people: People) -> bool:
    """True once every dispatch of the backfill has ended, with every DAG run that it waits for and all that people did then."""
    runs: list[dict[str, Any]] = stack.api("GET", f"/dags/{DISPATCH}/dagRuns", run_type="backfill", limit=100)["dag_runs"]
    return bool(runs) and all(run["state"] in ENDED for run in runs) and people.trigger()


def sweep_leftovers(console: Console, home: Path) -> None:
    """End what an earlier demo left behind because it was killed with -9; the lock says that none is being played now."""
    if mark := leftovers(home):
        console.print("Ending what an earlier demo left running ...")
        sweep(mark)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Only one demo at a time in a checkout; the lock ends with the process, however it ends."""
    folder.mkdir(parents=True, exist_ok=True)
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
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not interrupt the clearing away
        raise KeyboardInterrupt

    for number in ENDING:
        signal.signal(number, interrupt)
    yield


if __name__ == "__main__":
    sys.exit(main())
