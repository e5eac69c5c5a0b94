"""Batches of DMM through the real DAGs: what a migration lead sees when all goes well, and when DMM, or a person, says no."""

import csv
import io
import json
import os
import subprocess
import sys

import pytest
from environments import EXPORT, MIGRATE, OUTPUTS, RUNTIME, STOP, zipped

from ferry.ledger.entries import Kind, Verdict
from ferry.steps.people import STARTED
from ferry.vendors.dmm.operators import DO_NOT, ONE_TIME_PASSWORD, START_IT, TRACKER_ID

APPENDED = {"Customer": 120, "Invoice": 60}
WHOLE = {"DBConnection": "Runtime Connection"}


def rows(environments, batch_id, step, name):
    return list(csv.DictReader(io.StringIO(environments.evidence(batch_id, step, name).decode())))


def settle(monkeypatch, which="default", **extra):
    """Change a connection's settings."""
    name = f"AIRFLOW_CONN_DMM_{which.upper()}"
    told = json.loads(os.environ[name])
    told["extra"] |= extra
    monkeypatch.setenv(name, json.dumps(told))


# All goes well


def test_an_import_arrives_with_one_start_and_its_counters_balance(environments, driver):
    environments.batch()
    run = environments.start(driver)
    assert run.state == "success", run.messages
    assert {entity: len(environments.records(entity)) for entity in APPENDED} == APPENDED
    assert environments.counts() == {"sent": 180, "accepted": 180}
    assert (environments.last().verdict, environments.starts()) == (Verdict.BALANCED, 1)
    environments.holds()


def test_what_a_person_is_asked_says_everything_they_must_know(environments, driver):
    environments.batch()
    run = driver.play(MIGRATE, batch_id="b")
    (asked,) = driver.asked
    assert run.states["start_run"] == "awaiting_input"
    assert environments.starts() == 0
    for fact in ("Import", "Runtime Connection", "appending", "180: Customer 120, Invoice 60", "leaves in place what got in"):
        assert fact in asked.body
    assert asked.params[ONE_TIME_PASSWORD]["value"] == ""


def test_the_answer_is_forgotten_by_airflow_before_it_is_used(environments, driver):
    environments.batch()
    environments.start(driver)
    first, *again = driver.asked
    assert len(again) == 2, "the question is put again, which wipes the answer, before it is used and when the task ends"
    assert {one.subject for one in again} == {first.subject}


def test_a_balanced_batch_is_left_alone(environments, driver):
    environments.batch()
    environments.start(driver)
    again = driver.play(MIGRATE, batch_id="b")
    assert (again.state, again.states["check_batch"]) == ("success", "skipped")
    assert environments.starts() == 1


def test_everything_dmm_says_of_an_execution_is_evidence(environments, driver):
    environments.batch()
    environments.start(driver)
    assert environments.evidence("b", "fetch_outputs", "logs.zip").startswith(b"PK")
    assert environments.evidence_json("b", "fetch_outputs", "outputs.json")["Report"]["NRecords"] == 180
    assert b"Customer" in environments.evidence("b", "await_run", "log-000001.txt")


def test_the_log_and_the_counters_grow_in_the_ledger_while_it_runs(environments, driver):
    environments.batch(content=zipped({"Customer": 4000}))
    environments.switch(chunk_seconds=0.02, log_lines_per_chunk=5)
    driver.clock.pace = 0.1
    run = environments.start(driver)
    assert run.state == "success", run.messages
    seen = [e for e in environments.last().entries if e.step == "await_run"]
    done = [entry.counts["completed"] for entry in seen if "completed" in entry.counts]
    assert done == sorted(done)
    assert 0 < done[0] < done[-1] == 4000
    lines = [entry.data["log_lines"] for entry in seen if "log_lines" in entry.data]
    pieces = sorted(environments.house.evidence.glob("dmm/*/b/1/await_run/log-*.txt"))
    assert sum(len(piece.read_text("utf-8").splitlines()) for piece in pieces) == lines[-1] > 80


def test_an_export_becomes_a_batch_that_is_then_imported_elsewhere(environments, driver):
    wanted = {"batch_id": "customers-in", "connection": "dmm_default", "configuration": RUNTIME}
    folder = environments.batch("out", type="Export", dag=EXPORT, connection="dmm_source", configuration=WHOLE, import_as=wanted)
    run = environments.start(driver, "out", environment="source", dag=EXPORT)
    assert run.state == "success", run.messages
    made = environments.house.home / "batches" / "dmm" / "customers-in"
    assert {path.name for path in made.iterdir()} == {"manifest.yaml", "data.zip"}
    assert environments.counts("out")["accepted"] == environments.counts("out")["sent"] > 200
    imported = environments.start(driver, "customers-in")
    assert imported.state == "success", imported.messages
    held = environments.records("Customer", "source")
    assert [row["Code"] for row in environments.records("Customer")] == [row["Code"] for row in held]
    assert folder.exists()
    environments.holds("customers-in")


def test_an_export_never_writes_over_a_batch_that_is_there(environments, driver):
    wanted = {"batch_id": "mine", "connection": "dmm_default", "configuration": RUNTIME}
    mine = environments.batch("mine")
    before = {path.name: path.read_bytes() for path in mine.iterdir()}
    environments.batch("out", type="Export", dag=EXPORT, connection="dmm_source", configuration=WHOLE, import_as=wanted)
    run = environments.start(driver, "out", environment="source", dag=EXPORT)
    assert (run.state, run.states["make_batch"]) == ("failed", "failed")
    assert "exists already and is another one" in run.errors["make_batch"][-1]
    assert {path.name: path.read_bytes() for path in mine.iterdir()} == before


@pytest.mark.parametrize("kind", ["Migration", "Delete", "Scramble"])
def test_other_executions_pass_their_configuration_through(environments, driver, kind):
    environments.start(driver, "b") if environments.batch() and kind != "Migration" else None
    told = {
        "Migration": {
            "SourceDBConnection": "Runtime Connection",
            "DestinationDBConnection": "Runtime Connection",
            "DataAppendMode": True,
        },
        "Delete": {"DestinationDBConnection": "Runtime Connection", "EntitiesToDelete": [{"OSEntityName": "Customer"}]},
        "Scramble": {"DBConnection": "Runtime Connection", "ScramblingEntities": [{"EntityName": "Customer"}]},
    }[kind]
    environments.batch("other", type=kind, configuration=told)
    run = environments.start(driver, "other")
    assert run.state == "success", run.messages
    assert environments.counts("other")["accepted"] > 0
    assert environments.state["executions"][-1]["type"] == kind


def test_a_connection_is_registered_first_where_the_manifest_asks_for_it(environments, driver, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_EU_DB", "mssql://dmm:made-up-secret@db.example.test:1433/OSDB")
    environments.switch(echo_secrets=True, connectivity="failed_saved")
    told = {"DestinationDBConnection": "eu-target", "DataAppendMode": True}
    environments.batch(configuration=told, create_connection={"name": "eu-target", "type": "SQLServer", "credentials": "eu_db"})
    run = environments.start(driver)
    assert run.state == "success", run.messages
    (entry,) = [e for e in environments.last().entries if e.step == "create_connection" and e.kind is Kind.RESULT]
    assert "made-up-secret" not in str(environments.last().entries) + run.messages
    assert "***" in entry.note
    assert "eu-target" in str(environments.state["target"]["connections"])
    assert len(environments.requests("POST", "*/CreateConnection")) == 1


# The one-time password


@pytest.mark.parametrize("wrong", ["wrong", "used", "expired", "elsewhere"])
def test_a_password_that_is_not_taken_has_its_own_message_and_uses_nothing_else_up(environments, driver, wrong):
    environments.batch()
    environments.batch("first")
    password = environments.password("source" if wrong == "elsewhere" else "target")
    run = driver.play(MIGRATE, batch_id="b")
    if wrong == "used":
        environments.give(driver, driver.play(MIGRATE, batch_id="first"), "first", password=password)
    if wrong == "expired":
        environments.house.control("POST", "/clock", json={"advance": 3600})
    environments.give(driver, run, password="00000000" if wrong == "wrong" else password)
    assert (run.state, run.states["start_run"]) == ("failed", "failed")
    assert "Authentication Token page" in run.errors["start_run"][-1]
    assert password not in run.messages
    assert "Nothing was started" in run.errors["start_run"][-1]
    assert len(run.errors["start_run"]) == 1, "a no is not retried"
    driver.clear(run, "start_run", batch_id="b")
    environments.give(driver, run)
    assert run.state == "success", run.messages
    assert environments.last().attempt.number == 1
    assert environments.counts() == {"sent": 180, "accepted": 180}


@pytest.mark.parametrize("given", ["", "two words", "line\nbreak", "ümlaut", "x" * 201])
def test_what_cannot_be_a_password_is_not_sent(environments, driver, given):
    environments.batch()
    run = driver.play(MIGRATE, batch_id="b")
    driver.answer(run, START_IT, {ONE_TIME_PASSWORD: given}, batch_id="b")
    assert "no one-time password" in run.errors["start_run"][-1]
    assert environments.starts() == 0
    assert "two words" not in run.messages


def test_a_person_may_say_not_to_start_it(environments, driver):
    environments.batch()
    run = driver.play(MIGRATE, batch_id="b")
    driver.answer(run, DO_NOT, {ONE_TIME_PASSWORD: environments.password()}, batch_id="b")
    assert run.state == "failed"
    assert (environments.last().verdict, environments.starts()) == (Verdict.ABANDONED, 0)
    assert "Petra said not to start it" in environments.last().reason


def test_whoever_is_second_waits_for_room_and_is_asked_for_another_password(environments, driver, monkeypatch):
    settle(monkeypatch, max_live_runs=1)
    environments.batch("one")
    environments.batch("two")
    first, second = driver.play(MIGRATE, batch_id="one"), driver.play(MIGRATE, batch_id="two")
    assert first.states["start_run"] == second.states["start_run"] == "awaiting_input"

    def meanwhile():
        driver.clock.beside = still_waiting
        with pytest.raises(StillWaitingError):
            environments.give(driver, second, "two")
        driver.clock.beside = lambda seconds: seconds
        assert environments.starts() == 1

    driver.form = {ONE_TIME_PASSWORD: environments.password()}
    driver.go_on(first, {"batch_id": "one"}, {"await_run": meanwhile}, START_IT)
    assert first.state == "success", first.messages
    second.states.pop("start_run", None)
    driver.go_on(second, {"batch_id": "two"}, {}, None)
    environments.give(driver, second, "two")
    assert second.state == "success", second.messages
    assert environments.starts() == 2


class StillWaitingError(BaseException):
    """Nobody waits longer than this in a test."""


def still_waiting(seconds):
    raise StillWaitingError


# DMM says no, or only half


def test_entities_in_error_are_named_and_their_records_are_not_called_imported(environments, driver):
    environments.batch()
    environments.switch(entity_errors="Invoice:1", chunk_records=50)
    run = environments.start(driver)
    assert run.state == "failed"
    assert environments.counts() == {"sent": 180, "accepted": 130, "rejected": 50}
    assert run.states["fetch_errors"] == "success"
    (error,) = rows(environments, "b", "fetch_errors", "errors.csv")
    assert (error["entity"], error["chunks in error"], error["records in the zip"]) == ("Invoice", "1", "60")
    assert "Invoice" in environments.last().results[("fetch_errors", "")].note
    assert "force_new_attempt" in environments.last().reason


def test_an_execution_in_error_leaves_what_got_in_and_is_not_sent_again(environments, driver):
    environments.batch()
    environments.switch(fatal_errors="Invoice:2", chunk_records=50)
    run = environments.start(driver)
    assert run.state == "failed"
    counted = environments.counts()
    assert counted["sent"] == 180
    assert counted["accepted"] == sum(len(environments.records(entity)) for entity in APPENDED)
    assert environments.last().run_state == "failed_dirty"
    again = driver.play(MIGRATE, batch_id="b")
    assert (again.state, environments.starts()) == ("failed", 1)
    assert environments.last().attempt.number == 1


def test_an_append_import_is_sent_again_only_by_force_and_says_why(environments, driver):
    environments.batch()
    environments.switch(fatal_errors="Invoice:2", chunk_records=50)
    environments.start(driver)
    environments.batch(content=zipped({"Invoice": 60}))
    refused = driver.play(MIGRATE, batch_id="b")
    assert refused.state == "failed"
    assert "would duplicate them" in refused.errors["admit_batch"][-1]
    assert "force_new_attempt" in refused.errors["admit_batch"][-1]
    assert environments.standing().next_number == 2, "nothing was opened"
    environments.switch(fatal_errors="")
    forced = environments.start(driver, force_new_attempt=True)
    assert forced.state == "success", forced.messages
    assert environments.last().attempt.number == 2
    assert environments.starts() == 2


def test_the_same_is_true_of_a_batch_that_balanced_and_was_edited(environments, driver):
    environments.batch()
    environments.start(driver)
    environments.batch(content=zipped({"Invoice": 60}))
    refused = driver.play(MIGRATE, batch_id="b")
    assert "would duplicate them" in refused.errors["admit_batch"][-1]
    assert environments.starts() == 1


def test_an_execution_that_changed_nothing_is_refused_and_may_simply_be_triggered_again(environments, driver):
    environments.batch(configuration={"DestinationDBConnection": "reporting-DB", "DataAppendMode": True})
    run = environments.start(driver)
    assert run.state == "failed"
    assert (environments.last().verdict, environments.last().run_state) == (Verdict.REFUSED, "failed_clean")
    environments.batch(configuration={"DestinationDBConnection": "reporting-db", "DataAppendMode": True})
    again = environments.start(driver)
    assert again.state == "success", again.messages
    assert environments.last().attempt.number == 2


@pytest.mark.parametrize("told", [True, False])
def test_whether_the_counters_include_system_tables_is_the_connections_to_say(environments, driver, told, monkeypatch):
    environments.batch(content=zipped({"Customer": 10, "ossys_User": 5}))
    environments.switch(counts_system=False)
    settle(monkeypatch, counts_system_records=told)
    run = environments.start(driver)
    assert run.state == ("failed" if told else "success"), run.messages
    if told:
        assert "`counts_system_records`" in environments.last().reason
    else:
        assert environments.counts() == {"sent": 10, "accepted": 10}


def test_records_may_be_waived_after_a_person_has_looked(environments, driver):
    environments.batch()
    environments.switch(entity_errors="Invoice:1", chunk_records=50)
    run = environments.start(driver)
    records = [f"Invoice,{number}" for number in range(1, 51)]
    waived = driver.play("waive_records", vendor="dmm", batch_id="b", records=records, reason="entered by hand meanwhile")
    assert waived.state == "success", waived.messages
    driver.clear(run, "reconcile", batch_id="b")
    assert run.state == "success", run.messages
    assert environments.counts() == {"sent": 180, "accepted": 130, "waived": 50}


# Stop


def test_a_stop_says_how_much_is_there_and_that_it_stays(environments, driver):
    environments.batch()
    environments.switch(chunk_seconds=100.0, chunk_records=50)

    def stop():
        environments.house.control("POST", "/clock", json={"advance": 150})
        stopped = driver.play(STOP, batch_id="b", reason="wrong zip")
        environments.outcome = stopped

    run = driver.play(MIGRATE, batch_id="b")
    driver.clock.beside = lambda seconds: environments.house.control("POST", "/clock", json={"advance": seconds})
    driver.form = {ONE_TIME_PASSWORD: environments.password()}
    driver.go_on(run, {"batch_id": "b"}, {"await_run": stop}, START_IT)
    assert environments.outcome.state == "success", environments.outcome.messages
    assert run.state == "failed"
    counted = environments.counts()
    assert counted == {"sent": 180, "accepted": 100, "unprocessed": 80}
    assert environments.last().run_state == "cancelled"
    assert "stay there; nothing was reverted" in environments.last().reason
    assert "has it stopped: wrong zip" in str([e.note for e in environments.last().entries])
    environments.holds()


def test_at_the_deadline_it_is_stopped_unless_the_manifest_says_to_leave_it(environments, driver):
    environments.batch()
    environments.switch(chunk_seconds=14500.0, chunk_records=50)
    driver.clock.beside = lambda seconds: environments.house.control("POST", "/clock", json={"advance": seconds})
    run = environments.start(driver)
    assert run.state == "failed"
    assert environments.last().run_state == "cancelled", run.messages
    assert environments.counts()["accepted"] in {100, 120}
    assert "did not end within 12.0 h" in str([e.note for e in environments.last().entries])


def test_there_must_be_something_to_stop(environments, driver):
    environments.batch()
    nothing = driver.play(STOP, batch_id="b")
    assert "knows no batch" in nothing.errors["admit_batch"][-1]
    environments.start(driver)
    over = driver.play(STOP, batch_id="b")
    assert "ended 'Complete' already" in over.errors["admit_batch"][-1]
    assert environments.requests("POST", "*/StopExecution") == []


# Zips that mean harm


@pytest.mark.parametrize("kind", ["slip", "bomb", "many"])  # all there are: tests/vendors/test_dmm_outputs.py
def test_a_hostile_log_in_an_answer_is_kept_and_not_opened(environments, driver, kind, monkeypatch):
    environments.batch()
    environments.switch(log_zip=kind)
    settle(monkeypatch, read_timeout=60)  # it takes the sandbox a while to make some of them
    run = environments.start(driver)
    assert run.state == "success", "the log is no record: the batch balances all the same"
    (entry,) = [e for e in environments.last().entries if (e.step, e.key) == ("fetch_outputs", "logs")]
    assert entry.data["refused"]
    assert entry.evidence_path.endswith("logs.zip.refused")
    assert not list(environments.house.home.parent.rglob("evil*"))


@pytest.mark.parametrize("kind", ["slip", "truncated", "nested"])
def test_a_hostile_zip_of_an_export_makes_no_batch(environments, driver, kind, monkeypatch):
    wanted = {"batch_id": "in", "connection": "dmm_default", "configuration": RUNTIME}
    environments.batch("out", type="Export", dag=EXPORT, connection="dmm_source", configuration=WHOLE, import_as=wanted)
    environments.switch(data_zip=kind)
    settle(monkeypatch, "source", read_timeout=60)
    run = environments.start(driver, "out", environment="source", dag=EXPORT)
    assert (run.state, run.states["make_batch"]) == ("failed", "failed")
    assert not (environments.house.home / "batches" / "dmm" / "in").exists()


def test_outputs_that_are_no_json_are_not_taken_apart(environments, driver):
    environments.batch()
    environments.fault("GET", OUTPUTS, "garbage", times=None)
    run = environments.start(driver)
    assert run.state == "failed"
    assert "GetExecutionOutputs" in run.errors["fetch_outputs"][-1]
    environments.house.control("DELETE", "/dmm/faults")
    driver.clear(run, "fetch_outputs", batch_id="b")
    assert run.state == "success", run.messages


# What a sceptical reader thought of


def test_a_start_that_was_not_heard_is_asked_about_anew_and_not_tried_again_by_airflow(environments, driver, monkeypatch):
    """A try that Airflow repeats keeps what was typed in, in its history of tries, for good."""
    environments.batch()
    run = driver.play(MIGRATE, batch_id="b")
    url = os.environ["AIRFLOW_CONN_DMM_DEFAULT"]
    monkeypatch.setenv("AIRFLOW_CONN_DMM_DEFAULT", url.replace(environments.house.environment, "127.0.0.1:9"))
    driver.answer(run, START_IT, {ONE_TIME_PASSWORD: environments.password()}, batch_id="b")
    assert run.states["start_run"] == "awaiting_input"
    assert "start_run" not in run.errors
    monkeypatch.setenv("AIRFLOW_CONN_DMM_DEFAULT", url)
    environments.give(driver, run)
    assert run.state == "success", run.messages
    assert environments.starts() == 1


def test_a_password_in_the_wrong_field_is_not_quoted(environments, driver, caplog):
    environments.batch()
    run = driver.play(MIGRATE, batch_id="b")
    driver.answer(run, START_IT, {"otp": "canary-in-the-wrong-field"}, batch_id="b")
    assert "no one-time password" in run.errors["start_run"][-1]
    assert "canary-in-the-wrong-field" not in run.messages + caplog.text


def test_entities_may_be_called_anything(environments, driver):
    environments.batch(content=zipped({"ResetToken": 5, "CarbonFootprint": 7, "Password": 3}))
    run = environments.start(driver)
    assert run.state == "success", run.messages
    assert environments.counts() == {"sent": 15, "accepted": 15}


def test_what_stands_in_a_zip_or_manifest_is_no_markup_in_the_question(environments, driver):
    name = "X | **Read it at [here] <b>** | "
    environments.batch(
        content=zipped({name: 3}),
        configuration={"DestinationDBConnection": "a`b|c\n\n[x](https://evil.example)", "DataAppendMode": True},
    )
    driver.play(MIGRATE, batch_id="b")
    (asked,) = driver.asked
    table = [line for line in asked.body.splitlines() if line.startswith("|")]
    assert all(line.count("|") == 3 and not set("`[]<>") & set(line) and "**" not in line for line in table)
    assert "evil.example" in asked.body, "it is shown, as text"


def test_a_no_stays_a_no_also_after_a_password_that_was_wrong(environments, driver):
    environments.batch()
    run = driver.play(MIGRATE, batch_id="b")
    environments.give(driver, run, password="00000000")
    driver.clear(run, "start_run", batch_id="b")
    driver.answer(run, DO_NOT, {ONE_TIME_PASSWORD: ""}, batch_id="b")
    assert environments.last().verdict is Verdict.ABANDONED
    driver.clear(run, "start_run", batch_id="b")
    assert run.states["start_run"] == "failed"
    assert "The attempt is closed" in run.errors["start_run"][-1]
    assert environments.requests("POST", "*/StartExecution")[-1]["status"] == 200
    assert environments.state["inputs"] == []


def test_a_question_is_never_answered_for_another_zip_than_it_shows(environments, driver):
    environments.batch(configuration={"DestinationDBConnection": "reporting-DB", "DataAppendMode": True})
    run = environments.start(driver)
    assert environments.last().verdict is Verdict.REFUSED
    environments.batch(content=zipped({"Invoice": 1}))
    driver.clear(run, "admit_batch", batch_id="b")
    assert "the page would show the old question" in run.errors["start_run"][-1]
    assert environments.start(driver).state == "success"


def test_a_dag_run_can_force_only_one_attempt(environments, driver):
    environments.batch()
    environments.start(driver)
    environments.batch(content=zipped({"Invoice": 60}))
    forced = environments.start(driver, force_new_attempt=True)
    assert forced.state == "success", forced.messages
    environments.batch(content=zipped({"Invoice": 61}))
    driver.clear(forced, "admit_batch", batch_id="b", force_new_attempt=True)
    assert "would duplicate them" in forced.errors["admit_batch"][-1]
    assert environments.starts() == 2


def test_a_record_that_is_waived_twice_counts_once(environments, driver):
    environments.batch()
    environments.switch(entity_errors="Invoice:1", chunk_records=50)
    run = environments.start(driver)
    for records in (range(1, 31), range(1, 31)):
        told = [f"Invoice,{number}" for number in records]
        driver.play("waive_records", vendor="dmm", batch_id="b", records=told, reason="entered by hand meanwhile")
    driver.clear(run, "reconcile", batch_id="b")
    assert environments.counts() == {"sent": 180, "accepted": 130, "rejected": 20, "waived": 30}


def test_an_execution_of_another_batch_is_not_taken_for_this_one(environments, driver):
    environments.batch("other")
    environments.batch("b", zipped({"Product": 3}))
    environments.start(driver, "other")
    environments.fault("POST", "*/StartExecution", "drop_after")
    run = environments.start(driver)
    assert run.states["confirm_start"] == "awaiting_input"
    driver.answer(run, STARTED, {TRACKER_ID: environments.last("other").ref}, batch_id="b")
    assert "is that of dmm batch other" in run.errors["confirm_start"][-1]


def test_an_export_that_fails_may_simply_be_triggered_again(environments, driver):
    environments.batch("out", type="Export", dag=EXPORT, connection="dmm_source", configuration=WHOLE)
    environments.switch(fatal_errors="Product:2")
    first = environments.start(driver, "out", environment="source", dag=EXPORT)
    assert (first.state, environments.last("out").verdict) == ("failed", Verdict.REFUSED)
    environments.switch(fatal_errors="")
    again = environments.start(driver, "out", environment="source", dag=EXPORT)
    assert again.state == "success", again.messages


def test_nothing_to_delete_is_nothing_left_undone(environments, driver):
    environments.batch("first")
    environments.start(driver, "first")
    entity = {"OSEntityName": "Customer", "WhereClause": "Id > 100000"}
    told = {"DestinationDBConnection": "Runtime Connection", "EntitiesToDelete": [entity]}
    environments.batch(type="Delete", configuration=told)
    run = environments.start(driver)
    assert (run.state, environments.last().verdict) == ("success", Verdict.BALANCED), run.messages


def test_nobody_is_asked_about_a_start_that_may_still_be_on_its_way(environments, driver, monkeypatch):
    """Airflow gives a worker up that goes on sending: its word may come minutes later."""
    environments.batch()
    settle(monkeypatch, start_timeout=600)
    run = driver.play(MIGRATE, batch_id="b")
    monkeypatch.setattr(
        "ferry.vendors.dmm.starting.start_run",
        lambda work, _: bool(work.ledger.intend(work.attempt, "start_run", origin=work.origin)),
    )
    waited = []
    driver.clock.beside = waited.append
    driver.answer(run, START_IT, {ONE_TIME_PASSWORD: environments.password()}, batch_id="b")
    assert run.states["confirm_start"] == "awaiting_input"
    assert 600 < waited[0] < 660


ALONE = """
import sys
from pathlib import Path
from ferry.core.model import Attempt
from ferry.ledger.entries import Origin
from ferry.steps.work import Work
from ferry.vendors.dmm.ending import fetch_outputs
from ferry.vendors.dmm.hook import DmmHook

with Work(Attempt.parse(sys.argv[1]), "fetch_outputs", Origin("migrate_dmm", "manual-1"), DmmHook) as work:
    fetch_outputs(work)
# Not ru_maxrss: it begins with the figure of the process that this one was forked from.
peak = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
print(int(peak) // 1024)
"""


def test_two_hundred_megabytes_of_logs_pass_through_a_small_process(environments, driver, monkeypatch):
    environments.batch()
    environments.fault("GET", OUTPUTS, "garbage", times=None)
    run = environments.start(driver)
    assert run.states["fetch_outputs"] == "failed"
    environments.house.control("DELETE", "/dmm/faults")
    environments.switch(log_mb=200)
    settle(monkeypatch, read_timeout=120)
    command = [sys.executable, "-c", ALONE, environments.last().attempt.key]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    assert int(done.stdout.split()[-1]) < 300, "MiB at the peak, Airflow's own modules included"
    (entry,) = [e for e in environments.last().entries if (e.step, e.key) == ("fetch_outputs", "logs")]
    assert environments.house.evidence.joinpath(entry.evidence_path).stat().st_size > 200 * 1024 * 1024
    assert "refused" not in entry.data
