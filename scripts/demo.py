"""`make demo`: every vendor's demo batches through a real Airflow against the sandbox, from nothing to the outcome table."""

from __future__ import annotations

import argparse
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
from scripts.environment import ROOT, USER
from scripts.judgement import judge
from scripts.people import ENDED, People
from scripts.processes import sweep
from scripts.progress import Progress
from scripts.rehearsal import DemoBatch, DemoError, copy_to, demo_batches
from scripts.setting import DISPATCH, prepare
from scripts.stack import ApiError, Stack, StackError, leftovers

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
        prepare(stack, batches)
        introduce(console, stack, batches)
        ledger = LedgerStore(str(stack.ledger))
        ledger.migrate()
        with Progress(console, stack, ledger, batches) as progress:
            people = People(console, stack, batches)
            people.begin()
            dispatch(stack, batches)
            stack.wait_for(lambda: look(progress, people) and all_ended(stack, people), "the batches to end", PATIENCE, every=1.0)
        good = judge(progress, result)
    console.print(f"{time.monotonic() - begun:.0f} s from start to end; nothing is left running.")
    return 0 if good else 1


def look(progress: Progress, people: People) -> bool:
    """Show what is new, and let people answer and trigger; true once no task is at work or about to be."""
    people.answer()
    people.trigger()
    return progress.show()


def introduce(console: Console, stack: Stack, batches: list[DemoBatch]) -> None:
    """What is about to be seen."""
    console.print(f"Airflow: {stack.base_url}  user [bold]{USER}[/]  password [bold]{stack.password}[/]  (until the demo ends)")
    for batch in batches:
        told = f"  {batch.name}: {batch.expected.about} Expected: {batch.expected.verdict}."
        console.print(told, markup=False, highlight=False, soft_wrap=True)


def dispatch(stack: Stack, batches: list[DemoBatch]) -> None:
    """What a person would do: a backfill of the days on which the batches are due.

    On the command line, because on SQLite the API cannot: its own log entry of the request locks the database against it.
    """
    days: list[date] = sorted(batch.due for batch in batches if batch.due)
    command = ["backfill", "create", "--dag-id", DISPATCH, "--from-date", str(days[0]), "--to-date", str(days[-1])]
    for left in reversed(range(DISPATCH_TRIES)):
        try:
            stack.airflow(*command, "--reprocess-behavior", "failed")
        except StackError as error:
            if not left or "locked" not in str(error):
                raise
        else:
            return


def all_ended(stack: Stack, people: People) -> bool:
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
