"""The batch's mapping, read row by row and held against its own rules: what each datasource reads, as Domo must be told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from ferry.core import findings
from ferry.core.batch import MANIFEST, Batch
from ferry.core.csvfile import NOT_DECODED, BrokenCsv, CsvFile, open_csv, visible
from ferry.core.findings import Level, Place
from ferry.core.model import Jsonable
from ferry.ledger.entries import AGAIN
from ferry.vendors.domo.vocabulary import NULL

TABLE = "datasource"
"""What the records of a batch are, in the ledger's reconciliation."""
COLUMNS = ("id", "catalog", "schema", "table")
LONGEST, LONGEST_NAME = 200, 1_024
"""Characters of an id, and of a name; databases differ, and Domo documents no limit."""
NULL_SAID = (
    f"Where the database has no schemas, write the text {NULL} (in a manifest in quotes, because YAML takes it for an empty "
    "value); Domo wants those four letters."
)


class Code(StrEnum):
    """What can be wrong with a batch, in one word that can be counted."""

    NOT_CSV = "NOT_CSV"
    COLUMN_MISSING = "COLUMN_MISSING"
    COLUMN_TWICE = "COLUMN_TWICE"
    COLUMN_UNKNOWN = "COLUMN_UNKNOWN"
    RAGGED_ROW = "RAGGED_ROW"
    NO_DATASOURCES = "NO_DATASOURCES"
    FILES_UNUSED = "FILES_UNUSED"
    BAD_ID = "BAD_ID"
    DUPLICATE = "DUPLICATE"
    COORDINATE_MISSING = "COORDINATE_MISSING"
    NULL_SPELLING = "NULL_SPELLING"
    SPACES = "SPACES"
    NOT_UTF8 = "NOT_UTF8"
    NO_NAME = "NO_NAME"
    NO_TYPE = "NO_TYPE"
    NO_ACCOUNT = "NO_ACCOUNT"
    ACCOUNT_AMBIGUOUS = "ACCOUNT_AMBIGUOUS"
    WRONG_ACCOUNT_TYPE = "WRONG_ACCOUNT_TYPE"
    NOT_A_CANDIDATE = "NOT_A_CANDIDATE"
    WRONG_TYPE = "WRONG_TYPE"
    ALREADY_MIGRATED = "ALREADY_MIGRATED"
    OTHER_COORDINATES = "OTHER_COORDINATES"


@dataclass(frozen=True, slots=True)
class Item(Jsonable):
    """One datasource of the batch. `already` says why nothing is to be sent for it; empty if it is to be migrated."""

    id: str
    catalog: str
    schema: str
    table: str
    already: str = ""
    unfinished: str = ""
    """Which earlier attempt left it half-done; what Domo lists then proves nothing."""

    @property
    def coordinates(self) -> dict[str, str]:
        """The body of its migration [D]."""
        return {"catalog": self.catalog, "schema": self.schema, "table": self.table}


class Findings(findings.Findings):
    """All findings of a batch's mapping."""


class MappingCheck:
    """Reads the mapping and collects everything that is wrong with it; no vendor is asked."""

    def __init__(self, batch: Batch, into: Findings) -> None:
        self.batch, self.into = batch, into
        self.items: dict[str, Item] = {}
        self.places: dict[str, Place] = {}

    def run(self) -> list[Item]:
        """The datasources that could be read; what is wrong is in the findings."""
        told = self.batch.section.datasources
        if self.batch.manifest.files:
            message = "`files` is not used here: name the mapping as `domo.datasources`."
            self.into.add(Level.ERROR, Code.FILES_UNUSED, message, file=MANIFEST)
        rows = self._from_csv(told) if isinstance(told, str) else self._from_manifest()
        for place, cells in rows:
            self._take(place, cells)
        if not self.items and not self.into.count(Level.ERROR):
            self.into.add(Level.ERROR, Code.NO_DATASOURCES, "The mapping has no datasource.", file=self.source, table=TABLE)
        self.into.records[TABLE] = len(self.items)
        return list(self.items.values())

    @property
    def source(self) -> str:
        """The file in which the mapping stands."""
        told = self.batch.section.datasources
        return told if isinstance(told, str) else MANIFEST

    def at(self, datasource: str, level: Level, code: Code, message: str) -> None:
        """A finding about one datasource, at its place in the mapping."""
        self.into.at(replace(self.places[datasource], value=datasource), level, code, message)

    def _from_manifest(self) -> Iterator[tuple[Place, dict[str, str]]]:
        for number, one in enumerate(self.batch.section.datasources, 1):
            cells = {"id": one.id, "catalog": one.catalog or "", "schema": one.schema_ or "", "table": one.table or ""}
            yield Place(MANIFEST, TABLE, number, 0, "id"), cells

    def _from_csv(self, name: str) -> Iterator[tuple[Place, dict[str, str]]]:
        with self.batch.local(name) as path:
            try:
                with open_csv(path) as file:
                    yield from self._rows_of(name, file)
            except BrokenCsv as broken:
                message = f"The file cannot be read further: {broken.why}."
                self.into.add(Level.ERROR, Code.NOT_CSV, message, file=name, table=TABLE, line=broken.line)

    def _rows_of(self, name: str, file: CsvFile) -> Iterator[tuple[Place, dict[str, str]]]:
        header = [cell.strip() for cell in file.header]
        if not self._header_fits(name, header):
            return
        for row in file:
            if not row.cells:
                continue
            if len(row.cells) == len(header):
                yield Place(name, TABLE, row.number, row.line, "id"), dict(zip(header, row.cells, strict=True))
                continue
            message = f"The row has {len(row.cells)} cells, the header {len(header)}."
            self.into.at(Place(name, TABLE, row.number, row.line, ""), Level.ERROR, Code.RAGGED_ROW, message)

    def _header_fits(self, name: str, header: list[str]) -> bool:
        for column in [column for column in COLUMNS if column not in header]:
            message = f"The column {column!r} is missing; the header must be {','.join(COLUMNS)}."
            self.into.add(Level.ERROR, Code.COLUMN_MISSING, message, file=name, table=TABLE, line=1, column=column)
        for number, told in [(number, told) for number, told in enumerate(header, 1) if told not in COLUMNS]:
            message = f"Column {number} is not used; the header is {','.join(COLUMNS)}."
            where = Place(name, TABLE, 0, 1, f"column {number}", visible(told))  # by its number: without a header it is a cell
            self.into.at(where, Level.WARNING, Code.COLUMN_UNKNOWN, message)
        twice = [column for column in COLUMNS if header.count(column) > 1]
        for column in twice:
            message = f"The column {column!r} stands there more than once, and nobody can say which is meant."
            self.into.add(Level.ERROR, Code.COLUMN_TWICE, message, file=name, table=TABLE, line=1, column=column)
        return set(COLUMNS) <= set(header) and not twice

    def _take(self, place: Place, cells: dict[str, str]) -> None:
        datasource, whose = cells["id"], "The row"
        here = replace(place, value=datasource)
        if fault := _fault_of_id(datasource):
            self.into.at(here, Level.ERROR, Code.BAD_ID, fault)
        elif datasource in self.items:
            message = f"The datasource stands here a second time; the first is {_said(self.places[datasource])}."
            self.into.at(here, Level.ERROR, Code.DUPLICATE, message)
        else:
            whose = f"Datasource {datasource}"
            self.places[datasource] = place
            self.items[datasource] = Item(*(cells[column] for column in COLUMNS))
        for column in COLUMNS[1:]:
            if found := _fault_of(column, cells[column]):
                code, message = found
                where = replace(place, column=column, value=cells[column])
                self.into.at(where, Level.ERROR, code, f"{whose}: {message}")


def _fault_of_id(datasource: str) -> str:
    if not datasource:
        return "The row has no datasource id."
    if len(datasource) > LONGEST or AGAIN in datasource or not datasource.isprintable() or " " in datasource:
        return f"This is no id of a datasource: a UUID, perhaps with a leading F, without spaces and {AGAIN}."
    return ""


def _fault_of(column: str, value: str) -> tuple[Code, str] | None:
    if not value.strip():
        return Code.COORDINATE_MISSING, f"{column} is missing. {NULL_SAID if column == 'schema' else ''}".strip()
    if column == "schema" and value.strip().upper() == NULL and value != NULL:
        return Code.NULL_SPELLING, f"schema is not written {NULL}. {NULL_SAID}"
    if NOT_DECODED.search(value):
        return Code.NOT_UTF8, f"{column} holds bytes that are not UTF-8. Save the file as UTF-8."
    if value != value.strip():
        return Code.SPACES, f"{column} begins or ends with a space; names are taken exactly as they stand."
    if len(value) > LONGEST_NAME or not value.isprintable():
        return Code.NO_NAME, f"{column} is longer than {LONGEST_NAME:,} characters, or holds some that no name has."
    return None


def _said(place: Place) -> str:
    return f"line {place.line}" if place.line else f"number {place.row}"
