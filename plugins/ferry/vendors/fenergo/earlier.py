"""What earlier runs in the same environment brought: their records files and ingestion files, found through the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ferry.ledger.entries import Entry

if TYPE_CHECKING:
    from ferry.steps.work import Work

EVERY = 1_000_000
GUARD = "guard"
"""Key of the entry that names an ingestion's file, written before anything is sent."""


@contextmanager
def earlier_files(work: Work, *, ingestions: bool) -> Iterator[list[Path]]:
    """Local copies of earlier records files, and of ingestion files too if asked for, whatever became of them."""
    with work.desk() as desk:
        entries = [entry for entry in _with_files(work) if ingestions or entry.step == "reconcile"]
        yield [work.evidence.fetch(entry.evidence_path, desk / f"{number}.csv") for number, entry in enumerate(entries)]


def _with_files(work: Work) -> Iterator[Entry]:
    mine = work.attempt
    for row in work.ledger.batches(mine.vendor, mine.environment, limit=EVERY):
        for entry in work.ledger.of_batch(mine.vendor, mine.environment, row.batch_id):
            brought = entry.step == "reconcile" or (entry.step == "ingest_alternate_ids" and entry.key == GUARD)
            if brought and entry.evidence_path and entry.attempt != mine:
                yield entry
