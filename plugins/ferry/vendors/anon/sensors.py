"""AnonFindRunSensor: for other people's DAGs, which are to begin when a migration is there or has ended."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseSensorOperator, Context

from ferry.core.errors import BadInput, VendorUnavailable
from ferry.steps.operators import plainly


class AnonFindRunSensor(BaseSensorOperator):
    """Waits without a worker until a migration fits; returns the ids of all that do, oldest first.

    Everything that is given must fit. With `status=["COMPLETE"]` and a `migration_id` it waits for an end. All sensors of one
    connection share one walk through its list. It writes nothing to the ledger: `watch_anon` is what moves batches.
    """

    template_fields: Sequence[str] = ("migration_id", "company_id", "user_id", "created_after", "status")
    ui_color = "#e8f1f8"

    def __init__(
        self,
        *,
        conn_id: str = "anon_default",
        migration_id: str | None = None,
        company_id: str | None = None,
        user_id: str | None = None,
        created_after: str | None = None,
        status: Sequence[str] = (),
        timeout: timedelta | float = timedelta(days=14),
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("retries", 0)  # the loop in the trigger is the retry
        super().__init__(timeout=timeout, **kwargs)
        self.conn_id, self.migration_id, self.company_id, self.user_id = conn_id, migration_id, company_id, user_id
        self.created_after, self.status = created_after, status

    def execute(self, context: Context) -> None:  # noqa: ARG002 (Airflow's signature)
        """Put the task aside; BadInput if it names nothing to look for, or a status that is none."""
        from pydantic import ValidationError

        from ferry.vendors.anon.manifest import Filter
        from ferry.vendors.anon.operators import SOON
        from ferry.vendors.anon.triggers import AnonFindTrigger

        asked = {name: getattr(self, name) for name in ("migration_id", *self.template_fields[1:])}
        try:
            wanted = Filter.model_validate({name: value for name, value in asked.items() if value})
        except ValidationError as error:
            said = "; ".join(
                f"{'.'.join(map(str, one['loc']))}: {one['msg']}".lstrip(": ") for one in error.errors(include_input=False)
            )
            raise BadInput(f"Sensor {self.task_id} cannot look for that: {said}. Correct the DAG.") from None
        deadline = time.time() + float(self.timeout)
        trigger = AnonFindTrigger(
            connection=self.conn_id, wanted=wanted.model_dump(mode="json"), deadline=deadline, first_look=SOON
        )
        self.defer(trigger=trigger, method_name="execute_complete")

    def execute_complete(self, context: Context, event: dict[str, Any]) -> list[str]:  # noqa: ARG002 (Airflow's signature)
        """The ids that fit; VendorUnavailable when time has run out."""
        with plainly(self.log):
            if not event["found"]:
                raise VendorUnavailable(
                    f"No migration that fits was there within {float(self.timeout) / 86400:.1f} days. "
                    f"{event.get('trouble') or ''} Look at the dashboard, then clear the sensor to wait on."
                )
            return list(event["found"])
