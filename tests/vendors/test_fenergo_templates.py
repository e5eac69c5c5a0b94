"""The batch's files against the tenant's policy, as artifacts describe it and however leniently they spell it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from ferry.core.batch import Batch, read_batch
from ferry.vendors.fenergo.findings import Findings, Level
from ferry.vendors.fenergo.manifest import FenergoSection
from ferry.vendors.fenergo.sandbox.workbook import xlsx
from ferry.vendors.fenergo.templates import TableTemplate, check_against_templates, read_templates

COLUMNS = [
    ("Table", "Field", "Data Type", "Lookup Name", "Required"),
    ("Company", "alternateId", "text", "", "Yes"),
    ("Company", "name", "text", "", "Yes"),
    ("Company", "country", "lookup", "Country", "No"),
    ("Company", "lines", "Multi Select", "Line", "No"),
    ("Company", "tags", "multi", "", "No"),
    ("Company", "founded", "Date", "", "No"),
    ("Company", "share", "Percentage", "", "No"),
    ("Company", "capital", "Decimal", "", "No"),
]
LOOKUPS = [("Lookup Name", "Value"), ("Country", "PL"), ("Country", "IE"), ("Line", "Leasing"), ("Line", "Retail")]
NAMES = [row[1] for row in COLUMNS[1:]]
FINE = dict.fromkeys(NAMES, "") | {"alternateId": "C-1", "name": "x"}


def templates(folder: Path, sheets: Mapping[str, list[tuple[str, ...]]] | None = None) -> dict[str, TableTemplate]:
    csv = folder / "Company.csv"
    csv.write_text(",".join(f'"{name}"' for name in NAMES) + "\n")
    book = folder / "Schema.xlsx"
    book.write_bytes(xlsx(dict(sheets or {"Columns Metadata": COLUMNS, "Lookups": LOOKUPS})))
    return read_templates({"Company": csv}, book)


def batch_of(root: Path, *rows: Mapping[str, str], table: str = "Company", section: str = "") -> Batch:
    folder = root / "fenergo" / "b"
    folder.mkdir(parents=True)
    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    (folder / "f.csv").write_text("".join(",".join(f'"{cell}"' for cell in line) + "\n" for line in lines))
    head = "vendor: fenergo\ndue: 2026-01-01\n"
    own = f"fenergo: {{jurisdiction: Migration{section}}}\nfiles: [{{path: f.csv, table: {table}}}]\n"
    (folder / "manifest.yaml").write_text(head + own)
    return read_batch(root, "fenergo", "b", FenergoSection)


def found(findings: Findings) -> set[tuple[str, str, int]]:
    return {(str(f.code), f.column, f.row) for f in findings.kept if f.level is Level.ERROR}


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [
        ("name", " ", "REQUIRED"),
        ("country", "Poland", "BAD_LOOKUP"),
        ("country", "pl", "BAD_LOOKUP"),
        ("country", "PL|IE", "BAD_LOOKUP"),
        ("lines", "Leasing|Gold", "BAD_LOOKUP"),
        ("lines", "Leasing|", "PIPE"),
        ("tags", "a||b", "PIPE"),
        ("founded", "17.03.98", "BAD_DATE"),
        ("share", "101", "BAD_NUMBER"),
        ("share", "12,5", "BAD_NUMBER"),
        ("capital", "1e5", "BAD_NUMBER"),
    ],
)
def test_each_cell_the_policy_forbids_is_an_error(tmp_path, column, value, code):
    batch = batch_of(tmp_path, FINE, FINE | {"alternateId": "C-2", column: value})
    findings = check_against_templates(batch, templates(tmp_path))
    assert found(findings) == {(code, column, 2)}
    assert all(value not in f.message for f in findings.kept if value.strip())


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("country", "PL"),
        ("lines", "Leasing|Retail"),
        ("tags", "a|b"),
        ("founded", "1998-03-17T00:00:00.0000000"),
        ("share", "12.5"),
        ("capital", "-100000.00"),
        ("name", "a|b"),
    ],
)
def test_what_the_policy_allows_passes(tmp_path, column, value):
    batch = batch_of(tmp_path, FINE | {column: value})
    assert check_against_templates(batch, templates(tmp_path)).summary() == []


def test_unknown_and_missing_columns_are_named(tmp_path):
    row = {"alternateId": "C-1", "Country": "PL", "colour": "red"}
    findings = check_against_templates(batch_of(tmp_path, row), templates(tmp_path))
    assert found(findings) == {("UNKNOWN_COLUMN", "Country", 0), ("UNKNOWN_COLUMN", "colour", 0), ("MISSING_COLUMN", "name", 0)}
    assert "Is 'country' meant?" in next(f.message for f in findings.kept if f.column == "Country")
    assert findings.count(Level.NOTE) == len(NAMES) - 2


def test_an_unknown_table_is_named_with_those_there_are(tmp_path):
    findings = check_against_templates(batch_of(tmp_path, FINE, table="Companies"), templates(tmp_path))
    assert [(f.code, f.message) for f in findings.kept] == [
        ("UNKNOWN_TABLE", "The policy of jurisdiction Migration has no such table; it has Company.")
    ]


def test_sheets_and_columns_are_found_in_other_spellings_and_layouts(tmp_path):
    header = ("table_name", "FIELD NAME", "type", "lookup", "Mandatory")
    sheets = {
        "Relations": [("x",)],
        "COLUMNS METADATA": [("", ""), header, *COLUMNS[1:]],
        "lookups": [("Country", "Line"), ("PL", "Leasing"), ("IE", "")],
    }
    read = templates(tmp_path, sheets)["Company"]
    assert read.lookups == {"country": frozenset({"PL", "IE"}), "lines": frozenset({"Leasing"})}
    assert read.required == {"alternateId", "name"}
    assert read.multi == {"lines", "tags"}


def test_a_policy_without_a_readable_schema_checks_columns_only_and_says_so(tmp_path):
    csv = tmp_path / "Company.csv"
    csv.write_text('"alternateId","name"\n')
    (tmp_path / "Schema.xlsx").write_bytes(b"no workbook")
    read = read_templates({"Company": csv}, tmp_path / "Schema.xlsx")
    findings = check_against_templates(batch_of(tmp_path, {"alternateId": "C-1", "name": ""}), read)
    assert [(f.level, f.code) for f in findings.kept] == [(Level.WARNING, "NO_SCHEMA")]


def test_a_better_informed_check_replaces_the_guess_of_an_earlier_one(tmp_path):
    early, late = Findings(), Findings()
    early.add(Level.WARNING, "BAD_DATE", "a guess", file="f.csv", table="T", column="startDate", row=1)
    early.add(Level.WARNING, "BAD_DATE", "a guess", file="f.csv", table="T", column="endDate", row=1)
    late.add(Level.ERROR, "BAD_DATE", "known", file="f.csv", table="T", column="startDate", row=1)
    early.merge(late)
    assert [(group["level"], group["column"], group["count"]) for group in early.summary()] == [
        ("error", "startDate", 1),
        ("warning", "endDate", 1),
    ]
    assert len(early.kept) == 2


def test_dates_follow_the_manifests_format(tmp_path):
    batch = batch_of(tmp_path, FINE | {"founded": "17.03.1998"}, section=", date_format: '%d.%m.%Y'")
    assert check_against_templates(batch, templates(tmp_path)).summary() == []
