"""The guard before an ingestion of alternate ids, and the reader of its errors.

[D] Ingestion silently overwrites alternate ids that exist, although the vendor's guide forbids to use it for that, and no
call lists them. So this guard is the only one there is; it has no switch to get round it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from ferry.core.csvfile import NOT_DECODED, BrokenCsv, CsvFile, Row, open_csv
from ferry.vendors.fenergo.findings import Code, Findings, Level, Place
from ferry.vendors.fenergo.keys import Answers, KeyIndex, key_index
from ferry.vendors.fenergo.records import layout_of

HEADER = ["tableName", "alternateId", "fenxId"]
TABLES = ("Company", "Individual", "Entity Group", "Product", "Association")
"""[D] The only table names an ingestion takes, in exactly this spelling."""

MAX_LINE = 1024 * 1024

_KNOWN = (
    "Already known from an earlier migration or ingestion. Ingesting it would overwrite an alternate id at the vendor. "
    "If one has to change, the vendor's Support does it [D]."
)


def check_references(csv: Path, known: Iterable[Path] = ()) -> Findings:
    """Whether an ingestion file is safe to send. Any error means it must not be sent; there is no setting for that.

    `known`: every records file and every ingestion file of earlier runs in this environment, whatever their outcome. An id
    that stands in one of them is refused: the vendor would overwrite without a word.
    """
    findings = Findings()
    with key_index() as index:
        try:
            with open_csv(csv) as file:
                _check_rows(file, csv.name, index, findings)
        except BrokenCsv as broken:
            findings.add(Level.ERROR, Code.BROKEN_CSV, f"{broken.why}.", file=csv.name, line=broken.line)
        with index.answers() as answers:
            _report_ids(answers, list(known), findings)
    return findings


def _check_rows(file: CsvFile, name: str, index: KeyIndex, findings: Findings) -> None:
    if file.header != HEADER:
        message = f"The header must be exactly {', '.join(HEADER)} [D]."
        findings.add(Level.ERROR, Code.BAD_HEADER if file.first else Code.EMPTY_FILE, message, file=name, line=1)
        return
    records = 0
    for row in file:
        if row.cells:
            records += 1
            _check_row(row, name, index, findings)
    findings.records[name] = records
    if not records:
        findings.add(Level.ERROR, Code.HEADER_ONLY, "Only a header: there is nothing to assign.", file=name)


def _check_row(row: Row, name: str, index: KeyIndex, findings: Findings) -> None:
    def add(level: Level, code: Code, message: str, place: int | None = None) -> None:
        column, value = (HEADER[place], row.cells[place]) if place is not None else ("", "")
        findings.at(Place(name, "", row.number, row.line, column, value), level, code, message)

    if len(row.cells) != len(HEADER):
        add(Level.ERROR, Code.RAGGED, f"{len(row.cells)} values instead of {len(HEADER)}.")
        return
    if "\0" in row.raw or NOT_DECODED.search(row.raw):
        add(Level.ERROR, Code.NOT_UTF8, "Holds bytes that are not UTF-8 text.")
        return
    for place, cell in enumerate(row.cells):
        if not cell or cell != cell.strip():
            add(Level.ERROR, Code.BLANK, "Empty, or with spaces around it. Every field must be filled exactly.", place)
    if row.cells[0] and row.cells[0] not in TABLES:
        add(Level.ERROR, Code.BAD_TABLE_NAME, f"Must be one of {', '.join(TABLES)}, spelled like that [D].", 0)
    if row.cells[2] and not _is_uuid(row.cells[2]):
        add(Level.WARNING, Code.NOT_A_UUID, "FenX ids in the vendor's samples are UUIDs; this is none.", 2)
    for place in (1, 2):
        if row.cells[place]:
            index.key(HEADER[place], name, row.cells[place], row.number, row.line, root=True)


def _report_ids(answers: Answers, known: list[Path], findings: Findings) -> None:
    for column, file, value, row, line, first in answers.repeated():
        message = f"Stands in row {first} already. Each id may be given once."
        findings.at(Place(file, "", row, line, column, value), Level.ERROR, Code.ID_DUPLICATE, message)
    layouts = [(path, layout_of(path)) for path in known]
    columns = {
        "alternateId": [(path, layout.key_column) for path, layout in layouts],
        "fenxId": [(path, layout.fenx_column) for path, layout in layouts if layout.fenx_column],
    }
    for column, places in columns.items():
        for kind, file, value, row, line, _ in answers.known(places):
            if kind == column:
                findings.at(Place(file, "", row, line, column, value), Level.ERROR, Code.ID_KNOWN, _KNOWN)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return len(text) == 36


@dataclass(frozen=True, slots=True)
class ErrorLine:
    """One line of an ingestion's error detail: as text, and as JSON if it is an object. [A-30] Its keys are not documented."""

    number: int
    text: str
    data: dict[str, Any] | None


def error_lines(path: Path) -> Iterator[ErrorLine]:
    """The error detail line by line, passed through as it is; lines that are no JSON object have no data."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        number = 0
        while line := file.readline(MAX_LINE):
            number += 1
            if text := line.strip():
                yield ErrorLine(number, text, _object(text))


def count_error_lines(path: Path) -> dict[str, int]:
    """How many lines of error detail there are by table, without a value of any: what a log may say."""
    return dict(Counter(_table_of(line) for line in error_lines(path)))


def _table_of(line: ErrorLine) -> str:
    table = (line.data or {}).get("tableName")
    return table if table in TABLES else "other"


def _object(text: str) -> dict[str, Any] | None:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None
