"""
# Waive records that need not arrive

For a batch that was reconciled and does not balance: a person accepts that some of its records did not arrive. Who, how many
and why go into the ledger, the keys into the evidence; from then on they count as *waived*, and the batch can balance.

Give each record as `table,key`, one a line, as `missing.csv` in the evidence names them. Then clear `reconcile` in the batch's
own DAG run: it counts again and settles.

## When it is red

* **waive**: the batch has nothing to waive, or a line is not `table,key`. The message says which; nothing was written.
"""

from typing import Any, cast

from airflow.sdk import Context, Param, dag, task

from ferry.steps.policy import DEFAULT_ARGS, TAG, batch_params
from ferry.vendors import all_vendors

VENDORS = list(all_vendors())


@dag(
    dag_display_name="Waive records",
    schedule=None,
    doc_md=__doc__,
    tags=[TAG],
    default_args=DEFAULT_ARGS,
    params={
        "vendor": Param(VENDORS[0], type="string", enum=VENDORS, title="Vendor"),
        "batch_id": batch_params()["batch_id"],
        "records": Param(
            type="array", minItems=1, items={"type": "string"}, title="Records", description="`table,key`, one a line."
        ),
        "reason": Param(type="string", minLength=10, title="Reason", description="Goes into the ledger with your name."),
    },
)
def waive_records() -> None:
    @task
    def waive(params: Any = None, **context: Any) -> str:
        from ferry.steps.waiving import waive
        from ferry.steps.work import origin_of

        return waive(
            params["vendor"], params["batch_id"], params["records"], params["reason"], origin_of(cast("Context", context))
        )

    waive()


waive_records()
