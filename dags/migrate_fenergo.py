"""
# Fenergo: one batch of clients into FenX

One DAG run is one attempt at one batch: check, create a migration, wait until FenX has prepared it, check against its
templates, upload, start **once**, wait, and account for every record. Processing is all or nothing: a refused run has written
nothing [D].

* A refused run takes the failure branch: its error file is fetched and triaged. Where references did not resolve and the batch
  brings `alternate_ids`, they are ingested and the next attempt follows in a DAG run of its own; this one takes over its colour.
* `confirm_start` asks a person (*Required Actions*) only if the answer to the start was lost and nothing proves it either way.
* Waiting holds no worker: `await_...` tasks live in the triggerer from beginning to end.

Trigger it with the name of a batch's folder. A batch that is balanced is left alone; one that was refused, or whose files
changed, gets a new attempt; `force_new_attempt` is the only way round that.

## When it is red

* **check_batch**, **check_templates**: the batch was not sent. `findings.csv` in the evidence names file, row and column of
  every fault. Correct the files and trigger again.
* **start_run**, **await_run** with the vendor away: clear the task. It goes on where it stopped; nothing is started twice.
* **confirm_start**: a person said that the run was not started, so the attempt is closed. Trigger again for a new one.
* **await_run** after its patience ran out: the migration goes on at Fenergo, which cannot cancel. Look there, then clear it.
* **settle_batch**: the batch does not balance. Its message, the batch's ledger page and `report.md` in the evidence say which
  records, why, and what to correct.
* **clean_up_inputs** alone: the batch balances, but FenX still holds its copies of the input. Clear the task.
"""

from datetime import timedelta

from airflow.sdk import Label, TriggerRule, dag

from ferry.steps.operators import RouteOutcomeOperator
from ferry.steps.policy import DEFAULT_ARGS, MANY_RUNS, batch_params, tags
from ferry.steps.trigger_attempt import TriggerAttemptOperator
from ferry.vendors.fenergo import operators as fenergo


@dag(
    dag_display_name="Fenergo: migrate a batch",
    schedule=None,
    max_active_runs=MANY_RUNS,
    doc_md=__doc__,
    tags=tags("fenergo"),
    params=batch_params(),
    default_args=DEFAULT_ARGS | {"pool": "fenergo_api"},
)
def migrate_fenergo() -> None:
    admit = fenergo.FenergoAdmitBatchOperator()
    check = fenergo.FenergoCheckBatchOperator()
    open_run = fenergo.FenergoOpenRunOperator()
    prepared = fenergo.FenergoAwaitPreparedOperator(patience=timedelta(hours=2))
    check_again = fenergo.FenergoCheckTemplatesOperator()
    upload = fenergo.FenergoUploadBatchOperator(at_once=4)
    start = fenergo.FenergoStartRunOperator()
    confirm = fenergo.FenergoConfirmStartOperator()
    ended = fenergo.FenergoAwaitRunOperator(patience=timedelta(hours=24))
    route = RouteOutcomeOperator(succeeded="await_records", failed="fetch_errors")
    settle = fenergo.FenergoSettleBatchOperator(trigger_rule=TriggerRule.ALL_DONE)

    admit >> check >> open_run >> prepared >> check_again >> upload >> start >> confirm >> ended >> route

    records = fenergo.FenergoAwaitRecordsOperator()
    reconcile = fenergo.FenergoReconcileOperator()
    clean_up = fenergo.FenergoCleanUpInputsOperator()
    route >> Label("succeeded") >> records >> reconcile >> settle >> Label("balanced") >> clean_up

    errors = fenergo.FenergoFetchErrorsOperator()
    triage = fenergo.FenergoTriageOperator(remedy="ingest_alternate_ids", otherwise="settle_batch")
    route >> Label("refused") >> errors >> triage >> Label("to be corrected") >> settle

    ingest = fenergo.FenergoIngestAlternateIdsOperator()
    ingested = fenergo.FenergoAwaitIngestionOperator()
    close = fenergo.FenergoSettleIngestionOperator()
    next_attempt = TriggerAttemptOperator(
        task_id="next_attempt",
        trigger_dag_id="migrate_fenergo",
        trigger_run_id="{{ ti.xcom_pull(task_ids='settle_ingestion') }}",
        conf={"batch_id": "{{ params.batch_id }}", "force_new_attempt": False},
    )
    triage >> Label("alternate ids") >> ingest >> ingested >> close >> next_attempt >> settle


migrate_fenergo()
