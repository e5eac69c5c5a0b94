from __future__ import annotations

import hashlib
import json
import subprocess
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from tests.s3 import environment
from upath import UPath

from ferry.core.errors import LedgerError
from ferry.core.model import Attempt
from ferry.ledger.entries import Draft, Kind, Origin, Verdict
from ferry.ledger.evidence import EvidenceStore, Sent, safe_name
from ferry.ledger.pack import pack
from ferry.ledger.store import LedgerStore
from ferry.steps import places

FIRST = Attempt("fenergo", "api.example.com:8443", "clients-1", 1)
ANNA = Origin("migrate_fenergo", "run-1", "reconcile", 1, "anna")
PLACE = ("fenergo", "api.example.com:8443")
STEP = "fenergo/api.example.com_8443/clients-1/1/fetch_errors"


@pytest.fixture(params=["local", "memory", "s3"])
def evidence(request, tmp_path, monkeypatch):
    if request.param == "s3":
        store = request.getfixturevalue("s3")
        environment(monkeypatch, store.url, store.bucket())
        return places.evidence()
    return EvidenceStore(UPath(f"memory://{uuid4().hex}/evidence") if request.param == "memory" else tmp_path / "evidence")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_file_is_kept_byte_for_byte_where_its_batch_and_step_say(evidence, tmp_path):
    content = b"\xef\xbb\xbfid;name\r\n1;\xe4\x00" * 100_000
    (tmp_path / "errors.csv").write_bytes(content)
    filed = evidence.file_from(FIRST, "fetch_errors", "errors.csv", tmp_path / "errors.csv")
    assert (filed.path, filed.sha256, filed.size) == (f"{STEP}/errors.csv", sha256(content), len(content))
    with evidence.opened(filed.path) as file:
        assert file.read() == content
    assert evidence.files_of("fenergo", "api.example.com:8443", "clients-1") == [filed.path]


def intended(store, batch_id, step="start_run", key=""):
    attempt = store.admit(*PLACE, batch_id, "a" * 64, ANNA, is_live=bool).attempt
    return store.intend(attempt, step, origin=ANNA, key=key).entry


def test_there_is_word_of_every_intent_by_batch_and_in_all(evidence, sqlite_store):
    assert evidence.intents() == evidence.intents(*PLACE, "clients-1") == []
    one, two, other = (intended(sqlite_store, *what) for what in [("b-1",), ("b-1", "open run", "x/y"), ("b-2",)])
    for intent in (two, one, other, one):
        evidence.file_intent(intent)
    evidence.file_text(FIRST, "sent", "1-start_run-1.json", "no word of an intent")
    assert evidence.intents("fenergo", "api.example.com:8443", "b-1") == [
        Sent("fenergo", "api.example.com_8443", "b-1", 1, "start_run", 2, one.entry_hash),
        Sent("fenergo", "api.example.com_8443", "b-1", 1, "open_run", 3, two.entry_hash),
    ]
    assert [sent.entry_hash for sent in evidence.intents()] == [one.entry_hash, two.entry_hash, other.entry_hash]
    assert evidence.files_of("fenergo", "api.example.com:8443", "b-1") == [], "it is no evidence of the batch"


def test_a_store_may_be_named_by_a_path_from_here(sqlite_store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    evidence = EvidenceStore("var/evidence")
    evidence.file_intent(intended(sqlite_store, "b-1"))
    filed = evidence.file_text(FIRST, "fetch_errors", "errors.csv", "one")
    assert [sent.batch_id for sent in evidence.intents()] == ["b-1"]
    assert evidence.files_of(*PLACE, "clients-1") == [filed.path]


def test_a_ledger_says_what_it_has_forgotten(evidence, sqlite_store, tmp_path):
    for batch_id in ("b-1", "b-2"):
        evidence.file_intent(intended(sqlite_store, batch_id))
    older = LedgerStore(str(tmp_path / "older.db"))
    older.migrate()
    evidence.file_intent(intended(older, "b-1"))
    assert [sent.batch_id for sent in older.forgotten(evidence)] == ["b-1", "b-2"]
    assert len(older.forgotten(evidence, "fenergo", "api.example.com:8443", "b-1")) == 1
    assert older.forgotten(evidence, "fenergo", "api.example.com:8443", "b-3") == []
    assert len(sqlite_store.forgotten(evidence)) == 1


def test_secrets_do_not_get_into_json_and_text(evidence):
    filed = evidence.file_json(FIRST, "open_run", "answer.json", {"link": "https://b/f?sig=SEC1", "token": "SEC2", "n": [1]})
    text = evidence.file_text(FIRST, "open_run", "log.txt", "GET https://b/f?sig=SEC3\nok \ud800")
    for path in (filed.path, text.path):
        with evidence.opened(path) as file:
            content = file.read().decode()
        assert "SEC" not in content
    assert json.loads(evidence_text(evidence, filed.path)) == {"link": "https://b/f?***", "token": "***", "n": [1]}


def evidence_text(evidence: EvidenceStore, path: str) -> str:
    with evidence.opened(path) as file:
        return file.read().decode()


def test_other_content_gets_another_name_and_the_same_content_the_same(evidence):
    paths = [evidence.file_text(FIRST, "fetch_errors", "errors.csv", text).path for text in ("a", "b", "a", "c", "b")]
    assert [path.rpartition("/")[2] for path in paths] == [
        "errors.csv",
        "errors-2.csv",
        "errors.csv",
        "errors-3.csv",
        "errors-2.csv",
    ]
    assert evidence_text(evidence, f"{STEP}/errors.csv") == "a"


def test_many_writers_of_one_name_lose_nothing(tmp_path):
    evidence = EvidenceStore(tmp_path / "evidence")
    with ThreadPoolExecutor(16) as pool:
        filed = list(pool.map(lambda n: evidence.file_text(FIRST, "look", "answer.txt", str(n)), range(48)))
    assert sorted(evidence_text(evidence, one.path) for one in filed) == sorted(map(str, range(48)))
    assert len(evidence.files_of(FIRST.vendor, FIRST.environment, FIRST.batch_id)) == 48


def test_a_file_that_breaks_off_leaves_nothing_behind(evidence):
    def broken():
        yield b"half"
        raise RuntimeError("gone")

    with pytest.raises(RuntimeError, match="gone"):
        evidence._file(STEP, "errors.csv", broken())
    assert [path for path in evidence.root.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..", "a\\..\\b", "", ".hidden", "x" * 400, "ä/ö"])
def test_no_name_leads_out_of_its_folder(tmp_path, name):
    evidence = EvidenceStore(tmp_path / "evidence")
    filed = evidence.file_text(FIRST, name, name, "x")
    assert (tmp_path / "evidence" / filed.path).resolve().is_relative_to(tmp_path / "evidence" / "fenergo")
    assert len(filed.path.split("/")) == 6
    assert not any(part.startswith(".") for part in filed.path.split("/"))


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "", "s3://b/x", "a\\b"])
def test_a_path_in_the_ledger_cannot_lead_out_of_the_store(evidence, path):
    with pytest.raises(LedgerError, match="points out of the evidence store"), evidence.opened(path):
        pass


def test_a_missing_and_an_altered_file_are_named(sqlite_store, tmp_path):
    evidence = EvidenceStore(tmp_path / "evidence")
    standing = told(sqlite_store, evidence, ["kept", "altered", "missing", "../outside"])
    root = tmp_path / "evidence"
    (root / standing.entries[2].evidence_path).write_text("other")
    (root / standing.entries[3].evidence_path).unlink()
    faults = sqlite_store.verify(evidence=evidence.check)
    assert [(fault.seq, fault.what.replace(STEP, "…")) for fault in faults] == [
        (3, "its evidence …/altered.txt was altered after it was filed"),
        (4, "its evidence …/missing.txt is missing"),
        (5, "its evidence ../outside cannot be read (LedgerError)"),
    ]


def told(ledger, evidence, names):
    """A settled batch whose ledger names one evidence file for each name."""
    ledger.admit(FIRST.vendor, FIRST.environment, FIRST.batch_id, "a" * 64, ANNA, is_live=lambda _: True)
    for name in names:
        filed = evidence.file_text(FIRST, "fetch_errors", f"{name}.txt", name) if not name.startswith(".") else None
        path, found = (filed.path, filed.sha256) if filed else (name, "0" * 64)
        facts = {"evidence_path": path, "evidence_hash": found, "key": name, "note": "<b>not bold</b>"}
        ledger.append(Draft(attempt=FIRST, step="fetch_errors", kind=Kind.RESULT, origin=ANNA, **facts))
    ledger.settle(FIRST, Verdict.REFUSED, ANNA, counts={"sent": 3, "rejected": 3})
    return ledger.standing(FIRST.vendor, FIRST.environment, FIRST.batch_id)


def unpack(pack_file: Path, to: Path) -> Path:
    subprocess.run(["python3", "-m", "zipfile", "-e", str(pack_file), str(to)], check=True)
    return to / "fenergo-clients-1"


def check(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_stranger_can_check_a_pack_with_two_ordinary_commands(sqlite_store, evidence, tmp_path):
    standing = told(sqlite_store, evidence, ["one", "two"])
    evidence.file_text(FIRST, "extra", "unnamed.txt", "in no entry")
    folder = unpack(pack(evidence, standing, tmp_path / "out" / "pack.zip"), tmp_path)
    sums = check(folder, "sha256sum", "-c", "--strict", "SHA256SUMS")
    assert (sums.returncode, sums.stdout.count(": OK")) == (0, 7)
    assert check(folder, "python3", "check_chain.py").stdout == f"4 entries, an unbroken chain, head {standing.head}\n"
    index = json.loads((folder / "index.json").read_text())
    assert [file["says"] for file in index["evidence"]] == ["not named in the ledger", "as promised", "as promised"]
    assert index["attempts"][0]["verdict"] == "refused"
    page = (folder / "index.html").read_text()
    assert "&lt;b&gt;not bold" in page
    assert "<b>" not in page


def test_a_pack_with_altered_or_missing_evidence_fails_the_strangers_check(sqlite_store, tmp_path):
    evidence = EvidenceStore(tmp_path / "evidence")
    standing = told(sqlite_store, evidence, ["one", "two", "three"])
    (tmp_path / "evidence" / standing.entries[1].evidence_path).write_text("forged")
    (tmp_path / "evidence" / standing.entries[2].evidence_path).unlink()
    folder = unpack(pack(evidence, standing, tmp_path / "pack.zip"), tmp_path)
    sums = check(folder, "sha256sum", "-c", "SHA256SUMS")
    assert sums.returncode == 1
    assert f"evidence/{STEP}/one.txt: FAILED\n" in sums.stdout
    assert f"evidence/{STEP}/two.txt: FAILED open or read\n" in sums.stdout


def test_a_forged_entry_in_a_pack_fails_the_strangers_check(sqlite_store, tmp_path):
    evidence = EvidenceStore(tmp_path / "evidence")
    folder = unpack(pack(evidence, told(sqlite_store, evidence, ["one"]), tmp_path / "pack.zip"), tmp_path)
    ledger = folder / "ledger.jsonl"
    ledger.write_text(ledger.read_text().replace('"verdict":"refused"', '"verdict":"balanced"'))
    assert check(folder, "python3", "check_chain.py").stderr == "entry 3: the chain is broken here\n"


def test_the_same_batch_gives_the_same_bytes(sqlite_store, evidence, tmp_path):
    standing = told(sqlite_store, evidence, ["one", "two"])
    first, second = (pack(evidence, standing, tmp_path / name).read_bytes() for name in ("1.zip", "2.zip"))
    assert first == second


def test_large_evidence_is_filed_and_packed_in_constant_memory(sqlite_store, tmp_path):
    evidence, large = EvidenceStore(tmp_path / "evidence"), tmp_path / "large.bin"
    with large.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    sqlite_store.admit(FIRST.vendor, FIRST.environment, FIRST.batch_id, "a" * 64, ANNA, is_live=lambda _: True)
    standing = sqlite_store.standing(FIRST.vendor, FIRST.environment, FIRST.batch_id)
    tracemalloc.start()
    evidence.file_from(FIRST, "reconcile", "large.bin", large)
    pack(evidence, standing, tmp_path / "pack.zip")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12 * 1024 * 1024


def test_names_are_made_safe_and_stay_readable():
    assert safe_name("Client List (v2).csv") == "Client_List_v2_.csv"
