"""A batch's journey: the real DAG by `dag.test()`, the real ledger and evidence, the sandbox on a socket."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx  # noqa: TID251  # the sandbox's control endpoints are no vendor: no client of ours knows them
import pytest

from ferry.ledger.entries import AttemptStanding, Standing
from ferry.ledger.store import LedgerStore
from sandbox.server import running

ROOT = Path(__file__).resolve().parents[2]
AT_ONCE = {"prepare_seconds": 0.0, "process_seconds": 0.0, "ingestion_seconds": 0.0}
SMALL = {
    "company.csv": (
        "Company",
        '"alternateId","legalEntityName","countryOfIncorporation","entityCategory","dateOfIncorporation","businessLines","leiCode"\n'
        '"C-1","Łódź Tramway Holdings S.A.","PL","GENERAL","1998-03-17","Leasing|Transport",""\n'
        '"C-2","Orchard ""Blue"" Ltd","IE","","2007-11-30","Retail",""\n',
    ),
    "addresses.csv": (
        "Addresses",
        '"alternateId","parentAlternateId","addressType","line1","city","postalCode","country"\n'
        '"A-1","C-1","Registered","ul. Kwiatowa 7","Łódź","90-001","PL"\n',
    ),
}


@pytest.fixture(scope="session")
def airflow_database():
    """Airflow's own database, migrated once per process."""
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True)


@pytest.fixture(scope="session")
def sandbox_url(tmp_path_factory):
    with running(tmp_path_factory.mktemp("sandbox"), switches={"fenergo": AT_ONCE}) as base:
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

    @property
    def ledger(self) -> LedgerStore:
        store = LedgerStore(f"sqlite:///{self.home / 'ledger.db'}")
        store.migrate()
        return store

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

    def demo_batch(self, batch_id: str) -> Path:
        return Path(shutil.copytree(ROOT / "include/batches/fenergo" / batch_id, self.home / "batches/fenergo" / batch_id))

    def play(self, dag_id: str, **conf: Any) -> Any:
        """One DAG run, to its end."""
        dag = self.bag.dags[dag_id]
        for task in dag.tasks:
            task.retries = 0  # dag.test() waits out real retry delays
            if hasattr(task, "waiting"):
                task.waiting |= {"first_look": 0.05, "longest_pause": 0.2}
        return dag.test(run_conf=conf)

    def states(self, dag_run: Any) -> dict[str, str]:
        return {ti.task_id: str(ti.state) for ti in dag_run.get_task_instances()}

    def standing(self, batch_id: str) -> Standing:
        return self.ledger.standing("fenergo", self.environment, batch_id)

    def last(self, batch_id: str) -> AttemptStanding:
        last = self.standing(batch_id).last
        assert last is not None
        return last

    def control(self, method: str, path: str, **how: Any) -> Any:
        answer = httpx.request(method, f"{self.sandbox}/_sandbox{path}", timeout=30, **how)
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


@pytest.fixture
def house(tmp_path, sandbox_url, dag_bag, monkeypatch):
    from ferry.vendors import all_vendors

    connections = {"ferry_ledger": {"conn_type": "sqlite", "host": str(tmp_path / "ledger.db")}}
    for card in all_vendors().values():
        connections |= card.sandbox_connections(sandbox_url)
    for name, told in connections.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(told))
    monkeypatch.setenv("FERRY_BATCHES", str(tmp_path / "batches"))
    monkeypatch.setenv("FERRY_EVIDENCE", str(tmp_path / "evidence"))
    fresh = House(tmp_path, sandbox_url, dag_bag)
    fresh.control("POST", "/reset")
    return fresh
