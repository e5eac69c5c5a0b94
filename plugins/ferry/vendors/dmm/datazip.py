"""The zip of an import, as an export of DMM makes it: looked through, counted, and never unpacked."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ferry.core.csvfile import MAX_RECORD, NOT_DECODED, BrokenCsv, CsvFile
from ferry.core.findings import Findings, Level
from ferry.core.zipfiles import BadZip, Member, SafeZip, open_zip, shown
from ferry.vendors.dmm.vocabulary import DATA, STRUCT, SYSTEM

ID = "Id"
_TEXT = re.compile(r"(?:(?<=,)|^)N'(?:[^']|'')*'(?=,|\r?$)", re.MULTILINE)
"""A text as DMM writes it [D2], quotes in it doubled [A]."""
_OPEN = re.compile(r"(?:,|^)N'(?:[^']|'')*\Z")
"""A record that ends within such a text, and so goes on in the next line."""
_WHOLE = re.compile(r"-?[0-9]{1,18}")


@dataclass
class DataZip:
    """What is in the zip: records by entity, with the system's own tables apart."""

    records: dict[str, int] = field(default_factory=dict)

    def count(self, *, system: bool) -> int:
        """Records of all entities; the system tables' only if they are asked for."""
        return sum(number for entity, number in self.records.items() if system or not is_system(entity))


def is_system(entity: str) -> bool:
    """Whether it is one of OutSystems' own tables [D2]."""
    return entity.lower().startswith(SYSTEM)


def look_into(path: Path, findings: Findings, *, name: str, sorted_by_id: bool = False) -> DataZip:
    """Everything that is wrong with the zip, as findings in file `name`; how many records each entity has.

    DMM's rules for such zips: all files in the root, a description beside each entity's records, a header, text as UTF-8 [D2/A].
    `sorted_by_id`: where records keep their ids, they must come in the order of these [D2].
    """
    found = DataZip()
    try:
        with open_zip(path) as opened:
            _Look(opened, findings, name, found, sorted_by_id=sorted_by_id).all()
    except BadZip as bad:
        findings.add(Level.ERROR, "ZIP", f"{name}: {bad.message}", file=name)
    if not findings.count(Level.ERROR) and not sum(found.records.values()):
        findings.add(Level.ERROR, "EMPTY", f"{name} holds no record: there is nothing to import.", file=name)
    findings.records.update(found.records)
    return found


class _Look:
    def __init__(self, opened: SafeZip, findings: Findings, name: str, found: DataZip, *, sorted_by_id: bool) -> None:
        self.zip, self.findings, self.name, self.found, self.sorted_by_id = opened, findings, name, found, sorted_by_id
        self.names = {member.name for member in opened.members}

    def all(self) -> None:
        data = [member for member in self.zip.members if member.name.endswith(DATA)]
        self._layout()
        if not data:
            self._error("NO_DATA", f"holds no *{DATA}: it is no export of DMM, or one of the structure only")
        for member in data:
            self._entity(member)

    def _layout(self) -> None:
        for member in self.zip.members:
            if "/" in member.name or "\\" in member.name:
                self._error("FOLDER", f"{shown(member.name)} lies in a folder; DMM wants every file in the zip's root")
            elif not member.name.endswith((DATA, STRUCT)):
                self._warn("UNKNOWN_FILE", f"{shown(member.name)} is neither records nor a description; DMM may ignore it")
            elif member.name.endswith(STRUCT) and f"{member.name.removesuffix(STRUCT)}{DATA}" not in self.names:
                self._warn("NO_RECORDS", f"{shown(member.name)} describes an entity without records")

    def _entity(self, member: Member) -> None:
        entity = member.name.removesuffix(DATA)
        if f"{entity}{STRUCT}" not in self.names:
            tell = self._warn if is_system(entity) else self._error  # zips made by hand have none of these [D2]
            tell("NO_STRUCT", f"{shown(member.name)} has no {shown(entity + STRUCT)} beside it", entity)
        try:
            with self.zip.reading(member.name) as file:
                self.found.records[entity] = self._records(entity, CsvFile(_text(file), strict=False))
        except BrokenCsv as broken:
            self._error("CSV", f"{member.name}, line {broken.line}: {broken.why}", entity, broken.line)
        except BadZip as bad:
            self._error("ZIP", bad.message.rstrip("."), entity)

    def _records(self, entity: str, rows: CsvFile) -> int:
        width, last, number, faults, begun = len(rows.header), None, 0, Counter[str](), ""
        first: list[str] = []
        if not rows.header:
            self._error("HEADER", f"{entity}{DATA} has no header line", entity)
        elif rows.first and NOT_DECODED.search(rows.first.raw):
            faults["utf8"] += 1
            self._error("UTF8", f"{entity}{DATA}, line 1: not UTF-8", entity, 1)
        by_id = rows.header.index(ID) if self.sorted_by_id and ID in rows.header else None
        for row in rows:
            first = first if begun else row.cells
            raw = f"{begun}\n{row.raw}" if begun else row.raw
            begun = raw if _OPEN.search(raw) and len(raw) < MAX_RECORD else ""  # a text in N'...' may have line breaks
            if begun or not row.cells:
                continue
            number += 1
            if NOT_DECODED.search(row.raw) and not faults["utf8"]:
                faults["utf8"] += 1
                self._error("UTF8", f"{entity}{DATA}, line {row.line}: not UTF-8", entity, row.line)
            faults["width"] += len(row.cells) != width and _width(raw) != width
            now = _number(first, by_id)
            faults["order"] += last is not None and now is not None and now < last
            last = now if now is not None else last
        self._tell(entity, faults)
        return number + bool(begun)

    def _tell(self, entity: str, faults: Counter[str]) -> None:
        if faults["width"]:
            told = (
                f"{faults['width']:,} records of {entity} have more or fewer values than the header; DMM may count them otherwise"
            )
            self._warn("WIDTH", told, entity)
        if faults["order"]:
            self._error(
                "ORDER", f"the records of {entity} are not in the order of their {ID}, which is kept without append", entity
            )

    def _error(self, code: str, message: str, table: str = "", line: int = 0) -> None:
        self.findings.add(Level.ERROR, code, f"{self.name}: {message}.", file=self.name, table=table, line=line)

    def _warn(self, code: str, message: str, table: str = "") -> None:
        self.findings.add(Level.WARNING, code, f"{self.name}: {message}.", file=self.name, table=table)


def _text(file: object) -> io.TextIOWrapper:
    return io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")  # type: ignore[arg-type]


def _width(raw: str) -> int:
    """How many values a record has whose texts may have commas and line breaks."""
    return len(next(csv.reader([_TEXT.sub("N''", raw).replace("\n", " ")]), []))


def _number(cells: list[str], column: int | None) -> int | None:
    told = cells[column] if column is not None and column < len(cells) else ""
    return int(told) if _WHOLE.fullmatch(told) else None
