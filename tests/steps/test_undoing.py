"""Undo, the same for every vendor: which attempt is taken up, why not, what of it is asked, and under which key it is sent."""

import pytest
from airflow.sdk import DAG
from tests.dags.driver import Clock, Driver, Played, simulate
from tests.steps.conftest import ORIGIN
from tests.steps.six import SixHook

from ferry.core.model import RunState
from ferry.ledger.entries import ADMIT, Kind, Origin, Verdict
from ferry.steps.operators import AdmitUndoOperator, VendorOperator
from ferry.steps.policy import DEFAULT_ARGS, batch_params
from ferry.steps.undoing import TAKEN_UP, undo_key, undo_part
from ferry.steps.work import Work

SIX = f"{SixHook.__module__}.{SixHook.__qualname__}"
OTHER = Origin("migrate_six", "b-1.2", "admit_batch", 1)


class SixAdmitUndoOperator(AdmitUndoOperator):
    hook_path = SIX


class SixCheckUndoOperator(VendorOperator):
    step = "check_undo"
    hook_path = SIX

    def work_on(self, work):
        return undo_part(work)


@pytest.fixture
def driver(monkeypatch):
    with DAG("undo_six", schedule=None, params=batch_params(), default_args=DEFAULT_ARGS) as dag:
        SixAdmitUndoOperator() >> SixCheckUndoOperator()
    driver = Driver({"undo_six": dag}, Clock())
    simulate(driver, monkeypatch)
    yield driver
    driver.close()


@pytest.fixture
def undo(driver):
    """Plays the beginning of an undo."""
    return lambda batch_id="b-1", run_id="": driver.play("undo_six", run_id=run_id, batch_id=batch_id)


@pytest.fixture
def imported(ledger):
    """An attempt whose run succeeded; nobody has judged it, and its DAG run is unknown to Airflow."""
    ledger.open_run()
    ledger.start_run()
    ledger.write("await_run", ref="r-1", state=RunState.SUCCEEDED, word="Done")
    return ledger


@pytest.fixture
def balanced(imported):
    imported.store.settle(imported.attempt, Verdict.BALANCED, ORIGIN, counts={"sent": 2, "accepted": 2})
    return imported


def again(ledger, input_hash="b" * 64, environment="six.example"):
    """Another attempt at the batch."""
    told = {"connection": "six_default"}
    return ledger.store.admit("six", environment, "b-1", input_hash, OTHER, is_live=lambda _: False, data=told).attempt


# What is taken up


def test_a_balanced_attempt_is_taken_up_and_says_by_whom_and_with_which_connection(balanced, undo):
    run = undo()
    assert run.states == {"admit_batch": "success", "check_undo": "success"}, run.messages
    assert run.xcoms["admit_batch", "return_value"] == balanced.attempt.key
    opening = balanced.standing.openings[-1]
    assert (opening.kind, opening.data) == (Kind.ADOPTED, {"connection": "six_default", TAKEN_UP: True})
    assert (opening.origin.run_id, opening.origin.who) == (run.run_id, "Petra")
    assert opening.note == "six batch b-1, attempt 1 is taken up by Petra to be undone"
    assert run.xcoms["check_undo", "return_value"] == str(opening.seq)
    assert balanced.standing.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("state", [RunState.SUCCEEDED, RunState.PARTIALLY_SUCCEEDED, RunState.FAILED_DIRTY])
def test_an_attempt_that_nobody_judged_is_taken_up_from_a_dag_run_that_is_gone(imported, undo, state):
    imported.write("await_run", ref="r-1", state=state)
    assert undo().state == "success"
    assert imported.standing.holder.dag_id == "undo_six"


def test_the_folder_of_the_batch_is_not_needed(balanced, undo, tmp_path):
    assert not (tmp_path / "batches").exists()
    assert undo().state == "success"


def test_a_dag_run_that_is_still_at_work_is_left_alone(imported, driver, undo):
    driver.runs["migrate_six", "b-1.1"] = Played("migrate_six", "b-1.1")
    before = imported.standing.entries
    run = undo()
    assert run.states == {"admit_batch": "success", "check_undo": "skipped"}
    assert imported.standing.entries == before


def test_the_newest_attempt_that_did_something_is_meant(balanced, undo):
    """The start of the second came to a certain no."""
    later = again(balanced)
    balanced.store.intend(later, "start_run", origin=OTHER)
    Work(later, "start_run", OTHER, SixHook).record(Kind.RESULT, state=RunState.FAILED_CLEAN)
    run = undo()
    assert run.state == "success", run.messages
    assert run.xcoms["admit_batch", "return_value"] == balanced.attempt.key
    assert balanced.store.attempt(later).verdict is Verdict.SUPERSEDED


def test_a_later_attempt_that_was_started_is_the_one_that_is_undone(balanced, undo):
    later = again(balanced)
    balanced.store.intend(later, "start_run", origin=OTHER)
    Work(later, "start_run", OTHER, SixHook).record(Kind.RESULT, ref="r-2", state=RunState.QUEUED)
    assert undo().xcoms["admit_batch", "return_value"] == later.key


def test_clearing_the_admission_takes_nothing_up_twice(balanced, driver, undo):
    run = undo()
    before = balanced.standing.entries
    driver.clear(run, "admit_batch", batch_id="b-1")
    assert (run.state, balanced.standing.entries) == ("success", before)


# What is not


def refused(undo, **how):
    run = undo(**how)
    assert (run.state, run.states["check_undo"]) == ("failed", "upstream_failed")
    (message,) = run.errors["admit_batch"]
    return message


def test_a_batch_that_nobody_knows_has_nothing_to_undo(ledger, undo):
    assert refused(undo, batch_id="b-2") == (
        "The ledger knows no batch 'b-2' of six, so there is nothing to undo. Nothing was sent."
    )


def test_an_attempt_that_was_never_started_has_nothing_to_undo(ledger, undo):
    ledger.open_run()
    assert refused(undo) == "Ferry has started nothing for batch b-1, so there is nothing to undo. Nothing was sent."


def test_a_start_that_came_to_nothing_has_nothing_to_undo(ledger, undo):
    ledger.start_run(answered=False)
    ledger.write("start_run", state=RunState.FAILED_CLEAN)
    assert "has started nothing for batch b-1" in refused(undo)


def test_a_start_of_which_one_try_may_have_arrived_is_no_certain_no(ledger, undo):
    ledger.start_run(answered=False)
    ledger.write("start_run", state=RunState.FAILED_CLEAN)
    ledger.store.intend(ledger.attempt, "start_run", origin=ORIGIN, key="~2")
    before = ledger.standing.entries
    assert refused(undo).startswith("Whether the run of six batch b-1, attempt 1 was started is not known")
    assert ledger.standing.entries == before


def test_a_start_that_a_person_denied_blocks_an_undo_and_the_message_says_who_said_what(ledger, undo):
    ledger.start_run(answered=False)
    ledger.store.settle(ledger.attempt, Verdict.ABANDONED, ORIGIN, note="Petra says that the run was not started.")
    told = refused(undo)
    assert "Petra says that the run was not started. Look at it in the vendor's own pages first. Nothing was sent." in told


@pytest.mark.parametrize("verdict", [Verdict.UNDONE, Verdict.REFUSED])
def test_what_is_undone_already_leaves_nothing_to_do(imported, undo, verdict):
    imported.write("await_undo", ref="r-1", state=RunState.CANCELLED)
    imported.store.settle(imported.attempt, verdict, ORIGIN)
    before = imported.standing.entries
    assert undo().states == {"admit_batch": "success", "check_undo": "skipped"}
    assert imported.standing.entries == before


# Several environments


def test_which_of_several_environments_is_meant_is_asked_of_the_manifest(balanced, undo, connect, tmp_path):
    connect("six_default", conn_type="http", host="https://six.example/base")
    connect("six_test", conn_type="http", host="https://test.example")
    again(balanced, environment="test.example")
    folder = tmp_path / "batches" / "six" / "b-1"
    folder.mkdir(parents=True)
    (folder / "manifest.yaml").write_text("vendor: six\ndue: 2026-01-01\nconnection: six_test\nsix: {whatever: it says}\n")
    assert "has started nothing for batch b-1" in refused(undo)
    (folder / "manifest.yaml").write_text("vendor: six\ndue: 2026-01-01\nsix: {}\n")
    assert undo().xcoms["admit_batch", "return_value"] == balanced.attempt.key


def test_without_its_manifest_nobody_can_say_which_environment_is_meant(balanced, undo):
    again(balanced, environment="test.example")
    assert refused(undo) == (
        "Batch b-1 was sent to several environments, and without its manifest nobody can say which is meant. Put the batch's "
        "folder back. Nothing was sent."
    )


# Under which key it is sent


@pytest.fixture
def work(imported):
    """The step that undoes, in the DAG run that imported."""
    return Work(imported.attempt, "undo_run", ORIGIN, SixHook)


def taken_up(work):
    """Another DAG run takes the attempt up to undo it, and does the work from here on."""
    work.origin = Origin("undo_six", f"undo-{len(work.standing.openings)}", "undo_run", 1)
    work.ledger.take_up(work.attempt, work.origin, is_live=lambda _: False, data={TAKEN_UP: True})
    return str(work.standing.openings[-1].seq)


def sent(work, key, state=RunState.RUNNING):
    work.ledger.intend(work.attempt, "undo_run", origin=work.origin, key=key, ref="r-1")
    if state:
        work.record(Kind.RESULT, key=key, ref="r-1", state=state)


def ended(work, state):
    work.record(Kind.RESULT, step="await_undo", ref="r-1", state=state)


def test_the_way_out_of_a_failed_run_is_an_undo_without_a_part(work):
    assert (undo_part(work), undo_key(work)) == ("", "")
    sent(work, "")
    assert undo_key(work) == ""


def test_a_takeover_by_the_batchs_own_dag_is_no_undo_of_its_own(work):
    work.record(Kind.ADOPTED, step=ADMIT, data={"connection": "six_default"})
    assert undo_part(work) == ""


def test_whoever_takes_the_attempt_up_has_an_undo_of_their_own(work):
    work.ledger.settle(work.attempt, Verdict.BALANCED, ORIGIN)
    first = taken_up(work)
    assert (undo_part(work), undo_key(work)) == (first, first)
    work.ledger.settle(work.attempt, Verdict.BALANCED, ORIGIN)
    second = taken_up(work)
    assert first != second
    assert (undo_part(work), undo_key(work)) == (second, second), "nothing was sent under the first"


@pytest.mark.parametrize("state", [None, RunState.RUNNING], ids=["not known", "under way"])
def test_an_undo_that_is_not_known_to_have_failed_is_not_sent_under_another_key(work, state):
    sent(work, "", state)
    mine = taken_up(work)
    assert (undo_part(work), undo_key(work)) == (mine, "")
    assert not work.may_send(undo_key(work))


def test_an_undo_that_failed_may_be_sent_anew_by_whoever_takes_it_up(work):
    sent(work, "")
    ended(work, RunState.FAILED_DIRTY)
    mine = taken_up(work)
    assert undo_key(work) == mine
    assert work.may_send(mine)


@pytest.mark.parametrize("state", [None, RunState.RUNNING], ids=["not known", "under way"])
def test_the_failure_of_an_earlier_undo_frees_no_later_one(work, state):
    sent(work, "")
    ended(work, RunState.FAILED_DIRTY)
    second = taken_up(work)
    sent(work, second, state)
    taken_up(work)
    assert undo_key(work) == second
    assert not work.may_send(second)


def test_an_undo_that_was_refused_is_repeated_under_its_own_key(work):
    sent(work, "", RunState.FAILED_CLEAN)
    taken_up(work)
    assert undo_key(work) == ""
    assert work.may_send("")
