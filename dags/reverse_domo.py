"""
# Domo: put a batch's datasources back on V1

Takes back what `migrate_domo` moved with a batch: all of it, or only the datasources named in the form. Each is reversed with
**one** call, a few at a time, and Domo's list says afterwards where it is.

Trigger it with the batch's name. A person is asked first (*Required Actions*), unless the manifest says `reversal: auto`. The
reversal belongs to the attempt that moved them: that attempt is taken up again, holds the batch until the reversal is over, and
is *undone* then. The same input is not sent again after that, unless somebody forces a new attempt.

A half-done migration may be named, too; whether a reversal rescues it is not documented [D, by absence].

## When it is red

* **admit_batch**: Ferry has moved nothing with that batch, or nobody knows yet whether it has. Nothing was sent.
* **check_undo**: nothing of the batch is on V2, or a name is not in the batch. Nothing was sent.
* **approve_undo**: a person said no. Nothing was reversed; the batch stands as it stood. Trigger again to ask again.
* **undo_run**: its message has Domo's reason. ABORTED has changed nothing; INCOMPLETE may leave the datasource broken until the
  same call completes. Correct the cause, then trigger again: what is back on V1 is not sent again.
* **confirm_undo** with Domo away: clear the task. Nothing is sent twice.
* **settle_batch**: not everything was reversed; its message says what and why.
"""

from airflow.sdk import Param, TriggerRule, dag

from ferry.steps.policy import DEFAULT_ARGS, MANY_RUNS, tags, undo_params
from ferry.vendors.domo import operators as domo


@dag(
    dag_display_name="Domo: reverse a batch",
    schedule=None,
    max_active_runs=MANY_RUNS,
    doc_md=__doc__,
    tags=tags("domo"),
    params=undo_params()
    | {
        "datasources": Param(
            [],
            type=["array", "null"],
            items={"type": "string", "minLength": 1},
            title="Datasources",
            description="Ids of the datasources to reverse, one a line; leave it empty to reverse all that the batch moved.",
        )
    },
    default_args=DEFAULT_ARGS | {"pool": "domo_api"},
)
def reverse_domo() -> None:
    admit = domo.DomoAdmitUndoOperator()
    check = domo.DomoCheckUndoOperator()
    approve = domo.DomoApproveUndoOperator()
    undo = domo.DomoUndoRunOperator.each(check.output)
    confirm = domo.DomoConfirmUndoOperator()
    settle = domo.DomoSettleUndoOperator(trigger_rule=TriggerRule.ALL_DONE)

    admit >> check >> approve >> undo >> confirm >> settle


reverse_domo()
