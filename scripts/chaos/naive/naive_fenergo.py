"""The control: Fenergo as Airflow's own resumable operator does it. Not part of Ferry.

`ResumableJobMixin` remembers a job's id once the vendor has accepted it, and finds it again when the task is
retried. A worker that dies between the two starts the job a second time; Ferry's oracle has to see that, or it sees nothing.

**When it is red.** It is meant to be.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator, Context, Param, ResumableJobMixin, dag


class NaiveMigrateOperator(ResumableJobMixin, BaseOperator):
    """Creates a migration, uploads one file, starts it, remembers it, and waits for it on the worker."""

    external_id_key = "migration_id"
    template_fields = ("batch_id",)

    def __init__(self, *, batch_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_id = batch_id

    def execute(self, context: Context) -> Any:
        """Submit, or go on with what was submitted."""
        return self.execute_resumable(context)

    def submit_job(self, context: Context) -> str:  # noqa: ARG002 (the mixin's signature)
        """The migration's id, once it is started."""
        import strikes  # type: ignore[import-not-found]  # the points of the chaos harness, which are within Ferry elsewhere

        from ferry.core.model import Receipt
        from ferry.vendors.fenergo.api import FenergoApi

        file = self._file()
        run = self._hook.call(lambda api: api.create("Migration"))
        while not self._hook.call(lambda api: api.look_prepared(run)).state.is_final:
            time.sleep(0.5)
        receipt = Receipt("Company", file.name, file.stat().st_size, "", 3)
        self._hook.call(lambda api: api.upload(run, file, file.name, receipt))

        def start(api: FenergoApi) -> Any:
            return api.start(run)

        self._hook.call(start)
        strikes.strike(self.batch_id, "migrate", "accepted")
        return str(run.ref)

    def get_job_status(self, external_id: Any, context: Context) -> str:  # noqa: ARG002
        """Ferry's word for how it stands."""
        from ferry.core.model import Run

        return str(self._hook.call(lambda api: api.look(Run(str(external_id)))).state)

    def is_job_active(self, status: str) -> bool:
        """Whether to wait for it."""
        return status in {"queued", "running"}

    def is_job_succeeded(self, status: str) -> bool:
        """Whether it is done."""
        return status == "succeeded"

    def poll_until_complete(self, external_id: Any, context: Context) -> Any:
        """Look every second."""
        while self.is_job_active(self.get_job_status(external_id, context)):
            time.sleep(1)
        return self.get_job_result(external_id, context)

    def get_job_result(self, external_id: Any, context: Context) -> Any:  # noqa: ARG002
        """Its id."""
        return external_id

    @property
    def _hook(self) -> Any:
        from ferry.vendors.fenergo.hook import FenergoHook

        return FenergoHook("fenergo_default")

    def _file(self) -> Path:
        from ferry.steps import places

        folder = Path(str(places.batches()).removeprefix("file://")) / "fenergo" / self.batch_id
        return next(folder.glob("*.csv"))


@dag(
    schedule=None,
    doc_md=__doc__,
    tags=["control"],
    params={"batch_id": Param("", type="string")},
    default_args={"retries": 3, "retry_delay": 2.0},
)
def naive_fenergo() -> None:
    """One task."""
    NaiveMigrateOperator(task_id="migrate", batch_id="{{ params.batch_id }}")


naive_fenergo()
