"""A person's word that some records need not arrive: written into the ledger with name and reason, counted as waived."""

from __future__ import annotations

import csv
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ferry.core.batch import MANIFEST, parse_manifest
from ferry.core.errors import BadInput
from ferry.ledger.entries import AttemptStanding, Draft, Kind
from ferry.ledger.reconciliation import KeyFile
from ferry.steps import places
from ferry.steps.hook import connection_named, environment_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ferry.ledger.entries import Origin
    from ferry.steps.work import Work

WAIVE = "waive_records"
HEADER = ("table", "key")


def waive(vendor: str, batch_id: str, records: Sequence[str], reason: str, origin: Origin) -> str:
    """Waive records, each given as `table,key`, of the batch's open attempt; returns one sentence."""
    pairs = [_pair(number, line) for number, line in enumerate(records, start=1)]
    attempt = _open_attempt(vendor, batch_id)
    with TemporaryDirectory(prefix="ferry-waive-") as folder:
        path = Path(folder) / "waived.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, quoting=csv.QUOTE_ALL).writerows([HEADER, *pairs])
        filed = places.evidence().file_from(attempt.attempt, WAIVE, path.name, path)
    who = origin.who or str(origin)
    note = f"{who} waived {len(pairs):,} records: {reason}"
    facts: dict[str, Any] = {"evidence_path": filed.path, "evidence_hash": filed.sha256, "note": note}
    places.ledger().append(
        Draft(attempt=attempt.attempt, step=WAIVE, kind=Kind.WAIVED, origin=origin, data={"records": len(pairs)}, **facts)
    )
    return f"{note}. Clear `reconcile` in DAG run {attempt.holder.run_id} of {attempt.holder.dag_id} to have it counted."


def waived_files(work: Work, desk: Path) -> list[KeyFile]:
    """The keys that were waived for this attempt, for reconciliation."""
    waivers = [entry for entry in work.standing.entries if entry.kind is Kind.WAIVED and entry.evidence_path]
    return [
        KeyFile(work.evidence.fetch(entry.evidence_path, desk / f"waived-{number}.csv"), "key", "table")
        for number, entry in enumerate(waivers)
    ]


def _pair(number: int, line: str) -> tuple[str, str]:
    table, _, key = line.partition(",")
    if not table.strip() or not key.strip():
        raise BadInput(f"Record {number} is not `table,key`. Nothing was waived; correct the list and trigger again.")
    return table.strip(), key.strip()


def _open_attempt(vendor: str, batch_id: str) -> AttemptStanding:
    try:
        text = (places.batches() / vendor / batch_id / MANIFEST).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadInput(f"There is no batch {batch_id!r} for {vendor}. Nothing was waived.") from None
    manifest, _ = parse_manifest(text, vendor, batch_id, None)
    environment = environment_of(connection_named(manifest.connection))
    last = places.ledger().standing(vendor, environment, batch_id).last
    if last is None or not last.is_open or ("reconcile", "") not in last.results:
        stands = "was never tried" if last is None else f"is {last.verdict or 'not reconciled yet'}"
        raise BadInput(
            f"Batch {vendor}/{batch_id} {stands}: only an attempt that was reconciled and does not balance has records to waive. "
            "Nothing was waived."
        )
    return last
