"""Admission: which attempt, if any, this DAG run may work on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow.sdk import Context
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

from ferry.core.batch import Batch, read_batch
from ferry.core.errors import BadInput
from ferry.ledger.admission import Admission, force_is_spent
from ferry.ledger.entries import Origin, Standing
from ferry.steps import places
from ferry.steps.hook import VendorHook
from ferry.steps.work import CONNECTION, CONNECTIONS, origin_of

LIVE = frozenset({"queued", "running", "restarting"})
"""States of a DAG run in which it may still act."""


def admit(
    hook_class: type[VendorHook[Any]],
    batch_id: str,
    context: Context,
    *,
    force: bool,
    allow: Callable[[Batch, Standing], None] | None = None,
) -> Admission:
    """The ledger's decision for the batch as it lies there now.

    `allow` raises where a vendor has a reason not to begin, which `force` overrides, once for each DAG run.
    """
    batch = read_batch(places.batches(), hook_class.vendor, batch_id, hook_class.section_class)
    if batch.manifest.dag != context["ti"].dag_id:
        raise BadInput(
            f"Batch {batch_id} is for DAG {batch.manifest.dag}, as its manifest says; trigger that one. Nothing was sent."
        )
    fitting = batch.section.dags()
    if fitting and batch.manifest.dag not in fitting:
        raise BadInput(
            f"Batch {batch_id} holds what {' or '.join(fitting)} works on, and its manifest is for {batch.manifest.dag}. Write "
            f"`dag: {fitting[0]}` into the manifest and trigger that DAG. Nothing was sent."
        )
    hook = hook_class(batch.manifest.connection)
    others = batch.section.connections()
    for conn_id in others.values():
        _ = hook_class(conn_id).settings  # a connection that is missing or wrong is told before anything is opened
    ledger, environment = places.ledger(), hook.settings.environment
    standing = ledger.standing(hook_class.vendor, environment, batch_id)
    if allow and not (force and not force_is_spent(standing, origin_of(context))):
        allow(batch, standing)
    return ledger.admit(
        hook_class.vendor,
        environment,
        batch_id,
        batch.input_hash,
        origin_of(context),
        is_live=is_live,
        force=force,
        data={
            CONNECTION: batch.manifest.connection,
            "title": batch.manifest.title,
            "due": batch.manifest.due.isoformat(),
            **({CONNECTIONS: others} if others else {}),
        },
    )


def is_live(holder: Origin) -> bool:
    """Whether the DAG run that wrote an entry still runs. One that Airflow no longer knows does not."""
    try:
        state = RuntimeTaskInstance.get_dagrun_state(holder.dag_id, holder.run_id)
    except Exception as error:
        if "not found" in str(error).lower() or "404" in str(error):
            return False
        raise
    # On a worker Airflow answers with an enum whose text is "DagRunState.RUNNING", elsewhere with one whose text is "running".
    return str(getattr(state, "value", state)) in LIVE
