"""The tables of an environment, in memory: rows by Id, their cells as they were written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ferry.vendors.dmm.sandbox.cells import value_of

ID = "Id"
SYSTEM = "ossys_"


class Table:
    """One entity's records. Cells keep their text, so that an export gives back what an import brought."""

    def __init__(self, columns: Sequence[str] = ()) -> None:
        self.columns = [ID]
        self.rows: dict[int, list[str]] = {}
        self._last = 0
        self.place(columns)

    def place(self, columns: Sequence[str]) -> list[int]:
        """Where the columns of a file go in a row; unknown ones are added."""
        self.columns += [name for name in columns if name not in self.columns]
        return [self.columns.index(name) for name in columns]

    def append(self, places: Sequence[int], cells: Sequence[str]) -> None:
        """A row with a new Id; the one in the file, if any, is dropped."""
        self._last += 1
        self._put(self._last, places, cells)

    def keep(self, key: int, places: Sequence[int], cells: Sequence[str]) -> None:
        """A row under its own Id, which the caller has seen to be free."""
        self._last = max(self._last, key)
        self._put(key, places, cells)

    def cells(self, key: int) -> list[str] | None:
        """A row in the order of the columns; None if it is gone."""
        row = self.rows.get(key)
        return None if row is None else row + [""] * (len(self.columns) - len(row))

    def documents(self) -> Iterator[dict[str, Any]]:
        """The records as they are now, as objects by column; they may be read in another thread."""
        columns, rows = tuple(self.columns), list(self.rows.values())
        return (dict(zip(columns, map(value_of, row), strict=False)) for row in rows)

    def _put(self, key: int, places: Sequence[int], cells: Sequence[str]) -> None:
        row = [""] * len(self.columns)
        for place, cell in zip(places, cells, strict=True):
            row[place] = cell
        row[0] = str(key)
        self.rows[key] = row


class Tables(dict[str, Table]):
    """All entities of an environment by name."""

    def count(self) -> int:
        """The records of all of them."""
        return sum(len(table.rows) for table in self.values())


def is_system(entity: str) -> bool:
    """Whether it is one of the platform's own tables."""
    return entity.lower().startswith(SYSTEM)
