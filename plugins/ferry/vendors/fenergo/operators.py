"""Fenergo's steps as Airflow sees them. What each does is in `before_start` and `after_end`, imported when a task runs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.branch import BranchMixIn
from airflow.sdk import Context

from ferry.steps.operators import AdmitBatchOperator, AwaitRunOperator, SettleBatchOperator, StartRunOperator, VendorOperator
from ferry.steps.people import ConfirmStartOperator

if TYPE_CHECKING:
    from ferry.steps.work import Work

HOOK = "ferry.vendors.fenergo.hook.FenergoHook"
RUN_TRIGGER = "ferry.vendors.fenergo.triggers.FenergoRunTrigger"
PROOF_TRIGGER = "ferry.vendors.fenergo.triggers.FenergoProofTrigger"


class FenergoAdmitBatchOperator(AdmitBatchOperator):
    """Opens an attempt at a Fenergo batch, or goes on with the open one."""

    hook_path = HOOK


class FenergoCheckBatchOperator(VendorOperator):
    """Checks the batch's files before anything is created; every finding is in one file of evidence."""

    step = "check_batch"
    hook_path = HOOK

    def work_on(self, work: Work) -> dict[str, Any]:
        """Counts of findings and records; BatchRefused if the batch must not be sent."""
        from ferry.vendors.fenergo.before_start import check_batch

        return check_batch(work)


class FenergoOpenRunOperator(VendorOperator):
    """Creates the migration for the manifest's jurisdiction; FenX then prepares it in the background."""

    step = "open_run"
    hook_path = HOOK

    def work_on(self, work: Work) -> str:
        """The migration's id."""
        from ferry.vendors.fenergo.before_start import open_run

        return open_run(work)


class FenergoAwaitPreparedOperator(AwaitRunOperator):
    """Waits until the migration can take files and be started [A-19]."""

    step = "await_prepared"
    verb = "look_prepared"
    hook_path = HOOK
    trigger_path = RUN_TRIGGER


class FenergoCheckTemplatesOperator(VendorOperator):
    """Downloads the migration's templates and schema, and checks the files against them before a byte is uploaded."""

    step = "check_templates"
    hook_path = HOOK

    def work_on(self, work: Work) -> dict[str, Any]:
        """Counts of findings; BatchRefused if the batch must not be sent."""
        from ferry.vendors.fenergo.before_start import check_templates

        return check_templates(work)


class FenergoUploadBatchOperator(VendorOperator):
    """Uploads every file over its signed link, streamed, a few at a time; each leaves a receipt with size and SHA-256."""

    step = "upload_batch"
    hook_path = HOOK

    def __init__(self, *, at_once: int = 4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.at_once = at_once

    def work_on(self, work: Work) -> dict[str, int]:
        """Bytes sent per table."""
        from ferry.vendors.fenergo.before_start import upload_batch

        return upload_batch(work, self.at_once)


class FenergoStartRunOperator(StartRunOperator):
    """Starts the migration, once, as soon as the environment has room for another live one."""

    hook_path = HOOK

    def start(self, work: Work) -> bool:
        """Whether the vendor's answer is known."""
        from ferry.vendors.fenergo.before_start import start_run

        return start_run(work)


class FenergoConfirmStartOperator(ConfirmStartOperator):
    """Asks a person only where the start's answer was lost and the migration shows no proof."""

    hook_path = HOOK
    trigger_path = PROOF_TRIGGER


class FenergoAwaitRunOperator(AwaitRunOperator):
    """Waits for the end of the migration. It cannot be cancelled at the vendor: killing this task stops the waiting only."""

    hook_path = HOOK
    trigger_path = RUN_TRIGGER


class FenergoFetchErrorsOperator(VendorOperator):
    """Fetches the error file and files it twice: byte for byte, and as a copy that is safe to open in a spreadsheet."""

    step = "fetch_errors"
    hook_path = HOOK

    def work_on(self, work: Work) -> dict[str, int]:
        """Counts: sent, rejected (named in the error file), unprocessed (all others; nothing was written [D])."""
        from ferry.vendors.fenergo.after_end import fetch_errors

        return fetch_errors(work)


class FenergoTriageOperator(VendorOperator, BranchMixIn):
    """Groups the errors by table, field and code, writes the report that says what to correct, and chooses the way on.

    The remedy is chosen where errors are unresolved references, the batch brings alternate ids, and this input has not been
    remedied before.
    """

    step = "triage_errors"
    hook_path = HOOK
    inherits_from_skipmixin = True

    def __init__(self, *, remedy: str, otherwise: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.remedy, self.otherwise = remedy, otherwise

    def execute(self, context: Context) -> Any:
        """The task id of the chosen branch."""
        return self.do_branch(context, self.remedy if super().execute(context) else self.otherwise)

    def work_on(self, work: Work) -> bool:
        """Whether the remedy is the way on."""
        from ferry.vendors.fenergo.after_end import triage_errors

        return triage_errors(work)


class FenergoIngestAlternateIdsOperator(VendorOperator):
    """Gives the batch's alternate ids to records that have none; refuses whatever would overwrite one."""

    step = "ingest_alternate_ids"
    hook_path = HOOK

    def work_on(self, work: Work) -> str:
        """The ingestion's id."""
        from ferry.vendors.fenergo.ingesting import ingest_alternate_ids

        return ingest_alternate_ids(work)


class FenergoAwaitIngestionOperator(AwaitRunOperator):
    """Waits for the ingestion to be executed."""

    step = "await_ingestion"
    verb = "look_ingestion"
    ref_of = ("ingest_alternate_ids", "file")
    hook_path = HOOK
    trigger_path = RUN_TRIGGER


class FenergoSettleIngestionOperator(VendorOperator):
    """Fails unless every alternate id was taken, and closes the refused attempt in favour of the next."""

    step = "settle_ingestion"
    hook_path = HOOK

    def work_on(self, work: Work) -> str:
        """The run id of the next attempt."""
        from ferry.vendors.fenergo.ingesting import close_for_next, settle_ingestion

        settle_ingestion(work)
        return close_for_next(work)


class FenergoReconcileIngestionOperator(VendorOperator):
    """Counts what became of an assignment's rows: taken, or named by the vendor as refused."""

    step = "reconcile"
    hook_path = HOOK

    def work_on(self, work: Work) -> dict[str, int]:
        """Counts of the identity."""
        from ferry.vendors.fenergo.ingesting import reconcile_ingestion

        return reconcile_ingestion(work)


class FenergoAwaitRecordsOperator(AwaitRunOperator):
    """Waits until FenX has made the records file, which it does on demand [D]."""

    step = "await_records"
    verb = "look_records"
    hook_path = HOOK
    trigger_path = RUN_TRIGGER

    def __init__(self, *, patience: timedelta = timedelta(hours=1), **kwargs: Any) -> None:
        super().__init__(patience=patience, first_look=timedelta(0), **kwargs)


class FenergoReconcileOperator(VendorOperator):
    """Fetches the records file and joins it with what was sent, by key."""

    step = "reconcile"
    hook_path = HOOK

    def work_on(self, work: Work) -> dict[str, int]:
        """Counts of the identity: sent, accepted, rejected, unprocessed, waived."""
        from ferry.vendors.fenergo.after_end import reconcile

        return reconcile(work)


class FenergoCleanUpInputsOperator(VendorOperator):
    """Has FenX remove its copies of the input files, where the manifest asks for it and the batch balances."""

    step = "clean_up_inputs"
    hook_path = HOOK

    def work_on(self, work: Work) -> bool:
        """Whether the clean-up was asked for."""
        from ferry.vendors.fenergo.after_end import clean_up_inputs

        return clean_up_inputs(work)


class FenergoSettleBatchOperator(SettleBatchOperator):
    """The verdict on a Fenergo batch."""

    hook_path = HOOK
