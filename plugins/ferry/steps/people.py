"""Where only a person can know: steps that ask, in Airflow's Required Actions, and wait without holding anything."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowFailException

from ferry.core.model import RunState
from ferry.steps.extra_links import LedgerLink
from ferry.steps.operators import ATTEMPT, parse_attempt

STARTED = "It was started: wait for it"
NOT_STARTED = "It was not started: close this attempt"


class ConfirmStartOperator(HITLOperator):
    """Passes at once when the start's answer is known. Where it was lost, looks for proof, and then asks a person.

    Nothing is ever sent again from here: a run that was not started is closed, and triggering the batch opens a new attempt.
    """

    step: ClassVar[str] = "confirm_start"
    hook_path: ClassVar[str]
    trigger_path: ClassVar[str]
    template_fields: Sequence[str] = ("attempt", "subject", "body")
    operator_extra_links = (LedgerLink(),)

    def __init__(self, *, attempt: str = ATTEMPT, grace: timedelta = timedelta(minutes=5), **kwargs: Any) -> None:
        kwargs.setdefault("task_id", self.step)
        super().__init__(
            subject="Was the run of batch {{ params.batch_id }} started?",
            body=(
                "The answer to the start was lost, and the vendor's run shows no proof either way. It will not be started a "
                "second time.\n\nLook at the run in the vendor's own pages (its id stands in the ledger under attempt "
                "{{ ti.xcom_pull(task_ids='admit_batch', map_indexes=-1) }}), then say what you found."
            ),
            options=[STARTED, NOT_STARTED],
            **kwargs,
        )
        self.attempt, self.grace = attempt, grace

    def execute(self, context: Context) -> Any:
        """Pass, or wait for proof in the triggerer."""
        from airflow.sdk._shared.module_loading import import_string

        work = self._work(context)
        if work.standing.start_known or work.result() is not None:
            return None
        trigger = import_string(self.trigger_path)(
            attempt=self.attempt,
            step=self.step,
            verb="look_started",
            patience=self.grace.total_seconds(),
            first_look=2.0,
            longest_pause=15.0,
        )
        self.defer(trigger=trigger, method_name="weigh")

    def weigh(self, context: Context, event: dict[str, Any]) -> Any:
        """After the look: adopt what was proved, ask about what was not."""
        from ferry.ledger.entries import START, Kind

        work = self._work(context)
        if event["proved"]:
            note = f"The answer to the start was lost; the run's word '{event['word']}' proves that it was started."
            work.record(Kind.ADOPTED, step=START, ref=work.standing.ref, word=event["word"], state=RunState.QUEUED, note=note)
            self.log.info("%s", note)
            return None
        work.record(Kind.ASKED, ref=work.standing.ref, note="Asked a person whether the run was started.")
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Write the answer and who gave it."""
        from ferry.ledger.entries import START, Kind

        answer = super().execute_complete(context, event)
        work, chosen, who = self._work(context), answer["chosen_options"], _name(answer.get("responded_by_user"))
        if STARTED in chosen:
            note = f"{who} says that the run was started."
            work.record(Kind.ADOPTED, step=START, ref=work.standing.ref, state=RunState.QUEUED, note=note)
            return STARTED
        note = f"{who} says that the run was not started."
        work.record(Kind.RESULT, ref=work.standing.ref, state=RunState.CANCELLED, note=note)
        raise AirflowFailException(f"{note} The attempt is closed; trigger the batch again for a new one.")

    def _work(self, context: Context) -> Any:
        from airflow.sdk._shared.module_loading import import_string

        from ferry.steps.work import Work, origin_of

        return Work(parse_attempt(self.attempt), self.step, origin_of(context), import_string(self.hook_path))


def _name(user: Any) -> str:
    return str((user or {}).get("name") or (user or {}).get("id") or "The default answer")
