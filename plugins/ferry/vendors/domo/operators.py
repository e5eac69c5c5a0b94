"""Domo's steps as Airflow sees them. What each does is in the modules named in it, imported when a task runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import Context, TriggerRule
from airflow.sdk.exceptions import AirflowSkipException

from ferry.steps.operators import (
    AdmitBatchOperator,
    AdmitUndoOperator,
    SettleBatchOperator,
    SettleUndoOperator,
    VendorOperator,
    plainly,
)
from ferry.steps.people import ApproveOperator, AskPersonOperator

if TYPE_CHECKING:
    from ferry.steps.work import Work
    from ferry.vendors.domo.fates import Fate
    from ferry.vendors.domo.moving import Pause

HOOK = "ferry.vendors.domo.hook.DomoHook"
MOST_AT_ONCE = 4
"""Tasks of one batch that Airflow keeps alive at once; the manifest's `at_once`, which is no more, is kept by the ledger."""

LOOK_AGAIN, NOT_MOVED = "Look again", "They were not moved: leave them open"
MENDING = {"Repeat the migration": "repeat", "Reverse them": "reverse", "Leave them as they are": "leave"}
"""What a person may answer about half-done datasources, and what that means."""


class DomoAdmitBatchOperator(AdmitBatchOperator):
    """Opens an attempt at a Domo batch, or goes on with the open one."""

    hook_path = HOOK


class DomoCheckBatchOperator(VendorOperator):
    """Holds the mapping against types, accounts and candidates; every finding is in one file of evidence."""

    step = "check_batch"
    hook_path = HOOK

    def work_on(self, work: Work) -> dict[str, Any]:
        """Counts of findings and datasources; BatchRefused if the batch must not be sent."""
        from ferry.vendors.domo.planning import check_batch

        return check_batch(work)


class DomoPlanRunOperator(VendorOperator):
    """Lists the datasources that are to be sent now, for the tasks that send them."""

    step = "plan_run"
    hook_path = HOOK

    def work_on(self, work: Work) -> list[list[str]]:
        """Ids in portions, one for each task; empty if all are on V2."""
        from ferry.vendors.domo.planning import plan_run

        return plan_run(work)


class DomoMoveOperator(VendorOperator):
    """Moves a portion of the batch's datasources, each once. It waits without a worker: for room, before a repeat, for proof.

    `each` maps it over the portions that a plan gives. Red means that Domo said no, or did not finish; whoever clears it sends
    again.
    """

    template_fields: Sequence[str] = ("attempt", "portion")
    hook_path = HOOK

    def __init__(self, *, portion: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.portion = portion

    @classmethod
    def each(cls, portions: Any) -> Any:
        """One task for each portion, named by its datasources, a few at a time: Airflow reads that from the mapping."""
        mapped = cls.partial(
            task_id=cls.step,
            map_index_template="{{ task.portion[:3] | join(', ') }}",
            max_active_tis_per_dagrun=MOST_AT_ONCE,
        )
        return mapped.expand(portion=portions)

    def move(self, work: Work, datasources: Sequence[str], **how: Any) -> Pause | dict[str, int]:
        """Move them as far as it goes without waiting."""
        raise NotImplementedError

    def work_on(self, work: Work) -> Any:
        """Counts by what Domo said."""
        return self._go(work)

    def go_on(self, context: Context, event: Any = None) -> Any:
        """After a wait; only the event of a watch is a mapping that says for what."""
        with plainly(self.log), self.work(context) as work:
            if isinstance(event, dict) and "proved" in event:
                return self._go(work, watched=list(self.portion))
            return self._go(work, rested=not isinstance(event, dict))

    def _go(self, work: Work, **how: Any) -> Any:
        from ferry.vendors.domo.moving import Pause

        work.focus = tuple(self.portion)  # the batch may have thousands of others
        done = self.move(work, list(self.portion), **how)
        if isinstance(done, Pause):
            self._let_go(work, done)
        return done

    def _let_go(self, work: Work, pause: Pause) -> None:
        from ferry.vendors.domo.waiting import trigger_for

        self.log.info("%s: %s waits for %s", work.attempt, pause.datasource, pause.why)
        self.defer(trigger=trigger_for(work, pause), method_name="go_on")


class DomoStartRunOperator(DomoMoveOperator):
    """Migrates datasources to the batch's account."""

    step = "start_run"

    def move(self, work: Work, datasources: Sequence[str], **how: Any) -> Pause | dict[str, int]:
        """Migrate them as far as it goes without waiting."""
        from ferry.vendors.domo.starting import start

        return start(work, datasources, **how)


class DomoMendRunOperator(DomoMoveOperator):
    """Repeats or reverses what a migration left half-done, as was decided."""

    step = "mend_run"

    def move(self, work: Work, datasources: Sequence[str], **how: Any) -> Pause | dict[str, int]:
        """Mend them as far as it goes without waiting."""
        from ferry.vendors.domo.mending import mend

        return mend(work, datasources, **how)


class DomoUndoRunOperator(DomoMoveOperator):
    """Puts datasources back on V1."""

    step = "undo_run"

    def move(self, work: Work, datasources: Sequence[str], **how: Any) -> Pause | dict[str, int]:
        """Reverse them as far as it goes without waiting."""
        from ferry.vendors.domo.reversing import undo

        return undo(work, datasources, **how)


class DomoConfirmOperator(AskPersonOperator):
    """Says how the whole ended. Lost answers are watched for once more, and one question is asked about all that are left.

    It runs whatever became of the tasks before it, and is skipped where they had nothing to do.
    """

    of: ClassVar[str]
    """The step whose calls it is about."""
    hook_path = HOOK

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("trigger_rule", TriggerRule.ALL_DONE)
        super().__init__(body="", options=[LOOK_AGAIN, NOT_MOVED], **kwargs)

    def had_work(self, work: Work) -> bool:
        """Whether the tasks before had anything to do."""
        raise NotImplementedError

    def end(self, work: Work) -> Any:
        """Write down how the whole ended, and return counts."""
        raise NotImplementedError

    def execute(self, context: Context) -> Any:
        """Pass where every answer is known, else watch, and then ask."""
        with plainly(self.log), self.work(context) as work:
            if not self.had_work(work):
                raise AirflowSkipException("Nothing was sent, so there is nothing to confirm.")
            unknown = self._unproved(work)
            if any(not fate.asked for fate in unknown.values()):
                self._watch(work, unknown)
            return self._ask(context, work, unknown) if unknown else self.end(work)

    def weigh(self, context: Context, event: Any) -> Any:  # noqa: ARG002 (the list itself is read again)
        """After a watch: what is proved is adopted, what is not is asked about."""
        with plainly(self.log), self.work(context) as work:
            unknown = self._unproved(work)
            return self._ask(context, work, unknown) if unknown else self.end(work)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Look again, or leave open what nobody has moved; what the list proves by now is adopted either way."""
        from ferry.vendors.domo.starting import leave_open, shown

        work, chosen, _ = self.answered(context, event)
        with plainly(self.log), work:
            unknown = self._unproved(work)
            if unknown and chosen == LOOK_AGAIN:
                self._watch(work, unknown, anew=True)
            leave_open(work, shown(work, unknown), work.origin.who)
            return self.end(work)

    def _unproved(self, work: Work) -> dict[str, Fate]:
        from ferry.vendors.domo.starting import lost, mover_of

        unknown = lost(work, self.of)
        proved = mover_of(work, self.of).proved(unknown) if unknown else set()
        return {one: fate for one, fate in unknown.items() if one not in proved}

    def _watch(self, work: Work, unknown: dict[str, Fate], *, anew: bool = False) -> None:
        from ferry.vendors.domo.waiting import list_trigger

        self.defer(trigger=list_trigger(work, unknown, anew=anew), method_name="weigh")

    def _ask(self, context: Context, work: Work, unknown: dict[str, Fate]) -> Any:
        from ferry.vendors.domo.starting import IDS, question

        self.body = question(unknown)
        return self.ask(
            context, work, f"Asked a person about {len(unknown)} answers that were lost.", data={IDS: sorted(unknown)}
        )


class DomoConfirmStartOperator(DomoConfirmOperator):
    """Says how the batch's migrations ended, and asks only about answers that were lost and that nothing proves."""

    step = "confirm_start"
    of = "start_run"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(subject="Were these datasources of batch {{ params.batch_id }} migrated?", **kwargs)

    def had_work(self, work: Work) -> bool:
        """Whether the batch passed its check."""
        from ferry.vendors.domo.planning import is_planned

        return is_planned(work)

    def end(self, work: Work) -> dict[str, int]:
        """Counts by what Domo said."""
        from ferry.vendors.domo.judging import record_end

        return record_end(work)


class DomoFetchErrorsOperator(VendorOperator):
    """Keeps what Domo said of each datasource that is not migrated, sorted by cause."""

    step = "fetch_errors"
    hook_path = HOOK

    def work_on(self, work: Work) -> dict[str, int]:
        """How many there are of each sort."""
        from ferry.vendors.domo.judging import fetch_errors

        return fetch_errors(work)


class DomoDecideMendOperator(AskPersonOperator):
    """Decides what becomes of half-done migrations, as the manifest says; with `on_incomplete: ask`, a person does."""

    step = "decide_mend"
    hook_path = HOOK

    def __init__(self, **kwargs: Any) -> None:
        subject = "What is to become of the half-done datasources of batch {{ params.batch_id }}?"
        super().__init__(subject=subject, body="", options=list(MENDING), **kwargs)

    def execute(self, context: Context) -> Any:
        """The portions for `mend_run`; none if nothing is half-done, or it is left."""
        from ferry.vendors.domo.mending import decided, half_done, question, to_mend

        with plainly(self.log), self.work(context) as work:
            broken = half_done(work)
            if not broken:
                return []
            if action := decided(work, broken):
                self.log.info("%s: %d half-done datasources: %s", work.attempt, len(broken), action)
                return to_mend(broken, action)
            self.body = question(broken)
            return self.ask(context, work, f"Asked a person about {len(broken)} half-done datasources.")

    def execute_complete(self, context: Context, event: dict[str, Any]) -> list[list[str]]:
        """Write the answer and who gave it."""
        from ferry.vendors.domo.mending import decide, half_done, to_mend

        work, chosen, _ = self.answered(context, event)
        broken = half_done(work)
        decide(work, broken, MENDING[chosen], f"{work.origin.who} said: {chosen}.")
        return to_mend(broken, MENDING[chosen])


class DomoReconcileOperator(VendorOperator):
    """Holds every datasource of the batch against Domo's answer and its candidates list; it runs whatever was mended or not."""

    step = "reconcile"
    hook_path = HOOK

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("trigger_rule", TriggerRule.ALL_DONE)
        super().__init__(**kwargs)

    def work_on(self, work: Work) -> dict[str, int]:
        """Counts of the identity. Waits without a worker while the list may be late."""
        import time

        from ferry.vendors.domo.judging import late, reconcile
        from ferry.vendors.domo.planning import is_planned
        from ferry.vendors.domo.waiting import late_trigger

        if not is_planned(work):
            raise AirflowSkipException("Nothing was sent, so there is nothing to reconcile.")
        missing, until = late(work)
        if missing and time.time() < until:
            self.log.info("%s: the list does not show %d datasources yet", work.attempt, len(missing))
            self.defer(trigger=late_trigger(work, missing, until), method_name="count")
        return reconcile(work)

    def count(self, context: Context, event: Any) -> dict[str, int]:  # noqa: ARG002 (the list itself is read again)
        """After the wait, whatever the list shows."""
        from ferry.vendors.domo.judging import reconcile

        with plainly(self.log), self.work(context) as work:
            return reconcile(work)


class DomoSettleBatchOperator(SettleBatchOperator):
    """The verdict on a Domo batch."""

    hook_path = HOOK


# Back to V1


class DomoAdmitUndoOperator(AdmitUndoOperator):
    """Takes the batch's newest attempt up again, to reverse what it moved."""

    hook_path = HOOK


class DomoCheckUndoOperator(VendorOperator):
    """Lists the datasources that are to be reversed: those that are named, or all that the batch has moved."""

    step = "check_undo"
    hook_path = HOOK
    template_fields: Sequence[str] = ("attempt", "datasources")

    def __init__(self, *, datasources: Any = "{{ params.datasources | tojson }}", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.datasources = datasources

    def work_on(self, work: Work) -> list[list[str]]:
        """Ids in portions, one for each task; BatchRefused if there is nothing to reverse."""
        import json

        from ferry.vendors.domo.reversing import check_undo

        return check_undo(work, json.loads(self.datasources) or [])


class DomoApproveUndoOperator(ApproveOperator):
    """Asks a person whether datasources may be reversed; the manifest's `reversal: auto` does without."""

    step = "approve_undo"
    hook_path = HOOK
    after_no = "Nothing is reversed."

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(subject="Reverse datasources of batch {{ params.batch_id }}?", **kwargs)

    def facts(self, work: Work) -> str:
        """How many, which, and what is known about such reversals."""
        from ferry.vendors.domo.reversing import undo_facts

        return undo_facts(work)

    def unattended(self, work: Work) -> str:
        """Why nobody needs to be asked."""
        from ferry.vendors.domo.reversing import undo_unattended

        return undo_unattended(work)

    def matter(self, work: Work) -> str:
        """Exactly these datasources: an approval is for nothing else."""
        from ferry.vendors.domo.reversing import undo_matter

        return undo_matter(work)

    def part(self, work: Work) -> str:
        """Every DAG run that takes the attempt up to reverse it asks for itself."""
        from ferry.steps.undoing import undo_part

        return undo_part(work)


class DomoConfirmUndoOperator(DomoConfirmOperator):
    """Says where the datasources are after a reversal, and asks only about answers that were lost and that nothing proves."""

    step = "confirm_undo"
    of = "undo_run"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(subject="Were these datasources of batch {{ params.batch_id }} put back on V1?", **kwargs)

    def had_work(self, work: Work) -> bool:
        """Whether this DAG run was allowed to reverse anything."""
        from ferry.vendors.domo.reversing import is_approved

        return is_approved(work)

    def end(self, work: Work) -> dict[str, int]:
        """Counts of the identity."""
        from ferry.vendors.domo.reversing import confirm_undo

        return confirm_undo(work)


class DomoSettleUndoOperator(SettleUndoOperator):
    """The verdict on a Domo batch that was to be reversed."""

    hook_path = HOOK
