"""Ledgers on both databases, and a crew of real processes that write to them at once."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ferry.core.model import Attempt
from ferry.ledger.admission import Admission
from ferry.ledger.entries import Draft, Entry, Kind, Origin
from ferry.ledger.store import LedgerStore

sys.path.insert(0, str(Path(__file__).parent))
import postgres
import writers

BATCH = ("fenergo", "api.example.com", "clients-1")
INPUT, OTHER_INPUT = "a" * 64, "b" * 64


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    folder = postgres.binaries()
    if folder is None:
        if os.environ.get("FERRY_REQUIRE_POSTGRES"):
            pytest.fail(postgres.MISSING)
        pytest.skip(postgres.MISSING)
    with postgres.server(folder) as server:
        yield server


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if postgres.binaries() is None:
        terminalreporter.write_line(postgres.MISSING, red=True, bold=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger' / 'ledger.db'}"
    return str(request.getfixturevalue("postgres_server").empty())


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LedgerStore]:
    on_sqlite = request.param == "sqlite"
    store = LedgerStore(str(tmp_path / "ledger.db") if on_sqlite else request.getfixturevalue("postgres_server").migrated())
    store.migrate()
    yield store
    store.database.engine.dispose()


@pytest.fixture
def sqlite_store(tmp_path: Path) -> LedgerStore:
    """For what does not depend on the database."""
    store = LedgerStore(str(tmp_path / "ledger.db"))
    store.migrate()
    return store


class Actor:
    """One DAG run as the ledger meets it; `live` says which other DAG runs Airflow would call running."""

    def __init__(self, store: LedgerStore, run_id: str) -> None:
        self.store, self.origin = store, Origin("migrate_fenergo", run_id, "task", 1, "anna")

    def admit(self, input_hash: str = INPUT, *, live: tuple[str, ...] = (), force: bool = False) -> Admission:
        return self.store.admit(*BATCH, input_hash, self.origin, is_live=lambda origin: origin.run_id in live, force=force)

    def write(self, attempt: Attempt, step: str, kind: Kind, **facts: Any) -> Entry:
        return self.store.append(Draft(attempt=attempt, step=step, kind=kind, origin=self.origin, **facts))


@pytest.fixture
def actor() -> Callable[[LedgerStore, str], Actor]:
    return Actor


class Crew:
    """Sixteen processes that carry out the same order at once."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["__main__", "ferry.ledger.store"])  # imported once, not sixteen times
        pipes = [context.Pipe() for _ in range(16)]
        self.orders = [ours for ours, _ in pipes]
        self.members = [context.Process(target=writers.work, args=(theirs,)) for _, theirs in pipes]
        for member, (_, theirs) in zip(self.members, pipes, strict=True):
            member.start()
            theirs.close()
        assert [order.recv() for order in self.orders] == ["ready"] * 16

    def all_do(self, do: str, *, members: int = 16, **order: Any) -> list[Any]:
        """Every member's answer; a callable in the order is called with the member's number."""
        for number, pipe in enumerate(self.orders[:members]):
            pipe.send({"do": do} | {name: value(number) if callable(value) else value for name, value in order.items()})
        return [pipe.recv() for pipe in self.orders[:members]]

    def dismiss(self) -> None:
        for pipe in self.orders:
            pipe.send(None)
        end = time.monotonic() + 10
        for pipe, member in zip(self.orders, self.members, strict=True):
            member.join(max(0.0, end - time.monotonic()))
            member.kill()  # a member that is gone already does not mind
            member.join()
            pipe.close()


@pytest.fixture(scope="session")
def crew() -> Iterator[Crew]:
    crew = Crew()
    yield crew
    crew.dismiss()
