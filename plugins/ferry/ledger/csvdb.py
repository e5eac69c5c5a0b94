"""CSV files as DuckDB tables: nothing sniffed, memory limited, and no row's content in an error."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ferry.core.errors import BadInput

if TYPE_CHECKING:
    import duckdb

MEMORY = "224MB"
"""DuckDB's own limit. The process stays below 400 MiB with it: Python, DuckDB's code and the CSV buffers come on top."""


@contextmanager
def workbench(memory: str = MEMORY) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB database in a temporary folder: two threads, limited memory, the rest on disk, gone afterwards."""
    import duckdb

    with TemporaryDirectory(prefix="ferry-join-") as folder:
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": memory,
            "threads": 2,
            "temp_directory": f"{folder}/spill",
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        # In memory and spilling, which is twice as fast as a database file here.
        con = duckdb.connect(":memory:", config=config)
        try:
            con.execute("SET enable_progress_bar_print = false")  # it comes after two seconds, and into a task's log
            yield con
        finally:
            con.close()


def csv_columns(path: Path) -> list[str]:
    """The header of a CSV file, a byte-order mark left out."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        return next(csv.reader(file), [])


def scan(path: Path, **wanted: str | None) -> str:
    """A DuckDB table expression that reads named columns of a CSV file as text, nothing sniffed, "" for empty.

    `wanted` maps our names to the file's; None gives an empty column. Columns are taken by position, so a header
    with odd or repeated names does no harm.
    """
    header = csv_columns(path)
    missing = [name for name in wanted.values() if name is not None and name not in header]
    if missing:
        raise BadInput(
            f"{path.name} has no column {', '.join(missing)}. Compare its header with what the manifest and the vendor say."
        )
    columns = ", ".join(f"'c{i}': 'VARCHAR'" for i in range(len(header)))
    picked = ", ".join(
        f"coalesce(c{header.index(theirs)}, '') as {ours}" if theirs is not None else f"'' as {ours}"
        for ours, theirs in wanted.items()
    )
    options = "auto_detect=false, header=true, delim=',', quote='\"', escape='\"', strict_mode=true, null_padding=false"
    source = f"read_csv({text(_exactly(path))}, {options}, columns={{{columns}}})"
    return f"(select {picked} from {source})"  # noqa: S608 (names are ours, the path is quoted)


def run_sql(con: duckdb.DuckDBPyConnection, sql: str, path: Path | None = None) -> duckdb.DuckDBPyConnection:
    """Run a statement. DuckDB quotes the offending row in its errors, so only the line number is passed on."""
    import duckdb

    try:
        return con.execute(sql)
    except duckdb.OutOfMemoryException:
        raise BadInput("The keys do not fit the memory and disk given to the join. Free space in the temporary folder.") from None
    except duckdb.InvalidInputException as error:
        line = re.search(r"Line: (\d+)", str(error))
        where = f"{path.name if path else 'a file'}{f', line {line[1]}' if line else ''}"
        raise BadInput(
            f"{where}: not readable as CSV in UTF-8 with as many values as its header. "
            "The file is kept as it came; look at that line, correct it at its source, and run the step again."
        ) from None


def _exactly(path: Path) -> str:
    """The path as a pattern that matches nothing else: DuckDB takes file names for globs."""
    return re.sub(r"([*?\[])", r"[\1]", str(path.absolute()))


def text(value: str) -> str:
    """A text as SQL."""
    return "'" + value.replace("'", "''") + "'"


def number(con: duckdb.DuckDBPyConnection, sql: str) -> int:
    """The one number a query gives; 0 for none."""
    row = con.execute(sql).fetchone()
    return int(row[0]) if row and row[0] is not None else 0
