"""A batch's journey: the real DAG by `dag.test()`, the real ledger and evidence, the sandbox on a socket."""

import copy
import csv
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx  # noqa: TID251  # the sandbox's control endpoints are no vendor: no client of ours knows them
import pytest
import yaml

from ferry.ledger.entries import AttemptStanding, Standing, Verdict
from ferry.ledger.store import LedgerStore
from ferry.steps import places
from sandbox.server import running

sys.path.append(str(Path(__file__).parent))  # the driver beside this file
from driver import Clock, Driver, simulate
from environments import Environments
from haste import let_go, make_haste
from instance import Instance
from libraries import Libraries
from organisation import Organisation

ROOT = Path(__file__).resolve().parents[2]
AT_ONCE = {
    "fenergo": {"prepare_seconds": 0.0, "process_seconds": 0.0, "ingestion_seconds": 0.0},
    "domo": {"migrate_seconds": 0.0, "reverse_seconds": 0.0},
    "dmm": {"queue_seconds": 0.0, "chunk_seconds": 0.0},
    "anon": {"story_scale": 0.0},
    "microstrategy": {"package_seconds": 0.0, "validate_seconds": 0.0, "import_seconds": 0.0, "undo_seconds": 0.0},
}
SMALL = {
    "company.csv": (
        "Company",
        (
            '"alternateId","legalEntityName","countryOfIncorporation","entityCategory","dateOfIncorporation","businessLines","leiCode"\n'
            '"C-1","Łódź Tramway Holdings S.A.","PL","GENERAL","1998-03-17","Leasing|Transport",""\n'
            '"C-2","Orchard ""Blue"" Ltd","IE","","2007-11-30","Retail",""\n'
        ),
    ),
    "addresses.csv": (
        "Addresses",
        (
            '"alternateId","parentAlternateId","addressType","line1","city","postalCode","country"\n'
            '"A-1","C-1","Registered","ul. Kwiatowa 7","Łódź","90-001","PL"\n'
        ),
    ),
}


@pytest.fixture(scope="session")
def airflow_database():
    """Airflow's own database, migrated once per process."""
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True)


@pytest.fixture(scope="session")
def sandbox_url(tmp_path_factory):
    with running(tmp_path_factory.mktemp("sandbox"), switches=AT_ONCE) as base:
        yield base


@pytest.fixture(scope="session")
def dag_bag(airflow_database):
    from airflow.dag_processing.dagbag import BundleDagBag

    bag = BundleDagBag(str(ROOT / "dags"), bundle_path=ROOT / "dags", bundle_name="dags-folder")
    assert bag.import_errors == {}
    return bag


@dataclass
class House:
    """One fresh Ferry: batches, ledger, evidence, and a sandbox on its first day."""

    home: Path
    sandbox: str
    bag: Any
    line: httpx.Client
    empty: Path | None = None
    """The file every ledger begins as; without it, the first who opens the ledger has it made."""

    @property
    def ledger(self) -> LedgerStore:
        return places.ledger_at(f"sqlite:///{self.home / 'ledger.db'}")

    @property
    def environment(self) -> str:
        return self.sandbox.removeprefix("http://")

    @property
    def evidence(self) -> Path:
        return self.home / "evidence"

    def batch(self, batch_id: str, files=None, section: str = "jurisdiction: Migration", due: str = "2026-01-01") -> Path:
        folder = self.home / "batches" / "fenergo" / batch_id
        folder.mkdir(parents=True, exist_ok=True)
        listed = []
        for name, (table, text) in (files or SMALL).items():
            (folder / name).write_text(text, encoding="utf-8")
            listed.append(f"  - {{path: {name}, table: {table}}}")
        manifest = ["vendor: fenergo", f"due: {due}", f"fenergo: {{{section}}}", "files:", *listed]
        (folder / "manifest.yaml").write_text("\n".join(manifest) + "\n", encoding="utf-8")
        return folder

    def id_batch(self, batch_id: str, ids: dict[str, str]) -> Path:
        """A batch that gives alternate ids to companies made by hand."""
        folder = self.home / "batches" / "fenergo" / batch_id
        folder.mkdir(parents=True, exist_ok=True)
        manifest = "dag: assign_fenergo_alternate_ids\nfenergo: {jurisdiction: Migration, alternate_ids: ids.csv}\n"
        (folder / "manifest.yaml").write_text("vendor: fenergo\ndue: 2026-01-01\n" + manifest, encoding="utf-8")
        rows = [f'"Company","{key}","{fenx}"' for key, fenx in ids.items()]
        (folder / "ids.csv").write_text("\n".join(['"tableName","alternateId","fenxId"', *rows, ""]), encoding="utf-8")
        return folder

    def demo_batch(self, batch_id: str) -> Path:
        return Path(shutil.copytree(ROOT / "include/batches/fenergo" / batch_id, self.home / "batches/fenergo" / batch_id))

    def play(self, dag_id: str, **conf: Any) -> Any:
        """One DAG run, to its end."""
        dag = copy.deepcopy(self.bag.dags[dag_id])
        for task in dag.tasks:
            task.retries = 0  # dag.test() waits out real retry delays
            if hasattr(task, "waiting"):
                task.waiting |= {"first_look": 0.05, "longest_pause": 0.2}
        return dag.test(run_conf=conf)

    def forget(self) -> None:
        """Begin anew, with an empty ledger and without evidence, which would remember what was sent."""
        let_go()
        shutil.rmtree(self.evidence, ignore_errors=True)
        for path in self.home.glob("ledger.db*"):
            path.unlink()
        places.ledger_at.cache_clear()
        self.begin()

    def restore(self) -> None:
        """Put a backup in the ledger's place that is older than all its batches; the evidence is the same."""
        self.evidence.rename(self.home / "kept")
        self.forget()
        (self.home / "kept").rename(self.evidence)

    def begin(self) -> None:
        """Make the ledger's file, if it is to be a copy and is not there."""
        if self.empty and not (self.home / "ledger.db").exists():
            shutil.copyfile(self.empty, self.home / "ledger.db")

    def states(self, dag_run: Any) -> dict[str, str]:
        return {ti.task_id: str(ti.state) for ti in dag_run.get_task_instances()}

    def standing(self, batch_id: str) -> Standing:
        return self.ledger.standing("fenergo", self.environment, batch_id)

    def last(self, batch_id: str) -> AttemptStanding:
        last = self.standing(batch_id).last
        assert last is not None
        return last

    def control(self, method: str, path: str, **how: Any) -> Any:
        answer = self.line.request(method, f"{self.sandbox}/_sandbox{path}", **how)
        answer.raise_for_status()
        return answer.json()

    def switch(self, **values: Any) -> None:
        self.control("PUT", "/fenergo/switches", json=values)

    def fault(self, method: str, path: str, action: str, **rule: Any) -> None:
        self.control("POST", "/fenergo/faults", json={"method": method, "path": path, "action": action, **rule})

    def requests(self, method: str, ending: str) -> list[dict[str, Any]]:
        log = self.control("GET", "/requests", params={"vendor": "fenergo"})
        return [seen for seen in log if seen["method"] == method and seen["path"].endswith(ending)]

    def starts(self) -> list[dict[str, Any]]:
        return self.requests("PUT", "/start")

    def late_requests_are_done(self) -> None:
        """Wait until the vendor has dealt with what it was late for: nothing of this test may reach the next one's tenant."""
        until = time.monotonic() + 2
        while time.monotonic() < until and any(
            s["fault"] == "delay" and s["status"] is None for s in self.control("GET", "/requests")
        ):
            time.sleep(0.02)

    def holds(self, batch_id: str) -> None:
        """What must hold however a journey ends: one start, no lost row, an unbroken chain, a vendor that was not flooded."""
        perhaps = [seen["path"] for seen in self.starts() if seen["status"] is None or seen["status"] in {200, 202, 500, 503}]
        state = self.control("GET", "/fenergo/state")
        assert len(perhaps) == len(set(perhaps)), "a migration was perhaps started twice"
        assert all(migration["starts"] <= 1 for migration in state["migrations"])
        assert state["overwrites"] == []
        assert all(run["executions"] <= 1 for run in state["ingestions"])
        assert self.ledger.verify() == []
        assert len(self.control("GET", "/requests")) < 500, "a vendor in trouble is asked tens of times, not thousands"
        sent, held, last = self.sent(batch_id), state["records"], self.standing(batch_id).last
        arrived = {
            table: {
                row["alternateId"]: {name: row.get(name) for name in rows.get(row["alternateId"], row)}
                for row in held.get(table, [])
                if row["alternateId"]
            }
            for table, rows in sent.items()
        }
        assert arrived in (sent, {table: {} for table in sent}), "all or nothing, value by value"
        if last is not None:
            assert last.counts.adds_up
        if last is not None and last.verdict is Verdict.BALANCED:
            assert arrived == sent
            assert last.counts.accepted == last.counts.sent == sum(len(rows) for rows in sent.values())

    def sent(self, batch_id: str) -> dict[str, dict[str, dict[str, str]]]:
        """The rows of a batch's files by table and key."""
        folder, found = self.home / "batches/fenergo" / batch_id, {}
        manifest = yaml.safe_load((folder / "manifest.yaml").read_text("utf-8"))
        for entry in manifest.get("files") or [{"path": "ids.csv", "table": "Company"}]:
            with (folder / entry["path"]).open(encoding="utf-8", newline="") as file:
                rows = [{name: value for name, value in row.items() if name != "tableName"} for row in csv.DictReader(file)]
                found[entry["table"]] = {row["alternateId"]: row for row in rows}
        return found


@pytest.fixture(scope="session")
def control_line():
    """One client for the sandbox's control endpoints: making one costs more than what it asks."""
    with httpx.Client(timeout=30) as line:
        yield line


@pytest.fixture
def house(tmp_path, sandbox_url, dag_bag, control_line, monkeypatch):
    from ferry.vendors import all_vendors

    connections = {"ferry_ledger": {"conn_type": "sqlite", "host": str(tmp_path / "ledger.db")}}
    for card in all_vendors().values():
        connections |= card.sandbox_connections(sandbox_url)
    for name, told in connections.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(told))
    monkeypatch.setenv("FERRY_BATCHES", str(tmp_path / "batches"))
    monkeypatch.setenv("FERRY_EVIDENCE", str(tmp_path / "evidence"))
    fresh = House(tmp_path, sandbox_url, dag_bag, control_line)
    fresh.control("POST", "/reset")
    return fresh


@pytest.fixture(scope="session")
def migrated(tmp_path_factory):
    """The file of an empty ledger: to copy it costs a hundredth of what migrations cost."""
    file = tmp_path_factory.mktemp("migrated") / "ledger.db"
    LedgerStore(str(file)).migrate()
    return file


@pytest.fixture
def haste(monkeypatch):
    """What no journey is about costs little."""
    make_haste(monkeypatch)
    yield
    let_go()


@pytest.fixture
def driver(house, sandbox_url, migrated, haste, monkeypatch):
    """The same house, played by the driver: impatient, and with simulated waiting."""
    for name in [name for name in os.environ if name.startswith("AIRFLOW_CONN_") and not name.endswith("FERRY_LEDGER")]:
        told = json.loads(os.environ[name])
        told["extra"] |= {"read_timeout": 0.4, "answer_timeout": 0.4, "requests_per_second": 0}
        monkeypatch.setenv(name, json.dumps(told))
    house.empty = migrated
    house.begin()
    played = Driver(house.bag.dags, Clock())
    simulate(played, monkeypatch)
    yield played
    played.close()


@pytest.fixture
def instance(house):
    """Domo's side of the house."""
    return Instance(house)


@pytest.fixture
def environments(house):
    """DMM's side of the house."""
    return Environments(house)


@pytest.fixture
def libraries(house):
    """MicroStrategy's side of the house."""
    return Libraries(house)


@pytest.fixture
def organisation(house):
    """Anon's side of the house."""
    return Organisation(house)


@pytest.fixture(scope="session")
def dying(airflow_database):
    """A process that has imported everything, and forks a child for each death."""
    script = Path(__file__).with_name("dying.py")
    with subprocess.Popen([sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"

        def die(**case):
            names = [name for name in os.environ if name.startswith(("AIRFLOW_CONN_", "FERRY_"))]
            case["env"] = {name: os.environ[name] for name in names}
            process.stdin.write(json.dumps(case) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield die
        process.stdin.close()
