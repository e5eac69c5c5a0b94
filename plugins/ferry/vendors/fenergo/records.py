"""The migrated-records file: which of the vendor's columns is which. [A-29] Its layout is published as a picture only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ferry.core.csvfile import BrokenCsv, column_by_alias, header_of, records
from ferry.core.errors import VendorNonsense
from ferry.ledger.reconciliation import KeyFile

KEY_ALIASES = ("alternateId", "alternateIdentifier", "externalId")
FENX_ALIASES = ("fenxId", "fenergoId", "entityId", "id")
TABLE_ALIASES = ("tableName", "table", "entityType")


@dataclass(frozen=True, slots=True)
class RecordsLayout:
    """The vendor's own names of the columns we need."""

    header: tuple[str, ...]
    key_column: str
    table_column: str | None
    fenx_column: str | None


@dataclass(frozen=True, slots=True)
class MigratedRecord:
    """One record as the vendor says it holds it."""

    table: str
    alternate_id: str
    fenx_id: str


def layout_of(path: Path) -> RecordsLayout:
    """How to read a records file. VendorNonsense if no column holds alternate ids: we do not guess."""
    try:
        header = header_of(path)
    except BrokenCsv as error:
        raise VendorNonsense(
            f"{path.name}: {error}. The file is kept as it came; read it and ask the vendor for a whole one."
        ) from None
    key = column_by_alias(header, KEY_ALIASES)
    if key is None:
        raise VendorNonsense(
            f"{path.name} has no column that is known to hold alternate ids ({len(header)} columns; known names: "
            f"{', '.join(KEY_ALIASES)}). The file is kept as it came; look at its first line and reconcile by hand, "
            "or teach Ferry the column's name."
        )
    fenx = column_by_alias([name for name in header if name != key], FENX_ALIASES)
    return RecordsLayout(tuple(header), key, column_by_alias(header, TABLE_ALIASES), fenx)


def reported(path: Path) -> KeyFile:
    """The records file as reconciliation wants it."""
    layout = layout_of(path)
    return KeyFile(path, layout.key_column, layout.table_column)


def read_records(path: Path) -> Iterator[MigratedRecord]:
    """Every record of the file, streamed; columns the vendor leaves out come empty."""
    layout = layout_of(path)
    wanted = (layout.table_column, layout.key_column, layout.fenx_column)
    places = [layout.header.index(name) if name is not None else None for name in wanted]
    for cells in records(path):
        yield MigratedRecord(*("" if place is None else cells[place] for place in places))
