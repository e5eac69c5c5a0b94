"""
# Fenergo: assign alternate ids

Gives alternate ids to records that were made by hand in FenX, so that later batches can refer to them and update them. The batch
brings one file, `tableName,alternateId,fenxId`, named in its manifest:

    vendor: fenergo
    due: 2026-11-01
    dag: assign_fenergo_alternate_ids
    fenergo: {jurisdiction: Migration, alternate_ids: alternate_ids.csv}

FenX would overwrite an alternate id without a word, though its guide forbids it [D]. So Ferry refuses the whole file, before it
is sent, if it holds duplicates, blanks, an unknown table, or any id that Ferry knows from records files and earlier assignments.
There is no switch to get round that: an alternate id that has to change is a matter for the vendor's Support.

## When it is red

* **ingest_alternate_ids**: the file was not sent. `findings.csv` in the evidence names every row and the reason.
* **await_ingestion** with the vendor away: clear the task; the ingestion is not executed twice.
* **settle_batch**: FenX refused some rows. `ingestion-errors.jsonl` in the evidence holds its words. Rows it did take are taken:
  send only the refused ones again, corrected, as another batch.
"""

from datetime import timedelta

from airflow.sdk import TriggerRule, dag

from ferry.steps.policy import DEFAULT_ARGS, MANY_RUNS, batch_params, tags
from ferry.vendors.fenergo import operators as fenergo


@dag(
    dag_display_name="Fenergo: assign alternate ids",
    schedule=None,
    max_active_runs=MANY_RUNS,
    doc_md=__doc__,
    tags=tags("fenergo"),
    params=batch_params(),
    default_args=DEFAULT_ARGS | {"pool": "fenergo_api"},
)
def assign_fenergo_alternate_ids() -> None:
    admit = fenergo.FenergoAdmitBatchOperator()
    ingest = fenergo.FenergoIngestAlternateIdsOperator()
    ingested = fenergo.FenergoAwaitIngestionOperator(patience=timedelta(hours=6))
    reconcile = fenergo.FenergoReconcileIngestionOperator()
    settle = fenergo.FenergoSettleBatchOperator(trigger_rule=TriggerRule.ALL_DONE)

    admit >> ingest >> ingested >> reconcile >> settle


assign_fenergo_alternate_ids()
