"""Triggering a batch's DAG run: never a twin, and whichever DAG run works on the batch is waited for instead."""

from types import SimpleNamespace

import pytest
from airflow.providers.standard.operators.trigger_dagrun import XCOM_RUN_ID, TriggerDagRunLink
from airflow.sdk.exceptions import AirflowFailException, DagRunTriggerException, TaskDeferred
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from tests.steps.conftest import ORIGIN

from ferry.ledger.entries import Origin, Verdict
from ferry.steps.admitting import is_live
from ferry.steps.trigger_attempt import TriggerAttemptOperator, to_dispatch, to_trigger

DUE = {"vendor": "six", "environment": "six.example", "batch_id": "b-1", "dag": "migrate_six", "due": "2026-11-01", "attempt": 3}
DAG_STATE_TRIGGER = "airflow.providers.standard.triggers.external_task.DagStateTrigger"


@pytest.fixture
def dag_runs(monkeypatch):
    """What Airflow says of DAG runs, by DAG and run id; an exception is raised."""
    known = {}

    def state(dag_id, run_id):
        found = known.get((dag_id, run_id), RuntimeError("404: DagRun not found"))
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(RuntimeTaskInstance, "get_dagrun_state", staticmethod(state))
    return known


@pytest.fixture
def task(ledger):
    told = to_dispatch(DUE)
    return TriggerAttemptOperator(task_id="migrate", **told)


@pytest.fixture
def holder(ledger):
    """The DAG run that holds the batch: a person triggered it, and Airflow made up its name."""
    ledger.store.settle(ledger.attempt, Verdict.REFUSED, ORIGIN)
    by_hand = Origin("migrate_six", "manual__2026-11-28")
    ledger.store.admit("six", "six.example", "b-1", "a" * 64, by_hand, is_live=lambda _: False)
    return by_hand


def waits_for(caught):
    _, kwargs = caught.value.trigger.serialize()
    return kwargs["dag_id"], kwargs["run_ids"]


def ended(state, dag_id="migrate_six", run_id="b-1.3"):
    """What the triggerer says when the DAG run has ended."""
    return DAG_STATE_TRIGGER, {"dag_id": dag_id, "run_ids": [run_id], run_id: state}


PUSHED: dict[str, str] = {}
TI = SimpleNamespace(map_index=-1, xcom_push=lambda key, value: PUSHED.update({key: value}))
CONTEXT = {"ti": TI, "task_instance": TI}


def test_a_batchs_run_is_named_after_its_attempt():
    assert to_trigger(DUE) == {
        "trigger_dag_id": "migrate_six",
        "trigger_run_id": "b-1.3",
        "conf": {"batch_id": "b-1", "force_new_attempt": False},
    }


def test_a_dispatched_batch_is_named_with_its_environment_too(task):
    assert to_dispatch(DUE) == to_trigger(DUE) | {"attempt": "six://six.example/b-1/3"}


def test_it_waits_without_a_worker_and_takes_over_the_colour(task):
    assert (task.wait_for_completion, task.deferrable, task.reset_dag_run) == (True, True, True)
    assert [str(state) for state in task.failed_states] == ["failed"]


@pytest.mark.parametrize("state", ["queued", "running", "restarting"])
def test_a_run_at_work_is_waited_for_and_not_touched(task, dag_runs, state):
    dag_runs["migrate_six", "b-1.3"] = state
    with pytest.raises(TaskDeferred) as caught:
        task.execute(CONTEXT)
    _, kwargs = caught.value.trigger.serialize()
    assert (kwargs["dag_id"], kwargs["run_ids"]) == ("migrate_six", ["b-1.3"])
    assert {str(state) for state in kwargs["states"]} == {"success", "failed"}
    assert caught.value.method_name == "execute_complete"


@pytest.mark.parametrize("state", ["success", "failed", None])
def test_an_ended_or_unknown_run_is_triggered(task, dag_runs, state):
    if state:
        dag_runs["migrate_six", "b-1.3"] = state
    with pytest.raises(DagRunTriggerException) as caught:
        task.execute(CONTEXT)
    assert (caught.value.trigger_dag_id, caught.value.dag_run_id, caught.value.conf["batch_id"]) == (
        "migrate_six",
        "b-1.3",
        "b-1",
    )
    assert caught.value.deferrable


def test_a_batch_that_another_dag_run_works_on_is_waited_for_under_that_ones_name(task, dag_runs, holder):
    dag_runs[holder.dag_id, holder.run_id] = "running"
    with pytest.raises(TaskDeferred) as caught:
        task.execute(CONTEXT)
    assert waits_for(caught) == (holder.dag_id, [holder.run_id])
    assert PUSHED[TriggerDagRunLink().xcom_key].endswith(f"/dags/{holder.dag_id}/runs/{holder.run_id}")  # while it waits
    assert PUSHED[XCOM_RUN_ID] == holder.run_id  # from this Airflow makes the link again when the task ends


@pytest.mark.parametrize("state", ["success", "failed", None])
def test_a_batch_whose_holder_has_ended_is_triggered(task, dag_runs, holder, state):
    if state:
        dag_runs[holder.dag_id, holder.run_id] = state
    with pytest.raises(DagRunTriggerException) as caught:
        task.execute(CONTEXT)
    assert caught.value.dag_run_id == "b-1.3"


def test_a_run_of_ours_that_was_told_that_another_holds_the_batch_is_followed_by_that_one(task, dag_runs, holder):
    """It was triggered a moment before the other was admitted, and is green although nothing was done."""
    dag_runs[holder.dag_id, holder.run_id] = "running"
    with pytest.raises(TaskDeferred) as caught:
        task.execute_complete(CONTEXT, ended("success"))
    assert waits_for(caught) == (holder.dag_id, [holder.run_id])


def test_a_settled_batch_is_not_waited_for_although_its_dag_run_still_cleans_up(task, dag_runs, holder, ledger):
    ledger.store.settle(ledger.store.standing("six", "six.example", "b-1").last.attempt, Verdict.BALANCED, holder)
    dag_runs[holder.dag_id, holder.run_id] = "running"
    task.execute_complete(CONTEXT, ended("success"))


def test_the_red_of_another_dag_run_is_taken_over_and_named(task, dag_runs, holder):
    dag_runs["undo_six", "manual__2"] = "failed"
    with pytest.raises(AirflowFailException, match=r"DAG run manual__2 of undo_six is red"):
        task.execute_complete(CONTEXT, ended("failed", "undo_six", "manual__2"))


@pytest.mark.parametrize(("error", "live"), [(RuntimeError("DagRun not found"), False), (RuntimeError("HTTP 404"), False)])
def test_a_run_that_airflow_no_longer_knows_is_not_live(dag_runs, error, live):
    dag_runs["migrate_six", "b-1.3"] = error
    assert is_live(Origin("migrate_six", "b-1.3")) is live


def test_an_airflow_that_cannot_be_asked_is_no_answer(dag_runs):
    """Guessing `not live` here would let two DAG runs work on one attempt."""
    dag_runs["migrate_six", "b-1.3"] = ConnectionError("api-server away")
    with pytest.raises(ConnectionError):
        is_live(Origin("migrate_six", "b-1.3"))
