"""MicroStrategy's steps as Airflow sees them. What each does is in the modules named in it, imported when a task runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.branch import BranchMixIn
from airflow.sdk import Context

from ferry.steps.operators import (
    AdmitBatchOperator,
    AdmitUndoOperator,
    AwaitRunOperator,
    SettleBatchOperator,
    SettleUndoOperator,
    StartRunOperator,
    VendorOperator,
)
from ferry.steps.people import ApproveOperator, ConfirmStartOperator

if TYPE_CHECKING:
    from ferry.steps.work import Work

HOOK = "ferry.vendors.microstrategy.hook.MicroStrategyHook"
RUN_TRIGGER = "ferry.vendors.microstrategy.triggers.MicroStrategyRunTrigger"
PROOF_TRIGGER = "ferry.vendors.microstrategy.triggers.MicroStrategyProofTrigger"


class MicroStrategyAdmitBatchOperator(AdmitBatchOperator):
    """Opens an attempt at a MicroStrategy batch, or goes on with the open one."""

    hook_path = HOOK


class MicroStrategyCheckBatchOperator(VendorOperator):
    """Checks manifest, object lists, and that both Libraries know the projects; every finding is in one file of evidence."""

    step = "check_batch"
    hook_path = HOOK

    def work_on(self, work: Work) -> dict[str, Any]:
        """Counts of findings and objects; BatchRefused if the batch must not be sent."""
        from ferry.vendors.microstrategy.planning import check_batch

        return check_batch(work)


class MicroStrategyOpenRunOperator(VendorOperator):
    """Has the package, or the group of packages, made at the source; the vendor does so in the background."""

    step = "open_run"
    hook_path = HOOK

    def work_on(self, work: Work) -> str:
        """The vendor's id."""
        from ferry.vendors.microstrategy.making import open_run

        return open_run(work)


class MicroStrategyAwaitPreparedOperator(AwaitRunOperator):
    """Waits until the source has made every package, or failed to."""

    step = "await_prepared"
    verb = "look_prepared"
    at = "source"
    hook_path = HOOK
    trigger_path = RUN_TRIGGER


class MicroStrategyValidatePackageOperator(VendorOperator):
    """Has the target try the package without committing anything, where the manifest asks for it."""

    step = "validate_package"
    hook_path = HOOK

    def work_on(self, work: Work) -> bool:
        """Whether it was asked for."""
        from ferry.vendors.microstrategy.making import validate_package

        return validate_package(work)


class MicroStrategyAwaitValidationOperator(AwaitRunOperator):
    """Waits for the result of the validation, which comes back to the source [D]."""

    step = "await_validation"
    verb = "look_validated"
    ref_of = ("open_run", "")
    at = "source"
    hook_path = HOOK
    trigger_path = RUN_TRIGGER


class MicroStrategyCheckPackageOperator(VendorOperator):
    """Holds what is in the package against what was asked for, before anybody is asked to approve it."""

    step = "check_package"
    hook_path = HOOK

    def work_on(self, work: Work) -> dict[str, Any]:
        """How many objects it holds; BatchRefused if it is not what was asked for."""
        from ferry.vendors.microstrategy.making import check_package

        return check_package(work)


class MicroStrategyApproveOperator(ApproveOperator):
    """Asks a person whether the package may be imported; the manifest's `approval: auto` does without."""

    hook_path = HOOK

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(subject="Import batch {{ params.batch_id }} into the target?", **kwargs)

    def facts(self, work: Work) -> str:
        """Objects by project, type and action, both ends, who asked, and the validation's result."""
        from ferry.vendors.microstrategy.approving import import_facts

        return import_facts(work)

    def unattended(self, work: Work) -> str:
        """Why nobody needs to be asked."""
        from ferry.vendors.microstrategy.approving import import_unattended

        return import_unattended(work)

    def matter(self, work: Work) -> str:
        """The very package that was checked: an approval is for nothing else."""
        from ferry.vendors.microstrategy.approving import import_matter

        return import_matter(work)


class MicroStrategyCertifyPackageOperator(VendorOperator):
    """Certifies the package at the source, where the manifest asks for it: once it is locked, it cannot be any more [D]."""

    step = "certify_package"
    hook_path = HOOK

    def work_on(self, work: Work) -> bool:
        """Whether it was asked for."""
        from ferry.vendors.microstrategy.importing import certify_package

        return certify_package(work)


class MicroStrategyLockPackageOperator(VendorOperator):
    """Requests and approves the import at the source, which locks the package [D]."""

    step = "lock_package"
    hook_path = HOOK

    def work_on(self, work: Work) -> bool:
        """Whether there is a package at the source to lock."""
        from ferry.vendors.microstrategy.importing import lock_package

        return lock_package(work)


class MicroStrategyUploadBatchOperator(VendorOperator):
    """Carries the package to the target's file store, where the two Libraries share no storage."""

    step = "upload_batch"
    hook_path = HOOK

    def work_on(self, work: Work) -> int:
        """Bytes sent; 0 where the storage is shared."""
        from ferry.vendors.microstrategy.importing import upload_batch

        return upload_batch(work)


class MicroStrategyStartRunOperator(StartRunOperator):
    """Imports on the target, once, as soon as it has room for another live import."""

    hook_path = HOOK

    def start(self, work: Work) -> bool:
        """Whether the vendor's answer is known."""
        from ferry.vendors.microstrategy.importing import start_run

        return start_run(work)


class MicroStrategyConfirmStartOperator(ConfirmStartOperator):
    """Asks a person only where the import's answer was lost and the target's record shows no import."""

    hook_path = HOOK
    trigger_path = PROOF_TRIGGER


class MicroStrategyAwaitRunOperator(AwaitRunOperator):
    """Waits for the end of the import. It cannot be cancelled at the vendor: killing this task stops the waiting only."""

    hook_path = HOOK
    trigger_path = RUN_TRIGGER


class MicroStrategyReconcileOperator(VendorOperator):
    """Holds what the target reports against what was asked for, object by object, with its action."""

    step = "reconcile"
    hook_path = HOOK

    def work_on(self, work: Work) -> dict[str, int]:
        """Counts of the identity: sent, accepted, rejected, unprocessed, waived."""
        from ferry.vendors.microstrategy.after_import import reconcile

        return reconcile(work)


class MicroStrategyFetchErrorsOperator(VendorOperator, BranchMixIn):
    """Keeps what the vendor says of a failed import, and chooses the way on: an undo if manifest and record allow it."""

    step = "fetch_errors"
    hook_path = HOOK
    inherits_from_skipmixin = True

    def __init__(self, *, undo: str, otherwise: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.undo, self.otherwise = undo, otherwise

    def execute(self, context: Context) -> Any:
        """The task id of the chosen branch."""
        return self.do_branch(context, self.undo if super().execute(context) else self.otherwise)

    def work_on(self, work: Work) -> bool:
        """Whether the undo is the way on."""
        from ferry.vendors.microstrategy.after_import import fetch_errors

        return fetch_errors(work)


class MicroStrategyApproveUndoOperator(ApproveOperator):
    """Asks a person whether an import may be taken back; the manifest's `approval: auto` does without."""

    step = "approve_undo"
    hook_path = HOOK
    after_no = "Nothing is undone."

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(subject="Undo the import of batch {{ params.batch_id }}?", **kwargs)

    def facts(self, work: Work) -> str:
        """Which import, how it stands, and how much comes back."""
        from ferry.vendors.microstrategy.approving import undo_facts

        return undo_facts(work)

    def unattended(self, work: Work) -> str:
        """Why nobody needs to be asked."""
        from ferry.vendors.microstrategy.approving import undo_unattended

        return undo_unattended(work)

    def part(self, work: Work) -> str:
        """Every DAG run that takes the attempt up to undo it asks for itself."""
        from ferry.steps.undoing import undo_part

        return undo_part(work)


class MicroStrategyUndoRunOperator(StartRunOperator):
    """Requests and approves the undo, once, as soon as the target has room for it; the vendor then puts back what was there."""

    step = "undo_run"
    hook_path = HOOK

    def start(self, work: Work) -> bool:
        """Whether it is known that the undo was begun."""
        from ferry.vendors.microstrategy.undoing import undo_run

        return undo_run(work)


class MicroStrategyAwaitUndoOperator(AwaitRunOperator):
    """Waits until every package of the import was taken back, or could not be."""

    step = "await_undo"
    verb = "look_undo"
    hook_path = HOOK
    trigger_path = RUN_TRIGGER


class MicroStrategyConfirmUndoOperator(VendorOperator):
    """Says what is on the target after an undo."""

    step = "confirm_undo"
    hook_path = HOOK

    def work_on(self, work: Work) -> dict[str, int]:
        """Counts of the identity; red if the undo failed."""
        from ferry.vendors.microstrategy.undoing import confirm_undo

        return confirm_undo(work)


class MicroStrategySettleBatchOperator(SettleBatchOperator):
    """The verdict on a MicroStrategy batch."""

    hook_path = HOOK


class MicroStrategySyncCertificationOperator(VendorOperator):
    """Says on the target, too, who certified the package and when, where the manifest asks for it."""

    step = "sync_certification"
    hook_path = HOOK

    def work_on(self, work: Work) -> bool:
        """Whether it was asked for."""
        from ferry.vendors.microstrategy.after_import import sync_certification

        return sync_certification(work)


class MicroStrategyCleanUpOperator(VendorOperator):
    """Deletes the migration on both sides, where the manifest asks for it and the batch balances; its undo goes with it."""

    step = "clean_up"
    hook_path = HOOK

    def work_on(self, work: Work) -> bool:
        """Whether it was asked for."""
        from ferry.vendors.microstrategy.after_import import clean_up

        return clean_up(work)


# Undoing later


class MicroStrategyAdmitUndoOperator(AdmitUndoOperator):
    """Takes the batch's newest import up again, to undo it."""

    hook_path = HOOK


class MicroStrategyCheckUndoOperator(VendorOperator):
    """Looks how the import stands on the target, and whether the vendor kept an undo package for it."""

    step = "check_undo"
    hook_path = HOOK

    def work_on(self, work: Work) -> str:
        """The vendor's id; BatchRefused if there is no way back."""
        from ferry.vendors.microstrategy.undoing import check_undo

        return check_undo(work)


class MicroStrategySettleUndoOperator(SettleUndoOperator):
    """The verdict on a MicroStrategy batch that was to be undone."""

    hook_path = HOOK


# Editing and certifying


class MicroStrategyFindRecordOperator(VendorOperator):
    """Finds the migration or group that the manifest names."""

    step = "find_run"
    hook_path = HOOK

    def work_on(self, work: Work) -> str:
        """The vendor's id."""
        from ferry.vendors.microstrategy.editing import find_run

        return find_run(work)


class MicroStrategyCheckEditOperator(VendorOperator):
    """Holds the record against the vendor's rules for edits, and the new content against its rules for packages."""

    step = "check_batch"
    hook_path = HOOK

    def work_on(self, work: Work) -> dict[str, Any]:
        """Counts of findings and objects; BatchRefused if the vendor would refuse the edit."""
        from ferry.vendors.microstrategy.editing import check_edit

        return check_edit(work)


class MicroStrategyEditRunOperator(VendorOperator):
    """Sends the edit, once; the vendor makes the package anew."""

    step = "edit_run"
    hook_path = HOOK

    def work_on(self, work: Work) -> str:
        """The vendor's id."""
        from ferry.vendors.microstrategy.editing import edit_run

        return edit_run(work)


class MicroStrategyAwaitEditedOperator(AwaitRunOperator):
    """Waits until the packages are made anew, on the batch's own connection."""

    step = "await_prepared"
    verb = "look_prepared"
    hook_path = HOOK
    trigger_path = RUN_TRIGGER


class MicroStrategyReconcileEditOperator(VendorOperator):
    """Holds what the packages contain now against what was asked for."""

    step = "reconcile"
    hook_path = HOOK

    def work_on(self, work: Work) -> dict[str, int]:
        """Counts of the identity."""
        from ferry.vendors.microstrategy.editing import reconcile_edit

        return reconcile_edit(work)


class MicroStrategyCheckCertificationOperator(VendorOperator):
    """Holds the record against the vendor's rules for certifications."""

    step = "check_batch"
    hook_path = HOOK

    def work_on(self, work: Work) -> dict[str, Any]:
        """The status now and to be; BatchRefused if the vendor would refuse the change."""
        from ferry.vendors.microstrategy.certifying import check_certification

        return check_certification(work)


class MicroStrategyCertifyRecordOperator(VendorOperator):
    """Brings the certification about at the source."""

    step = "certify_package"
    hook_path = HOOK

    def work_on(self, work: Work) -> str:
        """The status that is there then."""
        from ferry.vendors.microstrategy.certifying import certify_package

        return certify_package(work)


class MicroStrategyReplayCertificationOperator(VendorOperator):
    """Says the same on the target with operator and date, where the manifest names one."""

    step = "sync_certification"
    hook_path = HOOK

    def work_on(self, work: Work) -> bool:
        """Whether it names one."""
        from ferry.vendors.microstrategy.certifying import sync_certification

        return sync_certification(work)


class MicroStrategyReconcileCertificationOperator(VendorOperator):
    """Counts on how many sides the certification stands as it was to."""

    step = "reconcile"
    hook_path = HOOK

    def work_on(self, work: Work) -> dict[str, int]:
        """Counts of the identity."""
        from ferry.vendors.microstrategy.certifying import reconcile_certification

        return reconcile_certification(work)
