"""
# Anon: watch one migration that a person began

One DAG run is one migration, which a person begins in Anon's modal: find it, wait for its end (for days, if people take them),
keep its files, and say what arrived. **Nothing is started, changed or ended here**: Anon's API only lists and looks.

* `discover_anon` makes a batch of each new migration and triggers this DAG for it. By hand: write a manifest with a migration's
  id, or with what it is to be known by (`find`), and trigger it with the name of the batch's folder.
* While a migration waits for a person, the notifier in the connection tells that person: once for each time it comes to stand
  so, and once more after a day. Without a notifier nobody is told; the ledger shows it all the same.
* All that wait at one connection share one walk through its list, whether they are ten or ten thousand.

## When it is red

* **find_run** with *fit*: more than one migration is what the manifest looks for, or another batch has it; all are named.
* **await_run** with *did not end within*: nobody finished it in 14 days, or Anon was away. Clear it to wait on.
* **collect_files** with Anon or its storage away: clear the task; what was collected is not fetched again.
* **settle_batch**, `COMPLETED_WITH_FAILURES`: `failed.csv` in the evidence names the parts. A person begins a new migration, or
  you accept it: `accept_partial: true` in the manifest and trigger again, or `waive_records` for some of its parts.
* **settle_batch**, `FAILED`: a person begins a new migration, which is found as another batch. Some files may be there.
* **settle_batch**, `LOGIN_ABANDONED`: the person gave up at the login; nothing was moved.
"""

from datetime import timedelta

from airflow.sdk import Label, TriggerRule, dag

from ferry.steps.operators import RouteOutcomeOperator
from ferry.steps.policy import DEFAULT_ARGS, batch_params, tags
from ferry.vendors.anon import operators as anon


@dag(
    dag_display_name="Anon: watch a migration",
    schedule=None,
    max_active_runs=10_000,
    doc_md=__doc__,
    tags=tags("anon"),
    params=batch_params(),
    default_args=DEFAULT_ARGS | {"pool": "anon_api"},
)
def watch_anon() -> None:
    admit = anon.AnonAdmitBatchOperator()
    find = anon.AnonFindRunOperator(patience=timedelta(days=14))
    ended = anon.AnonAwaitRunOperator(patience=timedelta(days=14))
    files = anon.AnonCollectFilesOperator()
    route = RouteOutcomeOperator(succeeded="reconcile", partly="fetch_errors", failed="fetch_errors")
    reconcile = anon.AnonReconcileOperator()
    settle = anon.AnonSettleBatchOperator(trigger_rule=TriggerRule.ALL_DONE)

    admit >> find >> ended >> files >> route
    route >> Label("complete") >> reconcile >> settle
    route >> Label("with failures, failed, given up") >> anon.AnonFetchErrorsOperator() >> reconcile


watch_anon()
