"""TriggerAttemptOperator: start a batch's DAG run, or wait for the one that exists already, and take over its colour."""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.providers.standard.triggers.external_task import DagStateTrigger
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowFailException


def to_trigger(due: dict[str, Any]) -> dict[str, Any]:
    """The arguments that trigger one attempt at a dispatched batch; its run id names it, so Airflow refuses a twin."""
    return {
        "trigger_dag_id": due["dag"],
        "trigger_run_id": f"{due['batch_id']}.{due['attempt']}",
        "conf": {"batch_id": due["batch_id"], "force_new_attempt": False},
    }


class TriggerAttemptOperator(TriggerDagRunOperator):
    """Airflow's own operator, made safe to repeat.

    A task that died between triggering and waiting finds its DAG run on the next try: a live one is waited for, an ended one is
    cleared and runs again (the ledger decides what that means). Airflow's own would fail on it for ever. A DAG run that ended red
    is not tried again: it said what a person must correct, and another try would only send the same once more.
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("wait_for_completion", True)
        kwargs.setdefault("deferrable", True)
        kwargs.setdefault("reset_dag_run", True)
        kwargs.setdefault("logical_date", None)
        kwargs.setdefault("poke_interval", 10)
        super().__init__(**kwargs)

    def execute(self, context: Context) -> None:
        """Trigger and wait, or only wait."""
        from ferry.ledger.entries import Origin
        from ferry.steps.admitting import is_live

        run_id = str(self.trigger_run_id)
        if not is_live(Origin(self.trigger_dag_id, run_id)):
            super().execute(context)
            return
        self.log.info("DAG run %s of %s is at work already", run_id, self.trigger_dag_id)
        if not self.wait_for_completion:
            return
        self.defer(
            trigger=DagStateTrigger(
                dag_id=self.trigger_dag_id,
                states=[*self.allowed_states, *self.failed_states],
                run_ids=[run_id],
                poll_interval=self.poke_interval,
            ),
            method_name="execute_complete",
        )

    def execute_complete(self, context: Context, event: tuple[str, dict[str, Any]]) -> None:
        """Take over the colour of the DAG run; red fails this task for good."""
        _, seen = event
        red = [run_id for run_id in seen["run_ids"] if seen.get(run_id) in self.failed_states]
        if red:
            raise AirflowFailException(
                f"DAG run {', '.join(red)} of {self.trigger_dag_id} is red. Its settle_batch says why; correct that first."
            )
        super().execute_complete(context, event)
