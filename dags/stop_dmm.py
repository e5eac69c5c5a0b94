"""
# Infosistema DMM: stop an execution

Tells DMM to import no further chunk for a batch whose execution is under way, and waits until it has ended. **What is imported
stays imported**: a stop reverts nothing, and the ledger says how many records are there.

Trigger it with the batch's name and a reason; both go into the ledger with your name. No one-time password is needed. The
batch's own DAG run goes on and settles the batch; where that one is over, it is settled here.

## When it is red

* **admit_batch**: nothing of that batch is under way, or the id of its execution is not known. Nothing was sent.
* **stop_run** with DMM away: clear the task; a stop may be asked for twice.
* **await_run**: the execution has not ended yet. Clear it to wait on.
"""

from datetime import timedelta

from airflow.sdk import Param, dag

from ferry.steps.policy import DEFAULT_ARGS, MANY_RUNS, tags, undo_params
from ferry.vendors.dmm import operators as dmm


@dag(
    dag_display_name="DMM: stop an execution",
    schedule=None,
    max_active_runs=MANY_RUNS,
    doc_md=__doc__,
    tags=tags("dmm"),
    params=undo_params()
    | {
        "reason": Param(
            "stopped by hand", type="string", minLength=3, maxLength=500, title="Reason", description="Kept in the ledger."
        )
    },
    default_args=DEFAULT_ARGS | {"pool": "dmm_api"},
)
def stop_dmm() -> None:
    admit = dmm.DmmAdmitStopOperator()
    stop = dmm.DmmStopRunOperator()
    ended = dmm.DmmAwaitRunOperator(patience=timedelta(hours=2))
    settle = dmm.DmmSettleStopOperator()

    admit >> stop >> ended >> settle


stop_dmm()
