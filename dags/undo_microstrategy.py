"""
# MicroStrategy: undo a batch's last import

Takes back what `migrate_microstrategy` imported with a batch, by the undo package that the import left behind: the objects are
then on the target as they were before, whatever was done to them since.

Trigger it with the batch's name. A person is asked first (*Required Actions*), unless the manifest says `approval: auto`. The
undo is sent **once**. It belongs to the attempt that it takes back: that attempt is taken up again, holds the batch until the
undo is over, and is *undone* then. The same input is not sent again after that, unless somebody forces a new attempt.

Without an undo package nothing can be taken back: a `keep_both` rule, `keep_undo: false` or a clean-up leave none [D].

## When it is red

* **admit_batch**: Ferry has imported nothing with that batch, or nobody knows yet whether it has. Nothing was sent.
* **check_undo**: the target keeps no undo package for the import. Correct it by another migration.
* **approve_undo**: a person said no. Nothing was undone; the batch stands as it stood. Trigger again to ask again.
* **undo_run**, **await_undo** with the target away: clear the task. The undo is not sent twice.
* **confirm_undo**: the undo failed, and what is on the target is unknown. Look there with the vendor's people; triggering again
  asks for another undo.
* **settle_batch**: not undone; its message says why.
"""

from datetime import timedelta

from airflow.sdk import TriggerRule, dag

from ferry.steps.policy import DEFAULT_ARGS, MANY_RUNS, tags, undo_params
from ferry.vendors.microstrategy import operators as mstr


@dag(
    dag_display_name="MicroStrategy: undo a batch's import",
    schedule=None,
    max_active_runs=MANY_RUNS,
    doc_md=__doc__,
    tags=tags("microstrategy"),
    params=undo_params(),
    default_args=DEFAULT_ARGS | {"pool": "microstrategy_api"},
)
def undo_microstrategy() -> None:
    admit = mstr.MicroStrategyAdmitUndoOperator()
    check = mstr.MicroStrategyCheckUndoOperator()
    approve = mstr.MicroStrategyApproveUndoOperator()
    undo = mstr.MicroStrategyUndoRunOperator()
    undone = mstr.MicroStrategyAwaitUndoOperator(patience=timedelta(hours=24))
    confirm = mstr.MicroStrategyConfirmUndoOperator()
    settle = mstr.MicroStrategySettleUndoOperator(trigger_rule=TriggerRule.ALL_DONE)

    admit >> check >> approve >> undo >> undone >> confirm >> settle


undo_microstrategy()
