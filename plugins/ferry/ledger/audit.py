"""What is wrong with the ledger: the check that nobody has to trust anybody for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from ferry.ledger.chain import ADMIT, GENESIS, Entry, Kind
from ferry.ledger.schema import LEDGER, from_row, newer_words

CheckEvidence = Callable[[Entry], str]
"""What is wrong with the file an entry names; empty if nothing is."""

Row = Mapping[str, Any]
KEY = (LEDGER.c.vendor, LEDGER.c.environment, LEDGER.c.batch_id)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong, and at which entry of which batch."""

    vendor: str
    environment: str
    batch_id: str
    seq: int
    what: str

    def __str__(self) -> str:
        return f"{self.vendor} batch {self.batch_id} at {self.environment}, entry {self.seq}: {self.what}"


def batches(connection: Connection, scope: tuple[str | None, str | None, str | None]) -> list[tuple[str, str, str]]:
    """The batches in scope (None: any), in order."""
    wanted = [column == value for column, value in zip(KEY, scope, strict=True) if value is not None]
    found = connection.execute(select(*KEY).where(*wanted).distinct().order_by(*KEY))
    return [(row.vendor, row.environment, row.batch_id) for row in found]


def rows(connection: Connection, batch: tuple[str, str, str]) -> list[Row]:
    """One batch's rows as they stand in the table, in order."""
    wanted = [column == value for column, value in zip(KEY, batch, strict=True)]
    found = connection.execute(select(LEDGER).where(*wanted).order_by(LEDGER.c.seq)).mappings()
    return [{str(name): value for name, value in row.items()} for row in found]


def faults_of(rows: Sequence[Row], evidence: CheckEvidence | None = None) -> Iterator[tuple[int, str]]:
    """The faults of one batch's rows, in order: which entry, and what about it."""
    entries: list[Entry] = []
    expected, head = 1, GENESIS
    for row in rows:
        yield from _place(row, expected, head)
        expected, head = row["seq"] + 1, row["entry_hash"]
        try:
            entry = from_row(row)
        except (ValueError, KeyError, TypeError) as error:
            yield row["seq"], _unreadable(row, error)
            continue
        if entry.computed_hash() != entry.entry_hash:
            yield entry.seq, "its content does not give its hash: it was altered after it was written"
        if evidence is not None and entry.evidence_path and (trouble := evidence(entry)):
            yield entry.seq, trouble
        entries.append(entry)
    yield from _doubles(entries)
    yield from _attempts(entries)


def _unreadable(row: Row, error: Exception) -> str:
    if words := newer_words(row):
        return f"its {words} is a word of a newer Ferry, and the entry is as it was written: upgrade this installation to read it"
    return f"the row is no entry any more ({type(error).__name__}): it was altered after it was written"


def _place(row: Row, expected: int, head: str) -> Iterator[tuple[int, str]]:
    if row["seq"] != expected:
        yield row["seq"], f"entry {expected} should stand here: entries are missing"
    if row["prev_hash"] != head:
        yield row["seq"], "it does not follow the entry before it: one was altered, removed or put in"


def _doubles(entries: Sequence[Entry]) -> Iterator[tuple[int, str]]:
    count: Counter[tuple[int, str, str]] = Counter()
    for entry in entries:
        if entry.kind is not Kind.INTENT:
            continue
        count[entry.attempt.number, entry.step, entry.key] += 1
        if count[entry.attempt.number, entry.step, entry.key] == 2:
            part = f" {entry.key}" if entry.key else ""
            yield entry.seq, f"attempt {entry.attempt.number} intends `{entry.step}`{part} a second time"


def _attempts(entries: Sequence[Entry]) -> Iterator[tuple[int, str]]:
    opened: dict[int, Entry] = {}
    for entry in entries:
        number = entry.attempt.number
        if entry.step == ADMIT and entry.kind is Kind.INTENT:
            if number not in opened and number != len(opened) + 1:
                yield entry.seq, f"attempt {number} is opened where attempt {len(opened) + 1} is due"
            opened.setdefault(number, entry)
        elif number not in opened:
            yield entry.seq, f"attempt {number} was never opened"
        elif entry.input_hash != opened[number].input_hash:
            yield entry.seq, f"it speaks of another input than the one attempt {number} was opened for"
