"""One file of a batch, read once from beginning to end: encoding, quoting, header, keys, references, dates."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ferry.core.batch import FileEntry
from ferry.core.csvfile import NOT_DECODED, BrokenCsv, CsvFile, Row, open_csv
from ferry.vendors.fenergo.dates import date_test, named_like_a_date
from ferry.vendors.fenergo.findings import Code, Findings, Level
from ferry.vendors.fenergo.keys import KeyIndex
from ferry.vendors.fenergo.manifest import FenergoSection

KEY = "alternateId"

LONG_CELL = 10_000
"""Characters. The vendor documents no limit; a cell this long is usually a quote in the wrong place."""

_REFERENCE = re.compile(r"(?i).+AlternateId")
_DAMAGED = "\ufffd"


def reference_columns(header: Iterable[str]) -> list[str]:
    """Columns that name another record. [D] parentAlternateId; [A-27] the ends of associations, the owner of a product."""
    return [name for name in header if name != KEY and _REFERENCE.fullmatch(name)]


@dataclass
class FileCheck:
    """One file, read once from beginning to end."""

    entry: FileEntry
    section: FenergoSection
    findings: Findings
    index: KeyIndex
    _dates: list[int] = field(default_factory=list)
    _references: list[int] = field(default_factory=list)
    _header: list[str] = field(default_factory=list)
    _key: int = 0
    _unquoted: int = 0
    _pipes: Counter[int] = field(default_factory=Counter)

    def run(self, path: Path) -> None:
        """Check the file; a fault that makes the rest unreadable ends it with an error."""
        records = 0
        try:
            with open_csv(path) as file:
                if self._header_is_usable(file):
                    self._is_date = date_test(self.section.date_format)
                    for row in file:
                        records += 1 if row.cells else 0
                        self._check_row(row)
        except BrokenCsv as broken:
            self._add(Level.ERROR, Code.BROKEN_CSV, f"{broken.why}. What follows was not checked.", line=broken.line)
        self.findings.records[self.entry.table] = self.findings.records.get(self.entry.table, 0) + records
        self._report_whole_file(records)

    def _header_is_usable(self, file: CsvFile) -> bool:
        self._header = file.header
        if file.first is None:
            self._add(
                Level.ERROR, Code.EMPTY_FILE, "The file is empty; not even a header. Leave it out of the manifest or fill it."
            )
            return False
        if file.bom:
            self._add(
                Level.WARNING, Code.BOM, "The file begins with a byte-order mark; save it as UTF-8 without one [A-22].", line=1
            )
        if not self._is_text(file.first) or not self._names_are_usable(file.header):
            return False
        self._key = file.header.index(KEY)
        names = reference_columns(file.header)
        self._references = [file.header.index(name) for name in names]
        self._dates = [i for i, name in enumerate(file.header) if named_like_a_date(name)]
        return True

    def _names_are_usable(self, header: list[str]) -> bool:
        if KEY not in header:
            # Without it the first line may be data, so its cells are not repeated here.
            like = any(name.strip().casefold() == KEY.casefold() for name in header)
            hint = f" One is spelled almost like it: write it exactly '{KEY}'." if like else " Is the header line missing?"
            self._add(Level.ERROR, Code.NO_KEY_COLUMN, f"No column is called '{KEY}' [D].{hint}", line=1)
            return False
        double = sorted({name for name in header if header.count(name) > 1})
        if double or any(not name.strip() for name in header):
            what = f"The column {', '.join(double)} stands there twice." if double else "A column has no name."
            self._add(Level.ERROR, Code.BAD_HEADER, f"{what} Every column needs a name of its own.", line=1)
            return False
        return True

    def _check_row(self, row: Row) -> None:
        if not row.cells:
            self._add(Level.WARNING, Code.BLANK_LINE, "A blank line; it counts as no record. Remove it.", line=row.line)
            return
        if not self._is_text(row):
            return
        if len(row.cells) != len(self._header):
            message = (
                f"{len(row.cells)} values, but the header has {len(self._header)} columns. Look for a missing quote or comma."
            )
            self._add(Level.ERROR, Code.RAGGED, message, row)
            return
        self._check_quotes(row)
        self._check_key(row)
        for i in self._references:
            self._check_reference(row, i)
        self._check_values(row)

    def _check_values(self, row: Row) -> None:
        for i in self._dates:
            if row.cells[i] and not self._is_date(row.cells[i]):
                message = f"Not a date as {self.section.date_format} has it, in a column that is named like a date."
                self._add(Level.WARNING, Code.BAD_DATE, message, row, i)
        if "|" in row.raw:
            self._pipes.update(i for i, cell in enumerate(row.cells) if "|" in cell)
        if len(row.raw) > LONG_CELL:
            self._check_length(row)

    def _is_text(self, row: Row) -> bool:
        if "\0" in row.raw:
            self._add(Level.ERROR, Code.NUL_BYTE, "Holds a NUL byte. Is this a text file, and is it UTF-8?", row)
            return False
        if row.raw.isascii():
            return True
        if NOT_DECODED.search(row.raw):
            place = next((i for i, cell in enumerate(row.cells) if NOT_DECODED.search(cell)), None)
            named = place if row.number and len(row.cells) == len(self._header) else None
            message = "Holds bytes that are not UTF-8 [D]. Export the file again as UTF-8; names would arrive damaged."
            self._add(Level.ERROR, Code.NOT_UTF8, message, row, named)
            return False
        if _DAMAGED in row.raw:
            message = "Holds the character that stands for lost ones (U+FFFD): the text was damaged before it came here."
            self._add(Level.WARNING, Code.DAMAGED_TEXT, message, row)
        return True

    def _check_quotes(self, row: Row) -> None:
        if row.all_quoted:
            return
        self._unquoted += 1
        if not row.well_quoted:
            message = "A quote inside a value that is not itself in quotes. Put the value in quotes and double the quotes in it."
            self._add(Level.ERROR, Code.BROKEN_CSV, message, row)

    def _check_key(self, row: Row) -> None:
        key = row.cells[self._key]
        if not key.strip():
            message = "No alternateId: nobody could say afterwards what became of this record."
            self._add(Level.ERROR, Code.KEY_EMPTY, message, row, self._key)
            return
        if key != key.strip():
            self._add(Level.WARNING, Code.KEY_SPACES, "Spaces around the alternateId; they make it another id.", row, self._key)
        self.index.key(self.entry.table, self.entry.path, key, row.number, row.line, root=not self._references)

    def _check_reference(self, row: Row, column: int) -> None:
        if target := row.cells[column].strip():
            self.index.reference(self.entry.path, self._header[column], target, row.number, row.line)
        else:
            self._add(Level.ERROR, Code.REFERENCE_EMPTY, "A reference to nothing; it must name another record.", row, column)

    def _check_length(self, row: Row) -> None:
        for i, cell in enumerate(row.cells):
            if len(cell) > LONG_CELL:
                message = f"{len(cell):,} characters in one value. Is a closing quote missing?"
                self._add(Level.WARNING, Code.OVER_LONG, message, row, i)

    def _report_whole_file(self, records: int) -> None:
        if self._header and not records and KEY in self._header:
            message = "Only a header. The file is not sent: a table without records needs no file [A-24]."
            self._add(Level.NOTE, Code.HEADER_ONLY, message)
        if self._unquoted:
            message = f"{self._unquoted:,} records have values without quotes; the vendor documents every value in quotes [D]."
            self._add(Level.WARNING, Code.UNQUOTED, message, times=self._unquoted)
        for i, times in self._pipes.items():
            message = (
                f"{times:,} values hold a pipe, which separates values where a column takes several [D]; elsewhere it is text."
            )
            self._add(Level.NOTE, Code.PIPE, message, None, i, times=times)

    def _add(
        self,
        level: Level,
        code: Code,
        message: str,
        row: Row | None = None,
        column: int | None = None,
        *,
        line: int = 0,
        times: int = 1,
    ) -> None:
        self.findings.add(
            level,
            code,
            message,
            file=self.entry.path,
            table=self.entry.table,
            row=row.number if row else 0,
            line=row.line if row else line,
            column=self._header[column] if column is not None else "",
            value=row.cells[column] if row and column is not None else "",
            times=times,
        )
