"""
# Dispatch: every open batch that is due

Once a day, for the day that has just ended: finds the batches of all vendors whose `due` date lies in the interval and which
the ledger does not call balanced, starts one DAG run of the vendor's own DAG for each (`<batch>.<attempt>`), and waits for them
without a worker. It is red if any of them does not balance.

A batch that some DAG run works on already is waited for under that one's name, whoever triggered it; so is whatever it asks
under *Required Actions*.

Triggered by hand without a date it takes what is open and due today or earlier; `vendors` narrows it. The form fills in a date,
the present moment, and that means the day that ended last: empty it for everything.

To redo what failed: correct the batches, then
`airflow backfill create --dag-id dispatch_batches --from-date D1 --to-date D2 --reprocess-behavior failed`.
That clears whole runs, green tasks included, and still sends only the batches that are open: the ledger knows the others.

## When it stays running

It waits for a batch: the log of its *migrate* task names the DAG run. Look there, and under *Required Actions*. Until it ends,
Airflow leaves its day out of every backfill without a word, and takes no other backfill if this one came from one. Trigger what
cannot wait by hand, the batch's own DAG or this one.

## When it is red

* **migrate**: that batch's own DAG run is red; the link on the task leads there, and its *settle_batch* says what to correct.
* **check_balanced**: names the batches that are still open, and those whose manifest or connection cannot be read, with file,
  line and key. An unreadable batch stops no other.
"""

from typing import Any

from airflow.sdk import CronDataIntervalTimetable, Param, TriggerRule, dag, task

from ferry.steps.policy import DEFAULT_ARGS, MANY_RUNS, TAG
from ferry.steps.trigger_attempt import TriggerAttemptOperator, to_dispatch
from ferry.vendors import all_vendors

VENDORS = [name for name, vendor in all_vendors().items() if vendor.dispatched]


@dag(
    dag_display_name="Dispatch open batches",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    catchup=False,
    max_active_runs=MANY_RUNS,
    doc_md=__doc__,
    tags=[TAG],
    default_args=DEFAULT_ARGS,
    params={
        "vendors": Param(
            VENDORS,
            type="array",
            items={"type": "string", "enum": VENDORS},
            title="Vendors",
            description="Only batches of these vendors are dispatched.",
        )
    },
)
def dispatch_batches() -> None:
    @task
    def find_due(params: Any = None, data_interval_start: Any = None, data_interval_end: Any = None) -> list[dict[str, Any]]:
        from ferry.steps.dispatching import due_batches

        return due_batches(params["vendors"], data_interval_start, data_interval_end)

    @task(trigger_rule=TriggerRule.ALL_DONE)
    def check_balanced(due: Any, params: Any = None) -> str:
        from ferry.steps.dispatching import check_balanced

        return check_balanced(due, params["vendors"])

    due = find_due()
    migrate = TriggerAttemptOperator.partial(task_id="migrate", map_index_template="{{ task.trigger_run_id }}").expand_kwargs(
        due.map(to_dispatch)
    )
    migrate >> check_balanced(due)


dispatch_batches()
