"""
# Infosistema DMM: one batch into an OutSystems environment

One DAG run is one attempt at one batch: look into its zip, ask a person for the one-time password, start **one** execution with
it, watch counters and log until it ends, and compare the counters with the records of the zip. The manifest may also ask for a
Migration, Delete or Scramble, which have no zip; an Export is for `export_dmm`.

* `start_run` waits in *Required Actions* for the one-time password, which only a person can read. It is used at once and kept
  nowhere. The start is never sent twice; if its answer was lost, `confirm_start` asks a person, because DMM has no list of
  executions to look in.
* An import is no transaction: what got in before an error or a stop stays. So an append import is not sent again by itself.
* Ending `await_run` by hand stops the execution (the connection may say otherwise), and so does its deadline of 12 hours (the
  manifest may). `stop_dmm` does the same from outside.

Trigger it with the name of a batch's folder.

## When it is red

* **admit_batch** with *would duplicate*: an earlier attempt has left records there. Remove them, then use `force_new_attempt`.
* **check_batch**: nothing was sent, no password was asked for. `findings.csv` in the evidence names every fault.
* **start_run** with *one-time password*: it was wrong, used or expired, and nothing was started. Clear the task: it asks anew.
* **confirm_start**: its message says what a person answered, and what that means.
* **await_run**: DMM could not be asked, or did not end in time. Clear it to wait on. If you ended it by hand, the execution is
  being stopped, and `settle_batch` tries again for some minutes until it has; clear `await_run` should that not be enough.
* **fetch_outputs** with DMM away: clear the task. Nothing is sent twice.
* **settle_batch**: the batch does not balance. Its message and the batch's ledger page say how many records, and what to do.
"""

from datetime import timedelta

from airflow.sdk import Label, TriggerRule, dag

from ferry.steps.operators import RouteOutcomeOperator
from ferry.steps.policy import DEFAULT_ARGS, MANY_RUNS, batch_params, tags
from ferry.vendors.dmm import operators as dmm


@dag(
    dag_display_name="DMM: migrate a batch",
    schedule=None,
    max_active_runs=MANY_RUNS,
    doc_md=__doc__,
    tags=tags("dmm"),
    params=batch_params(),
    default_args=DEFAULT_ARGS | {"pool": "dmm_api"},
)
def migrate_dmm() -> None:
    admit = dmm.DmmAdmitBatchOperator()
    check = dmm.DmmCheckBatchOperator()
    connection = dmm.DmmCreateConnectionOperator()
    start = dmm.DmmStartRunOperator()
    confirm = dmm.DmmConfirmStartOperator()
    ended = dmm.DmmAwaitRunOperator(patience=timedelta(hours=12))
    outputs = dmm.DmmFetchOutputsOperator()
    route = RouteOutcomeOperator(succeeded="reconcile", partly="fetch_errors", failed="fetch_errors")
    reconcile = dmm.DmmReconcileOperator()
    settle = dmm.DmmSettleBatchOperator(trigger_rule=TriggerRule.ALL_DONE)

    admit >> check >> connection >> start >> confirm >> ended >> outputs >> route
    route >> Label("complete") >> reconcile >> settle
    route >> Label("with errors, or stopped") >> dmm.DmmFetchErrorsOperator() >> reconcile


migrate_dmm()
