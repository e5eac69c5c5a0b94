"""Everything the vendor's tenant does behind its two services: prepare, process, ingest."""

from __future__ import annotations

import asyncio
import csv
import json
import logging
import shutil
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

from ferry.vendors.fenergo.sandbox.attempt import KINDS, Attempt, Counts
from ferry.vendors.fenergo.sandbox.layouts import ERROR_COLUMNS, RECORD_COLUMNS, write_csv
from ferry.vendors.fenergo.sandbox.migration import BUCKET, Asked, Migration, Verdict
from ferry.vendors.fenergo.sandbox.policy import INGESTION_TABLES, TABLES
from ferry.vendors.fenergo.sandbox.vault import Vault
from sandbox.clock import Clock, iso
from sandbox.s3 import Store, Wire
from sandbox.switches import Switches

logger = logging.getLogger(__name__)
Result = TypeVar("Result")
WORKERS = 2  # migrations checked at the same time
HEADER = ["tableName", "alternateId", "fenxId"]


@dataclass(slots=True)
class Ingestion:
    """One alternate-ID ingestion and how its last execution went."""

    id: str = field(default_factory=lambda: str(uuid4()))
    words: list[tuple[float, str]] = field(default_factory=list)
    uploaded: bool = False
    executions: int = 0
    rows: int = 0
    applied: int = 0
    errors: int = 0

    @property
    def key(self) -> str:
        """Where its CSV is uploaded to."""
        return f"recordreference/{self.id}/references.csv"

    @property
    def error_key(self) -> str:
        """Where its error lines are."""
        return f"recordreference/{self.id}/errors.jsonl"

    @property
    def running(self) -> bool:
        """Whether an execution is under way."""
        return bool(self.words) and self.words[-1][1] == "Running"

    def to_json(self) -> dict[str, Any]:
        """The ingestion for the control endpoint."""
        return {
            "id": self.id,
            "status": self.words[-1][1] if self.words else None,
            "executions": self.executions,
            "rows": self.rows,
            "applied": self.applied,
            "errors": self.errors,
        }


class World:
    """One life of the tenant, from a reset to the next; its files lie in a folder of its own."""

    def __init__(self, clock: Clock, switches: Switches, folder: Path) -> None:
        self.clock = clock
        self.switches = switches
        self._folder = folder
        folder.mkdir(parents=True)
        wire = Wire(
            upload_verb=lambda: switches.text("upload_verb"),
            refused_headers=lambda: ("x-tenant-id",) if switches.flag("storage_refuses_tenant") else (),
        )
        self.store = Store("fenergo", folder / "objects", clock, wire)
        self.vault = Vault(folder / "records.db")
        self.migrations: dict[str, Migration] = {}
        self.ingestions: dict[str, Ingestion] = {}
        self.overwrites: list[dict[str, Any]] = []
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="fenergo-sandbox")
        self._tasks: set[asyncio.Task[None]] = set()
        self._attempts: set[Attempt] = set()

    async def end(self) -> None:
        """Stop everything and remove the files."""
        for task in list(self._tasks):
            task.cancel()
        for attempt in self._attempts:
            attempt.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for attempt in self._attempts:  # those whose work never began
            attempt.close()
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def create(self, asked: Asked) -> Migration:
        """A new migration, being prepared from now on."""
        migration = Migration(asked, self.clock, self.switches)
        self.migrations[migration.id] = migration
        return migration

    def start(self, migration: Migration, *, only_associations: bool) -> None:
        """Process the uploaded files as they are at this moment; later uploads change nothing."""
        migration.begin()
        inputs = self._folder / "work" / f"{migration.id}-{migration.starts}"
        files = []
        for table in TABLES:
            slot = migration.slots.get(table.name)
            if slot and slot.size is not None and (table.kind == "association" or not only_associations):
                self.store.snapshot(BUCKET, slot.key, inputs / table.name)
                files.append((table, inputs / table.name))
        attempt = Attempt(self.vault, inputs.with_suffix(".db"))
        self._attempts.add(attempt)
        self._later(self._process(migration, attempt, files))

    def execute(self, ingestion: Ingestion) -> None:
        """Apply an ingestion's file as it is at this moment [D]."""
        ingestion.executions += 1
        ingestion.words.append((self.clock.now(), "Running"))
        path = self._folder / "work" / f"{ingestion.id}-{ingestion.executions}.csv"
        self.store.snapshot(BUCKET, ingestion.key, path)
        self._later(self._ingest(ingestion, path))

    async def _process(self, migration: Migration, attempt: Attempt, files: list[Any]) -> None:
        began = self.clock.now()
        with attempt:
            try:
                quoted = self.switches.flag("require_quotes")
                counts = await self._work(lambda: attempt.examine(files, require_quotes=quoted))
                migration.counted(counts)
                await self.clock.sleep_until(began + self._duration(counts))
                verdict = await self._work(lambda: self._settle(migration, attempt, counts))
            except Exception:
                # A bug of the sandbox must look like a vendor in trouble, not like one that never ends.
                logger.exception("The sandbox failed to process migration %s", migration.id)
                verdict = Verdict(ok=False, message="Internal error")
            finally:
                self._attempts.discard(attempt)
        shutil.rmtree(self._folder / "work" / f"{migration.id}-{migration.starts}", ignore_errors=True)
        migration.end(verdict)

    def _duration(self, counts: Counts) -> float:
        rate = self.switches.number("rows_per_second")
        return self.switches.number("process_seconds") + (counts.rows / rate if rate else 0.0)

    def _settle(self, migration: Migration, attempt: Attempt, counts: Counts) -> Verdict:
        tally = migration.tally
        if counts.errors:
            path = self.store.path(BUCKET, migration.key("internal", "Errors", "data.csv"))
            tally.errors = write_csv(path, ERROR_COLUMNS, attempt.errors(), self.switches.text("error_layout"))
            tally.failed = {kind: counts.failed[kind] for kind in KINDS}
            return Verdict(ok=False, message="Validation failed. See the error file.")
        left_out = attempt.leave_out(self.switches.integer("completed_with_failed"))
        attempt.write(migration.id)
        rows = attempt.migrated(with_groups=self.switches.flag("records_include_data_groups"))
        path = self.store.path(BUCKET, migration.key("internal", "MigratedRecords", "data.csv"))
        tally.records = write_csv(path, RECORD_COLUMNS, rows, self.switches.text("records_layout"))
        tally.failed = {kind: left_out[kind] for kind in KINDS}
        tally.migrated = {kind: counts.total[kind] - left_out[kind] for kind in KINDS}
        return Verdict(ok=True)

    async def _ingest(self, ingestion: Ingestion, path: Path) -> None:
        await self.clock.sleep_until(self.clock.now() + self.switches.number("ingestion_seconds"))
        try:
            await self._work(lambda: self._apply(ingestion, path))
            word = self.switches.text("ingestion_word") if ingestion.errors else "Completed"
        except Exception:
            logger.exception("The sandbox failed to execute ingestion %s", ingestion.id)
            word = "Failed"
        ingestion.words.append((self.clock.now(), word))

    def _apply(self, ingestion: Ingestion, path: Path) -> None:
        ingestion.rows = ingestion.applied = ingestion.errors = 0
        with self.store.path(BUCKET, ingestion.error_key).open("w", encoding="utf-8") as out:
            for number, row, trouble in self._references(ingestion, path):
                ingestion.rows += 1
                if trouble is None:
                    ingestion.applied += 1
                    continue
                ingestion.errors += 1
                line = {"rowNumber": number, **dict(zip(HEADER, row, strict=False)), "error": trouble}
                out.write(json.dumps(line, ensure_ascii=False) + "\n")
        path.unlink()

    def _references(self, ingestion: Ingestion, path: Path) -> Iterator[tuple[int, list[str], str | None]]:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            reader = csv.reader(file)
            if next(reader, []) != HEADER:
                yield 0, [], f"The header must be {','.join(HEADER)}"
                return
            for number, row in enumerate(reader, 1):
                yield number, row, self._refer(ingestion, row)

    def _refer(self, ingestion: Ingestion, row: list[str]) -> str | None:
        if len(row) != len(HEADER) or not all(cell.strip() for cell in row):
            return "Row is malformed"
        name, key, fenx = row
        if name not in INGESTION_TABLES:
            return "Unknown tableName"
        try:
            UUID(fenx)
        except ValueError:
            return "Record not found"
        overwritten = self.vault.refer(INGESTION_TABLES[name], key, fenx)
        if overwritten is None:
            return "Record not found"
        at = iso(self.clock.now())
        self.overwrites.extend({"ingestion": ingestion.id, "at": at, **one} for one in overwritten)
        return None

    async def _work(self, job: Callable[[], Result]) -> Result:
        """Run a job in a thread; if cancelled, wait for it: the database it uses must not be closed under it."""
        future = asyncio.get_running_loop().run_in_executor(self._pool, job)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            raise

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
