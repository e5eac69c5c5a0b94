from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ferry.core.model import Attempt
from ferry.ledger.command import verify
from ferry.ledger.entries import Draft, Kind, Origin, Verdict
from ferry.ledger.evidence import EvidenceStore
from ferry.ledger.store import LedgerStore

BATCH = ("fenergo", "api.example.com", "clients-1")
FIRST = Attempt(*BATCH, 1)
ANNA = Origin("migrate_fenergo", "clients-1.1", "reconcile", 1, "anna")


@pytest.fixture
def ledger(sqlite_store, tmp_path):
    sqlite_store.admit(*BATCH, "a" * 64, ANNA, is_live=lambda _: True)
    filed = EvidenceStore(tmp_path / "evidence").file_text(FIRST, "reconcile", "report.txt", "all there")
    facts = {"evidence_path": filed.path, "evidence_hash": filed.sha256}
    sqlite_store.append(Draft(attempt=FIRST, step="reconcile", kind=Kind.RESULT, origin=ANNA, **facts))
    sqlite_store.settle(FIRST, Verdict.BALANCED, ANNA, counts={"sent": 4, "accepted": 4})
    return sqlite_store


@pytest.fixture
def run(ledger, tmp_path):
    def run(*arguments: str) -> int:
        return verify(list(arguments), lambda: (ledger, EvidenceStore(tmp_path / "evidence")))

    return run


def test_a_whole_ledger_is_listed_and_ends_with_zero(run, capsys):
    assert run() == 0
    header, line, last = capsys.readouterr().out.splitlines()
    assert header.split()[:4] == ["vendor", "batch", "environment", "attempts"]
    assert line.split() == ["fenergo", "clients-1", "api.example.com", "1", "3", "balanced", "4", "4", "0"]
    assert last == "1 batches, 3 entries, 0 faults"


def test_altered_evidence_is_a_fault_and_ends_with_one(run, tmp_path, capsys):
    next(path for path in (tmp_path / "evidence").rglob("*.txt")).write_text("forged")
    assert run() == 1
    assert "FAULT  fenergo batch clients-1 at api.example.com, entry 2: its evidence" in capsys.readouterr().out


def test_what_was_sent_and_the_ledger_has_forgotten_is_a_fault(run, ledger, tmp_path, capsys):
    evidence, later = EvidenceStore(tmp_path / "evidence"), LedgerStore(str(tmp_path / "later.db"))
    later.migrate()
    attempt = later.admit(*BATCH[:2], "clients-2", "a" * 64, ANNA, is_live=lambda _: True).attempt
    evidence.file_intent(later.intend(attempt, "start_run", origin=ANNA).entry)
    assert run() == 1
    told = capsys.readouterr().out
    assert "FAULT  fenergo batch clients-2 at api.example.com, entry 2: there is word that `start_run` of attempt 1" in told


def test_a_forgotten_call_counts_as_a_fault_of_its_batch_whatever_its_environment_is_called(run, ledger, tmp_path, capsys):
    key = ("fenergo", "api.example.com:8443", "clients-3")
    older = ledger.admit(*key, "a" * 64, ANNA, is_live=lambda _: True).attempt
    later = LedgerStore(str(tmp_path / "later.db"))
    later.migrate()
    later.admit(*key, "a" * 64, ANNA, is_live=lambda _: True)
    EvidenceStore(tmp_path / "evidence").file_intent(later.intend(older, "start_run", origin=ANNA).entry)
    assert run() == 1
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("fenergo  clients-3")]
    assert line.split()[-1] == "1"


def test_a_chain_cut_off_at_its_end_shows_against_heads_kept_elsewhere(run, ledger, tmp_path, capsys):
    heads = tmp_path / "heads.json"
    assert run("--heads", str(heads)) == 0
    assert run("--heads", str(heads)) == 0
    with ledger.database.writing() as connection:
        connection.exec_driver_sql("DROP TRIGGER ferry_ledger_no_delete")
        connection.exec_driver_sql("DELETE FROM ferry_ledger WHERE seq = 3")
    kept = heads.read_text()
    assert run() == 0
    assert run("--heads", str(heads)) == 1
    assert "is gone or another" in capsys.readouterr().out
    assert heads.read_text() == kept
    assert json.loads(kept)[0][:4] == [*BATCH, 3]


def test_a_pack_is_written_for_a_batch_named_with_or_without_its_vendor(run, tmp_path):
    for name in ("clients-1", "fenergo/clients-1"):
        to = tmp_path / "packs" / "pack.zip"
        assert run("--pack", name, "--to", str(to)) == 0
        assert zipfile.ZipFile(to).testzip() is None


def test_a_batch_that_is_unknown_or_ambiguous_is_said(run, ledger, capsys):
    assert run("--pack", "nothing") == 2
    ledger.admit("domo", "d.example.com", "clients-1", "a" * 64, ANNA, is_live=lambda _: True)
    assert run("--pack", "clients-1") == 2
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "nothing must name one batch of the ledger, and names: none"
    assert said[1].endswith("names: domo/clients-1 at d.example.com, fenergo/clients-1 at api.example.com")


def test_the_program_itself_runs_without_airflow(ledger, tmp_path):
    command = [sys.executable, "-X", "importtime", str(Path(__file__).parents[2] / "scripts" / "verify.py")]
    options = ["--ledger", str(ledger.database.url.database), "--evidence", str(tmp_path / "evidence")]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "1 batches, 3 entries, 0 faults")
    assert "| airflow" not in done.stderr


def test_a_ledger_that_cannot_be_reached_ends_with_two(tmp_path):
    command = [sys.executable, "-m", "ferry", "verify", "--ledger", "mysql://u:hunter2@h/db", "--evidence", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "the ledger cannot live in 'mysql'" in done.stderr
    assert "hunter2" not in done.stderr
