"""Dispatch: one DAG run of a vendor for each open batch that a scheduled window owns."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from airflow.sdk import BaseHook

from ferry.core.batch import MANIFEST, Manifest, batch_ids, parse_manifest
from ferry.core.errors import BadInput, FerryError
from ferry.ledger.entries import Standing
from ferry.steps import places
from ferry.steps.hook import environment_of

log = logging.getLogger(__name__)
MOST = 1024
"""Airflow maps no more than this in one task ([core] max_map_length)."""


@dataclass(frozen=True, slots=True)
class Due:
    """An open batch, and the attempt a DAG run of it would be."""

    vendor: str
    environment: str
    batch_id: str
    dag: str
    due: str
    attempt: int


def due_batches(vendors: Iterable[str], start: datetime | None, end: datetime | None) -> list[dict[str, Any]]:
    """All open batches due in [start, end) as plain JSON, oldest first; every open one where there is no interval."""
    found: list[Due] = []
    for vendor in vendors:
        found.extend(_of_vendor(vendor, start, end))
    found.sort(key=lambda batch: (batch.due, batch.vendor, batch.batch_id))
    if left := found[MOST:]:
        names = ", ".join(f"{batch.vendor}/{batch.batch_id}" for batch in left)
        log.warning("%d open batches are more than one run can map; left for the next: %s", len(found), names)
    log.info("%d open batches: %s", len(found), ", ".join(f"{b.vendor}/{b.batch_id}" for b in found[:MOST]) or "none")
    return [asdict(batch) for batch in found[:MOST]]


def _of_vendor(vendor: str, start: datetime | None, end: datetime | None) -> list[Due]:
    root, found, wrong = places.batches(), [], []
    for batch_id in batch_ids(root, vendor):
        try:
            text = (root / vendor / batch_id / MANIFEST).read_text(encoding="utf-8")
            manifest, _ = parse_manifest(text, vendor, batch_id, None)
        except BadInput as error:
            wrong.append(error.message)
            continue
        if _in_window(manifest.due, start, end) and (batch := _if_open(vendor, batch_id, manifest)):
            found.append(batch)
    if wrong:
        raise BadInput(f"{len(wrong)} manifests cannot be read, so it is not known whether they are due: {' '.join(wrong)}")
    return found


def _if_open(vendor: str, batch_id: str, manifest: Manifest) -> Due | None:
    environment = environment_of(BaseHook.get_connection(manifest.connection))
    standing = places.ledger().standing(vendor, environment, batch_id)
    if standing.balanced:
        return None
    return Due(vendor, environment, batch_id, manifest.dag, manifest.due.isoformat(), next_attempt(standing))


def next_attempt(standing: Standing) -> int:
    """The number of the attempt that a new DAG run would work on: the open one, else the next."""
    last = standing.last
    if last is None:
        return 1
    return last.attempt.number if last.is_open else last.attempt.number + 1


def _in_window(due: date, start: datetime | None, end: datetime | None) -> bool:
    return start is None or end is None or start.date() <= due < end.date()


def check_balanced(dispatched: list[dict[str, Any]]) -> str:
    """One sentence if every dispatched batch is balanced now; FerryError naming those that are not."""
    ledger = places.ledger()
    still_open = [
        f"{due['vendor']}/{due['batch_id']}"
        for due in dispatched
        if not ledger.standing(due["vendor"], due["environment"], due["batch_id"]).balanced
    ]
    if still_open:
        raise FerryError(
            f"{len(still_open)} of {len(dispatched)} batches are not balanced: {', '.join(still_open)}. Their DAG runs say why. "
            "Correct them and backfill this interval with reprocess behaviour 'failed': only what is open is sent again."
        )
    return f"All {len(dispatched)} batches are balanced."
