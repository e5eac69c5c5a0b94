"""What the five types of executions do to records, a chunk at a time."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Protocol

from ferry.vendors.dmm.sandbox.cells import why_unreadable
from ferry.vendors.dmm.sandbox.execution import Part
from ferry.vendors.dmm.sandbox.tables import ID, Table, Tables
from ferry.vendors.dmm.sandbox.unpacking import Staged

Rows = Sequence[Sequence[str]]
OWN_ID = re.compile(r"[0-9]{1,18}")
TAKEN = "Violation of PRIMARY KEY constraint. Cannot insert duplicate key."
NO_ID = "Cannot insert the value NULL into column 'Id'."
RAGGED = "The row has {found} values, but the header names {wanted}."


class ChunkError(Exception):
    """A chunk that came to nothing, with the vendor's sentence and its tip."""

    def __init__(self, error: str, tip: str) -> None:
        super().__init__(error)
        self.told = (error, tip)


class Work(Protocol):
    """The records an execution deals with."""

    parts: list[Part]

    def take(self, place: int, number: int) -> Rows:
        """The next records of a part."""

    def apply(self, place: int, rows: Rows) -> None:
        """Do with them what the execution is for, all or nothing."""

    def close(self) -> None:
        """Let go of files."""


class Inserting:
    """Puts rows into tables, with new Ids or with their own."""

    def __init__(self, target: Tables, *, append: bool) -> None:
        self._target, self._append = target, append

    def insert(self, entity: str, columns: Sequence[str], rows: Rows) -> None:
        """Insert all rows, or none if one of them is bad."""
        table = self._target.get(entity) or Table()
        keys = [] if self._append else self._keys(table, columns, rows)
        for row in rows:
            _check(row, len(columns))
        places = table.place(columns)
        self._target[entity] = table
        if self._append:
            for row in rows:
                table.append(places, row)
        for key, row in zip(keys, rows, strict=False):
            table.keep(key, places, row)

    def _keys(self, table: Table, columns: Sequence[str], rows: Rows) -> list[int]:
        place = columns.index(ID) if ID in columns else len(columns)
        told = [row[place] if place < len(row) else "" for row in rows]
        if not all(OWN_ID.fullmatch(text) for text in told):
            raise ChunkError(NO_ID, "Without DataAppendMode every record needs its Id.")
        keys = [int(text) for text in told]
        if len(set(keys)) < len(keys) or any(key in table.rows for key in keys):
            raise ChunkError(TAKEN, "Empty the table, or append.")
        return keys


class Importing:
    """Rows of a zip into an environment's tables."""

    def __init__(self, staged: Staged, inserting: Inserting) -> None:
        self.parts = staged.parts
        self._columns = staged.columns
        self._inserting = inserting
        self._lines = staged.path.open(encoding="utf-8")

    def take(self, place: int, number: int) -> Rows:  # noqa: ARG002  # the file holds the parts in their order
        """The next lines of the file."""
        return [json.loads(line) for line in islice(self._lines, number)]

    def apply(self, place: int, rows: Rows) -> None:
        """Insert them."""
        self._inserting.insert(self.parts[place].entity, self._columns[place], rows)

    def close(self) -> None:
        """The file is of no use to anybody else."""
        self._lines.close()
        Path(self._lines.name).unlink(missing_ok=True)


class Reading:
    """Rows of an environment's tables, as they stand when the execution begins; whoever uses them says for what."""

    def __init__(self, source: Tables, keys: dict[str, list[int]]) -> None:
        self._source = source
        self._keys = list(keys.values())
        self.parts = [Part(entity, len(found)) for entity, found in keys.items()]
        for part, found in zip(self.parts, self._keys, strict=True):
            table = source[part.entity]
            part.volume = sum(len(cell) for key in found for cell in table.rows[key])

    def take(self, place: int, number: int) -> Rows:
        """The next of them that are still there."""
        part = self.parts[place]
        table = self._source[part.entity]
        return [row for key in self._keys[place][part.taken : part.taken + number] if (row := table.cells(key))]

    def apply(self, place: int, rows: Rows) -> None:
        """Nothing but count: what a scrambling does to texts is not played."""

    def close(self) -> None:
        """There is nothing to let go of."""


class Deleting(Reading):
    """Takes the rows away."""

    def apply(self, place: int, rows: Rows) -> None:
        """Remove them by Id."""
        table = self._source[self.parts[place].entity]
        for row in rows:
            del table.rows[int(row[0])]


class Migrating(Reading):
    """Copies the rows into other tables."""

    def __init__(self, source: Tables, keys: dict[str, list[int]], inserting: Inserting) -> None:
        super().__init__(source, keys)
        self._inserting = inserting

    def apply(self, place: int, rows: Rows) -> None:
        """Insert them there."""
        entity = self.parts[place].entity
        self._inserting.insert(entity, self._source[entity].columns, rows)


class Exporting(Reading):
    """Writes the rows to files, which become a zip when somebody asks for it."""

    def __init__(self, source: Tables, keys: dict[str, list[int]], folder: Path) -> None:
        super().__init__(source, keys)
        self.folder = folder
        folder.mkdir(parents=True)
        for entity in keys:
            columns = source[entity].columns
            (folder / f"{entity}_Struct.dmm").write_text(_structure(entity, columns), encoding="utf-8")
            self._write(entity, [columns])

    def apply(self, place: int, rows: Rows) -> None:
        """Add them to the entity's file."""
        self._write(self.parts[place].entity, rows)

    def _write(self, entity: str, rows: Rows) -> None:
        with (self.folder / f"{entity}_Data.csv").open("a", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)


def _structure(entity: str, columns: Sequence[str]) -> str:
    """A description of an entity; what the vendor's own looks like is not documented [A]."""
    return json.dumps({"Entity": entity, "Columns": list(columns)}, indent=1) + "\n"


def _check(row: Sequence[str], width: int) -> None:
    if len(row) != width:
        raise ChunkError(RAGGED.format(found=len(row), wanted=width), "Compare the file with its description.")
    for cell in row:
        if why := why_unreadable(cell):
            raise ChunkError(why, "Compare the file with an export.")
