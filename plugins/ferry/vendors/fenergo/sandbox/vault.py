"""What the tenant holds: records by table with their alternate id and FenX id, in SQLite so that millions need no memory."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

SCHEMA = """
CREATE TABLE records (
    id INTEGER PRIMARY KEY,
    tbl TEXT NOT NULL,
    alt TEXT,
    fenx TEXT NOT NULL UNIQUE,
    fields TEXT NOT NULL,
    origin TEXT NOT NULL,
    UNIQUE (tbl, alt)
);
"""


class Vault:
    """The records of the tenant. Every method opens its own connection, so any thread may call it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with closing(self.connect()) as db, db:
            db.execute("PRAGMA journal_mode = WAL")
            db.executescript(SCHEMA)

    def connect(self) -> sqlite3.Connection:
        """A connection that waits its turn; durability is not promised by a rehearsal."""
        db = sqlite3.connect(self.path, timeout=60, check_same_thread=False)
        db.execute("PRAGMA synchronous = OFF")
        return db

    def add_by_hand(self, table: str, fields: dict[str, str], key: str | None, fenx: str | None) -> str:
        """A record as a person would make it in FenX: usually without an alternate id. Answers its FenX id."""
        made = str(UUID(fenx)) if fenx else str(uuid4())
        with closing(self.connect()) as db, db:
            db.execute(
                "INSERT INTO records (tbl, alt, fenx, fields, origin) VALUES (?, ?, ?, ?, 'by hand')",
                (table, key or None, made, json.dumps(fields, ensure_ascii=False)),
            )
        return made

    def tables(self) -> list[str]:
        """The tables that have records."""
        with closing(self.connect()) as db:
            return [name for (name,) in db.execute("SELECT DISTINCT tbl FROM records ORDER BY tbl")]

    def records(self, table: str) -> Iterator[dict[str, Any]]:
        """The records of a table in the order in which they came."""
        query = "SELECT alt, fenx, origin, fields FROM records WHERE tbl = ? ORDER BY id"
        with closing(self.connect()) as db:
            for key, fenx, origin, fields in db.execute(query, (table,)):
                yield {"alternateId": key, "fenxId": fenx, "origin": origin, **json.loads(fields)}

    def refer(self, table: str, key: str, fenx: str) -> list[dict[str, Any]] | None:
        """Give a record an alternate id, overwriting as the vendor does [D]; answers what was overwritten, None if unknown."""
        overwritten = []
        with closing(self.connect()) as db, db:
            db.execute("BEGIN IMMEDIATE")
            found = db.execute("SELECT alt FROM records WHERE tbl = ? AND fenx = ?", (table, fenx)).fetchone()
            if found is None:
                return None
            if found[0] not in (None, key):
                overwritten.append({"table": table, "fenxId": fenx, "before": found[0], "after": key})
            other = db.execute("SELECT fenx FROM records WHERE tbl = ? AND alt = ? AND fenx != ?", (table, key, fenx))
            for (loser,) in other.fetchall():
                overwritten.append({"table": table, "fenxId": loser, "before": key, "after": None})
                db.execute("UPDATE records SET alt = NULL WHERE fenx = ?", (loser,))
            db.execute("UPDATE records SET alt = ? WHERE fenx = ?", (key, fenx))
        return overwritten
