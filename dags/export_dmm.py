"""
# Infosistema DMM: export, and a batch for another environment

Runs an Export execution in an OutSystems environment and keeps its zip as evidence. Where the manifest says `import_as`, the zip
becomes a batch of its own, ready for `migrate_dmm` to import into another environment.

`start_run` waits in *Required Actions* for the one-time password of the environment that is exported. An export changes nothing
there: one that fails is refused, and triggering the batch again opens a new attempt.

Trigger it with the name of a batch's folder; its manifest says `dag: export_dmm` and `type: Export`.

## When it is red

* **start_run**, **confirm_start**, **await_run**, **fetch_outputs**: as in `migrate_dmm`.
* **make_batch**: the execution gave no zip, the zip is not to be opened, or a batch of that name exists and holds something else.
  Nothing was overwritten; the message says what to do.
* **settle_batch**: the zip does not hold what DMM counted. Its message and the batch's ledger page say how many records.
"""

from datetime import timedelta

from airflow.sdk import Label, TriggerRule, dag

from ferry.steps.operators import RouteOutcomeOperator
from ferry.steps.policy import DEFAULT_ARGS, MANY_RUNS, batch_params, tags
from ferry.vendors.dmm import operators as dmm


@dag(
    dag_display_name="DMM: export into a new batch",
    schedule=None,
    max_active_runs=MANY_RUNS,
    doc_md=__doc__,
    tags=tags("dmm"),
    params=batch_params(),
    default_args=DEFAULT_ARGS | {"pool": "dmm_api"},
)
def export_dmm() -> None:
    admit = dmm.DmmAdmitBatchOperator()
    check = dmm.DmmCheckBatchOperator()
    start = dmm.DmmStartRunOperator()
    confirm = dmm.DmmConfirmStartOperator()
    ended = dmm.DmmAwaitRunOperator(patience=timedelta(hours=12))
    outputs = dmm.DmmFetchOutputsOperator()
    route = RouteOutcomeOperator(succeeded="make_batch", partly="fetch_errors", failed="fetch_errors")
    reconcile = dmm.DmmReconcileOperator()
    settle = dmm.DmmSettleBatchOperator(trigger_rule=TriggerRule.ALL_DONE)

    admit >> check >> start >> confirm >> ended >> outputs >> route
    route >> Label("complete") >> dmm.DmmMakeBatchOperator() >> reconcile >> settle
    route >> Label("with errors, or stopped") >> dmm.DmmFetchErrorsOperator() >> reconcile


export_dmm()
