"""What every DAG of the house shares: retries by kind of error, the trigger form, tags, and who owns a task."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from airflow.sdk import Param, RetryAction, RetryDecision, RetryPolicy

from ferry.core.errors import FerryError

TAG = "ferry"
OWNER = "ferry"
MANY_RUNS = 100
"""Active runs of one DAG (Airflow's default is 16). One that waits for a person or a place holds nothing, and must not keep
others from beginning; what is limited is live runs at the vendor, by the ledger, and tasks that talk to it, by its pool."""
RETRIES = 4
FIRST_DELAY = 15.0
LONGEST_DELAY = 600.0


class FerryRetryPolicy(RetryPolicy):
    """Retries what may succeed later, fails at once what a person must correct, and spreads the retries of many tasks."""

    def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: Any | None = None) -> RetryDecision:  # noqa: ARG002 (Airflow's signature)
        """Airflow asks this on the worker whenever a task raised."""
        if isinstance(exception, FerryError) and not exception.retry_later:
            return RetryDecision(action=RetryAction.FAIL, reason=f"{type(exception).__name__}: needs a person, not another try")
        told = exception.facts.get("retry_after") if isinstance(exception, FerryError) else None
        ceiling = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** (try_number - 1))
        delay = max(float(told or 0.0), ceiling * random.uniform(0.5, 1.0))  # noqa: S311 (jitter, not a secret)
        return RetryDecision(action=RetryAction.RETRY, retry_delay=timedelta(seconds=delay))


DEFAULT_ARGS: dict[str, Any] = {
    "owner": OWNER,
    "retries": RETRIES,
    "retry_delay": timedelta(seconds=FIRST_DELAY),
    "retry_policy": FerryRetryPolicy(),
}
"""Retries outlast a short outage of vendor, ledger or api-server; a started run is never started again by a retry."""


def batch_params() -> dict[str, Param]:
    """The trigger form of a DAG that takes a batch. New ones at each call: Airflow writes a DAG run's values into them."""
    return undo_params() | {
        "force_new_attempt": Param(
            default=False,
            type="boolean",
            title="Force a new attempt",
            description="Send the batch again although the ledger calls it balanced or unfinished, or was restored and has "
            "forgotten what was sent. The ledger records who asked.",
        ),
    }


def undo_params() -> dict[str, Param]:
    """The trigger form of a DAG that takes back what was done with a batch: there is nothing to force."""
    return {
        # The empty default is no choice: a task that starts in the triggerer must find a valid default for every parameter,
        # or the whole triggerer dies (seen on 3.3.2). The form still demands a value, and admit_batch refuses an empty one.
        "batch_id": Param(
            default="",
            type="string",
            pattern=r"^([a-z0-9][a-z0-9._-]{0,99})?$",
            title="Batch",
            description="Name of the batch's folder. Browse > Ferry ledger > Open batches lists what may be sent.",
        ),
    }


def tags(vendor: str) -> list[str]:
    """The closed list of tags: the house's and the vendor's."""
    return [TAG, f"vendor:{vendor}"]
