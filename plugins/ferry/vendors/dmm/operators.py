"""DMM's steps as Airflow sees them. What each does is in the modules named in it, imported when a task runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk import Context, Param, TriggerRule
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from ferry.core.errors import FerryError
from ferry.steps.operators import AdmitBatchOperator, AwaitRunOperator, SettleBatchOperator, VendorOperator, plainly
from ferry.steps.people import NOT_STARTED, STARTED, AskPersonOperator, AskSecretOperator

if TYPE_CHECKING:
    from ferry.ledger.admission import Admission
    from ferry.steps.work import Work

HOOK = "ferry.vendors.dmm.hook.DmmHook"
ONE_TIME_PASSWORD = "one_time_password"  # noqa: S105 (a field's name; Airflow hides what is filled into fields so called)
TRACKER_ID = "execution_id"
START_IT, DO_NOT = "Start it with this password", "Do not start it"
NOT_FOUND = "It may have been started, and its id is not to be found"
CLOSED = "The attempt is closed; trigger the batch again for a new one."
SOON = 8.0
"""Seconds before the first look for room: Airflow 3.3.2 may fail a task that is resumed sooner."""


class DmmAdmitBatchOperator(AdmitBatchOperator):
    """Opens an attempt at a DMM batch, or goes on with the open one; refuses what would append records a second time."""

    hook_path = HOOK

    def admission(self, context: Context, *, force: bool) -> Admission:
        """What the ledger decides."""
        from ferry.steps.admitting import admit
        from ferry.vendors.dmm.planning import must_not_duplicate

        return admit(self.hook_class(), self.batch_id, context, force=force, allow=must_not_duplicate)


class DmmCheckBatchOperator(VendorOperator):
    """Looks into the zip without unpacking it and counts its records, before a password is asked for."""

    step = "check_batch"
    hook_path = HOOK

    def work_on(self, work: Work) -> dict[str, Any]:
        """Counts of findings and records; BatchRefused if the batch must not be sent."""
        from ferry.vendors.dmm.planning import check_batch

        return check_batch(work)


class DmmCreateConnectionOperator(VendorOperator):
    """Registers a connection in DMM, where the manifest asks for it; usually people have done so."""

    step = "create_connection"
    hook_path = HOOK

    def work_on(self, work: Work) -> bool:
        """Whether it was asked for."""
        from ferry.vendors.dmm.connecting import create_connection

        return create_connection(work)


class DmmStartRunOperator(AskSecretOperator):
    """Asks a person for a one-time password and starts the execution with it at once: it is handed to no other task."""

    step = "start_run"
    hook_path = HOOK

    def __init__(self, **kwargs: Any) -> None:
        # Airflow hands the DAG's parameters over as well; only those whose source is the task are asked of the person.
        form = kwargs.pop("params", None) or ParamsDict()
        form[ONE_TIME_PASSWORD] = Param(
            "",
            type=["string", "null"],
            source="task",
            maxLength=200,
            title="One-time password",
            description="From the environment's Authentication Token page. Used once, kept nowhere.",
        )
        subject = "One-time password to start batch {{ params.batch_id }}"
        super().__init__(subject=subject, body="", options=[START_IT, DO_NOT], params=form, **kwargs)

    def execute(self, context: Context) -> Any:
        """Whether the vendor's answer is known; asks only where nothing was sent and there is room for a live execution."""
        from ferry.steps.people import MATTER
        from ferry.vendors.dmm.planning import matter
        from ferry.vendors.dmm.starting import is_room, question

        with plainly(self.log), self.work(context) as work:
            if not work.may_send():
                return work.result() is not None
            self._must_not_be_closed(work)
            work.must_hold()
            if not is_room(work):
                self._wait_for_room(work, "The environment has as many live executions as it may.")
            about = matter(work)
            self.must_be_the_first_question(work, about, work.ledger.of_batch(*work.batch_key))
            self.body = question(work)
            return self.ask(context, work, "Asked a person for a one-time password.", data={MATTER: about})

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Start, with the password that nobody but this moment knows. It never ends in a try that Airflow would repeat."""
        try:
            return self._answered(context, event)
        except AirflowFailException:
            raise
        except FerryError as trouble:
            if not trouble.retry_later:
                raise
            self.ask_anew(trouble.message)
        except Exception as odd:  # noqa: BLE001 (whatever it is: its text may hold what was typed in, and a retry would keep it)
            self.ask_anew(f"Something went wrong before anything was sent, or Airflow itself did ({type(odd).__name__}).")
        finally:
            with suppress(Exception):  # a second answer, from whoever had the page open as well
                self.forget_answer(context)

    def _answered(self, context: Context, event: dict[str, Any]) -> bool:
        from ferry.vendors.dmm.starting import start_run

        password, event = self.take_secret(context, event, ONE_TIME_PASSWORD)
        work, chosen, _ = self.answered(context, event)
        with plainly(self.log), work:
            if chosen == DO_NOT:
                self._close(work)
            return start_run(work, password)

    def _wait_for_room(self, work: Work, why: str) -> None:
        from ferry.steps.triggers import LivePlaceTrigger

        self.log.info("%s", why)
        most = work.hook.settings.max_live_runs
        self.defer(trigger=LivePlaceTrigger(work.attempt.key, most, first_look=SOON), method_name="start_again")

    @staticmethod
    def _must_not_be_closed(work: Work) -> None:
        """A person's no stays a no: whoever changes their mind triggers the batch. Nobody is asked for what is closed anyway."""
        standing = work.standing
        said = standing.results.get(("approve", ""))
        if said is not None or not standing.is_open:
            raise AirflowFailException(f"{said.note if said else standing.reason} {CLOSED}")

    def _close(self, work: Work) -> None:
        from ferry.core.model import RunState
        from ferry.ledger.entries import Kind

        note = f"{work.origin.who} said not to start it."
        work.record(Kind.RESULT, step="approve", state=RunState.CANCELLED, note=note)
        self._must_not_be_closed(work)


class DmmConfirmStartOperator(AskPersonOperator):
    """Asks a person only where the start's answer was lost: DMM offers no list in which it could be looked up."""

    step = "confirm_start"
    hook_path = HOOK

    def __init__(self, **kwargs: Any) -> None:
        form = kwargs.pop("params", None) or ParamsDict()
        form[TRACKER_ID] = Param(
            "",
            type=["string", "null"],
            source="task",
            maxLength=200,
            title="Execution id",
            description="MainExecutionTrackerId, if it was started.",
        )
        subject = "Was the execution of batch {{ params.batch_id }} started?"
        super().__init__(subject=subject, body="", options=[STARTED, NOT_STARTED, NOT_FOUND], params=form, **kwargs)

    def execute(self, context: Context) -> Any:
        """Pass, or ask; but not while the start may still be on its way."""
        from ferry.vendors.dmm.starting import sure_at

        with plainly(self.log), self.work(context) as work:
            if self._is_answered(work):
                return None
            if (until := sure_at(work)) > time.time():
                moment = datetime.fromtimestamp(max(until, time.time() + SOON), UTC)
                self.log.info("Whoever sent the start may still be at it; a person is asked after %s.", moment)
                self.defer(trigger=DateTimeTrigger(moment=moment), method_name="ask_now")
            return self._ask(context, work)

    def ask_now(self, context: Context, event: Any) -> Any:  # noqa: ARG002 (that the moment has passed is all it says)
        """Nobody can be sending it any more."""
        with plainly(self.log), self.work(context) as work:
            return None if self._is_answered(work) else self._ask(context, work)

    def _is_answered(self, work: Work) -> bool:
        standing = work.standing
        if standing.start_known and standing.ref:
            return True
        if no := work.result():
            raise AirflowFailException(f"{no.note} {CLOSED}")
        return False

    def _ask(self, context: Context, work: Work) -> Any:
        from ferry.steps.people import MATTER
        from ferry.vendors.dmm.planning import matter
        from ferry.vendors.dmm.starting import lost_question

        about = matter(work, str(work.standing.starts[-1].seq))
        self.must_be_the_first_question(work, about, work.ledger.of_batch(*work.batch_key))
        self.body = lost_question(work)
        return self.ask(context, work, "Asked a person whether the execution was started.", data={MATTER: about})

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Write the answer and who gave it, unless the vendor's own has come meanwhile."""
        from ferry.core.model import RunState
        from ferry.ledger.entries import Kind
        from ferry.vendors.dmm.starting import adopt_started, leave_unknown

        work, chosen, form = self.answered(context, event)
        with plainly(self.log), work:
            if self._is_answered(work):
                return None
            if chosen == STARTED:
                adopt_started(work, str(form.get(TRACKER_ID) or "").strip())
                return STARTED
            if chosen == NOT_FOUND:
                raise AirflowFailException(
                    f"{leave_unknown(work)} Nothing is sent again for this attempt. Clear confirm_start if the id is found after "
                    "all; force_new_attempt opens another attempt."
                )
            note = f"{work.origin.who} says that the execution was not started."
            work.record(Kind.RESULT, ref=work.standing.ref, state=RunState.CANCELLED, note=note)
            raise AirflowFailException(f"{note} {CLOSED}")


class DmmAwaitRunOperator(AwaitRunOperator):
    """Waits for the end of the execution. Ending the task stops the execution, unless the connection says not to."""

    hook_path = HOOK
    trigger_path = "ferry.vendors.dmm.triggers.DmmRunTrigger"


class DmmFetchOutputsOperator(VendorOperator):
    """Keeps everything DMM has to say of an execution that has ended, however it ended."""

    step = "fetch_outputs"
    hook_path = HOOK

    def work_on(self, work: Work) -> dict[str, Any]:
        """How many errors there are."""
        from ferry.vendors.dmm.ending import fetch_outputs

        return fetch_outputs(work)


class DmmFetchErrorsOperator(VendorOperator):
    """Sorts the errors of an execution by entity."""

    step = "fetch_errors"
    hook_path = HOOK

    def work_on(self, work: Work) -> dict[str, int]:
        """Chunks in error, by entity."""
        from ferry.vendors.dmm.ending import fetch_errors

        return fetch_errors(work)


class DmmMakeBatchOperator(VendorOperator):
    """Makes the zip of an export a batch that is ready to be imported elsewhere, where the manifest asks for it."""

    step = "make_batch"
    hook_path = HOOK

    def work_on(self, work: Work) -> str:
        """The new batch's id."""
        from ferry.vendors.dmm.exporting import make_batch

        return make_batch(work)


class DmmReconcileOperator(VendorOperator):
    """Holds DMM's counters against the records of the batch, however the execution ended."""

    step = "reconcile"
    hook_path = HOOK

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("trigger_rule", TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)  # with or without errors
        super().__init__(**kwargs)

    def work_on(self, work: Work) -> dict[str, int]:
        """Counts of the identity; skipped where nothing was changed, which is a refusal."""
        from ferry.vendors.dmm.ending import may_reconcile, reconcile

        if not may_reconcile(work.standing):
            raise AirflowSkipException("DMM's counters say that nothing was changed: there is nothing to reconcile.")
        return reconcile(work)


class DmmSettleBatchOperator(SettleBatchOperator):
    """The verdict on a DMM batch, also where the task that waited for the execution was ended by hand."""

    hook_path = HOOK

    def work_on(self, work: Work) -> dict[str, Any]:
        """Judge the attempt; returns the verdict and the counts."""
        from ferry.vendors.dmm.stopping import settle_batch

        return settle_batch(work)


# Stop


class DmmAdmitStopOperator(AdmitBatchOperator):
    """Finds the batch's execution that is under way; its own DAG run goes on holding it."""

    hook_path = HOOK
    template_fields: Sequence[str] = ("batch_id",)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"force_new_attempt": ""} | kwargs)

    def execute(self, context: Context) -> str:  # noqa: ARG002 (Airflow's signature)
        """The attempt's key; BadInput if there is nothing to stop."""
        from ferry.vendors.dmm.stopping import to_stop

        with plainly(self.log):
            return to_stop(self.hook_class(), self.batch_id).attempt.key


class DmmStopRunOperator(VendorOperator):
    """Asks DMM to import no further chunk. What is in stays in."""

    step = "stop_run"
    hook_path = HOOK
    template_fields: Sequence[str] = ("attempt", "reason")

    def __init__(self, *, reason: str = "{{ params.reason }}", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reason = reason

    def work_on(self, work: Work) -> bool:
        """Whether DMM was told; False where the execution had ended by then."""
        from ferry.vendors.dmm.stopping import stop_run

        return stop_run(work, self.reason)


class DmmSettleStopOperator(VendorOperator):
    """Says what was imported before the stop, and settles the batch where its own DAG run no longer can."""

    step = "settle_batch"
    hook_path = HOOK

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("trigger_rule", TriggerRule.ALL_DONE)
        super().__init__(**kwargs)

    def work_on(self, work: Work) -> dict[str, Any]:
        """Counters at the end."""
        from ferry.vendors.dmm.stopping import settle_stop

        return settle_stop(work)
