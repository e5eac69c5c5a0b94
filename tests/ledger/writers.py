"""A process that writes to the ledger beside others: takes orders over a pipe or, as a program, writes until it is killed."""

from __future__ import annotations

import os
import sys
from multiprocessing.connection import Connection
from typing import Any

from ferry.core.errors import FerryError
from ferry.core.model import Attempt, RunState
from ferry.ledger.entries import Draft, Kind, LedgerFull, Origin
from ferry.ledger.store import LedgerStore


def me() -> Origin:
    return Origin("dag", str(os.getpid()))


def append(store: LedgerStore, attempt: str, times: int) -> Any:
    draft = Draft(attempt=Attempt.parse(attempt), step="await_run", kind=Kind.LOOK, origin=me(), word="busy")
    return [store.append(draft).seq for _ in range(times)]


def admit(store: LedgerStore, vendor: str, environment: str, batch_id: str) -> Any:
    admission = store.admit(vendor, environment, batch_id, "a" * 64, me(), is_live=lambda _: True)
    return [admission.kind, admission.attempt.number]


def take_up(store: LedgerStore, attempt: str) -> Any:
    return store.take_up(Attempt.parse(attempt), me(), is_live=lambda _: True).kind


def intend(store: LedgerStore, attempt: str, dag_id: str, run_id: str) -> Any:
    origin = Origin(dag_id, run_id, try_number=os.getpid())
    return store.intend(Attempt.parse(attempt), "start_run", origin=origin).fresh


def start(store: LedgerStore, attempt: str, max_live: int, rounds: int) -> Any:
    """Try to start; whoever gets a place counts how many are live, ends its run, and says what it saw."""
    mine, seen = Attempt.parse(attempt), []
    origin = me()
    store.admit(mine.vendor, mine.environment, mine.batch_id, "a" * 64, origin, is_live=lambda _: True)
    for _ in range(rounds):
        try:
            store.intend(mine, "start_run", origin=origin, max_live=max_live)
        except LedgerFull:
            continue
        seen.append(len(store.live(mine.vendor, mine.environment)))
        store.append(Draft(attempt=mine, step="await_run", kind=Kind.LOOK, origin=origin, state=RunState.SUCCEEDED, word="done"))
        break
    return seen


def migrate(store: LedgerStore) -> Any:
    store.migrate()
    return "migrated"


def work(orders: Connection) -> None:
    orders.send("ready")
    while (order := orders.recv()) is not None:
        do, store = globals()[order.pop("do")], LedgerStore(order.pop("url"))
        try:
            answer = do(store, **order)
        except FerryError as error:
            answer = error.to_json()
        store.database.engine.dispose()
        orders.send(answer)


def write_until_killed(url: str, attempt: str) -> None:
    """Append for ever, and say each entry's number once the ledger has acknowledged it."""
    store = LedgerStore(url)
    while True:
        (seq,) = append(store, attempt, 1)
        sys.stdout.write(f"{seq}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    write_until_killed(*sys.argv[1:])
