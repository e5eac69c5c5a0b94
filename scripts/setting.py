"""What a fresh stack needs before batches can move: DAGs known and awake, pools, and the vendors' sandboxes set up."""

from __future__ import annotations

from ferry.vendors import all_vendors
from scripts.client import ApiError, Client, StackError
from scripts.rehearsal import DemoBatch, rehearsal

DISPATCH = "dispatch_batches"


def prepare(stack: Client, batches: list[DemoBatch]) -> None:
    """Everything a person would do once after installing, and the rehearsed state of the vendors."""
    for vendor in {batch.vendor for batch in batches}:
        set_sandbox(stack, vendor)
    for batch in batches:
        for record in batch.hand_made():
            stack.sandbox("POST", f"/{batch.vendor}/records", record)
    make_pools(stack)
    wait_for_dags(stack, {DISPATCH, *(vendor.dag_id for vendor in all_vendors().values())})
    stack.api("PATCH", "/dags", {"is_paused": False}, dag_id_pattern="%")


def set_sandbox(stack: Client, vendor: str) -> None:
    """The vendor's switches as its rehearsal.yaml wants them."""
    if wanted := dict(rehearsal(vendor).switches):
        stack.sandbox("PUT", f"/{vendor}/switches", wanted)


def make_pools(stack: Client) -> None:
    """One pool per vendor, of the size its card asks for."""
    for vendor in all_vendors().values():
        pool = {
            "name": vendor.pool,
            "slots": vendor.pool_slots,
            "include_deferred": False,
            "description": f"Calls to {vendor.title}",
        }
        try:
            stack.api("POST", "/pools", pool)
        except ApiError as error:
            if error.status != 409:  # it exists
                raise


def wait_for_dags(stack: Client, wanted: set[str]) -> None:
    """Return once Airflow knows the DAGs; StackError with the import error if a file does not load."""

    def known() -> bool:
        if errors := stack.api("GET", "/importErrors")["import_errors"]:
            told = "\n".join(f"{error['filename']}:\n{error['stack_trace']}" for error in errors)
            raise StackError(f"Airflow cannot load a DAG file.\n{told}")
        return wanted <= {dag["dag_id"] for dag in stack.api("GET", "/dags", limit=100)["dags"]}

    stack.wait_for(known, f"Airflow to know the DAGs {', '.join(sorted(wanted))}", 90)
