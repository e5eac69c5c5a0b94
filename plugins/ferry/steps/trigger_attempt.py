"""TriggerAttemptOperator: start a batch's DAG run, or wait for the one that exists already, and take over its colour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.trigger_dagrun import XCOM_RUN_ID, TriggerDagRunLink, TriggerDagRunOperator
from airflow.providers.standard.triggers.external_task import DagStateTrigger
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowFailException

from ferry.core.model import Attempt

if TYPE_CHECKING:
    from ferry.ledger.entries import Origin


def to_trigger(due: dict[str, Any]) -> dict[str, Any]:
    """The arguments that trigger one attempt at a batch; its run id names it, so Airflow refuses a twin."""
    return {
        "trigger_dag_id": due["dag"],
        "trigger_run_id": f"{due['batch_id']}.{due['attempt']}",
        "conf": {"batch_id": due["batch_id"], "force_new_attempt": False},
    }


def to_dispatch(due: dict[str, Any]) -> dict[str, Any]:
    """The same for a batch whose environment is known: whoever works on it is waited for."""
    attempt = Attempt(due["vendor"], due["environment"], due["batch_id"], due["attempt"])
    return to_trigger(due) | {"attempt": attempt.key}


class TriggerAttemptOperator(TriggerDagRunOperator):
    """Airflow's own operator, made safe to repeat.

    A task that died between triggering and waiting finds its DAG run on the next try: a live one is waited for, an ended one is
    cleared and runs again (the ledger decides what that means). Airflow's own would fail on it for ever. A DAG run that ended red
    is not tried again: it said what a person must correct, and another try would only send the same once more.

    With an `attempt`, its batch is waited for whoever works on it: a DAG run that a person triggered has a name of its own, and
    one of ours beside it would only be told that the batch is held.
    """

    def __init__(self, *, attempt: str = "", **kwargs: Any) -> None:
        kwargs.setdefault("wait_for_completion", True)
        kwargs.setdefault("deferrable", True)
        kwargs.setdefault("reset_dag_run", True)
        kwargs.setdefault("logical_date", None)
        kwargs.setdefault("poke_interval", 10)
        super().__init__(**kwargs)
        self.attempt = attempt

    def execute(self, context: Context) -> None:
        """Trigger and wait, or only wait."""
        working = self._holder() or self._mine()
        if working is None:
            super().execute(context)
        elif self.wait_for_completion:
            self._wait_for(context, working)
        else:
            self.log.info("%s is at work already", working)

    def execute_complete(self, context: Context, event: tuple[str, dict[str, Any]]) -> None:
        """Take over the colour of the DAG run; red fails this task for good."""
        _, seen = event
        self.trigger_dag_id = seen["dag_id"]  # the link is made from it once more
        red = [run_id for run_id in seen["run_ids"] if seen.get(run_id) in self.failed_states]
        if red:
            told = f"DAG run {', '.join(red)} of {self.trigger_dag_id} is red. Its settle_batch says why; correct that first."
            self.log.error("%s", told)  # Airflow logs the traceback, in which the sentence is lost
            raise AirflowFailException(told)
        super().execute_complete(context, event)
        if (working := self._holder()) is not None:  # it came while ours was on its way, which ended with nothing done
            self._wait_for(context, working)

    def _mine(self) -> Origin | None:
        """The DAG run that this task would trigger, if it is there and may still act."""
        from ferry.ledger.entries import Origin
        from ferry.steps.admitting import is_live

        mine = Origin(self.trigger_dag_id, str(self.trigger_run_id))
        return mine if is_live(mine) else None

    def _holder(self) -> Origin | None:
        """The DAG run that works on the batch, whatever its name and DAG."""
        from ferry.steps import places
        from ferry.steps.admitting import is_live

        if not self.attempt:
            return None
        batch = Attempt.parse(self.attempt)
        last = places.ledger().standing(batch.vendor, batch.environment, batch.batch_id).last
        return last.holder if last and last.is_open and is_live(last.holder) else None

    def _wait_for(self, context: Context, working: Origin) -> None:
        self.log.info("%s is at work already; it is waited for, and so is whatever it asks under Required Actions", working)
        self._link_to(context, working)
        self.defer(
            trigger=DagStateTrigger(
                dag_id=working.dag_id,
                states=[*self.allowed_states, *self.failed_states],
                run_ids=[working.run_id],
                poll_interval=self.poke_interval,
            ),
            method_name="execute_complete",
        )

    def _link_to(self, context: Context, working: Origin) -> None:
        """Airflow makes the task's link when it triggers, and once more when the task ends; for this one it has to be told."""
        from airflow.utils.helpers import build_airflow_dagrun_url

        address = build_airflow_dagrun_url(dag_id=working.dag_id, run_id=working.run_id)
        context["ti"].xcom_push(key=TriggerDagRunLink().xcom_key, value=address)
        context["ti"].xcom_push(key=XCOM_RUN_ID, value=working.run_id)
