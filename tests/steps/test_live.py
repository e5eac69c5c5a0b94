"""Which DAG runs count as live, and who takes over what they hold."""

import pytest
from airflow.sdk.api.datamodels._generated import DagRunState
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from tests.steps.conftest import ORIGIN
from tests.steps.six import SixHook

from ferry.ledger.entries import Kind, NotHolder, Origin
from ferry.steps.admitting import is_live
from ferry.steps.trigger_attempt import TriggerAttemptOperator
from ferry.steps.work import Work

LIVE = {"queued", "running"}


@pytest.mark.parametrize("state", [*DagRunState, *(state.value for state in DagRunState)], ids=repr)
def test_a_dag_run_is_live_whichever_way_airflow_spells_its_state(state, monkeypatch):
    monkeypatch.setattr(RuntimeTaskInstance, "get_dagrun_state", lambda *_: state)
    assert is_live(ORIGIN) is (getattr(state, "value", state) in LIVE)


def test_an_intent_is_not_called_lost_by_a_dag_run_that_does_not_hold_the_attempt(ledger):
    work = Work(ledger.attempt, "open_run", ORIGIN, SixHook)
    ledger.store.intend(ledger.attempt, "open_run", origin=ORIGIN)
    stranger = Work(ledger.attempt, "open_run", Origin(ORIGIN.dag_id, "another", "open_run", 1), SixHook)
    with pytest.raises(NotHolder, match="Nothing was sent"):
        stranger.forget("The answer was lost.")
    assert ("open_run", "") not in work.standing.answers
    work.forget("The answer was lost.")
    assert work.standing.latest("open_run", Kind.RESULT) is not None


@pytest.mark.parametrize("state", ["success", "failed"])
def test_a_dag_run_that_ended_red_is_not_triggered_again_by_a_retry(state):
    waiting = TriggerAttemptOperator(task_id="migrate", trigger_dag_id="migrate_six", trigger_run_id="b-1.1")
    seen = {"dag_id": "migrate_six", "run_ids": ["b-1.1"], "b-1.1": state}
    event = ("airflow.providers.standard.triggers.external_task.DagStateTrigger", seen)
    if state == "success":
        waiting.execute_complete({}, event)
        return
    with pytest.raises(AirflowFailException, match=r"b-1\.1 of migrate_six is red"):
        waiting.execute_complete({}, event)
