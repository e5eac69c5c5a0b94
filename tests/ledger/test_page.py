from __future__ import annotations

import io
import socket
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI, Header, HTTPException

from ferry.core.errors import LedgerError
from ferry.core.model import Attempt
from ferry.core.wire import httpx
from ferry.ledger import page as page_module
from ferry.ledger.entries import Draft, Kind, Origin, Verdict
from ferry.ledger.evidence import EvidenceStore
from ferry.ledger.page import ledger_page
from ferry.ledger.store import LedgerStore

BATCH = {"vendor": "fenergo", "environment": "api.example.com:8443", "batch_id": "clients-1"}
FIRST = Attempt(*BATCH.values(), 1)
EVIL = '<script>alert("x")</script>'
ANNA = Origin("migrate_fenergo", "clients-1.1", "start_run", 1, EVIL)


def login(authorization: str = Header("")) -> None:
    if authorization != "Bearer anna":
        raise HTTPException(401)


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The app on a real socket, mounted under a prefix as Airflow does it."""
    outer = FastAPI()
    outer.mount("/ferry", app)
    ready = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets=None) -> None:
            await super().startup(sockets)
            ready.set()

    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(uvicorn.Config(outer, log_level="warning", ws="none", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    assert ready.wait(20)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/ferry/"
    server.should_exit = True
    thread.join(20)
    listener.close()


OPEN = (
    [
        BATCH | {"dag": "migrate_fenergo", "due": "2026-01-05", "attempt": 2, "stands": "refused"},
        BATCH | {"batch_id": "clients-2", "dag": "migrate_fenergo", "due": "2026-01-06", "attempt": 1, "stands": "not tried"},
    ],
    ["fenergo/clients-3/manifest.yaml: <bad>"],
)


@pytest.fixture
def evidence(tmp_path) -> EvidenceStore:
    return EvidenceStore(tmp_path / "evidence")


@pytest.fixture
def filled(sqlite_store, evidence) -> LedgerStore:
    sqlite_store.admit(*BATCH.values(), "a" * 64, ANNA, is_live=lambda _: True, data={"title": "Clients of <2026>"})
    filed = evidence.file_text(FIRST, "start_run", "answer.txt", "accepted")
    facts = {"ref": "r-1", "word": EVIL, "note": EVIL, "evidence_path": filed.path, "evidence_hash": filed.sha256}
    sqlite_store.append(Draft(attempt=FIRST, step="start_run", kind=Kind.RESULT, origin=ANNA, **facts))
    sqlite_store.settle(FIRST, Verdict.BALANCED, ANNA, counts={"sent": 4711, "accepted": 4711})
    return sqlite_store


@pytest.fixture
def page(filled, evidence) -> Iterator[httpx.Client]:
    with (
        served(ledger_page(login, lambda: filled, lambda: evidence, lambda: OPEN)) as url,
        httpx.Client(base_url=url, headers={"authorization": "Bearer anna"}) as client,
    ):
        yield client


@pytest.mark.parametrize("path", ["", "open", "batch", "pack", "batch/a/b/c", "batch?vendor=a&environment=b&batch_id=c"])
def test_a_stranger_sees_nothing(page, path):
    answer = page.get(path, headers={"authorization": ""})
    assert answer.status_code == 401
    assert "fenergo" not in answer.text


@pytest.mark.parametrize("path", ["docs", "redoc", "openapi.json"])
def test_there_are_no_other_pages(page, path):
    assert page.get(path).status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_can_be_changed(page, method):
    assert page.request(method, "").status_code == 405


def test_the_list_leads_to_the_batch_and_the_batch_to_its_pack(page):
    listed = page.get("").text
    assert "4,711" in listed
    assert '<a href="batch?vendor=fenergo&amp;environment=api.example.com%3A8443&amp;batch_id=clients-1">' in listed
    shown = page.get("batch", params=BATCH).text
    assert "The chain of 3 entries is whole" in shown
    assert 'href="pack?vendor=fenergo&amp;environment=api.example.com%3A8443&amp;batch_id=clients-1"' in shown
    packed = page.get("pack", params=BATCH)
    assert packed.headers["content-disposition"] == 'attachment; filename="fenergo-clients-1-evidence.zip"'
    names = zipfile.ZipFile(io.BytesIO(packed.content)).namelist()
    assert "fenergo-clients-1/SHA256SUMS" in names
    assert "fenergo-clients-1/evidence/fenergo/api.example.com_8443/clients-1/1/start_run/answer.txt" in names


def test_the_address_that_tasks_link_to_leads_to_the_batch(page):
    answer = page.get("batch/fenergo/api.example.com:8443/clients-1", follow_redirects=True)
    assert answer.url.path == "/ferry/batch"
    assert "The chain of 3 entries is whole" in answer.text
    assert "Clients of &lt;2026&gt;" in answer.text


def test_what_vendors_and_people_write_is_shown_and_never_run(page):
    shown = page.get("batch", params=BATCH)
    assert "&lt;script&gt;" in shown.text
    assert "<script" not in shown.text
    assert "<script" not in page.get("batch", params=BATCH | {"batch_id": EVIL}).text


def test_what_may_be_sent_leads_to_its_dag_and_if_it_was_tried_to_its_entries(page):
    assert '<a href="open">Open batches</a>' in page.get("").text
    shown = page.get("open").text
    assert '<a href="../dags/migrate_fenergo" target="_top">migrate_fenergo</a>' in shown
    assert '<a href="batch?vendor=fenergo&amp;environment=api.example.com%3A8443&amp;batch_id=clients-1">clients-1</a>' in shown
    assert "clients-2" in shown
    assert "batch_id=clients-2" not in shown
    assert "fenergo/clients-3/manifest.yaml: &lt;bad&gt;" in shown


def test_an_entry_without_a_sentence_is_given_one(page, filled):
    assert "Looked." not in page.get("batch", params=BATCH).text
    filled.append(Draft(attempt=FIRST, step="await_run", kind=Kind.LOOK, origin=ANNA, ref="r-1"))
    assert "Looked." in page.get("batch", params=BATCH).text


def test_every_page_forbids_scripts_and_foreign_resources(page):
    for path, params in (("", {}), ("open", {}), ("batch", BATCH), ("batch", BATCH | {"batch_id": "none"}), ("pack", BATCH)):
        policy = page.get(path, params=params).headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "frame-ancestors 'self'" in policy


def test_the_style_is_the_one_the_policy_names(page):
    import base64
    import hashlib

    answer = page.get("")
    style = answer.text.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ({}, True),
        ({"vendor": "fenergo", "verdict": "balanced"}, True),
        ({"vendor": "domo"}, False),
        ({"verdict": "refused"}, False),
        ({"verdict": "none"}, False),
        ({"page": 2}, False),
    ],
)
def test_the_list_is_filtered_and_paged(page, query, shown):
    assert ("clients-1" in page.get("", params=query).text) is shown


def test_a_page_that_cannot_be_is_refused(page):
    assert page.get("", params={"page": 0}).status_code == 422


def test_long_lists_and_long_batches_have_pages(page, filled, monkeypatch):
    monkeypatch.setattr("ferry.ledger.page.BATCHES", 1)
    monkeypatch.setattr("ferry.ledger.page.ENTRIES", 2)
    filled.admit("domo", "d", "b", "a" * 64, ANNA, is_live=lambda _: True)
    assert 'href="./?vendor=&amp;verdict=&amp;page=2"' in page.get("").text
    assert "&amp;page=1" in page.get("", params={"page": 2}).text
    assert 'id="entry-3"' not in page.get("batch", params=BATCH).text
    assert 'id="entry-3"' in page.get("batch", params=BATCH | {"page": 2}).text


def test_a_batch_nobody_knows_says_so(page):
    for path in ("batch", "pack"):
        answer = page.get(path, params=BATCH | {"batch_id": "none"})
        assert (answer.status_code, "The ledger knows no fenergo batch none" in answer.text) == (404, True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("word = 'forged'", "Entry 2: its content does not give its hash"),
        ("counts = '{'", "Entry 2: the row is no entry any more"),
    ],
)
def test_a_broken_chain_is_shown_where_it_broke(page, filled, change, says):
    with filled.database.writing() as connection:
        connection.exec_driver_sql("DROP TRIGGER ferry_ledger_no_update")
        connection.exec_driver_sql("UPDATE ferry_ledger SET CHANGE WHERE seq = 2".replace("CHANGE", change))
    answer = page.get("batch", params=BATCH)
    assert says in answer.text
    assert "is whole" not in answer.text


def test_a_ledger_that_cannot_be_reached_says_so(evidence):
    def gone() -> LedgerStore:
        raise LedgerError("the ledger is on holiday; ask again")

    with served(ledger_page(login, gone, lambda: evidence, gone)) as url:
        answers = [httpx.get(url + path, headers={"authorization": "Bearer anna"}) for path in ("", "open")]
    assert [(answer.status_code, "on holiday" in answer.text) for answer in answers] == [(503, True)] * 2


@pytest.mark.parametrize("verdict", Verdict)
def test_every_verdict_has_a_colour(verdict):
    style = Path(page_module.__file__).with_name("templates").joinpath("style.css").read_text()
    assert f".{verdict}" in style
