"""The demo batches against the played vendor: each ends as it says, and reconciliation agrees with what the vendor holds."""

from __future__ import annotations

import csv
import importlib.util
import json
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import ModuleType

import pytest

from ferry.core.batch import Batch, read_batch
from ferry.core.model import Counts
from ferry.core.wire import httpx
from ferry.ledger.reconciliation import KeyFile, Reconciliation, SentFile, reconcile
from ferry.vendors.fenergo.checks import check_files
from ferry.vendors.fenergo.findings import Findings, Level
from ferry.vendors.fenergo.manifest import FenergoSection
from ferry.vendors.fenergo.records import reported
from ferry.vendors.fenergo.references import check_references
from ferry.vendors.fenergo.templates import TableTemplate, check_against_templates, read_templates
from ferry.vendors.fenergo.triage import remedied_by, triage
from sandbox.server import running

REPOSITORY = Path(__file__).parents[2]
BATCHES = REPOSITORY / "include" / "batches"
DEMO = ("clients-good", "clients-refused", "clients-refused-early", "clients-alternate")
COMMAND, QUERY = "/fenergo/datamigrationcommand/api/v2", "/fenergo/datamigrationquery/api"
AT_ONCE = {"prepare_seconds": 0.0, "process_seconds": 0.0, "ingestion_seconds": 0.0}


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_batch", REPOSITORY / "scripts" / "make_batch.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_batch"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def client(tmp_path: Path) -> Iterator[httpx.Client]:
    with running(tmp_path / "sandbox") as base, httpx.Client(base_url=base, timeout=30) as http:
        http.put("/_sandbox/fenergo/switches", json=AT_ONCE).raise_for_status()
        secret = {"grant_type": "client_credentials", "client_id": "ferry-demo", "client_secret": "ferry-demo-secret"}
        token = http.post("/fenergo/connect/token", data=secret).json()["access_token"]
        http.headers.update({"Authorization": f"Bearer {token}", "X-TENANT-ID": "11111111-2222-3333-4444-555555555555"})
        yield http


class Migration:
    """One migration at the played vendor, by its plain HTTP."""

    def __init__(self, http: httpx.Client, folder: Path) -> None:
        self.http, self.folder = http, folder
        folder.mkdir()
        self.id = self.ask("POST", f"{COMMAND}/migration", json={"data": {"jurisdiction": "Migration"}})["data"]

    def ask(self, method: str, path: str, **how):
        answer = self.http.request(method, path, **how)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def wait(self, *words: str) -> str:
        """The status, once it is one of the words; the played vendor is asked not to take any time."""
        until = time.monotonic() + 30
        while (word := self.ask("GET", f"{QUERY}/migration/{self.id}")["data"]["status"]) not in words:
            assert time.monotonic() < until, f"still {word}"
        return word

    def templates(self) -> dict[str, TableTemplate]:
        csvs, workbook = {}, None
        for artifact in self.ask("GET", f"{QUERY}/migration/{self.id}/get-artifacts")["data"]:
            answer = self.http.get(f"{QUERY}/migration/{self.id}/get-artifact-content", params=artifact)
            path = self.folder / f"{artifact['name']}.{artifact['format']}"
            path.write_bytes(answer.raise_for_status().content)
            if artifact["type"] == "Template":
                csvs[artifact["name"]] = path
            else:
                workbook = path
        return read_templates(csvs, workbook)

    def run(self, batch: Batch) -> str:
        for entry in batch.manifest.files:
            body = {"data": {"fileName": entry.path, "tableName": entry.table}}
            link = self.ask("PUT", f"{COMMAND}/migration/{self.id}/add-file", json=body)["data"]
            httpx.put(link, content=Path(str(batch.path(entry.path))).read_bytes()).raise_for_status()
        self.ask("PUT", f"{COMMAND}/migration/{self.id}/start")
        return self.wait("Completed", "Failed")

    def fetch(self, method: str, path: str, name: str) -> Path:
        saved = self.folder / name
        until = time.monotonic() + 30
        while not (link := (self.http.request(method, path).json() or {}).get("data")):
            assert time.monotonic() < until
        saved.write_bytes(httpx.get(link).raise_for_status().content)
        return saved

    def errors(self) -> Path:
        return self.fetch("GET", f"{QUERY}/migration/{self.id}/get-error-file-signed-url", "errors.csv")

    def records(self) -> Path:
        return self.fetch("PUT", f"{COMMAND}/migration/{self.id}/migration-records-file-signed-url", "records.csv")


def demo(name: str, root: Path = BATCHES) -> Batch:
    return read_batch(root, "fenergo", name, FenergoSection)


def checked(batch: Batch, migration: Migration) -> Findings:
    findings = check_files(batch)
    findings.merge(check_against_templates(batch, migration.templates()))
    return findings


def join(batch: Batch, out: Path, records: dict[str, int], **reports) -> Reconciliation:
    sent = [
        SentFile(
            entry.table,
            Path(str(batch.path(entry.path))),
            "alternateId",
            "parentAlternateId" if entry.table == "Addresses" else None,
            records[entry.table],
        )
        for entry in batch.manifest.files
    ]
    return reconcile(sent, out=out, **reports)


def test_the_committed_batches_are_what_their_maker_makes(maker, tmp_path):
    maker.make_demo(tmp_path)
    for name in DEMO:
        for made in (tmp_path / name).iterdir():
            assert made.read_bytes() == (BATCHES / "fenergo" / name / made.name).read_bytes(), made


def test_the_good_batch_passes_every_check_arrives_and_balances(client, tmp_path):
    batch, migration = demo("clients-good"), Migration(client, tmp_path / "m")
    findings = checked(batch, migration)
    assert (findings.count(Level.ERROR), findings.count(Level.WARNING)) == (0, 0)
    assert migration.run(batch) == "Completed"
    found = join(batch, tmp_path / "out", findings.records, accepted=[reported(migration.records())], run_vouches=True)
    assert found.balanced
    assert found.counts == Counts(sent=7_500, accepted=7_500)
    assert found.accounted_by["Addresses"] == "parent"
    held = client.get("/_sandbox/fenergo/state", params={"table": "Company"}).json()["records"]["Company"]
    with (BATCHES / "fenergo" / "clients-good" / "company.csv").open(encoding="utf-8", newline="") as file:
        sent = {row["alternateId"]: row["legalEntityName"] for row in csv.DictReader(file)}
    assert {record["alternateId"]: record["legalEntityName"] for record in held} == sent
    assert any(name.startswith("-") for name in sent.values())
    assert any('"' in name for name in sent.values())
    assert sum(not name.isascii() for name in sent.values()) > 50


def test_the_refused_batch_starts_and_is_refused_for_what_was_planted(client, tmp_path):
    batch, migration = demo("clients-refused"), Migration(client, tmp_path / "m")
    findings = checked(batch, migration)
    assert findings.count(Level.ERROR) == 4
    assert findings.stop("strict")
    assert not findings.stop(batch.section.checks)
    assert migration.run(batch) == "Failed"
    found = triage(migration.errors(), tmp_path / "rejected.csv")
    assert {(g.table, g.field, g.code): g.errors for g in found.groups} == {
        ("Company", "dateOfIncorporation", "INVALID_DATE"): 2,
        ("Individual", "title", "INVALID_LOOKUP"): 2,
        ("Addresses", "parentAlternateId", "UNRESOLVED_REFERENCE"): 1,
    }
    rejected = [KeyFile(tmp_path / "rejected.csv", "key", "table")]
    result = join(batch, tmp_path / "out", findings.records, rejected=rejected)
    assert result.counts == Counts(sent=41, rejected=5, unprocessed=36)
    assert client.get("/_sandbox/fenergo/state").json()["records"].get("Company", []) == []


def test_the_early_one_is_stopped_by_the_checks_alone():
    findings = check_files(demo("clients-refused-early"))
    assert findings.stop("strict")
    assert {group["code"] for group in findings.summary() if group["level"] == "error"} == {"KEY_DUPLICATE", "KEY_EMPTY"}


def test_the_alternate_one_is_refused_remedied_and_balances_the_second_time(client, tmp_path):
    batch = demo("clients-alternate")
    for record in json.loads(batch.path("hand_made.json").read_text(encoding="utf-8")):
        client.post("/_sandbox/fenergo/records", json=record).raise_for_status()
    first = Migration(client, tmp_path / "1")
    findings = checked(batch, first)
    assert (findings.count(Level.ERROR), findings.count(Level.WARNING)) == (0, 0)
    assert first.run(batch) == "Failed"
    found = triage(first.errors(), unresolved_codes=batch.section.unresolved_codes)
    ids = Path(str(batch.path(batch.section.alternate_ids)))
    assert (found.only_unresolved, found.missing_count) == (True, 3)
    assert remedied_by(found, ids)
    assert check_references(ids).count(Level.ERROR) == 0
    ingestion = first.ask("POST", f"{COMMAND}/record-reference-ingestion")
    httpx.put(ingestion["preSignedUrl"], content=ids.read_bytes()).raise_for_status()
    first.ask("POST", f"{COMMAND}/record-reference-ingestion/{ingestion['id']}/execution")
    until = time.monotonic() + 30
    while first.ask("GET", f"{QUERY}/record-reference-ingestion/{ingestion['id']}/execution")["status"] != "Completed":
        assert time.monotonic() < until
    second = Migration(client, tmp_path / "2")
    second.wait("Created", "Processing")
    second.templates()
    assert second.run(batch) == "Completed"
    records = second.records()
    result = join(batch, tmp_path / "out", findings.records, accepted=[reported(records)])
    assert (result.balanced, result.counts.sent) == (True, 245)
    state = client.get("/_sandbox/fenergo/state").json()
    assert state["overwrites"] == []
    # Once ingested, the guard refuses the same file; only our own evidence can know that.
    assert check_references(ids, [ids]).count(Level.ERROR) == 6


def test_planted_faults_are_as_many_as_asked_for(maker, tmp_path):
    maker.make(tmp_path / "fenergo" / "faulty", "t", 500, date(2026, 1, 4), 1_234)
    batch = demo("faulty", tmp_path)
    with batch.local("company.csv") as path, path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    wrong = sum(
        (r["dateOfIncorporation"] == "17.03.98") + (r["entityCategory"] == "CHARITY") + (not r["legalEntityName"]) for r in rows
    )
    assert (len(rows), wrong, batch.section.checks) == (500, 1_234, "report")


def test_every_entity_of_the_register_has_an_official_country(maker):
    entities = maker.read_register()
    assert len({entity.lei for entity in entities}) == 40_000
    assert all(len(entity.country) == 2 and entity.country != "XK" for entity in entities)
