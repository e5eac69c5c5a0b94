"""What the checks found: counted exactly, kept in limited number, and never with a value in a message."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

from ferry.core.csvfile import neutralise, visible

KEPT_PER_GROUP = 1_000
KEPT = 10_000
"""Findings written out for people; all are counted. Nobody corrects ten thousand cells by hand, and one flood hides nothing."""

_SHOWN = 200


class Level(StrEnum):
    """How much a finding matters, gravest first."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault and its place: data row from 1 and line of the file, 0 where the whole file is meant."""

    level: Level
    code: str
    """What is wrong, in one word that can be counted; each vendor has its own list of them."""
    file: str
    table: str
    row: int
    line: int
    column: str
    message: str
    value: str = field(default="", repr=False)
    """The cell, for the findings file only."""


@dataclass(frozen=True, slots=True)
class Place:
    """A cell in a file."""

    file: str
    table: str
    row: int
    line: int
    column: str
    value: str = field(default="", repr=False)


@dataclass
class Findings:
    """All findings of one check, with exact counts; also how many records each table holds."""

    unaccountable: ClassVar[frozenset[str]] = frozenset()
    """Codes of faults that no manifest can wave through: with them, nobody could say afterwards what became of each record."""

    records: dict[str, int] = field(default_factory=dict)
    kept: list[Finding] = field(default_factory=list)
    _counts: Counter[tuple[Level, str, str, str, str]] = field(default_factory=Counter)

    def add(
        self,
        level: Level,
        code: str,
        message: str,
        *,
        file: str = "",
        table: str = "",
        row: int = 0,
        line: int = 0,
        column: str = "",
        value: str = "",
        times: int = 1,
    ) -> None:
        """Count a finding (`times` for one that stands for many rows) and keep it while there is room in its group."""
        group = (level, file, table, column, code)
        if self._counts[group] < KEPT_PER_GROUP:
            self.kept.append(Finding(level, code, file, table, row, line, column, message, value))
        self._counts[group] += times

    def at(self, place: Place, level: Level, code: str, message: str) -> None:
        """Count a finding in one cell."""
        p = place
        self.add(level, code, message, file=p.file, table=p.table, row=p.row, line=p.line, column=p.column, value=p.value)

    def merge(self, other: Findings) -> None:
        """Take in what another, better informed check found. What it calls an error is no longer a warning here."""
        now_errors = {group[1:] for group in other._counts if group[0] is Level.ERROR}
        replaced = {group for group in self._counts if group[0] is not Level.ERROR and group[1:] in now_errors}
        self.kept = [f for f in self.kept if (f.level, f.file, f.table, f.column, f.code) not in replaced] + other.kept
        self._counts = Counter({group: n for group, n in self._counts.items() if group not in replaced}) + other._counts
        self.records.update(other.records)

    def count(self, level: Level, codes: Iterable[str] | None = None) -> int:
        """Number of findings of that level, perhaps only of some codes."""
        wanted = None if codes is None else set(codes)
        return sum(n for group, n in self._counts.items() if group[0] is level and (wanted is None or group[4] in wanted))

    def stop(self, checks: str) -> bool:
        """Whether the batch must not be sent under the manifest's `checks` setting."""
        return self.count(Level.ERROR, None if checks == "strict" else self.unaccountable) > 0

    def summary(self) -> list[dict[str, Any]]:
        """Counts by level, file, table, column and code, gravest first. No values, so it may be logged and stored."""
        order = list(Level)
        ranked = sorted(self._counts.items(), key=lambda item: (order.index(item[0][0]), -item[1], item[0][1:]))
        return [
            {"level": str(level), "file": file, "table": table, "column": column, "code": str(code), "count": n}
            for (level, file, table, column, code), n in ranked
        ]

    def headline(self) -> str:
        """One sentence for a log or an error: how much was found, and the three biggest groups."""
        biggest = [
            f"{group['code']} x {group['count']:,} in {group['file'] or 'the manifest'}"
            + (f", column {group['column']}" if group["column"] else "")
            for group in self.summary()[:3]
            if group["level"] != Level.NOTE
        ]
        counted = f"{_many(self.count(Level.ERROR), 'error')} and {_many(self.count(Level.WARNING), 'warning')}"
        return counted + (f" ({'; '.join(biggest)})" if biggest else "")

    def write(self, path: Path) -> Path:
        """The findings as CSV for people: gravest first, values included, formula characters neutralised, length limited.

        Values make this file evidence: it belongs where the batch's data may lie, and nowhere else.
        """
        order = list(Level)
        chosen = sorted(self.kept, key=lambda f: order.index(f.level))[:KEPT]
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, quoting=csv.QUOTE_ALL)
            writer.writerow(["level", "code", "file", "table", "row", "line", "column", "value", "message"])
            for f in chosen:
                cells = [f.level, f.code, f.file, f.table, f.row or "", f.line or "", f.column, f.value[:_SHOWN], f.message]
                writer.writerow([neutralise(visible(str(cell))) for cell in cells])
            if more := self._counts.total() - len(chosen):
                note = f"{more:,} more findings are counted in the summary and not listed here."
                writer.writerow(["note", "MORE", "", "", "", "", "", "", note])
        return path


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
