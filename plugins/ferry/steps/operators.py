"""The steps every vendor shares: admit, await, route, settle; and the base of all vendor steps.

Nothing heavy is imported here: Airflow imports this module whenever it parses a DAG file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.standard.operators.branch import BaseBranchOperator
from airflow.sdk import BaseOperator, Context, TriggerRule
from airflow.sdk.bases.skipmixin import SkipMixin
from airflow.triggers.base import StartTriggerArgs

from ferry.core.errors import BadInput, FerryError
from ferry.core.model import Attempt
from ferry.steps.extra_links import LedgerLink, VendorLink

if TYPE_CHECKING:
    from ferry.ledger.admission import Admission
    from ferry.steps.hook import VendorHook
    from ferry.steps.work import Work

ADMIT = "admit_batch"
ATTEMPT = f"{{{{ ti.xcom_pull(task_ids='{ADMIT}', map_indexes=-1) }}}}"
"""Template of the attempt's key. `map_indexes` is a must: without it a trigger that starts in the triggerer hangs for ever."""


class AttemptStep:
    """What every step of an attempt has, whichever of Airflow's operators it is made from."""

    step: ClassVar[str]
    hook_path: ClassVar[str]
    """Dotted path of the hook class, imported only when the task runs."""
    attempt: str
    """The attempt's key, once it is rendered."""

    def work(self, context: Context) -> Work:
        """Everything the step needs, opened when it is first used."""
        from ferry.steps.work import Work, origin_of

        return Work(parse_attempt(self.attempt), self.step, origin_of(context), self.hook_class())

    @classmethod
    def hook_class(cls) -> type[VendorHook[Any]]:
        """The vendor's hook."""
        from airflow.sdk._shared.module_loading import import_string

        found: type[VendorHook[Any]] = import_string(cls.hook_path)
        return found


class VendorOperator(AttemptStep, BaseOperator):
    """A step of one attempt. Subclasses name their step and hook, and do their work in `work_on`."""

    template_fields: Sequence[str] = ("attempt",)
    operator_extra_links = (LedgerLink(), VendorLink())
    ui_color = "#e8f1f8"

    def __init__(self, *, attempt: str = ATTEMPT, **kwargs: Any) -> None:
        kwargs.setdefault("task_id", self.step)
        super().__init__(**kwargs)
        self.attempt = attempt

    def execute(self, context: Context) -> Any:
        """Do the step and return a small JSON value."""
        with plainly(self.log), self.work(context) as work:
            return self.work_on(work)

    def work_on(self, work: Work) -> Any:
        """The step itself."""
        raise NotImplementedError


class AdmitBatchOperator(VendorOperator, SkipMixin):
    """Opens an attempt at the batch, or goes on with the open one; returns the attempt's key.

    Where the batch is balanced already, or another DAG run holds it, everything after this task is skipped.
    """

    step = ADMIT
    template_fields: Sequence[str] = ("batch_id", "force_new_attempt")

    def __init__(
        self,
        *,
        batch_id: str = "{{ params.batch_id }}",
        force_new_attempt: str = "{{ params.force_new_attempt }}",
        **kwargs: Any,
    ) -> None:
        super().__init__(attempt="", **kwargs)
        self.batch_id = batch_id
        self.force_new_attempt = force_new_attempt

    def execute(self, context: Context) -> str | None:
        """Read the batch, ask the ledger, and say what was decided."""
        force = str(self.force_new_attempt).strip().lower() in {"true", "1", "yes"}
        with plainly(self.log):
            admission = self.admission(context, force=force)
        if admission.may_work:
            self.log.info("%s: %s", admission.attempt, admission.reason)
            return admission.attempt.key
        self.log.warning("Nothing is sent: %s. The rest of this DAG run is skipped.", admission.reason)
        self.skip_the_rest()
        return None

    def admission(self, context: Context, *, force: bool) -> Admission:
        """What the ledger decides."""
        from ferry.steps.admitting import admit

        return admit(self.hook_class(), self.batch_id, context, force=force)

    def skip_the_rest(self) -> None:
        """Skip every later task, whatever its trigger rule: there is nothing to settle either."""
        from airflow.sdk.exceptions import DownstreamTasksSkipped

        raise DownstreamTasksSkipped(tasks=sorted(self.get_flat_relative_ids(upstream=False)))


class AdmitUndoOperator(AdmitBatchOperator):
    """Takes up again, to undo it, the batch's newest attempt that did something; returns the attempt's key.

    It holds the batch from then on, so nothing else is sent for it meanwhile.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"force_new_attempt": ""} | kwargs)

    def admission(self, context: Context, *, force: bool) -> Admission:  # noqa: ARG002 (there is nothing to force)
        """What the ledger decides."""
        from ferry.steps.undoing import admit_undo

        return admit_undo(self.hook_class(), self.batch_id, context)


class StartRunOperator(VendorOperator):
    """Starts the run, once. Waits without a worker while the environment has as many live runs as it may."""

    step = "start_run"

    def start(self, work: Work) -> bool:
        """Start; whether the vendor's answer is known. LedgerFull if there is no room for another live run."""
        raise NotImplementedError

    def work_on(self, work: Work) -> bool:
        """Whether the vendor's answer is known; `confirm_start` deals with the other case."""
        from ferry.ledger.entries import LedgerFull
        from ferry.steps.triggers import LivePlaceTrigger

        try:
            return self.start(work)
        except LedgerFull as full:
            self.log.info("%s", full.message)
            self.defer(
                trigger=LivePlaceTrigger(attempt=work.attempt.key, max_live=work.hook.settings.max_live_runs),
                method_name="start_again",
            )

    def start_again(self, context: Context, event: Any) -> Any:  # noqa: ARG002 (there is room: all the event says)
        """There was room a moment ago; the ledger decides who gets it."""
        return self.execute(context)


class AwaitRunOperator(VendorOperator):
    """Waits for the vendor's run without a worker: the task starts and ends in the triggerer.

    Green means *ended*, whatever the end; `route_outcome` reads which. Red means that the end is not known: the vendor could
    not be asked, or `patience` ran out. The vendor's run goes on in that case, and a cleared task goes on waiting for it.
    """

    step = "await_run"
    verb: ClassVar[str] = "look"
    ref_of: ClassVar[tuple[str, str]] = ("", "")
    """Step and key whose ref is looked at; empty for the attempt's run."""
    at: ClassVar[str] = ""
    """Role of the connection that is asked, where the vendor has two ends; empty for the batch's own."""
    trigger_path: ClassVar[str]
    start_from_trigger = True

    def __init__(
        self,
        *,
        patience: timedelta = timedelta(hours=12),
        first_look: timedelta = timedelta(seconds=5),
        longest_pause: timedelta = timedelta(seconds=60),
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("retries", 0)  # the loop in the trigger is the retry
        super().__init__(**kwargs)
        self.waiting = {
            "step": self.step,
            "verb": self.verb,
            "ref_of": list(self.ref_of),
            "at": self.at,
            "patience": patience.total_seconds(),
            "first_look": first_look.total_seconds(),
            "longest_pause": longest_pause.total_seconds(),
        }
        self.start_trigger_args = StartTriggerArgs(
            trigger_cls=self.trigger_path,
            trigger_kwargs={"attempt": self.attempt, **self.waiting},
            next_method="execute_complete",
        )

    def execute(self, context: Context) -> None:  # noqa: ARG002 (Airflow's signature)
        """Only `dag.test()` comes here: it knows nothing of tasks that start in the triggerer."""
        from airflow.sdk._shared.module_loading import import_string

        trigger = import_string(self.trigger_path)(attempt=self.attempt, **self.waiting)
        self.defer(trigger=trigger, method_name="execute_complete")

    def execute_complete(self, context: Context, event: Any) -> str:  # noqa: ARG002 (Airflow's signature)
        """Reached through `dag.test()` only, with the state the trigger ended in."""
        if str(event) not in {"success", "TaskInstanceState.SUCCESS"}:
            raise FerryError(f"Waiting for {self.attempt} ended without an answer; the ledger's last entries say why.")
        return str(self.attempt)


class RouteOutcomeOperator(BaseBranchOperator):
    """Chooses the branch by how the vendor's run ended, as the ledger has it; `partly` is that of a partial success."""

    step: ClassVar[str] = "route_outcome"
    template_fields: Sequence[str] = ("attempt",)
    operator_extra_links = (LedgerLink(),)

    def __init__(self, *, succeeded: str, failed: str, partly: str = "", attempt: str = ATTEMPT, **kwargs: Any) -> None:
        kwargs.setdefault("task_id", self.step)
        super().__init__(**kwargs)
        self.attempt, self.succeeded, self.failed, self.partly = attempt, succeeded, failed, partly or succeeded

    def choose_branch(self, context: Context) -> str:  # noqa: ARG002 (Airflow's signature)
        """A partial success is for reconciliation to judge; everything else that ended is a failure with a reason."""
        from ferry.core.model import RunState
        from ferry.steps import places

        standing = places.ledger().attempt(parse_attempt(self.attempt))
        state = standing.run_state
        if state is None or not state.is_final:
            raise FerryError(f"The ledger does not know how the run of {standing.attempt} ended; clear await_run to ask again.")
        self.log.info("The vendor's run %s ended %s ('%s')", standing.ref, state, standing.word)
        ways = {RunState.SUCCEEDED: self.succeeded, RunState.PARTIALLY_SUCCEEDED: self.partly}
        return str(ways.get(state, self.failed))


class SettleBatchOperator(VendorOperator):
    """Writes the verdict and fails unless the batch balances: the colour of the DAG run is the truth about the data."""

    step = "settle_batch"

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("trigger_rule", TriggerRule.ALL_DONE)
        super().__init__(**kwargs)

    def work_on(self, work: Work) -> dict[str, Any]:
        """Judge the attempt; returns the verdict and the counts."""
        from ferry.steps.settling import settle

        return settle(work)


class SettleUndoOperator(SettleBatchOperator):
    """Writes the verdict and fails unless the run was undone."""

    def work_on(self, work: Work) -> dict[str, Any]:
        """Judge the attempt; returns the verdict and the counts."""
        from ferry.steps.settling import settle_undo

        return settle_undo(work)


@contextmanager
def plainly(log: Any) -> Iterator[None]:
    """Log what went wrong as one line for people; Airflow logs the traceback, in which the sentence is lost."""
    try:
        yield
    except FerryError as error:
        log.error("%s", error.message)  # noqa: TRY400 (the traceback follows anyway)
        raise


def parse_attempt(key: str) -> Attempt:
    """The attempt a rendered template names; BadInput if the batch was never admitted."""
    try:
        return Attempt.parse(str(key))
    except ValueError:
        raise BadInput(
            "This DAG run has no attempt: admit_batch failed or was skipped. Its log says why; correct it and clear admit_batch."
        ) from None
