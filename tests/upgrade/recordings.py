"""What earlier versions of Ferry left behind (`record.py`), and how it gets into databases and folders again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import text

from ferry.ledger.store import LedgerStore

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Recording:
    """Everything of one version."""

    version: str

    def lines(self, name: str) -> list[Any]:
        """The things in a file, one a line."""
        return [json.loads(line) for line in (HERE / self.version / f"{name}.jsonl").read_text("utf-8").splitlines()]

    @cached_property
    def ledger(self) -> list[dict[str, Any]]:
        """The rows of the ledger."""
        return self.lines("ledger")

    def rows(self, batch_id: str) -> list[dict[str, Any]]:
        """The rows of one batch."""
        return [row for row in self.ledger if row["batch_id"] == batch_id]

    def dag_run(self, batch_id: str) -> dict[str, Any]:
        """How far the batch's first DAG run had come."""
        (found,) = [run for run in self.lines("dag_runs") if run["run_id"] == f"{batch_id}.1"]
        return dict(found)

    def restore(self, store: LedgerStore, batches: Sequence[str] = ()) -> None:
        """The database as that version left it; with `batches`, no others are in it."""
        database = "postgresql" if store.database.is_postgres else "sqlite"
        with store.database.writing() as connection:
            for statement in self.lines(f"schema-{database}"):
                connection.exec_driver_sql(statement)
            for row in self.ledger:
                if not batches or row["batch_id"] in batches:
                    names = ", ".join(row)
                    values = ", ".join(f":{name}" for name in row)
                    connection.execute(text(f"INSERT INTO ferry_ledger ({names}) VALUES ({values})"), row)  # noqa: S608 (our names)

    def unpack(self, home: Path) -> None:
        """The folders of batches and evidence."""
        for file in self.lines("files"):
            path = home / file["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file["text"].encode("utf-8"))


RECORDINGS = [Recording(folder.name) for folder in sorted(HERE.iterdir()) if (folder / "ledger.jsonl").exists()]
