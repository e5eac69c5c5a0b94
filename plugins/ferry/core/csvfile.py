"""CSV in a stream: rows with their row and line numbers, exact about quoting, never more than one record in memory.

UTF-8, commas, inner quotes doubled, LF or CRLF; whether every value must stand in quotes is for the vendor's checks to say.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

MAX_RECORD = 500_000
"""Characters of one record. More is a quote that was never closed: reading on would swallow the rest of the file."""

# The limit is the process's, so it is only ever raised; our own limit, above, is reached first.
csv.field_size_limit(max(csv.field_size_limit(), 2 * MAX_RECORD))

BOM = "\ufeff"
NOT_DECODED = re.compile("[\udc80-\udcff]")
"""What `surrogateescape` makes of bytes that are no UTF-8."""

_RFC_4180 = re.compile(r'(?:"(?:[^"]|"")*+"|[^",\r\n]*+)(?:,(?:"(?:[^"]|"")*+"|[^",\r\n]*+))*+', re.DOTALL)
_DANGEROUS = re.compile(r"'*[=+\-@\t\r]")
_NEUTRALISED = re.compile(r"'+[=+\-@\t\r]")


class BrokenCsv(Exception):
    """The file cannot be read further from this line on. The text never contains a value."""

    def __init__(self, line: int, why: str) -> None:
        self.line, self.why = line, why
        super().__init__(f"line {line}: {why}")


@dataclass(slots=True)
class Row:
    """One record: its number among the data rows (from 1; 0 is the header), the line it begins on, its cells, its text."""

    number: int
    line: int
    cells: list[str]
    raw: str

    @property
    def all_quoted(self) -> bool:
        """True if every value stands in quotes. Told by length: what quoting would add is there, or it is not."""
        joined = "".join(self.cells)
        return len(joined) + joined.count('"') + 3 * len(self.cells) - 1 == len(self.raw)

    @property
    def well_quoted(self) -> bool:
        """True if the record keeps RFC 4180: no quote in the middle of a value without quotes around it."""
        return '"' not in self.raw or _RFC_4180.fullmatch(self.raw) is not None


@dataclass(slots=True)
class _Lines:
    """Feeds the csv reader line by line, keeps the text of the record under way, and counts lines."""

    file: TextIO
    taken: list[str] = field(default_factory=list)
    size: int = 0
    line: int = 0
    begun: int = 1
    bom: bool = False

    def __iter__(self) -> Iterator[str]:
        while text := self.file.readline(MAX_RECORD):
            self.line += 1
            if self.line == 1 and text.startswith(BOM):
                self.bom, text = True, text[1:]
            self.size += len(text)
            if self.size >= MAX_RECORD:
                raise BrokenCsv(
                    self.begun, f"a record of more than {MAX_RECORD:,} characters begins here; is a closing quote missing?"
                )
            self.taken.append(text)
            yield text

    def record(self) -> tuple[int, str]:
        """Line and text of the record just read; the next one begins after it."""
        begun, raw = self.begun, "".join(self.taken)
        self.taken.clear()
        self.size, self.begun = 0, self.line + 1
        return begun, raw.rstrip("\r\n")


class CsvFile:
    """An open CSV file: header first, then rows. Bytes that are no UTF-8 come as lone surrogates, for the caller to judge."""

    def __init__(self, file: TextIO, *, strict: bool) -> None:
        self._lines = _Lines(file)
        self._reader = csv.reader(iter(self._lines), strict=strict)
        self._first = self._next(0)
        self.header: list[str] = self._first.cells if self._first else []

    @property
    def bom(self) -> bool:
        """True if the file begins with a byte-order mark; it is not part of the header."""
        return self._lines.bom

    @property
    def first(self) -> Row | None:
        """The header as a row; None in an empty file."""
        return self._first

    def __iter__(self) -> Iterator[Row]:
        number = 0
        while row := self._next(number + 1):
            if row.cells:
                number += 1
            else:
                row.number = 0
            yield row

    def _next(self, number: int) -> Row | None:
        try:
            cells = next(self._reader)
        except StopIteration:
            return None
        except csv.Error as error:
            raise BrokenCsv(self._lines.begun, f"not CSV as RFC 4180 has it: {error}") from None
        line, raw = self._lines.record()
        return Row(number, line, cells, raw)


@contextmanager
def open_csv(path: Path, *, strict: bool = True) -> Iterator[CsvFile]:
    """The file, ready to be read row by row. `strict` refuses broken quoting; without it, as much as can be read is."""
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        yield CsvFile(file, strict=strict)


def records(path: Path) -> Iterator[list[str]]:
    """The data rows of a vendor's file as lists as wide as its header; ragged rows are padded or cut, never dropped."""
    with open_csv(path, strict=False) as file:
        width = len(file.header)
        for row in file:
            if row.cells:
                yield (row.cells + [""] * (width - len(row.cells)))[:width]


def header_of(path: Path) -> list[str]:
    """The column names of a CSV file; an empty list for an empty file."""
    with open_csv(path, strict=False) as file:
        return file.header


def column_by_alias(header: Sequence[str], aliases: Iterable[str]) -> str | None:
    """The header's own name of the column known under one of these names; case, spaces and underscores do not count.

    The earlier alias wins, because the later ones ("id") are the vaguer ones.
    """
    known: Mapping[str, str] = {_plain(name): name for name in reversed(header)}
    return next((known[_plain(alias)] for alias in aliases if _plain(alias) in known), None)


def neutralise(cell: str) -> str:
    """The cell with an apostrophe before it if a spreadsheet would run it as a formula (`= + - @`, TAB, CR).

    Cells that already look neutralised get one more, so that `restore` always gives back what was there.
    """
    return f"'{cell}" if _DANGEROUS.match(cell) else cell


def restore(cell: str) -> str:
    """What `neutralise` was given."""
    return cell[1:] if _NEUTRALISED.match(cell) else cell


def visible(cell: str) -> str:
    """Text that can be written as UTF-8, whatever bytes it came from."""
    return cell if cell.isascii() else cell.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _plain(name: str) -> str:
    return name.replace(" ", "").replace("_", "").casefold()
