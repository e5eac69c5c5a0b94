"""Links from a task to what it did: its batch's page in the ledger, and the vendor's own pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey

    from ferry.core.model import Attempt


class LedgerLink(BaseOperatorLink):
    """To the ledger page of the batch: every entry, count and piece of evidence."""

    name = "Ledger"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 (Airflow's signature)
        """Relative to Airflow's address; empty where the task has no attempt."""
        attempt = _attempt_of(operator)
        if attempt is None:
            return ""
        return f"/ferry/batch/{quote(attempt.vendor)}/{quote(attempt.environment, safe='')}/{quote(attempt.batch_id)}"


class VendorLink(BaseOperatorLink):
    """To the vendor's user interface, where the connection names one."""

    name = "Vendor"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 (Airflow's signature)
        """The connection's `ui_url`; empty where there is none."""
        from ferry.steps import places
        from ferry.steps.work import connection_of

        attempt = _attempt_of(operator)
        if attempt is None:
            return ""
        connection = connection_of(places.ledger().attempt(attempt))
        return str(operator.hook_class()(connection).settings.ui_url)


def _attempt_of(operator: Any) -> Attempt | None:
    """The attempt a task works on; None before its template is rendered, or where it has none."""
    from ferry.core.model import Attempt

    try:
        return Attempt.parse(str(getattr(operator, "attempt", "")))
    except ValueError:
        return None
