"""Keys and references of a whole batch, compared on disk: a set of ten million Python strings would not fit the process."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ferry.ledger.csvdb import run_sql, scan, workbench

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY = "160MB"

_COLUMNS = {
    "keys": ["kind", "name", "id", "row", "line", "root"],
    "refs": ["kind", "column", "id", "row", "line"],
}


class KeyIndex:
    """Takes keys and references while files are read, then answers which keys repeat and which references lead nowhere."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._files = {name: stack.enter_context(self._path(name).open("w", encoding="utf-8", newline="")) for name in _COLUMNS}
        self._writers = {name: csv.writer(file, quoting=csv.QUOTE_ALL) for name, file in self._files.items()}
        for name, columns in _COLUMNS.items():
            self._writers[name].writerow(columns)

    def key(self, kind: str, name: str, value: str, row: int, line: int, *, root: bool) -> None:
        """Remember a key: of which kind (table, or id column), in which file it stands, whether others may refer to it."""
        self._writers["keys"].writerow((kind, name, value, row, line, "y" if root else "n"))

    def reference(self, kind: str, column: str, value: str, row: int, line: int) -> None:
        """Remember a reference to a root key."""
        self._writers["refs"].writerow((kind, column, value, row, line))

    @contextmanager
    def answers(self) -> Iterator[Answers]:
        """All keys are in: ask now."""
        for file in self._files.values():
            file.close()
        with workbench(MEMORY) as con:
            for name, columns in _COLUMNS.items():
                source = scan(self._path(name), **{column: column for column in columns})
                con.execute(f"create table {name} as select * replace (row::bigint as row, line::bigint as line) from {source}")  # noqa: S608
            yield Answers(con)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.csv"


class Answers:
    """What the keys of a batch say about each other."""

    def __init__(self, con: DuckDBPyConnection) -> None:
        self._con = con

    def repeated(self) -> Iterator[tuple[str, str, str, int, int, int]]:
        """Every repetition of a key within its kind: kind, file, key, row, line, and the row where it stood first."""
        yield from _rows(
            self._con,
            "select k.kind, k.name, k.id, k.row, k.line, f.first from keys k "
            "join (select kind, id, min(row) as first from keys group by kind, id having count(*) > 1) f "
            "on f.kind = k.kind and f.id = k.id where k.row > f.first order by k.kind, k.row",
        )

    def unresolved(self, outside: Iterable[tuple[Path, str]] = ()) -> Iterator[tuple[str, str, str, int, int]]:
        """References to no root key of the batch nor to an id in these columns outside: kind, column, key, row, line."""
        self._load("outside", outside)
        yield from _rows(
            self._con,
            "select r.kind, r.column, r.id, r.row, r.line from refs r anti join "
            "(select id from keys where root = 'y' union all select id from outside) k using (id) "
            "order by r.kind, r.row, r.column",
        )

    def known(self, columns: Iterable[tuple[Path, str]]) -> Iterator[tuple[str, str, str, int, int, int]]:
        """Keys that stand in one of these columns of earlier files: kind, file, key, row, line, 0."""
        self._load("earlier", columns)
        yield from _rows(
            self._con,
            "select k.kind, k.name, k.id, k.row, k.line, 0 from keys k semi join earlier e using (id) order by k.kind, k.row",
        )

    def _load(self, name: str, columns: Iterable[tuple[Path, str]]) -> None:
        self._con.execute(f"create or replace table {name} (id varchar)")
        for path, column in columns:
            run_sql(self._con, f"insert into {name} select id from {scan(path, id=column)}", path)  # noqa: S608 (scan quotes)


@contextmanager
def key_index() -> Iterator[KeyIndex]:
    """An empty index in a temporary folder that is gone afterwards."""
    with TemporaryDirectory(prefix="ferry-keys-") as folder, ExitStack() as stack:
        yield KeyIndex(Path(folder), stack)


def _rows(con: DuckDBPyConnection, sql: str) -> Iterator[Any]:
    answer = con.execute(sql)
    while chunk := answer.fetchmany(5_000):
        yield from chunk
