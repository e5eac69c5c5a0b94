"""Anon's steps as Airflow operators: to find a migration, to wait for it, to keep what it left, to say what came of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, Context, TriggerRule
from airflow.sdk.exceptions import AirflowSkipException
from airflow.triggers.base import StartTriggerArgs

from ferry.core.errors import FerryError
from ferry.steps.operators import AdmitBatchOperator, AwaitRunOperator, SettleBatchOperator, VendorOperator, plainly

if TYPE_CHECKING:
    from ferry.steps.work import Work

HOOK = "ferry.vendors.anon.hook.AnonHook"
FIND = "find_run"
CONNECTION = f"{{{{ ti.xcom_pull(task_ids='{FIND}', map_indexes=-1) }}}}"
"""Template of the connection whose list is watched. `map_indexes` is a must, as in every template of a task that waits."""
SOON = 8.0
"""Seconds before a task that was just put aside may be resumed: Airflow 3.3.2 may fail one that is resumed sooner."""


class AnonAdmitBatchOperator(AdmitBatchOperator):
    """Opens an attempt at an Anon batch, or goes on with the open one."""

    hook_path = HOOK


class AnonFindRunOperator(VendorOperator):
    """Adopts the batch's migration, waiting without a worker until there is one that fits; returns the connection's name."""

    step = FIND
    hook_path = HOOK

    def __init__(self, *, patience: timedelta = timedelta(days=14), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.patience = patience

    def work_on(self, work: Work) -> str:
        """The connection; whoever waits reads its list."""
        from ferry.vendors.anon.finding import check_filter, find_run
        from ferry.vendors.anon.triggers import AnonFindTrigger

        check_filter(work.section)
        if find_run(work) is None:
            deadline = work.standing.openings[-1].at.timestamp() + self.patience.total_seconds()
            self._must_be_in_time(work, deadline)
            wanted = work.section.find.model_dump(mode="json")
            self.log.info("No migration fits yet; the list is watched until one does.")
            self.defer(
                trigger=AnonFindTrigger(connection=work.hook.conn_id, wanted=wanted, deadline=deadline, first_look=SOON),
                method_name="execute_complete",
            )
        return str(work.hook.conn_id)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> str:
        """Adopt what was found."""
        from ferry.vendors.anon.finding import find_run

        with plainly(self.log), self.work(context) as work:
            if find_run(work, list(event["found"])) is None:
                self._must_be_in_time(work, 0.0, str(event.get("trouble") or ""))
            return str(work.hook.conn_id)

    def _must_be_in_time(self, work: Work, deadline: float, trouble: str = "") -> None:
        from ferry.core.errors import NotFound

        if time.time() < deadline:
            return
        days = self.patience.total_seconds() / 86400
        raise NotFound(
            f"No migration that fits {work.attempt.batch_id} was there within {days:.0f} days. {trouble} Correct `find` in the "
            "manifest, or wait for the person to begin; then trigger again."
        )


class AnonAwaitRunOperator(AwaitRunOperator):
    """Waits for the end of the migration, for days if need be, and has the right person told while it waits for one."""

    hook_path = HOOK
    trigger_path = "ferry.vendors.anon.triggers.AnonRunTrigger"
    template_fields: Sequence[str] = ("attempt", "connection")

    def __init__(self, *, connection: str = CONNECTION, patience: timedelta = timedelta(days=14), **kwargs: Any) -> None:
        super().__init__(patience=patience, **kwargs)
        self.connection = connection
        self.start_trigger_args = StartTriggerArgs(
            trigger_cls=self.trigger_path,
            trigger_kwargs={"attempt": self.attempt, "connection": connection, **self.waiting},
            next_method="execute_complete",
        )

    def execute(self, context: Context) -> None:  # noqa: ARG002 (Airflow's signature)
        """Only `dag.test()` comes here: it knows nothing of tasks that start in the triggerer."""
        self._wait()

    def execute_complete(self, context: Context, event: Any) -> str:
        """Tell a person and wait on; or the end, through `dag.test()` only."""
        from ferry.vendors.anon.telling import tell
        from ferry.vendors.anon.triggers import TELL

        if not (isinstance(event, dict) and TELL in event):
            return super().execute_complete(context, event)
        with plainly(self.log), self.work(context) as work:
            tell(work, context)
        self._wait(first_look=SOON)
        raise FerryError("The wait was not put aside.")

    def _wait(self, **more: Any) -> None:
        from ferry.vendors.anon.triggers import AnonRunTrigger

        trigger = AnonRunTrigger(attempt=self.attempt, connection=self.connection, **{**self.waiting, **more})
        self.defer(trigger=trigger, method_name="execute_complete")


class AnonCollectFilesOperator(VendorOperator):
    """Keeps the migration's files as evidence, where the connection says how they are listed."""

    step = "collect_files"
    hook_path = HOOK

    def work_on(self, work: Work) -> dict[str, int]:
        """How many there are."""
        from ferry.vendors.anon.ending import collect_files

        return collect_files(work)


class AnonFetchErrorsOperator(VendorOperator):
    """Says which parts failed, as far as that is known, and what a person has to do."""

    step = "fetch_errors"
    hook_path = HOOK

    def work_on(self, work: Work) -> dict[str, int]:
        """How many parts are not done."""
        from ferry.vendors.anon.ending import fetch_errors

        return fetch_errors(work)


class AnonReconcileOperator(VendorOperator):
    """Counts what was done of the migration, however it ended."""

    step = "reconcile"
    hook_path = HOOK

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("trigger_rule", TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)  # with or without errors
        super().__init__(**kwargs)

    def work_on(self, work: Work) -> dict[str, int]:
        """Counts of the identity; skipped where the person gave up at the login, because nothing was to be moved then."""
        from ferry.core.model import RunState
        from ferry.vendors.anon.ending import reconcile

        if work.standing.run_state is RunState.CANCELLED:
            raise AirflowSkipException("The person gave up at the login: there is nothing to reconcile.")
        return reconcile(work)


class AnonSettleBatchOperator(SettleBatchOperator):
    """The verdict on an Anon batch."""

    hook_path = HOOK


class AnonDiscoverOperator(BaseOperator):
    """Looks through the lists of the connections in the DAG's params; returns what is to be watched, for a mapped trigger."""

    ui_color = "#e8f1f8"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"task_id": "discover"} | kwargs)

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """One element for each migration that nobody watches yet."""
        from ferry.vendors.anon.discovering import discover

        with plainly(self.log):
            return discover(context["params"]["connections"])
