"""Batches and evidence on S3, moved by a real Airflow: nothing of either is on this machine's disk when it is done."""

from pathlib import Path, PurePosixPath

import pytest
from rich.console import Console
from tests.s3 import KEY, SECRET, Store, command, connection, environment, until_it_answers

from ferry.ledger.entries import Verdict
from ferry.ledger.store import LedgerStore
from ferry.steps import places
from scripts.client import ApiError
from scripts.environment import ROOT, free_ports
from scripts.people import ENDED, People
from scripts.rehearsal import demo_batches
from scripts.setting import prepare
from scripts.stack import Stack

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("a stack of their own"), pytest.mark.timeout(600)]
BEGUN = {"fenergo/clients-good", "domo/sales-live", "dmm/customers-export"}
MADE = "dmm/customers-imported"
"""What `export_dmm` makes of its zip: a batch that is written by a worker, and read by others."""


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A Ferry that has moved batches of three vendors, and knows of the store by Airflow's connection only."""
    home = tmp_path_factory.mktemp("storage")
    (home / "scratch").mkdir()
    port = free_ports(1)[0]
    store = Store(f"http://127.0.0.1:{port}")
    settings = {
        "FERRY_BATCHES": "s3://storage@ferry/some/batches",
        "FERRY_EVIDENCE": "s3://storage@ferry/evidence",
        "TMPDIR": str(home / "scratch"),
    }
    chosen = [batch for batch in demo_batches() if batch.name in BEGUN | {MADE}]
    stack = Stack(home / "stack", batches=home / "batches", settings=settings, connections={"storage": connection(store.url)})
    stack.services["s3"] = stack.service("s3", *command(port)[2:])
    stack.services["s3"].start()
    with stack:
        until_it_answers(store.url)
        store.client.create_bucket(Bucket="ferry")
        for name in BEGUN:
            store.bring(ROOT / "include/batches" / name, "ferry", f"some/batches/{name}")
        prepare(stack, chosen)
        move(stack, chosen)
        yield stack, store


def move(stack, chosen):
    """Every batch to its end; people answer and trigger what is for people."""
    people = People(Console(quiet=True), stack, LedgerStore(str(stack.ledger)), chosen)
    begun = [batch for batch in chosen if batch.name in BEGUN]
    for batch in begun:
        stack.wait_for(lambda batch=batch: triggered(stack, batch), f"Airflow to take {batch.name}", 60)

    def ended():
        people.answer()
        done = people.trigger()
        return done and all(state(stack, batch) in ENDED for batch in begun)

    stack.wait_for(ended, "all batches to end", 400, every=1.0)


def triggered(stack, batch):
    run = {"dag_run_id": batch.first_run, "logical_date": None, "conf": {"batch_id": batch.batch_id}}
    try:
        return bool(stack.api("POST", f"/dags/{batch.dag}/dagRuns", run))
    except ApiError as error:
        if "Database error" not in str(error):  # SQLite was locked, and nothing was changed
            raise
        return False


def state(stack, batch):
    return stack.api("GET", f"/dags/{batch.dag}/dagRuns/{batch.first_run}")["state"]


def test_batches_of_three_vendors_balance_and_a_batch_is_made_there(stored):
    stack, store = stored
    rows = LedgerStore(str(stack.ledger)).batches()
    assert {f"{row.vendor}/{row.batch_id}": row.verdict for row in rows} == dict.fromkeys(BEGUN | {MADE}, Verdict.BALANCED)
    made = store.keys("ferry", f"some/batches/{MADE}/")
    assert made == [f"some/batches/{MADE}/data.zip", f"some/batches/{MADE}/manifest.yaml"]


def test_every_file_that_the_ledger_names_lies_there_as_it_was_filed(stored, monkeypatch):
    stack, store = stored
    environment(monkeypatch, store.url, "ferry")
    ledger = LedgerStore(str(stack.ledger))
    assert ledger.verify(evidence=places.evidence().check) == []
    filed = store.keys("ferry", "evidence/dmm/")
    assert any("/await_run/log-" in key for key in filed)  # by the triggerer
    assert any(key.endswith("/outputs.json") for key in filed)  # by a worker


def test_nothing_of_it_is_on_this_disk(stored):
    stack, store = stored
    names = {PurePosixPath(key).name for key in store.keys("ferry")}
    vendors = stack.home / "sandbox"
    left = [path for path in stack.home.parent.rglob("*") if path.name in names and not path.is_relative_to(vendors)]
    assert left == []
    assert not stack.evidence.exists()
    assert not stack.batches.exists()
    assert [path.name for path in Path(stack.env["TMPDIR"]).glob("ferry-*")] == []


def test_neither_key_nor_signature_is_in_any_log_or_database(stored):
    stack, _ = stored
    places_of_words = [*(stack.home / "logs").rglob("*"), *stack.home.glob("*.db*")]
    texts = {path: path.read_bytes() for path in places_of_words if path.is_file()}
    assert any(b"credentials retrieved from login and password" in text for text in texts.values())
    for word in (KEY, SECRET, "AWS4-HMAC-SHA256"):
        assert [path for path, text in texts.items() if word.encode() in text] == []
