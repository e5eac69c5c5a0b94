"""
# Domo: one batch of federated datasources from V1 to V2

One DAG run is one attempt at one batch: check the mapping against the instance, migrate each datasource with **one** call, a few
at a time, and compare with Domo's own list. The answer to a call is final; HTTP 200 is no success, Domo's `state` is [D].

* `start_run` is one task for each datasource. ABORTED has changed nothing; INCOMPLETE may have broken what is built on the
  datasource until the same call completes, so it is repeated a few times, reversed, or asked about, as the manifest says.
* An answer that was lost is never sent for again: Domo's list is watched until it proves the migration or may be late no
  longer; then `confirm_start` asks **one** question about all that are left (*Required Actions*).
* Waiting holds no worker: for room, before a repeat, for the list, and for people.

Trigger it with the name of a batch's folder. A batch that balances is left alone; where some datasources are not migrated,
triggering again (or clearing the red tasks) sends those and no others. Going back is for `reverse_domo`.

## When it is red

* **check_batch**: nothing was sent. `findings.csv` in the evidence names file, row and datasource of every fault.
* **start_run**: its message has Domo's reason and the `toe` by which Domo's support finds the request. Correct the cause, then
  clear it. With *401*, the token has expired: put a new one into the connection first.
* **confirm_start** with Domo away: clear the task. Nothing is sent twice.
* **mend_run**: the repeat or reversal did not complete either; the datasource may be broken. Clear it to send the same again.
* **settle_batch**: the batch does not balance. Its message and the batch's ledger page say which datasources, and what to do.
"""

from airflow.sdk import Label, TriggerRule, dag

from ferry.steps.operators import RouteOutcomeOperator
from ferry.steps.policy import DEFAULT_ARGS, MANY_RUNS, batch_params, tags
from ferry.vendors.domo import operators as domo


@dag(
    dag_display_name="Domo: migrate a batch",
    schedule=None,
    max_active_runs=MANY_RUNS,
    doc_md=__doc__,
    tags=tags("domo"),
    params=batch_params(),
    default_args=DEFAULT_ARGS | {"pool": "domo_api"},
)
def migrate_domo() -> None:
    admit = domo.DomoAdmitBatchOperator()
    check = domo.DomoCheckBatchOperator()
    plan = domo.DomoPlanRunOperator()
    start = domo.DomoStartRunOperator.each(plan.output)
    confirm = domo.DomoConfirmStartOperator()
    route = RouteOutcomeOperator(succeeded="reconcile", partly="fetch_errors", failed="fetch_errors")
    reconcile = domo.DomoReconcileOperator()
    settle = domo.DomoSettleBatchOperator(trigger_rule=TriggerRule.ALL_DONE)

    admit >> check >> plan >> start >> confirm >> route
    route >> Label("all migrated") >> reconcile >> settle

    errors = domo.DomoFetchErrorsOperator()
    decide = domo.DomoDecideMendOperator()
    mend = domo.DomoMendRunOperator.each(decide.output)
    route >> Label("some are not") >> errors >> decide >> Label("half-done") >> mend >> reconcile


migrate_domo()
