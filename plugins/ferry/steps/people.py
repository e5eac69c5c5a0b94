"""Where only a person can know or decide: steps that ask, in Airflow's Required Actions, and wait without holding anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Context, Param
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import AirflowFailException

from ferry.core.model import RunState
from ferry.steps.extra_links import LedgerLink
from ferry.steps.operators import ATTEMPT, AttemptStep, plainly

if TYPE_CHECKING:
    from ferry.ledger.entries import Entry
    from ferry.steps.work import Work

STARTED = "It was started: wait for it"
NOT_STARTED = "It was not started: close this attempt"
APPROVE = "Approve"
REJECT = "Reject"
A_MOMENT = 20.0
"""Seconds for which a task is put aside whose answer could not be used; Airflow 3.3.2 may fail one that comes back sooner."""
MATTER = "matter"
"""Key in the data of a question and its answer: the hash of what was decided on."""


class AskPersonOperator(AttemptStep, HITLOperator):
    """Base of the steps that ask a person: question and answer, with who gave it, stand in the ledger."""

    template_fields: Sequence[str] = ("attempt", "subject", "body")
    operator_extra_links = (LedgerLink(),)

    def __init__(self, *, attempt: str = ATTEMPT, **kwargs: Any) -> None:
        kwargs.setdefault("task_id", self.step)
        super().__init__(**kwargs)
        self.attempt = attempt

    def ask(self, context: Context, work: Work, note: str, **facts: Any) -> Any:
        """Write that a person is asked, and wait for the answer; `execute_complete` gets it."""
        from ferry.ledger.entries import Kind

        work.record(Kind.ASKED, ref=work.standing.ref, note=note, **facts)
        return HITLOperator.execute(self, context)

    def must_be_the_first_question(self, work: Work, matter: str, entries: Sequence[Entry]) -> None:
        """Airflow 3.3.2 goes on showing the first question of a task, also where it asks another one after it was cleared."""
        from ferry.ledger.entries import Kind

        mine = [one for one in entries if one.step == self.step and one.kind is Kind.ASKED and one.origin.same_run(work.origin)]
        if mine and mine[0].data.get(MATTER, "") != matter:
            raise AirflowFailException(
                "What is to be decided has changed since this DAG run first asked, and the page would show the old question. "
                "Nothing was sent. Trigger it again: a new DAG run asks anew."
            )

    def answered(self, context: Context, event: dict[str, Any]) -> tuple[Work, str, dict[str, Any]]:
        """The work, signed by who answered; the option they chose; and what they filled in."""
        answer = HITLOperator.execute_complete(self, context, event)
        work = self.work(context)
        work.origin = replace(work.origin, who=_name(answer.get("responded_by_user")))
        return work, answer["chosen_options"][0], dict(answer.get("params_input") or {})


class AskSecretOperator(AskPersonOperator):
    """Base of the steps that ask a person for something that must be kept nowhere, such as a one-time password.

    Airflow keeps what people fill in: beside the question, and with the task until it ends or puts itself aside. `take_secret`
    gives the answer back and has Airflow forget its copy before anything else is done with it. The other copy would be kept for
    good in Airflow's history of tries if the task were tried again, so `execute_complete` must end in success, in a failure
    that is not retried, or by putting the task aside (`ask_anew`).
    """

    def ask_anew(self, why: str) -> NoReturn:
        """Put the task aside for a moment, which wipes the other copy, and begin it again: it asks for another secret."""
        from airflow.providers.standard.triggers.temporal import DateTimeTrigger

        self.log.warning("%s The answer was not used; another is asked for.", why)
        moment = datetime.now(UTC) + timedelta(seconds=A_MOMENT)
        self.defer(trigger=DateTimeTrigger(moment=moment), method_name="start_again")

    def start_again(self, context: Context, event: Any) -> Any:  # noqa: ARG002 (that the moment has passed is all it says)
        """Begin anew, after a moment or a wait for room."""
        return self.execute(context)

    def take_secret(self, context: Context, event: dict[str, Any], name: str) -> tuple[str, dict[str, Any]]:
        """What was filled in under that name, and the event without it."""
        from airflow.sdk.log import mask_secret

        given = dict(event.get("params_input") or {})
        for told in filter(None, map(str, given.values())):  # whatever field somebody's program has put it in
            mask_secret(told)
        self.forget_answer(context)
        return str(given.get(name) or "").strip(), {**event, "params_input": {name: ""}}

    def forget_answer(self, context: Context) -> None:
        """A question that is put again loses its answer: the one way by which a task can have Airflow forget it (3.3.2)."""
        from airflow.sdk.execution_time.hitl import upsert_hitl_detail

        upsert_hitl_detail(
            ti_id=context["ti"].id,
            options=self.options,
            subject=self.subject,
            body=self.body,
            params=self.serialized_params,
        )


class ApproveOperator(AskPersonOperator):
    """A gate: goes on when a person says yes; a no ends the attempt. Who decided, when and why stand in the ledger.

    Subclasses say in `facts` what there is to decide, and in `unattended` why nobody needs to be asked.
    """

    step = "approve"
    after_no: ClassVar[str] = "Nothing more is sent for this attempt; trigger the batch again for a new one."
    """What a no means, for whoever reads the red task."""

    def __init__(self, *, subject: str = "May batch {{ params.batch_id }} go on?", **kwargs: Any) -> None:
        # Airflow hands the DAG's parameters over as well; only those whose source is the task are asked of the person.
        form = kwargs.pop("params", None) or ParamsDict()
        form["comment"] = _comment()
        super().__init__(subject=subject, body="", options=[APPROVE, REJECT], params=form, **kwargs)

    def facts(self, work: Work) -> str:
        """What a person must know to decide, in Markdown; no record's content."""
        raise NotImplementedError

    def unattended(self, work: Work) -> str:  # noqa: ARG002 (for subclasses)
        """The sentence that says why nobody is asked; empty to ask."""
        return ""

    def matter(self, work: Work) -> str:  # noqa: ARG002 (for subclasses)
        """What exactly is decided on, as a hash: an answer holds for nothing else. Empty if there is only one thing to decide."""
        return ""

    def part(self, work: Work) -> str:  # noqa: ARG002 (for subclasses)
        """Which time the question is asked, where an attempt can come to it anew."""
        return ""

    def execute(self, context: Context) -> Any:
        """Pass where the answer is known or nobody needs to be asked; else ask."""
        from ferry.ledger.entries import Kind

        with plainly(self.log), self.work(context) as work:
            part, matter = self.part(work), self.matter(work)
            known = work.result(part)
            if known and known.data.get(MATTER, "") == matter:
                return self._decided(known.state, known.note)
            if why := self.unattended(work):
                data = {MATTER: matter}
                work.record(Kind.RESULT, key=part, ref=work.standing.ref, state=RunState.SUCCEEDED, note=why, data=data)
                self.log.info("%s", why)
                return APPROVE
            self.must_be_the_first_question(work, matter, [one for one in work.standing.entries if one.key == part])
            self.body = self.facts(work)
            return self.ask(context, work, "Asked a person whether it may go on.", key=part, data={MATTER: matter})

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Write the answer, who gave it and why; it is an answer to what was shown, whatever has happened since."""
        from ferry.ledger.entries import Kind

        work, chosen, form = self.answered(context, event)
        asked = work.standing.latest(self.step, Kind.ASKED)
        comment = str(form.get("comment") or "").strip()
        state = RunState.SUCCEEDED if chosen == APPROVE else RunState.CANCELLED
        note = f"{work.origin.who} said {chosen.lower()}" + (f": {comment.rstrip('.')}." if comment else ".")
        facts: dict[str, Any] = {"key": asked.key, "data": asked.data} if asked else {}
        work.record(Kind.RESULT, ref=work.standing.ref, state=state, note=note, **facts)
        return self._decided(state, note)

    def _decided(self, state: RunState | None, note: str) -> str:
        self.log.info("%s", note)
        if state is RunState.SUCCEEDED:
            return APPROVE
        raise AirflowFailException(f"{note} {self.after_no}")


class ConfirmStartOperator(AskPersonOperator):
    """Passes at once when the start's answer is known. Where it was lost, looks for proof, and then asks a person.

    Nothing is ever sent again from here: a run that was not started is closed, and triggering the batch opens a new attempt.
    """

    step = "confirm_start"
    trigger_path: ClassVar[str]

    def __init__(self, *, grace: timedelta = timedelta(minutes=5), **kwargs: Any) -> None:
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
        self.grace = grace

    def execute(self, context: Context) -> Any:
        """Pass, or wait for proof in the triggerer."""
        from airflow.sdk._shared.module_loading import import_string

        work = self.work(context)
        if work.standing.start_known:
            return None
        if known := work.result():  # the only answer that leaves the start unknown is a no, and a no stays a no
            self._close(known.note)
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
        work = self.work(context)
        if event["proved"]:
            note = f"The answer to the start was lost; the run's word '{event['word']}' proves that it was started."
            ref = event.get("ref") or work.standing.ref  # the answer that was lost may have been the first to name the run
            self._adopt(work, ref=ref, word=event["word"], note=note)
            self.log.info("%s", note)
            return None
        return self.ask(context, work, "Asked a person whether the run was started.")

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Write the answer and who gave it."""
        from ferry.ledger.entries import Kind

        work, chosen, _ = self.answered(context, event)
        who = work.origin.who
        if chosen == STARTED:
            note = f"{who} says that the run was started."
            self._adopt(work, ref=work.standing.ref, note=note)
            return STARTED
        note = f"{who} says that the run was not started."
        work.record(Kind.RESULT, ref=work.standing.ref, state=RunState.CANCELLED, note=note)
        return self._close(note)

    @staticmethod
    def _adopt(work: Work, **facts: Any) -> None:
        """The answer to the start that was lost, which may not have been the first."""
        from ferry.ledger.entries import START, Kind

        work.record(Kind.ADOPTED, step=START, key=work.standing.starts[-1].key, state=RunState.QUEUED, **facts)

    @staticmethod
    def _close(note: str) -> NoReturn:
        raise AirflowFailException(f"{note} The attempt is closed; trigger the batch again for a new one.")


def _comment() -> Param:
    return Param(
        "", type=["string", "null"], source="task", maxLength=1000, title="Comment", description="Why. Kept in the ledger."
    )


def _name(user: Any) -> str:
    return str((user or {}).get("name") or (user or {}).get("id") or "The default answer")
