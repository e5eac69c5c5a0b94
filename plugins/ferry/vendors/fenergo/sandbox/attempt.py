"""One start of a migration: load the files, check them together, then write everything or nothing."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

from ferry.vendors.fenergo.sandbox.checks import Line, Wrong, lines_of
from ferry.vendors.fenergo.sandbox.policy import KEY, PARENT, Table
from ferry.vendors.fenergo.sandbox.vault import Vault

BATCH = 2_000  # rows written at once; keeps memory flat
KINDS = ("entity", "product", "association")
encode = json.JSONEncoder(ensure_ascii=False).encode
LAST_FIRST = ("association", "product", "entity")

SCHEMA = """
CREATE TABLE staged (
    place INTEGER, kind TEXT, tbl TEXT, row INTEGER, alt TEXT, ref1 TEXT, ref2 TEXT, fields TEXT,
    PRIMARY KEY (place, row)
) WITHOUT ROWID;
CREATE TABLE wrong (
    place INTEGER, kind TEXT, tbl TEXT, row INTEGER, alt TEXT, parent TEXT, field TEXT, value TEXT, code TEXT, message TEXT
);
"""
# A random UUID, version 4, made by SQLite: a million of them cost Python seconds.
FENX_ID = """
lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-a'
|| substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))
"""
COMMIT = f"""
INSERT INTO held.records (tbl, alt, fenx, fields, origin)
SELECT tbl, alt, {FENX_ID}, fields, ? FROM staged WHERE true ORDER BY place, row
ON CONFLICT (tbl, alt) DO UPDATE SET fields = json_patch(fields, excluded.fields), origin = excluded.origin
"""  # noqa: S608  # constants only
DUPLICATES = """
SELECT row, alt, ref1 FROM staged AS later WHERE place = ? AND alt != '' AND EXISTS (
    SELECT 1 FROM staged AS first WHERE first.alt = later.alt AND first.place = later.place AND first.row < later.row)
"""
UNRESOLVED = """
SELECT row, alt, ref1, {column} FROM staged AS child WHERE place = ? AND {column} != ''
AND NOT EXISTS (SELECT 1 FROM staged AS owner WHERE owner.alt = child.{column} AND owner.tbl IN ({marks}))
AND NOT EXISTS (SELECT 1 FROM held.records AS owner WHERE owner.alt = child.{column} AND owner.tbl IN ({marks}))
"""


@dataclass(slots=True)
class Counts:
    """Rows by kind: found in the files, and with at least one error."""

    total: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    failed: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    rows: int = 0
    errors: int = 0


class StoppedError(Exception):
    """The sandbox was reset or ended while this attempt was at work."""


class Attempt:
    """The working tables of one start. Used by one thread at a time; a context manager, since it holds a database."""

    def __init__(self, vault: Vault, path: Path) -> None:
        self._path = path
        self._db = sqlite3.connect(path, timeout=60, check_same_thread=False)
        self._db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + SCHEMA)
        self._db.execute("ATTACH DATABASE ? AS held", (str(vault.path),))
        self._tables: list[Table] = []
        self._stopped = False

    def __enter__(self) -> Self:
        """Take the attempt for as long as the block runs."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Throw the working tables away."""
        self.close()

    def close(self) -> None:
        """Throw the working tables away."""
        self._db.close()
        self._path.unlink(missing_ok=True)

    def stop(self) -> None:
        """Make whatever is going on end soon, with an exception; may be called from any thread."""
        self._stopped = True
        self._db.interrupt()

    def examine(self, files: Iterable[tuple[Table, Path]], *, require_quotes: bool) -> Counts:
        """Load and check all files; what is wrong is kept for `errors`."""
        for place, (table, path) in enumerate(files):
            self._tables.append(table)
            self._load(place, table, lines_of(path, table, require_quotes=require_quotes))
        self._db.execute("CREATE INDEX staged_by_key ON staged (alt, place, row)")
        for place, table in enumerate(self._tables):
            self._find_duplicates(place, table)
            self._find_unresolved(place, table)
        self._db.commit()
        return self._counts()

    def errors(self) -> Iterator[tuple[str, ...]]:
        """The rows of the error file: table, key, parent, row, field, value, code, message [A-28]."""
        query = "SELECT tbl, alt, parent, CAST(row AS TEXT), field, value, code, message FROM wrong ORDER BY place, row, rowid"
        return iter(self._db.execute(query))

    def leave_out(self, count: int) -> dict[str, int]:
        """Take so many last rows out before writing: associations, then products, then entities; answers how many of each."""
        left_out = {}
        for kind in LAST_FIRST:
            chosen = "SELECT place, row FROM staged WHERE kind = ? ORDER BY place DESC, row DESC LIMIT ?"
            query = f"DELETE FROM staged WHERE (place, row) IN ({chosen})"  # noqa: S608  # constants only
            left_out[kind] = self._db.execute(query, (kind, count)).rowcount
            count -= left_out[kind]
        self._db.commit()
        return left_out

    def write(self, migration: str) -> None:
        """Write every row in one transaction. A known alternate id updates its record and keeps its FenX id [A-34]."""
        with self._db:
            self._db.execute(COMMIT, (migration,))

    def migrated(self, *, with_groups: bool) -> Iterator[tuple[str, ...]]:
        """The rows of the records file: table, alternate id, FenX id [A-29]."""
        query = (
            "SELECT s.tbl, s.alt, r.fenx FROM staged AS s JOIN held.records AS r ON r.tbl = s.tbl AND r.alt = s.alt "
            "WHERE s.kind != 'group' OR ? ORDER BY s.place, s.row"
        )
        return iter(self._db.execute(query, (with_groups,)))

    def _load(self, place: int, table: Table, lines: Iterator[Line]) -> None:
        while batch := list(islice(lines, BATCH)):
            if self._stopped:
                raise StoppedError
            staged = [_staged(place, table, line) for line in batch if line.number]
            self._db.executemany("INSERT INTO staged VALUES (?,?,?,?,?,?,?,?)", staged)
            self._complain(place, table, (wrong for line in batch for wrong in line.wrong))

    def _complain(self, place: int, table: Table, wrongs: Iterable[Wrong]) -> None:
        rows = ((place, table.kind, table.name, *wrong) for wrong in wrongs)
        self._db.executemany("INSERT INTO wrong VALUES (?,?,?,?,?,?,?,?,?,?)", rows)

    def _find_duplicates(self, place: int, table: Table) -> None:
        found = self._db.execute(DUPLICATES, (place,)).fetchall()
        text = "Another row of this table has the same alternate id"
        self._complain(
            place,
            table,
            (Wrong(row, key, _parent(table, ref), KEY, key, "DUPLICATE_ALTERNATE_ID", text) for row, key, ref in found),
        )

    def _find_unresolved(self, place: int, table: Table) -> None:
        for column, named in zip(("ref1", "ref2"), table.references, strict=False):
            marks = ",".join("?" * len(named.refers_to))
            query = UNRESOLVED.format(column=column, marks=marks)
            found = self._db.execute(query, (place, *named.refers_to, *named.refers_to)).fetchall()
            text = "No record with this alternate id"
            self._complain(
                place,
                table,
                (
                    Wrong(row, key, _parent(table, ref), named.name, value, "UNRESOLVED_REFERENCE", text)
                    for row, key, ref, value in found
                ),
            )

    def _counts(self) -> Counts:
        counts = Counts()
        counts.total |= dict(self._db.execute("SELECT kind, COUNT(*) FROM staged GROUP BY kind"))
        failed = "SELECT kind, COUNT(DISTINCT place || '/' || row) FROM wrong WHERE row > 0 GROUP BY kind"
        counts.failed |= dict(self._db.execute(failed))
        counts.rows = sum(counts.total.values())
        (counts.errors,) = self._db.execute("SELECT COUNT(*) FROM wrong").fetchone()
        return counts


def _staged(place: int, table: Table, line: Line) -> tuple[object, ...]:
    refs = [line.values.get(named.name, "") for named in table.references] + ["", ""]
    fields = {name: value for name, value in line.values.items() if name != KEY}
    return place, table.kind, table.name, line.number, line.key, refs[0], refs[1], encode(fields)


def _parent(table: Table, first_reference: str) -> str:
    return first_reference if table.columns[1:2] == (PARENT,) else ""
