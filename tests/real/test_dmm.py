"""A one-time password typed in under *Required Actions*, a worker killed during a start, and a wait that a person ends."""

import os
import signal
import sqlite3

import pytest
from tests.dags.environments import zipped

from ferry.ledger.entries import Kind, Verdict
from ferry.vendors.dmm.operators import ONE_TIME_PASSWORD, START_IT, TRACKER_ID

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("real"), pytest.mark.timeout(600)]
MIGRATE = "migrate_dmm"
START = "*/StartExecution"
MANIFEST = """vendor: dmm
due: 2020-01-01
dmm:
  zip: data.zip
  configuration: {DestinationDBConnection: Runtime Connection, DataAppendMode: true}
"""


def ask(ferry, method, path, **how):
    return ferry.boxes["default"].ask(method, path, **how)


def password(ferry):
    return ask(ferry, "GET", "/dmm/otp")["value"]


def advance(ferry, seconds):
    ask(ferry, "POST", "/clock", json={"advance": seconds})


def starts(ferry):
    return len(ask(ferry, "GET", "/requests", params={"vendor": "dmm", "method": "POST", "path": START}))


def last(ferry, batch_id):
    found = ferry.ledger.standing("dmm", ferry.boxes["default"].url.removeprefix("http://"), batch_id).last
    assert found is not None
    return found


def trigger(ferry, batch_id, **entities):
    folder = ferry.stack.batches / "dmm" / batch_id
    folder.mkdir(parents=True)
    (folder / "data.zip").write_bytes(zipped(entities))
    (folder / "manifest.yaml").write_text(MANIFEST, encoding="utf-8")
    return ferry.trigger(batch_id, dag_id=MIGRATE)


def everything(ferry):
    """All that Airflow keeps, ledger and evidence, as text by place: its database row by row, its logs, its files."""
    found = {}
    for path in ferry.stack.home.rglob("*.db"):
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30) as database:
            database.text_factory = lambda raw: raw.decode("utf-8", "replace")
            tables = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
            for table in tables:
                rows = database.execute(f'select * from "{table}"').fetchall()  # noqa: S608 (the database's own names)
                found[f"{path.name}: {table}"] = "\n".join(map(str, rows))
    files = (path for path in ferry.stack.home.rglob("*") if path.is_file() and path.suffix not in {".db", ".zip"})
    return found | {str(path): path.read_text("utf-8", "replace") for path in files if ".db-" not in path.name}


def places_of(ferry, secret):
    return [place for place, text in everything(ferry).items() if secret in text]


@pytest.fixture(scope="module")
def typed(ferry):
    """A password that DMM refuses and one that it takes, each typed in by a person; the execution goes on for a while."""
    ask(ferry, "PUT", "/dmm/switches", json={"chunk_seconds": 600.0, "queue_seconds": 0.0})
    run = trigger(ferry, "typed", Customer=120, Invoice=60)
    told = {"run": run, "wrong": "wrong0canary7714"}
    parked = run.until("start_run", "awaiting_input")
    told["question"] = ferry.stack.api("GET", f"{run.path}/hitlDetails", response_received=False)["hitl_details"][0]
    told["holders"] = ferry.holders_at_rest(parked)
    ferry.answer(parked, START_IT, {ONE_TIME_PASSWORD: told["wrong"]})
    told["first end"] = run.end()
    told["said"] = run.log("start_run")
    run.clear(only_failed=True)
    parked = run.until("start_run", "awaiting_input")
    told["right"] = password(ferry)
    ferry.answer(parked, START_IT, {ONE_TIME_PASSWORD: told["right"]})
    run.until("await_run", "deferred")
    told["while it runs"] = {name: places_of(ferry, told[name]) for name in ("wrong", "right")}
    advance(ferry, 1250)
    ferry.stack.wait_for(lambda: last(ferry, "typed").counters.get("completed") == 100, "two chunks to be seen", 120, every=0.5)
    advance(ferry, 3600)
    told["end"] = run.end()
    return told


def test_the_question_is_asked_without_holding_anything(typed):
    assert typed["question"]["subject"] == "One-time password to start batch typed"
    assert "180: Customer 120, Invoice 60" in typed["question"]["body"]
    assert typed["holders"] == []


def test_a_wrong_password_says_so_and_starts_nothing(ferry, typed):
    assert typed["first end"] == "failed"
    assert "Read a new one on the environment's Authentication Token page" in typed["said"]


def test_the_right_one_starts_the_execution_once_and_the_batch_arrives(ferry, typed):
    assert typed["end"] == "success"
    assert (last(ferry, "typed").verdict, last(ferry, "typed").counts.accepted) == (Verdict.BALANCED, 180)
    assert [one["starts"] for one in ask(ferry, "GET", "/dmm/state")["inputs"]] == [1]


def test_no_password_is_left_anywhere_once_the_execution_runs(ferry, typed):
    assert typed["while it runs"] == {"wrong": [], "right": []}
    assert [places_of(ferry, typed[name]) for name in ("wrong", "right")] == [[], []]


def test_the_search_would_have_found_one(ferry, typed):
    assert places_of(ferry, "One-time password to start batch typed")


def test_progress_and_log_are_told_on_the_way(ferry, typed):
    seen = [entry for entry in last(ferry, "typed").entries if entry.step == "await_run"]
    assert len(seen) > 1
    assert seen[-1].counts["completed"] == 180
    assert list(ferry.stack.evidence.glob("dmm/*/typed/1/await_run/log-*.txt"))


def test_a_start_whose_worker_was_killed_is_asked_about_and_never_sent_again(ferry, typed):
    ask(ferry, "PUT", "/dmm/switches", json={"chunk_seconds": 0.2})
    before = starts(ferry)
    ask(ferry, "POST", "/dmm/faults", json={"method": "POST", "path": START, "action": "delay", "seconds": 30})
    run = trigger(ferry, "struck", Customer=100)
    secret = password(ferry)
    ferry.answer(run.until("start_run", "awaiting_input"), START_IT, {ONE_TIME_PASSWORD: secret})
    ferry.stack.wait_for(lambda: starts(ferry) > before, "the start to be sent", 240, every=0.2)
    os.kill(run.tasks["start_run"]["pid"], signal.SIGKILL)
    parked = run.until("confirm_start", "awaiting_input")
    asked = ferry.stack.api("GET", f"{run.path}/hitlDetails", response_received=False)["hitl_details"]
    assert any("its answer was lost" in question["body"] for question in asked)
    assert [one for one in ask(ferry, "GET", "/dmm/executions") if one["total"] == 100] == []
    ferry.answer(parked, "It was not started: close this attempt", {TRACKER_ID: ""})
    assert run.end() == "failed"
    assert (last(ferry, "struck").verdict, starts(ferry)) == (Verdict.ABANDONED, before + 1)
    assert run.tasks["start_run"]["try_number"] == 2
    known = [entry.kind for entry in last(ferry, "struck").entries if entry.step == "start_run" and entry.kind is not Kind.ASKED]
    assert known == [Kind.INTENT]
    assert places_of(ferry, secret) == []


def test_ending_the_wait_by_hand_stops_the_execution_and_says_what_stays(ferry, typed):
    ask(ferry, "PUT", "/dmm/switches", json={"chunk_seconds": 600.0})
    run = trigger(ferry, "ended", Customer=400)
    ferry.answer(run.until("start_run", "awaiting_input"), START_IT, {ONE_TIME_PASSWORD: password(ferry)})
    run.until("await_run", "deferred")
    advance(ferry, 700)
    ferry.stack.wait_for(lambda: last(ferry, "ended").counters.get("completed") == 50, "a chunk to be seen", 120, every=0.5)
    run.mark("await_run", "failed")
    sent = {"vendor": "dmm", "path": "*/StopExecution"}
    ferry.stack.wait_for(lambda: ask(ferry, "GET", "/requests", params=sent), "the stop to be sent", 60, every=0.5)
    advance(ferry, 600)
    ferry.stack.wait_for(lambda: last(ferry, "ended").run_state == "cancelled", "the ledger to say so", 120, every=1.0)
    assert len(ask(ferry, "GET", "/requests", params=sent)) == 1
    ferry.stack.wait_for(lambda: run.state in ("success", "failed"), "the DAG run to end", 240, every=1.0)
    stopped = last(ferry, "ended")
    held = len(ask(ferry, "GET", "/dmm/state")["target"]["records"]["Customer"]) - 120
    assert (stopped.counts.sent, stopped.counts.accepted, stopped.counts.unprocessed) == (400, 100, 300)
    assert held == 100
    assert "nothing was reverted" in stopped.reason
