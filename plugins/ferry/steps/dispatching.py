"""Dispatch: one DAG run of a vendor for each open batch that a scheduled window owns."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from ferry.core.batch import MANIFEST, Manifest, batch_ids, parse_manifest
from ferry.core.errors import BadInput
from ferry.ledger.entries import Standing
from ferry.steps import places
from ferry.steps.hook import environment_of

log = logging.getLogger(__name__)
MOST = 1024
"""Airflow maps no more than this in one task ([core] max_map_length)."""
NOT_TRIED = "not tried"


@dataclass(frozen=True, slots=True)
class Due:
    """An open batch, and the attempt a DAG run of it would be."""

    vendor: str
    environment: str
    batch_id: str
    dag: str
    due: str
    attempt: int
    """The number of the attempt that triggering it would work on."""
    stands: str = NOT_TRIED


def due_batches(vendors: Iterable[str], start: datetime | None, end: datetime | None) -> list[dict[str, Any]]:
    """All open batches due in [start, end) as plain JSON, oldest first; due today or earlier where there is no interval.

    A batch whose manifest or connection cannot be read stops no other; `check_balanced` is red because of it.
    """
    today = datetime.now(UTC).date()
    first, last = (start.date(), end.date() - timedelta(days=1)) if start and end else (date.min, today)
    found, problems = survey(vendors, first, last)
    for problem in problems:
        log.error("%s", problem)
    if left := found[MOST:]:
        names = ", ".join(f"{batch.vendor}/{batch.batch_id}" for batch in left)
        log.warning("%d open batches are more than one run can map; left for the next: %s", len(found), names)
    names = ", ".join(f"{b.vendor}/{b.batch_id}" for b in found[:MOST]) or "none"
    log.info("%d open batches due %s: %s", len(found), _days(first, last), names)
    return [asdict(batch) for batch in found[:MOST]]


def _days(first: date, last: date) -> str:
    return f"up to {last}" if first == date.min else f"from {first} to {last}"


def survey(vendors: Iterable[str], first: date = date.min, last: date = date.max) -> tuple[list[Due], list[str]]:
    """The open batches due from the first day to the last, oldest first, and what is wrong with those that cannot be read."""
    root, found, problems = places.batches(), list[Due](), list[str]()
    for vendor in vendors:
        for batch_id in batch_ids(root, vendor):
            try:
                text = (root / vendor / batch_id / MANIFEST).read_text(encoding="utf-8")
                manifest, _ = parse_manifest(text, vendor, batch_id, None)
                if first <= manifest.due <= last and (batch := _if_open(vendor, batch_id, manifest)):
                    found.append(batch)
            except BadInput as error:
                problems.append(error.message)
    return sorted(found, key=lambda batch: (batch.due, batch.vendor, batch.batch_id)), problems


def _if_open(vendor: str, batch_id: str, manifest: Manifest) -> Due | None:
    environment = _environment(manifest, batch_id)
    standing = places.ledger().standing(vendor, environment, batch_id)
    if standing.rests:
        return None
    stands = str(standing.last.verdict or "no verdict yet") if standing.last else NOT_TRIED
    return Due(vendor, environment, batch_id, manifest.dag, manifest.due.isoformat(), next_attempt(standing), stands)


def _environment(manifest: Manifest, batch_id: str) -> str:
    try:
        return environment_of(BaseHook.get_connection(manifest.connection))
    except AirflowNotFoundException:
        raise BadInput(
            f"Airflow has no connection {manifest.connection!r}, which the manifest of {manifest.vendor}/{batch_id} names. "
            "Create it under Admin > Connections."
        ) from None


def next_attempt(standing: Standing) -> int:
    """The number of the attempt that a new DAG run would work on: the open one, else the next."""
    last = standing.last
    if last is None:
        return 1
    return last.attempt.number if last.is_open else standing.next_number


def check_balanced(dispatched: list[dict[str, Any]], vendors: Iterable[str]) -> str:
    """One sentence if every dispatched batch is balanced now; FerryError naming those that are not, or cannot be read."""
    ledger = places.ledger()
    still_open = [
        f"{due['vendor']}/{due['batch_id']}"
        for due in dispatched
        if not ledger.standing(due["vendor"], due["environment"], due["batch_id"]).balanced
    ]
    _, problems = survey(vendors)
    if still_open or problems:
        opened = (
            f"{len(still_open)} of {len(dispatched)} batches are not balanced: {', '.join(still_open)}. Their DAG runs say why. "
        )
        told = (
            f"{opened if still_open else ''}{' '.join(problems)} Correct them and backfill this interval with reprocess "
            "behaviour 'failed': only what is open is sent again."
        )
        log.error("%s", told)  # Airflow logs the traceback, in which the sentence is lost
        raise BadInput(told)
    return f"All {len(dispatched)} batches are balanced."
