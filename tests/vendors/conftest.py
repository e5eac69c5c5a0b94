"""MicroStrategy's two Libraries on the sandbox, for the tests of its client."""

import asyncio
import json

import pytest
import yaml
from tests.vendors.controls import Controls

from ferry.core.batch import read_batch
from ferry.ledger.entries import Origin
from ferry.ledger.store import LedgerStore
from ferry.steps.work import CONNECTION, CONNECTIONS, Work
from ferry.vendors.microstrategy import TARGET, sandbox_connections
from ferry.vendors.microstrategy.hook import MicroStrategyHook
from sandbox.server import running


class Libraries(Controls):
    """The sandbox and the ways to set it up."""

    vendor = "microstrategy"

    def expire(self):
        """Nobody calls for longer than a session lives."""
        self.control("POST", "/clock", json={"advance": 1801})

    def seen(self, path, method="*"):
        return [one for one in self.control("GET", "/requests", params={"path": path}) if method in ("*", one["method"])]

    def logins(self, side="target"):
        return self.control("GET", "/microstrategy/state")[side]["logins"]

    def sessions(self, side="target"):
        return self.control("GET", "/microstrategy/state")[side]["sessions"]


@pytest.fixture(scope="session")
def two_libraries(tmp_path_factory):
    """Where the sandbox listens that plays both Libraries."""
    at_once = {"package_seconds": 0.0, "import_seconds": 0.0}
    with running(tmp_path_factory.mktemp("sandbox"), switches={"microstrategy": at_once}) as base:
        yield base


@pytest.fixture
def connect_library(two_libraries, monkeypatch):
    """The target's connection under a name, without our rate limit, changed as a test likes."""

    def connect(name, extra=(), **told):
        good = sandbox_connections(two_libraries)[TARGET]
        changed = good | told | {"extra": good["extra"] | {"requests_per_second": 0} | dict(extra)}
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(changed))

    return connect


@pytest.fixture
def libraries(two_libraries, connect_library):
    """Both Libraries on their first day, with the target's connection."""
    connect_library(TARGET)
    found = Libraries(two_libraries)
    found.control("POST", "/reset")
    return found


@pytest.fixture
def play_on_target(libraries):
    """Play an exchange on a hook of the target's, in either colour."""

    def play(colour, *verbs):
        hook = MicroStrategyHook(TARGET)

        async def awaiting():
            return [await hook.acall(verb) for verb in verbs]

        return [hook.call(verb) for verb in verbs] if colour == "worker" else asyncio.run(awaiting())

    return play


@pytest.fixture
def admitted(tmp_path, monkeypatch, libraries):
    """A batch on disk, admitted to a ledger of its own: the first step's view of it."""
    monkeypatch.setenv("FERRY_BATCHES", str(tmp_path / "batches"))
    monkeypatch.setenv("FERRY_EVIDENCE", str(tmp_path / "evidence"))
    ledger = f"{tmp_path / 'ledger.db'}"
    told = {"conn_type": "sqlite", "host": ledger}
    for name, connection in (sandbox_connections(libraries.base) | {"ferry_ledger": told}).items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))
    store = LedgerStore(f"sqlite:///{ledger}")
    store.migrate()
    folder = tmp_path / "batches" / "microstrategy" / "b"
    folder.mkdir(parents=True)
    works = []

    def made(section, files=None):
        for name, content in (files or {}).items():
            (folder / name).write_bytes(content)
        manifest = {"vendor": "microstrategy", "connection": TARGET, "microstrategy": section}
        (folder / "manifest.yaml").write_text("due: 2026-01-01\n" + yaml.safe_dump(manifest))
        batch = read_batch(tmp_path / "batches", "microstrategy", "b", MicroStrategyHook.section_class)
        origin, environment = Origin("migrate_microstrategy", "r-1", "check_batch", 1), libraries.base.removeprefix("http://")
        data = {CONNECTION: TARGET, CONNECTIONS: batch.section.connections()}
        opened = store.admit("microstrategy", environment, "b", batch.input_hash, origin, is_live=lambda _: False, data=data)
        works.append(Work(opened.attempt, "check_batch", origin, MicroStrategyHook))
        return works[-1]

    yield made
    for work in works:
        work.__exit__()
