"""The schema workbook: a small but real .xlsx, written with the standard library."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape, quoteattr

from ferry.vendors.fenergo.sandbox.policy import LOOKUPS, Table

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
EPOCH = (2026, 1, 1, 0, 0, 0)  # one date for all members: the same policy makes the same bytes

Rows = Sequence[Sequence[str]]


def schema_workbook(tables: Iterable[Table]) -> bytes:
    """How to fill each table: columns with their lookups, relations between tables, and the lookups' values."""
    tables = list(tables)
    used = {field.lookup for table in tables for field in table.fields if field.lookup}
    columns = [
        (table.name, field.name, field.kind, field.lookup, "Yes" if field.required else "No")
        for table in tables
        for field in table.fields
    ]
    relations = [
        (table.name, field.name, ", ".join(field.refers_to), "alternateId") for table in tables for field in table.references
    ]
    values = [(name, value) for name in LOOKUPS if name in used for value in LOOKUPS[name]]
    return xlsx(
        {
            "Columns Metadata": [("Table", "Field", "Data Type", "Lookup Name", "Required"), *columns],
            "Relations": [("Table", "Field", "Refers To", "Referred Field"), *relations],
            "Lookups": [("Lookup Name", "Value"), *values],
        }
    )


def xlsx(sheets: dict[str, Rows]) -> bytes:
    """A workbook of text cells."""
    numbers = range(1, len(sheets) + 1)
    overrides = "".join(f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{TYPE}.worksheet+xml"/>' for n in numbers)
    links = "".join(f'<Relationship Id="rId{n}" Type="{REL}/worksheet" Target="worksheets/sheet{n}.xml"/>' for n in numbers)
    named = "".join(
        f'<sheet name={quoteattr(name)} sheetId="{n}" r:id="rId{n}"/>' for n, name in zip(numbers, sheets, strict=True)
    )
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{TYPE}.sheet.main+xml"/>{overrides}</Types>',
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{REL}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{REL}"><sheets>{named}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">{links}</Relationships>',
    }
    for n, rows in zip(numbers, sheets.values(), strict=True):
        parts[f"xl/worksheets/sheet{n}.xml"] = _sheet(rows)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), HEAD + text, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _sheet(rows: Rows) -> str:
    lines = []
    for number, row in enumerate(rows, 1):
        cells = "".join(
            f'<c r="{chr(ord("A") + place)}{number}" t="inlineStr"><is><t xml:space="preserve">{escape(text)}</t></is></c>'
            for place, text in enumerate(row)
        )
        lines.append(f'<row r="{number}">{cells}</row>')
    return f'<worksheet xmlns="{MAIN}"><sheetData>{"".join(lines)}</sheetData></worksheet>'
