"""
# MicroStrategy: edit a migration or a group before it is migrated

Changes the name, the objects or the rules of packages that exist at the source, made by Ferry or by hand, without making a new
migration. The manifest names the record and the whole new content, because objects that are left out are removed [D]:

    vendor: microstrategy
    due: 2026-11-01
    dag: edit_microstrategy
    connection: microstrategy_source
    microstrategy:
      edit: {migration: "<package id>:<import id>"}     # or group: ..., or batch: <a batch of Ferry's>
      name: a new name
      packages:
        - {project: Sales, rules: {default_action: use_existing}, objects: sales.csv}

The vendor allows it only while every package is created or create_failed and the import is neither requested nor approved; never
for an uploaded migration, and never for a group with one locked member [D]. Ferry reads the record first and sends nothing if a
rule is broken. Type and purpose stay as they are.

## When it is red

* **find_run**: the source knows no such record. Check its id, and that `connection` leads to the source.
* **check_batch**: a rule of the vendor forbids the edit, or the new content has faults. Nothing was sent; the message says which.
* **edit_run**, **await_prepared** with the source away: clear the task. The edit is not sent twice.
* **reconcile**: the vendor could not make the package anew, and says why. It can be edited again.
* **settle_batch**: the package does not hold what was asked for. The lists in the evidence name the objects.
"""

from datetime import timedelta

from airflow.sdk import TriggerRule, dag

from ferry.steps.policy import DEFAULT_ARGS, MANY_RUNS, batch_params, tags
from ferry.vendors.microstrategy import operators as mstr


@dag(
    dag_display_name="MicroStrategy: edit a migration",
    schedule=None,
    max_active_runs=MANY_RUNS,
    doc_md=__doc__,
    tags=tags("microstrategy"),
    params=batch_params(),
    default_args=DEFAULT_ARGS | {"pool": "microstrategy_api"},
)
def edit_microstrategy() -> None:
    admit = mstr.MicroStrategyAdmitBatchOperator()
    find = mstr.MicroStrategyFindRecordOperator()
    check = mstr.MicroStrategyCheckEditOperator()
    edit = mstr.MicroStrategyEditRunOperator()
    edited = mstr.MicroStrategyAwaitEditedOperator(patience=timedelta(hours=6))
    reconcile = mstr.MicroStrategyReconcileEditOperator()
    settle = mstr.MicroStrategySettleBatchOperator(trigger_rule=TriggerRule.ALL_DONE)

    admit >> find >> check >> edit >> edited >> reconcile >> settle


edit_microstrategy()
