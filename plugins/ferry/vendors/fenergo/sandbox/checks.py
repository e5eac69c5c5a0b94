"""What the vendor checks in one CSV file by itself: encoding, quoting, header, and every cell against the policy."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from ferry.vendors.fenergo.sandbox.policy import KEY, LOOKUPS, PARENT, Field, Table

# ISO 8601 dates and date-times, the latter with up to seven fractional digits as the vendor's sibling feature writes them.
DATE = re.compile(r"(\d{4}-\d\d-\d\d)(?:T([01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,7})?)?(?:Z|[+-]\d\d:?\d\d)?)?")
NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?")
WHOLE = Decimal(100)


class Wrong(NamedTuple):
    """One error in one cell, or in a whole row or header (row 0) if `field` is empty."""

    row: int
    key: str
    parent: str
    field: str
    value: str
    code: str
    message: str


@dataclass(slots=True)
class Line:
    """One data row: its number (the first is 1), key and values by column, and what is wrong with it."""

    number: int
    key: str
    values: dict[str, str]
    wrong: list[Wrong]


Complaint = tuple[str, str] | None
Check = Callable[[str], Complaint]


def lines_of(path: Path, table: Table, *, require_quotes: bool) -> Iterator[Line]:
    """The rows of a file, read in constant memory. A header nobody can use gives one line, number 0, and no rows."""
    with path.open("rb") as raw:
        first = raw.readline()
    try:
        first.decode()
    except UnicodeDecodeError:
        yield Line(0, "", {}, [Wrong(0, "", "", "", "", "INVALID_ENCODING", "The header is not UTF-8")])
        return
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.reader(file, strict=True, quoting=csv.QUOTE_NONNUMERIC if require_quotes else csv.QUOTE_MINIMAL)
        header, wrong = _header(reader, table)
        if wrong:
            yield Line(0, "", {}, wrong)
        if KEY in header:
            yield from _rows(reader, header, table)


def _header(reader: Iterator[list[str]], table: Table) -> tuple[list[str], list[Wrong]]:
    try:
        cells = next(reader, [])
    except (ValueError, TypeError, csv.Error):
        return [], [Wrong(0, "", "", "", "", "INVALID_QUOTING", "The header is not quoted CSV")]
    wrong = [
        Wrong(0, "", "", name, "", "UNKNOWN_COLUMN", f"Column is not part of table {table.name}, or is there twice")
        for place, name in enumerate(cells)
        if name not in table.columns or name in cells[:place]
    ]
    wrong += [
        Wrong(0, "", "", field.name, "", "REQUIRED", "Column is missing")
        for field in table.fields
        if field.required and field.name not in cells
    ]
    return cells, wrong


def _rows(reader: Iterator[list[str]], header: list[str], table: Table) -> Iterator[Line]:
    checks = [
        (field.name, check_of(field))
        for field in table.fields
        if field.name in header and (field.required or field.kind != "text")
    ]
    number = 0
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (ValueError, csv.Error):
            number += 1
            message = "A value is not in double quotes, or the row is not well-formed CSV"
            yield Line(number, "", {}, [Wrong(number, "", "", "", "", "INVALID_QUOTING", message)])
            continue
        if cells:
            number += 1
            yield _line(number, header, cells, checks)


def _line(number: int, header: list[str], cells: list[str], checks: list[tuple[str, Check]]) -> Line:
    texts = [cell if cell.__class__ is str else f"{cell}" for cell in cells]
    values = dict(zip(header, texts, strict=False))
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        values = {name: value.encode(errors="replace").decode() for name, value in values.items()}
        return _bad(number, values, ("INVALID_ENCODING", "The row is not UTF-8"))
    if texts != cells:
        return _bad(number, values, ("INVALID_QUOTING", "A value is not in double quotes"))
    if len(cells) > len(header):
        return _bad(number, values, ("UNKNOWN_COLUMN", "The row has more values than the header has columns"))
    if len(cells) < len(header):
        return _bad(number, values, ("REQUIRED", "The row has fewer values than the header has columns"))
    line = Line(number, values[KEY], values, [])
    for name, check in checks:
        if complaint := check(values[name]):
            line.wrong.append(Wrong(number, line.key, values.get(PARENT, ""), name, values[name], *complaint))
    return line


def _bad(number: int, values: dict[str, str], complaint: tuple[str, str]) -> Line:
    key, parent = values.get(KEY, ""), values.get(PARENT, "")
    return Line(number, key, values, [Wrong(number, key, parent, "", "", *complaint)])


def check_of(field: Field) -> Check:
    """The check of one column: None if a value is fine, else code and message. Empty is fine unless required."""
    inner: Check = {"date": _date, "percent": _percent}.get(field.kind, _fine)
    if field.lookup:
        inner = _lookup(field.lookup, several=field.kind == "multi")

    def check(value: str) -> Complaint:
        if value.strip():
            return inner(value)
        return ("REQUIRED", "Value is required") if field.required else None

    return check


def _fine(_value: str) -> Complaint:
    return None


def _date(value: str) -> Complaint:
    match = DATE.fullmatch(value)
    try:
        if match and date.fromisoformat(match[1]):
            return None
    except ValueError:
        pass
    return "INVALID_DATE", "Value is not in a supported date format"


def _percent(value: str) -> Complaint:
    if NUMBER.fullmatch(value) and 0 <= Decimal(value) <= WHOLE:
        return None
    return "INVALID_NUMBER", "Value is not a number from 0 to 100"


def _lookup(name: str, *, several: bool) -> Check:
    allowed = frozenset(LOOKUPS[name])

    def check(value: str) -> Complaint:
        chosen = value.split("|") if several else [value]
        return None if allowed.issuperset(chosen) else ("INVALID_LOOKUP", f"Value is not in lookup {name}")

    return check
