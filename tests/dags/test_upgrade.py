"""Batches that an earlier version of Ferry was in the middle of: this version ends them, and starts nothing a second time.

Ledger, evidence, DAG runs and trigger rows are that version's own (`tests/upgrade`). The vendor's side is played up to where it
stood then, under the same ids; what stands for the old version's start is the only one that the vendor may have seen at the end.
"""

import time
from datetime import datetime
from types import SimpleNamespace
from uuid import UUID

import pytest
from airflow.models.trigger import Trigger
from airflow.serialization.decoders import smart_decode_trigger_kwargs
from tests.upgrade import stored
from tests.upgrade.recordings import RECORDINGS

from ferry.core.model import Attempt, Receipt, Run
from ferry.ledger.entries import Kind, Verdict
from ferry.ledger.store import LedgerStore
from ferry.steps import places
from ferry.steps.hook import Settings
from ferry.steps.trigger_attempt import to_dispatch
from ferry.vendors.fenergo.hook import FenergoHook

MIGRATE = "migrate_fenergo"
STARTED, NOT_STARTED = "It was started: wait for it", "It was not started: close this attempt"  # as the old question has them


@pytest.fixture(params=RECORDINGS, ids=lambda recording: recording.version)
def recording(request):
    return request.param


class Upgraded:
    """The house the morning after: this version's code on what the old one left of one batch."""

    def __init__(self, house, driver, recording, patch):
        self.house, self.driver, self.recording, self.patch = house, driver, recording, patch

    def take_over(self, batch_id):
        self.house.forget()
        (self.house.home / "ledger.db").unlink()
        places.ledger_at.cache_clear()
        store = LedgerStore(str(self.house.home / "ledger.db"))
        self.recording.restore(store, [batch_id])
        self.recording.unpack(self.house.home)
        self.kept, rows = self.recording.dag_run(batch_id), self.recording.rows(batch_id)
        self.attempt = Attempt(*(rows[0][name] for name in ("vendor", "environment", "batch_id")), 1)
        environment = self.attempt.environment  # the sandbox has another port each time
        self.patch.setattr(Settings, "environment", property(lambda _: environment))
        late = datetime.fromisoformat(rows[-1]["at"]).timestamp() - time.time()  # the upgrade took no longer than a moment
        clock = SimpleNamespace(time=lambda: self.driver.clock.time() + late)
        self.patch.setattr("ferry.steps.triggers.time", clock)
        return self

    @property
    def last(self):
        return self.house.ledger.standing(*places_of(self.attempt)).last

    def migration(self, *, upload=True, start=True):
        """The migration as the old version had it."""
        standing = self.house.ledger.attempt(self.attempt)
        ref, api = UUID(standing.ref_of("open_run")), FenergoHook("fenergo_default").call
        with self.patch.context() as patch:
            patch.setattr("ferry.vendors.fenergo.sandbox.migration.uuid4", lambda: ref)
            run = api(lambda api: api.create("Migration", None))
        assert run.ref == str(ref)
        self.wait_for(lambda: api(lambda api: api.look_prepared(run)).state.is_final)
        uploads = [entry for entry in standing.entries if entry.step == "upload_batch" and entry.kind is Kind.RESULT]
        for receipt in [Receipt.from_json(entry.data["receipt"]) for entry in uploads] if upload else []:
            source = self.house.home / "batches/fenergo" / self.attempt.batch_id / receipt.file
            api(lambda api, source=source, receipt=receipt: api.upload(run, source, source.name, receipt))
        if start:
            api(lambda api: api.start(run))

    def is_over(self):
        run = Run(self.last.ref)
        self.wait_for(lambda: FenergoHook("fenergo_default").call(lambda api: api.look(run)).state.is_final)

    @staticmethod
    def wait_for(happened):
        until = time.monotonic() + 10
        while not happened():
            assert time.monotonic() < until
            time.sleep(0.01)

    def go_on(self, answer=None):
        """The DAG run goes on by this version's DAG; a task that waits, from its trigger's row."""
        if waits := self.kept["waits"]:
            waits["kwargs"] = as_triggerer_reads(waits["kwargs"])
        conf = self.kept["conf"]
        run = self.driver.play_on(MIGRATE, self.kept["run_id"], self.kept, answer, **conf)
        self.driver.play_queued()
        return run

    def balances(self, run, starts=1):
        assert run.state == "success", run.messages
        assert self.last.verdict is Verdict.BALANCED
        assert len(self.house.starts()) == starts
        assert self.house.ledger.verify() == []
        sent, state = self.last.counts, self.house.control("GET", "/fenergo/state")
        assert sent.accepted == sent.sent > 0
        assert all(migration["starts"] <= 1 for migration in state["migrations"])


def places_of(attempt):
    return attempt.vendor, attempt.environment, attempt.batch_id


def as_triggerer_reads(kwargs):
    """The arguments of a trigger, through the column in which Airflow keeps them, as its triggerer gives them to the class."""
    read = Trigger._decrypt_kwargs(Trigger.encrypt_kwargs(kwargs))
    return {name: smart_decode_trigger_kwargs(value) for name, value in read.items()}


@pytest.fixture
def upgraded(house, driver, recording, monkeypatch):
    return Upgraded(house, driver, recording, monkeypatch)


def test_a_run_that_was_waited_for_is_waited_for_to_its_end(upgraded):
    upgraded.take_over("waiting").migration()
    run = upgraded.go_on()
    upgraded.balances(run)
    (ended,) = [entry for entry in upgraded.last.entries if entry.step == "await_run" and entry.kind is Kind.RESULT]
    assert (ended.word, ended.ref) == ("Completed", upgraded.last.ref)


def test_a_wait_that_outlived_its_patience_during_the_upgrade_looks_once_more(upgraded, monkeypatch):
    upgraded.take_over("waiting").migration()
    upgraded.is_over()
    monkeypatch.setattr("ferry.steps.triggers.time", SimpleNamespace(time=lambda: upgraded.driver.clock.time() + 30 * 86400))
    upgraded.balances(upgraded.go_on())


def test_a_run_that_was_being_prepared_is_uploaded_and_started(upgraded):
    upgraded.take_over("preparing").migration(upload=False, start=False)
    upgraded.balances(upgraded.go_on())


def test_a_records_file_that_was_being_made_is_reconciled_with_what_the_old_version_kept(upgraded):
    upgraded.take_over("listing").migration()
    upgraded.is_over()
    upgraded.balances(upgraded.go_on())


def test_a_start_that_waited_for_room_gets_it(upgraded):
    upgraded.take_over("no-room").migration(start=False)
    upgraded.balances(upgraded.go_on())


def test_a_start_that_nobody_heard_the_answer_of_is_proved_by_the_old_triggers_row(upgraded):
    upgraded.take_over("lost").migration()
    upgraded.is_over()
    run = upgraded.go_on()
    upgraded.balances(run)
    assert "proves that it was started" in next(entry.note for entry in upgraded.last.entries if entry.kind is Kind.ADOPTED)


def test_where_nothing_proves_it_a_person_is_asked(upgraded):
    upgraded.house.switch(unstarted_word="Processing")
    upgraded.take_over("lost").migration(start=False)
    run = upgraded.go_on()
    assert run.states["confirm_start"] == "awaiting_input", run.messages
    assert upgraded.house.starts() == []


@pytest.mark.parametrize("heard", [True, False])
def test_a_worker_that_died_in_the_middle_of_its_start_starts_nothing_again(upgraded, heard):
    upgraded.take_over("dead-after" if heard else "dead-before").migration(start=heard)
    if not heard:
        upgraded.house.switch(unstarted_word="Processing")
    run = upgraded.go_on()
    assert len(upgraded.house.starts()) == int(heard)
    if heard:
        upgraded.balances(run)
    else:
        assert run.states["confirm_start"] == "awaiting_input", run.messages


def test_the_answer_to_an_old_question_is_understood(upgraded):
    assert upgraded.recording.dag_run("asked")["asked"]["options"] == [STARTED, NOT_STARTED]
    upgraded.take_over("asked").migration()
    upgraded.balances(upgraded.go_on(STARTED))


def test_so_is_a_no(upgraded):
    upgraded.take_over("asked").migration(start=False)
    run = upgraded.go_on(NOT_STARTED)
    assert run.state == "failed"
    assert upgraded.last.verdict is Verdict.ABANDONED
    assert upgraded.house.starts() == []


def test_an_ingestion_that_was_waited_for_is_followed_by_the_next_attempt(upgraded):
    upgraded.take_over("ingesting")
    source = upgraded.house.home / "batches/fenergo/ingesting/ids.csv"
    fenx = source.read_text("utf-8").splitlines()[1].split(",")[2].strip('"')
    record = {"tableName": "Company", "name": "Made by hand", "fenxId": fenx}
    upgraded.house.control("POST", "/fenergo/records", json=record)
    standing = upgraded.house.ledger.attempt(upgraded.attempt)
    ref, hook = UUID(standing.ref_of("ingest_alternate_ids", "file")), FenergoHook("fenergo_default")
    with upgraded.patch.context() as patch:
        patch.setattr("ferry.vendors.fenergo.sandbox.world.uuid4", lambda: ref)
        ingestion = hook.call(lambda api: api.send_references(source, source.stat().st_size))
    hook.call(lambda api: api.execute_ingestion(ingestion))
    upgraded.balances(upgraded.go_on())
    assert upgraded.last.attempt.number == 2
    assert "ingesting.2" in {run_id for _, run_id in upgraded.driver.runs}
    assert upgraded.house.control("GET", "/fenergo/state")["overwrites"] == []


@pytest.mark.parametrize("batch_id", ["balanced", "waived"])
def test_a_batch_that_balanced_is_left_alone(upgraded, batch_id):
    upgraded.take_over(batch_id)
    run = upgraded.driver.play(MIGRATE, batch_id=batch_id)
    assert (run.state, run.states["check_batch"]) == ("success", "skipped")
    assert upgraded.house.control("GET", "/requests") == []


def test_a_batch_that_was_not_balanced_is_settled_by_the_old_evidence(upgraded):
    """Its run is over and its records are known: clearing it looks again, and nothing is sent."""
    upgraded.take_over("partly")
    standing = upgraded.last
    run = upgraded.driver.play_on(MIGRATE, "partly.1", {**upgraded.kept, "states": _settled(upgraded.kept)}, batch_id="partly")
    assert run.state == "failed"
    assert (upgraded.last.verdict, upgraded.last.counts, upgraded.last.reason) == (
        Verdict.UNBALANCED,
        standing.counts,
        standing.reason,
    )
    assert upgraded.house.starts() == []


def _settled(kept):
    return {task: state for task, state in kept["states"].items() if task not in {"settle_batch", "clean_up_inputs"}}


def test_a_refused_batch_gets_a_new_attempt(upgraded):
    upgraded.take_over("refused")
    upgraded.driver.play(MIGRATE, batch_id="refused")
    assert (upgraded.last.attempt.number, upgraded.last.verdict) == (2, Verdict.REFUSED)


def test_keys_of_attempts_and_lists_of_dispatches_are_still_read(recording):
    runs = recording.lines("dag_runs")
    keys = [value for run in runs for task, key, value in run["xcoms"] if (task, key) == ("admit_batch", "return_value")]
    assert len(keys) == len(runs)
    for key in keys:
        assert Attempt.parse(key).key == key
    for due in recording.lines("due"):
        told = to_dispatch(due)
        assert Attempt.parse(told["attempt"]).batch_id == due["batch_id"]
        assert told["trigger_run_id"] == f"{due['batch_id']}.{due['attempt']}"


# What stands in Airflow's database under names of a DAG


def test_a_task_that_may_be_waiting_is_still_in_its_dag(dag_bag):
    there = {(dag.dag_id, task.task_id) for dag in dag_bag.dags.values() for task in dag.tasks}
    gone = [line for line in stored.frozen("task") if tuple(line) not in there]
    assert gone == [], "Airflow drops a waiting task that its DAG has no more, and nobody waits for the vendor's run"


def test_the_answers_to_a_question_that_was_asked_are_still_answers(dag_bag):
    tasks = {f"{dag.dag_id}.{task.task_id}": task for dag in dag_bag.dags.values() for task in dag.tasks}
    for where, *words in stored.frozen("option"):
        assert " ".join(words) in tasks[where].options, f"{where}: Airflow shows the old question; its answer would be refused"


def test_what_a_version_stores_is_written_down_when_it_is_released(dag_bag):
    known = set(stored.FILE.read_text("utf-8").splitlines())
    new = [line for line in stored.lines(dag_bag.dags.values()) if line not in known]
    assert new == [] or not stored.is_released(), "add these lines to tests/upgrade/stored.txt"
