"""Links from a task to what it did: its batch's page in the ledger, and the vendor's own pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey


class LedgerLink(BaseOperatorLink):
    """To the ledger page of the batch: every entry, count and piece of evidence."""

    name = "Ledger"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 (Airflow's signature)
        """Relative to Airflow's address; empty where the task has no attempt."""
        from ferry.core.model import Attempt

        try:
            attempt = Attempt.parse(str(getattr(operator, "attempt", "")))
        except ValueError:
            return ""
        return f"/ferry/batch/{quote(attempt.vendor)}/{quote(attempt.environment, safe='')}/{quote(attempt.batch_id)}"


class VendorLink(BaseOperatorLink):
    """To the vendor's user interface, where the connection names one."""

    name = "Vendor"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 (Airflow's signature)
        """The connection's `ui_url`; empty where there is none."""
        from ferry.core.model import Attempt
        from ferry.steps import places
        from ferry.steps.work import connection_of

        try:
            attempt = Attempt.parse(str(getattr(operator, "attempt", "")))
        except ValueError:
            return ""
        connection = connection_of(places.ledger().attempt(attempt))
        return str(operator.hook_class()(connection).settings.ui_url)
