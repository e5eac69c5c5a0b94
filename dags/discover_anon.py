"""
# Anon: find migrations that people began

Reads the list of each connection and makes a batch of every migration that the ledger does not know; `watch_anon` then has a DAG
run for each. Migrations that ended while nobody watched them are taken up again.

It is woken by Anon's list itself: a watcher in the triggerer reads it once a minute and sees what is new or has ended. It also
runs every hour, because an event may be lost on its way. A run looks at everything, so it may be done at any time.

`watch_since` in the connection leaves older migrations alone. Set it before you unpause this DAG for an organisation with a past.
More than 1024 new migrations: the oldest first, the rest at the next run.

## When it is red

* **discover**: Anon or the connection. The message says which; nothing was begun that would have to be undone. Clear it.
* **watch**: a DAG run could not be triggered. Clear it: one that is there already is left alone.
"""

from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable, Param, dag

from ferry.steps.policy import DEFAULT_ARGS, tags
from ferry.steps.trigger_attempt import TriggerAttemptOperator, to_trigger
from ferry.vendors.anon import operators as anon
from ferry.vendors.anon.watching import migrations_of, watched_connections

CONNECTIONS = watched_connections()
LISTS = [migrations_of(connection) for connection in CONNECTIONS]


@dag(
    dag_display_name="Anon: find migrations",
    schedule=AssetOrTimeSchedule(timetable=CronTriggerTimetable("@hourly", timezone="UTC"), assets=LISTS),
    catchup=False,
    max_active_runs=1,
    doc_md=__doc__,
    tags=tags("anon"),
    default_args=DEFAULT_ARGS | {"pool": "anon_api"},
    params={
        "connections": Param(
            CONNECTIONS, type="array", items={"type": "string"}, title="Connections", description="Whose lists are read."
        )
    },
)
def discover_anon() -> None:
    found = anon.AnonDiscoverOperator()
    TriggerAttemptOperator.partial(
        task_id="watch", map_index_template="{{ task.trigger_run_id }}", wait_for_completion=False, deferrable=False
    ).expand_kwargs(found.output.map(to_trigger))


discover_anon()
