"""The cells of an .xlsx file as text, with the standard library: enough for a schema workbook, careful with a stranger's zip."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from posixpath import join, normpath
from xml.etree import ElementTree as ET

from ferry.core.errors import VendorNonsense

MAX_PART = 8 * 1024 * 1024
MAX_MEMBERS = 1_000
"""Limits for one part of the workbook, unpacked, and for their number: a schema is small, a zip bomb is not."""

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_LINK = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_PLACE = re.compile(r"([A-Z]{1,3})\d+")

Sheet = list[list[str]]


def read_workbook(path: Path) -> dict[str, Sheet]:
    """Every sheet by name as rows of text. VendorNonsense if it is no workbook; the file itself is left as it is."""
    try:
        with zipfile.ZipFile(path) as archive:
            if len(archive.infolist()) > MAX_MEMBERS:
                raise VendorNonsense(_odd(path, f"{len(archive.infolist())} parts"))
            texts = _shared_texts(archive)
            return {name: _rows(_part(archive, target), texts) for name, target in _sheets(archive)}
    except (zipfile.BadZipFile, KeyError, ET.ParseError, ValueError, NotImplementedError, IndexError) as error:
        raise VendorNonsense(_odd(path, type(error).__name__)) from None


def _odd(path: Path, why: str) -> str:
    return (
        f"{path.name} is not a workbook Ferry can read ({why}). It is kept as it came. "
        "The batch can still be checked against the CSV templates; look at what the vendor sends."
    )


def _part(archive: zipfile.ZipFile, name: str) -> ET.Element:
    with archive.open(name) as part:
        raw = part.read(MAX_PART + 1)
    if len(raw) > MAX_PART or any(sign in raw for sign in (b"<!DOCTYPE", b"<!ENTITY", b"\0")):
        raise ValueError(name)
    return ET.fromstring(raw)  # noqa: S314 (bounded, and refused above if it declares entities)


def _shared_texts(archive: zipfile.ZipFile) -> list[str]:
    if "xl/sharedStrings.xml" not in archive.namelist():
        return []
    return [_text(item) for item in _part(archive, "xl/sharedStrings.xml").iter(f"{_MAIN}si")]


def _sheets(archive: zipfile.ZipFile) -> list[tuple[str, str]]:
    """Name and part of every sheet, in the workbook's order."""
    links = {link.attrib["Id"]: link.attrib["Target"] for link in _part(archive, "xl/_rels/workbook.xml.rels")}
    sheets = _part(archive, "xl/workbook.xml").iter(f"{_MAIN}sheet")
    return [(sheet.attrib["name"], normpath(join("/xl", links[sheet.attrib[_LINK]])).lstrip("/")) for sheet in sheets]


def _rows(sheet: ET.Element, texts: list[str]) -> Sheet:
    return [_row(row, texts) for row in sheet.iter(f"{_MAIN}row")]


def _row(row: ET.Element, texts: list[str]) -> list[str]:
    cells: list[str] = []
    for cell in row.iter(f"{_MAIN}c"):
        place = _column(cell.attrib.get("r", ""), len(cells))
        cells.extend([""] * (place - len(cells)))
        cells.append(_value(cell, texts))
    return cells


def _column(place: str, following: int) -> int:
    """Column number from a place such as "C7"; empty cells are left out of the file."""
    found = _PLACE.fullmatch(place)
    if not found:
        return following
    number = 0
    for letter in found[1]:
        number = number * 26 + ord(letter) - ord("A") + 1
    return max(number - 1, following)


def _value(cell: ET.Element, texts: list[str]) -> str:
    if cell.attrib.get("t") == "inlineStr":
        return _text(cell)
    value = cell.findtext(f"{_MAIN}v") or ""
    if cell.attrib.get("t") == "s":
        return texts[int(value)]
    return value


def _text(element: ET.Element) -> str:
    return "".join(part.text or "" for part in element.iter(f"{_MAIN}t"))
