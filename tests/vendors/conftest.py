"""MicroStrategy's two Libraries, Domo's instance and Anon's organisation on the sandbox, for the tests of their clients."""

import asyncio
import csv
import functools
import io
import json
import ssl
import time

import pytest
import yaml
from tests.sandbox.anon_client import Organisation
from tests.vendors.controls import Controls, plain

from ferry.core.api import ONE_TRY
from ferry.core.batch import read_batch
from ferry.core.exchange import drive
from ferry.ledger.entries import Origin
from ferry.ledger.store import LedgerStore
from ferry.steps.work import CONNECTION, CONNECTIONS, Work
from ferry.vendors import anon as anon_card
from ferry.vendors import domo as domo_card
from ferry.vendors.anon.hook import AnonHook
from ferry.vendors.domo.hook import DomoHook
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


# Domo


class DomoInstance(Controls):
    """The sandbox's instance and the ways to set it up."""

    vendor = "domo"

    def __init__(self, base):
        super().__init__(base)
        self.http = plain.Client(base_url=f"{base}/_sandbox", timeout=30, verify=False)

    def control(self, method, path, **how):
        """As for every vendor, on a connection that stays open."""
        reply = self.http.request(method, path, **how)
        reply.raise_for_status()
        return reply.json()

    def mapping(self, kind="mysql-federated"):
        """Catalog, schema and table of every datasource of a type that is on V1, by id."""
        rows = list(csv.DictReader(io.StringIO(self.http.get("/domo/mapping.csv", params={"type": kind}).text)))
        return {row.pop("id"): row for row in rows}

    def move(self, datasource, account="41"):
        """A person migrates it in Domo."""
        return self.control("POST", f"/domo/records/{datasource}/migrate", json={"accountId": account})

    def take_back(self, datasource):
        """A person reverses it in Domo."""
        return self.control("POST", f"/domo/records/{datasource}/reverse")

    def sent(self, method="POST"):
        """The calls that came, in order."""
        return [one for one in self.requests() if one["method"] == method]

    def counted(self, datasource):
        """How many migrations and reversals of a datasource were worked on."""
        seen = {one["id"]: one for one in self.control("GET", "/domo/state")["posts"]}.get(datasource, {})
        return seen.get("migrates", 0), seen.get("reverses", 0)

    def until(self, happened, patience=20):
        deadline = time.monotonic() + patience
        while not happened():
            assert time.monotonic() < deadline, "it did not happen"


@pytest.fixture(scope="session")
def domo_base(tmp_path_factory):
    """Where the sandbox listens that plays Domo; what it is asked to move is moved at once."""
    at_once = {"migrate_seconds": 0.0, "reverse_seconds": 0.0}
    with running(tmp_path_factory.mktemp("sandbox"), switches={"domo": at_once}) as base:
        yield base


@pytest.fixture(scope="session")
def certificates():
    """The TLS context of every client: to read the certificates takes longer than most tests."""
    return functools.cache(ssl.create_default_context)


@pytest.fixture
def connect_domo(domo_base, certificates, monkeypatch):
    """The sandbox's connection under a name, without our rate limit, changed as a test likes."""
    monkeypatch.setattr(ssl, "create_default_context", certificates)

    def connect(name="domo_default", extra=(), **told):
        (good,) = domo_card.sandbox_connections(domo_base).values()
        changed = good | told | {"extra": good["extra"] | {"requests_per_second": 0} | dict(extra)}
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(changed))
        return name

    return connect


@pytest.fixture(scope="session")
def domo_instance(domo_base):
    """The control endpoints of the instance."""
    found = DomoInstance(domo_base)
    with found.http:
        yield found


@pytest.fixture
def domo(domo_instance, connect_domo):
    """The instance on its first day, with its connection."""
    connect_domo()
    domo_instance.control("POST", "/reset")
    return domo_instance


@pytest.fixture
def play_on_domo(connect_domo):
    """Play exchanges on a hook of the connection, in either colour; `extra` and `told` change the connection."""

    def play(colour, *verbs, extra=(), **told):
        hook = DomoHook(connect_domo("played", extra, **told))

        async def awaiting():
            return [await hook.acall(verb) for verb in verbs]

        return [hook.call(verb) for verb in verbs] if colour == "worker" else asyncio.run(awaiting())

    return play


# Anon


class AnonOrganisation(Organisation):
    """The sandbox's organisation and the ways to set it up."""

    def fault(self, path, action, **rule):
        self.control.post("/anon/faults", json={"method": "GET", "path": path, "action": action, **rule}).raise_for_status()

    def requests(self, path="*"):
        """What came, in order."""
        return self.control.get("/requests", params={"vendor": "anon", "path": path}).json()


@pytest.fixture(scope="session")
def anon_base(tmp_path_factory):
    """Where the sandbox listens that plays Anon."""
    with running(tmp_path_factory.mktemp("sandbox")) as base:
        yield base


@pytest.fixture
def connect_anon(anon_base, certificates, monkeypatch):
    """The sandbox's connection under a name, without our rate limit, changed as a test likes."""
    monkeypatch.setattr(ssl, "create_default_context", certificates)

    def connect(name="anon_default", extra=(), **told):
        (good,) = anon_card.sandbox_connections(anon_base).values()
        changed = good | told | {"extra": good["extra"] | {"requests_per_second": 0} | dict(extra)}
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(changed))
        return name

    return connect


@pytest.fixture
def anon(anon_base, connect_anon):
    """The organisation on its first day, without migrations and with its connection; its clock stands still."""
    connect_anon()
    fresh = AnonOrganisation(anon_base)
    yield fresh
    fresh.close()


@pytest.fixture
def ask_anon(connect_anon):
    """Play one exchange on a hook of the connection, in either colour, and never ask twice; `extra` and `told` change it."""
    held = []

    def ask(verb, colour="worker", *, extra=(), **told):
        hook = AnonHook(connect_anon("asked", extra, **told))
        held.append(hook)

        async def awaiting():
            return await hook.acall(verb)

        return drive(hook._line, verb(hook.api(ONE_TRY))) if colour == "worker" else asyncio.run(awaiting())

    yield ask
    for hook in held:
        hook.close()
