"""
# MicroStrategy: one batch of objects from one Library to another

One DAG run is one attempt at one batch, a migration or a group: check, have the packages made on the source, perhaps have the
target try them, ask a person, lock, import **once** on the target, wait, and compare what it reports with what was asked for.

* `approve` asks a person (*Required Actions*), unless the manifest says `approval: auto`. What is shown is what is imported:
  a package that was changed after it was checked is not.
* A failed import takes the failure branch. Where it left an undo package and the manifest says `on_import_failed: undo`,
  it is taken back, after another question; otherwise `undo_microstrategy` does so later.
* `confirm_start` asks a person only if the import's answer was lost and the target's record shows no import.
* Waiting holds no worker: `await_...` tasks live in the triggerer from beginning to end.

Trigger it with the name of a batch's folder. A batch that is balanced is left alone; one that was refused, or whose manifest or
lists changed, gets a new attempt and a new package; `force_new_attempt` is the only way round that.

## When it is red

* **check_batch**: nothing was sent. `findings.csv` in the evidence names manifest, list, row and column of every fault.
* **validate_package**, **check_package**: the package could not be made, would fail on the target, or does not hold what was
  asked for. Nothing was imported; the message says what to correct. Then trigger again.
* **approve**: a person said no, and why stands in the ledger. Nothing was imported. Trigger again for a new attempt.
* **lock_package**, **start_run**, **await_run** with a Library away: clear the task. Nothing is imported twice.
* **confirm_start**: a person said that the import was not begun, so the attempt is closed. Trigger again for a new one.
* **confirm_undo**: the undo of the failed import failed, too. Look at the target with the vendor's people first.
* **settle_batch**: the batch does not balance. Its message and the batch's ledger page say which objects, why, and what to do.
* **sync_certification**, **clean_up** alone: the batch balances; what is named was not done. Clear the task.
"""

from datetime import timedelta

from airflow.sdk import Label, TriggerRule, dag

from ferry.steps.operators import RouteOutcomeOperator
from ferry.steps.policy import DEFAULT_ARGS, MANY_RUNS, batch_params, tags
from ferry.vendors.microstrategy import operators as mstr


@dag(
    dag_display_name="MicroStrategy: migrate a batch",
    schedule=None,
    max_active_runs=MANY_RUNS,
    doc_md=__doc__,
    tags=tags("microstrategy"),
    params=batch_params(),
    default_args=DEFAULT_ARGS | {"pool": "microstrategy_api"},
)
def migrate_microstrategy() -> None:
    admit = mstr.MicroStrategyAdmitBatchOperator()
    check = mstr.MicroStrategyCheckBatchOperator()
    open_run = mstr.MicroStrategyOpenRunOperator()
    prepared = mstr.MicroStrategyAwaitPreparedOperator(patience=timedelta(hours=6))
    validate = mstr.MicroStrategyValidatePackageOperator()
    validated = mstr.MicroStrategyAwaitValidationOperator(patience=timedelta(hours=6))
    check_again = mstr.MicroStrategyCheckPackageOperator()
    approve = mstr.MicroStrategyApproveOperator()
    certify = mstr.MicroStrategyCertifyPackageOperator()
    lock = mstr.MicroStrategyLockPackageOperator()
    upload = mstr.MicroStrategyUploadBatchOperator()
    start = mstr.MicroStrategyStartRunOperator()
    confirm = mstr.MicroStrategyConfirmStartOperator()
    ended = mstr.MicroStrategyAwaitRunOperator(patience=timedelta(hours=24))
    route = RouteOutcomeOperator(succeeded="reconcile", failed="fetch_errors")
    settle = mstr.MicroStrategySettleBatchOperator(trigger_rule=TriggerRule.ALL_DONE)

    admit >> check >> open_run >> prepared >> validate >> validated >> check_again >> approve
    approve >> Label("approved") >> certify >> lock >> upload >> start >> confirm >> ended >> route

    reconcile = mstr.MicroStrategyReconcileOperator()
    sync, clean_up = mstr.MicroStrategySyncCertificationOperator(), mstr.MicroStrategyCleanUpOperator()
    route >> Label("imported") >> reconcile >> settle >> Label("balanced") >> sync >> clean_up

    errors = mstr.MicroStrategyFetchErrorsOperator(undo="approve_undo", otherwise="settle_batch")
    route >> Label("failed") >> errors >> Label("to be looked at") >> settle

    approve_undo = mstr.MicroStrategyApproveUndoOperator()
    undo, undone = mstr.MicroStrategyUndoRunOperator(), mstr.MicroStrategyAwaitUndoOperator()
    errors >> Label("undo") >> approve_undo >> undo >> undone >> mstr.MicroStrategyConfirmUndoOperator() >> settle


migrate_microstrategy()
