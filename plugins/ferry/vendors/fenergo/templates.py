"""What the tenant's policy allows, read from the artifacts of a migration, and the batch's files held against it.

[D] Templates are CSV headers; the schema workbook has "Columns Metadata" with field, data type and lookup name. Its exact
layout is not published, so sheets and columns are found by name, leniently, and what is not there is not checked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ferry.core.batch import Batch, FileEntry
from ferry.core.csvfile import BrokenCsv, Row, column_by_alias, header_of, open_csv
from ferry.core.errors import VendorNonsense
from ferry.vendors.fenergo.dates import date_test
from ferry.vendors.fenergo.findings import Code, Findings, Level, Place
from ferry.vendors.fenergo.manifest import FenergoSection
from ferry.vendors.fenergo.workbook import read_workbook

KEY = "alternateId"  # [D C1]

_YES = frozenset({"yes", "y", "true", "1", "required", "mandatory"})
_NUMBER = re.compile(r"-?\d{1,30}(?:\.\d{1,30})?")
_NUMBER_WORDS = ("decimal", "number", "numeric", "percent", "integer", "float", "double", "currency", "money")
_TABLE = ("Table", "Table Name", "Entity", "Data Group")
_FIELD = ("Field", "Field Name", "Column", "Column Name")
_TYPE = ("Data Type", "Type", "Field Type")
_LOOKUP = ("Lookup Name", "Lookup")
_REQUIRED = ("Required", "Mandatory", "Is Mandatory", "Is Required")
_VALUE = ("Value", "Lookup Value", "Values")

_NO_SCHEMA = (
    "No schema workbook that Ferry can read came with the templates, so only tables and columns were checked; "
    "values, lookups, dates and numbers are left to the vendor."
)

Test = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class TableTemplate:
    """One table as the policy has it. Types are the vendor's words in lower case; what the workbook leaves out is missing."""

    name: str
    columns: tuple[str, ...]
    types: Mapping[str, str] = field(default_factory=dict)
    lookups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Column -> allowed values; only where the workbook lists them."""
    required: frozenset[str] = frozenset()
    multi: frozenset[str] = frozenset()


def read_templates(csvs: Mapping[str, Path], workbook: Path | None = None) -> dict[str, TableTemplate]:
    """The tables of a migration from its downloaded artifacts: template name -> CSV, and the workbook if there is one.

    A workbook that cannot be read leaves templates without types: the vendor is the judge, so that must not end a migration.
    """
    templates = {}
    for name, path in csvs.items():
        try:
            templates[name] = TableTemplate(name, tuple(header_of(path)))
        except BrokenCsv as error:
            raise VendorNonsense(f"The template of table {name} is not CSV ({error}). It is kept as it came.") from None
        if KEY not in templates[name].columns:
            raise VendorNonsense(
                f"The template of table {name} has no column {KEY}, so it is no template. It is kept as it came; clear the task "
                "to fetch it again."
            )
    try:
        sheets = read_workbook(workbook) if workbook else {}
    except VendorNonsense:
        return templates  # the check then says that it knew no schema
    values = _lookup_values(_sheet(sheets, "lookups"))
    fields = _fields(_sheet(sheets, "columns metadata"))
    return {name: _described(template, fields, values) for name, template in templates.items()}


def check_against_templates(batch: Batch, templates: Mapping[str, TableTemplate]) -> Findings:
    """What the vendor would refuse, found before anything is uploaded: tables, columns, required values, lookups, dates, numbers.

    Files that cannot be read are `check_files`' business; as much of them as can be read is checked here.
    """
    findings, section = Findings(), batch.section
    if not isinstance(section, FenergoSection):
        raise TypeError(f"{batch.batch_id} was read without FenergoSection")
    if not any(template.types for template in templates.values()):
        findings.add(Level.WARNING, Code.NO_SCHEMA, _NO_SCHEMA)
    for entry in batch.manifest.files:
        template = templates.get(entry.table)
        if template is None:
            message = (
                f"The policy of jurisdiction {section.jurisdiction} has no such table; it has {', '.join(sorted(templates))}."
            )
            findings.add(Level.ERROR, Code.UNKNOWN_TABLE, message, file=entry.path, table=entry.table)
            continue
        with batch.local(entry.path) as path:
            _check_file(path, entry, template, section, findings)
    return findings


def _check_file(path: Path, entry: FileEntry, template: TableTemplate, section: FenergoSection, findings: Findings) -> None:
    try:
        with open_csv(path) as file:
            header = file.header
            if KEY not in header:
                return
            _check_columns(header, entry, template, findings)
            check = _RowCheck(entry, header, template, section, findings)
            for row in file:
                if len(row.cells) == len(header):
                    check.run(row)
    except BrokenCsv:
        return


def _check_columns(header: list[str], entry: FileEntry, template: TableTemplate, findings: Findings) -> None:
    for name in header:
        if name not in template.columns:
            like = column_by_alias(template.columns, [name])
            hint = f" Is '{like}' meant?" if like else " Leave it out, or have the policy extended."
            message = f"Table {template.name} has no such column.{hint}"
            findings.add(Level.ERROR, Code.UNKNOWN_COLUMN, message, file=entry.path, table=entry.table, line=1, column=name)
    for name in template.columns:
        if name not in header:
            level = Level.ERROR if name in template.required else Level.NOTE
            message = "The template has this column and the file has not." + (" It is required." if level is Level.ERROR else "")
            findings.add(level, Code.MISSING_COLUMN, message, file=entry.path, table=entry.table, line=1, column=name)


class _RowCheck:
    """The cells of one file against their columns' rules."""

    def __init__(
        self, entry: FileEntry, header: list[str], template: TableTemplate, section: FenergoSection, findings: Findings
    ) -> None:
        self._entry, self._findings = entry, findings
        rules = [(place, name, _rule(name, template, section)) for place, name in enumerate(header) if name in template.columns]
        self._rules = [(place, name, name in template.required, rule) for place, name, rule in rules]

    def run(self, row: Row) -> None:
        """Count every cell of a row that breaks its column's rule."""
        for place, name, required, rule in self._rules:
            cell = row.cells[place]
            if not cell.strip():
                if required:
                    self._add(Code.REQUIRED, "The policy requires a value here.", row, name, cell)
            elif rule and (broken := rule(cell)):
                self._add(*broken, row, name, cell)

    def _add(self, code: Code, message: str, row: Row, column: str, value: str) -> None:
        place = Place(self._entry.path, self._entry.table, row.number, row.line, column, value)
        self._findings.at(place, Level.ERROR, code, message)


Rule = Callable[[str], tuple[Code, str] | None]


def _rule(name: str, template: TableTemplate, section: FenergoSection) -> Rule | None:
    kind = template.types.get(name, "")
    if name in template.multi:
        return _multi_rule(template.lookups.get(name))
    if allowed := template.lookups.get(name):
        return _plain_rule(allowed.__contains__, Code.BAD_LOOKUP, "Not a value of the column's lookup (spelling and case count).")
    if "date" in kind:
        message = f"Not a date as {section.date_format} has it."
        return _plain_rule(date_test(section.date_format), Code.BAD_DATE, message)
    if any(word in kind for word in _NUMBER_WORDS):
        return _plain_rule(
            _number_test(percent="percent" in kind), Code.BAD_NUMBER, "Not a number as '12.5' is one, or out of range."
        )
    return None


def _plain_rule(fits: Test, code: Code, message: str) -> Rule:
    return lambda cell: None if fits(cell) else (code, message)


def _multi_rule(allowed: frozenset[str] | None) -> Rule:
    """[D] Several values are separated by pipes. A pipe inside a value has no escape, so it shows as a value the lookup lacks."""

    def broken(cell: str) -> tuple[Code, str] | None:
        parts = cell.split("|")
        if not all(part.strip() for part in parts):
            return Code.PIPE, "A pipe with nothing before or after it; pipes separate values here."
        if allowed is not None and not allowed.issuperset(parts):
            return (
                Code.BAD_LOOKUP,
                "One of the values between the pipes is not in the column's lookup (a value cannot hold a pipe).",
            )
        return None

    return broken


def _number_test(*, percent: bool) -> Test:
    return lambda cell: _NUMBER.fullmatch(cell) is not None and (not percent or 0 <= float(cell) <= 100)


@dataclass(frozen=True, slots=True)
class _Field:
    table: str
    name: str
    kind: str
    lookup: str
    required: bool


def _described(template: TableTemplate, fields: Iterable[_Field], values: Mapping[str, frozenset[str]]) -> TableTemplate:
    own = {f.name: f for f in fields if f.table in {template.name, ""} and f.name in template.columns}
    return replace(
        template,
        types={name: f.kind for name, f in own.items() if f.kind},
        lookups={name: values[f.lookup] for name, f in own.items() if f.lookup in values},
        required=frozenset(name for name, f in own.items() if f.required),
        multi=frozenset(name for name, f in own.items() if "multi" in f.kind),
    )


def _sheet(sheets: Mapping[str, list[list[str]]], name: str) -> list[dict[str, str]]:
    """A sheet's rows by column name; the header is its first row that is not empty. No such sheet: no rows."""
    rows = next((rows for title, rows in sheets.items() if title.strip().casefold() == name), [])
    filled = [row for row in rows if any(cell.strip() for cell in row)]
    return [dict(zip(filled[0], row, strict=False)) for row in filled[1:]] if filled else []


def _fields(rows: list[dict[str, str]]) -> list[_Field]:
    return [
        _Field(
            table=_cell(row, _TABLE),
            name=_cell(row, _FIELD),
            kind=_cell(row, _TYPE).casefold(),
            lookup=_cell(row, _LOOKUP),
            required=_cell(row, _REQUIRED).casefold() in _YES,
        )
        for row in rows
    ]


def _lookup_values(rows: list[dict[str, str]]) -> dict[str, frozenset[str]]:
    """Allowed values by lookup: either rows of lookup name and value, or one column per lookup."""
    found: dict[str, set[str]] = {}
    for row in rows:
        if column_by_alias(list(row), _LOOKUP) and column_by_alias(list(row), _VALUE):
            found.setdefault(_cell(row, _LOOKUP), set()).add(_cell(row, _VALUE))
        else:
            for name, value in row.items():
                found.setdefault(name, set()).add(value.strip())
    return {name: frozenset(values - {""}) for name, values in found.items() if name and values - {""}}


def _cell(row: Mapping[str, str], aliases: Iterable[str]) -> str:
    name = column_by_alias(list(row), aliases)
    return row[name].strip() if name is not None else ""
