"""A ledger and an evidence store of its own for each test, vendor six played by hand, and Fenergo's sandbox."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.loopback import loopback

from ferry.core.model import Attempt, RunState
from ferry.ledger.entries import Draft, Kind, Origin
from ferry.ledger.store import LedgerStore

ORIGIN = Origin("migrate_six", "b-1.1", "await_run", 1)


@dataclass
class Ledger:
    """One attempt of a batch, and short ways to write about it."""

    store: LedgerStore
    attempt: Attempt
    folder: Path

    def write(self, step, kind=Kind.RESULT, **facts):
        return self.store.append(Draft(attempt=self.attempt, step=step, kind=kind, origin=ORIGIN, **facts))

    def open_run(self, ref="r-1", word="Created"):
        self.write("open_run", ref=ref, word=word)

    def start_run(self, ref="r-1", *, answered=True):
        self.store.intend(self.attempt, "start_run", origin=ORIGIN, ref=ref)
        if answered:
            self.write("start_run", ref=ref, state=RunState.QUEUED)

    @property
    def standing(self):
        return self.store.attempt(self.attempt)

    @property
    def _away(self):
        return self.folder.with_name("away")

    def take_away(self):
        """The database is gone for now, and nobody can make a new one in its place."""
        self.folder.rename(self._away)
        self.folder.touch()

    def bring_back(self):
        if self._away.exists():
            self.folder.unlink()
            self._away.rename(self.folder)


@pytest.fixture
def said(capfd):
    """Everything that was logged so far: Airflow's loggers write to the process's own streams."""
    told = []

    def said():
        told.extend(capfd.readouterr())
        return "".join(told)

    return said


@pytest.fixture
def connect(monkeypatch):
    def connect(name, **told):
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(told))

    return connect


@pytest.fixture
def ledger(tmp_path, connect, monkeypatch):
    folder = tmp_path / "ledger"
    folder.mkdir()
    connect("ferry_ledger", conn_type="sqlite", host=str(folder / "ledger.db"))
    monkeypatch.setenv("FERRY_BATCHES", str(tmp_path / "batches"))
    monkeypatch.setenv("FERRY_EVIDENCE", str(tmp_path / "evidence"))
    store = LedgerStore(f"sqlite:///{folder / 'ledger.db'}")
    store.migrate()
    told = {"connection": "six_default"}
    opened = store.admit("six", "six.example", "b-1", "a" * 64, ORIGIN, is_live=lambda _: False, data=told)
    return Ledger(store, opened.attempt, folder)


@pytest.fixture
def six(connect):
    """Vendor six on a socket; its first answers are up to the test."""
    with loopback() as server:
        connect("six_default", conn_type="http", host=server.url, extra={"sandbox": True})
        yield server
