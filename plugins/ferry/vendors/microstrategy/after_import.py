"""What happens to a MicroStrategy batch once its import has ended."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ferry.core.errors import FerryError
from ferry.core.model import Counts, Run, RunState
from ferry.ledger.entries import Kind
from ferry.vendors.microstrategy.planning import FILE, SOURCE, library, package
from ferry.vendors.microstrategy.sent import join, kept
from ferry.vendors.microstrategy.shapes import Json, can_be_undone, certification, import_word, members, part

if TYPE_CHECKING:
    from ferry.steps.work import Work

log = logging.getLogger(__name__)
RECORD = "record.json"


def reconcile(work: Work) -> dict[str, int]:
    """Counts of the identity: objects asked for against what the target reports of them, with action, package by package."""
    record, filed = _record(work)
    with work.desk() as desk:
        found = join(work, record, desk)
    counts = asdict(found.counts)
    if found.balanced:
        note = f"Every one of {found.counts.sent:,} objects is reported by the target, with the action that was asked for."
    else:
        note = (
            f"Of {found.counts.sent:,} objects, {found.counts.accepted:,} are reported as asked for, {found.counts.rejected:,} "
            f"otherwise, {found.counts.unprocessed:,} not at all, and {found.extra:,} were not asked for. missing.csv, "
            "rejected.csv and extra.csv in the evidence name them. Look at them on the target before sending anything again; "
            "undo_microstrategy takes the import back."
        )
    work.record(Kind.RESULT, filed, note=note, counts=counts, data=found.to_json())
    log.info("%s", note)
    return counts


def fetch_errors(work: Work) -> bool:
    """Keep what the vendor says of a failed import; whether the undo is the way on, which the manifest and the record decide."""
    record, filed = _record(work)
    counts = _counts_of_failure(work, record)
    wanted = work.section.on_import_failed == "undo"
    possible = any(can_be_undone(member) for member in members(record))
    note = f"{_what_failed(work, record)} {_what_now(possible=possible, wanted=wanted)}"
    work.record(Kind.RESULT, filed, note=note, counts=asdict(counts), data={"undo": possible})
    log.info("%s", note)
    return wanted and possible


def _counts_of_failure(work: Work, record: Json) -> Counts:
    with work.desk() as desk:
        return join(work, record, desk).counts


def _what_failed(work: Work, record: Json) -> str:
    seen = work.standing.seen
    reasons = [str(part(member, "importInfo").get("message") or "").rstrip(".") for member in members(record)]
    told = "; ".join(dict.fromkeys(reason for reason in reasons if reason)) or "the vendor gives no reason"
    return f"The import ended '{seen.word if seen else ''}': {told}. Part of it may have been written on the target."


def _what_now(*, possible: bool, wanted: bool) -> str:
    if possible and wanted:
        return "It left an undo package, which is used now, as the manifest says."
    if possible:
        return (
            "It left an undo package: undo_microstrategy with this batch takes it back. Then correct the cause and trigger again."
        )
    return (
        "It left no undo package. Look at the objects on the target, correct the cause, and trigger with force_new_attempt: that "
        "makes and imports a new package."
    )


def _record(work: Work) -> tuple[Json, Any]:
    """The whole record as the target keeps it now, and its copy in the evidence."""
    run = Run(work.standing.ref)
    record = work.call(lambda api: api.record(run))
    return record, work.evidence.file_json(work.attempt, work.step, RECORD, record)


def confirm_undo(work: Work) -> dict[str, int]:
    """What holds after the undo of a failed import: nothing of it is on the target, or nobody can say."""
    record, filed = _record(work)
    words = sorted({import_word(member) for member in members(record)})
    with work.desk() as desk:
        sent = sum(one.records for one in kept(work, desk))
    failed = work.standing.results[("fetch_errors", "")]
    if work.standing.run_state is not RunState.CANCELLED:
        note = (
            f"The failed import could not be taken back ({', '.join(words)}): {_reason(work)}. What is on the target is unknown: "
            "look at it with the vendor's people before anything is sent again."
        )
        work.record(Kind.RESULT, filed, step="fetch_errors", note=note, counts=failed.counts)
        raise FerryError(note)
    counts = asdict(Counts(sent=sent, rejected=sent))
    said = failed.note.partition(". ")[0]
    note = f"{said}. It was taken back: nothing of it is on the target. Correct the cause and trigger the batch again."
    work.record(Kind.RESULT, filed, step="fetch_errors", note=note, counts=counts)
    return counts


def _reason(work: Work) -> str:
    seen = work.standing.seen
    return (seen.note if seen else "") or "the vendor gives no reason"


def sync_certification(work: Work) -> bool:
    """Say on the target, too, who certified the package and when, where the manifest asks for it; whether it does."""
    if not work.section.certify or work.section.package_file or library(work) == library(work, SOURCE):
        return False
    run, made = Run(work.standing.ref), package(work)
    told = certification(work.call(lambda api: api.record(made), at=SOURCE))
    said = {name: told[name] for name in ("status", "operator", "lastUpdatedDate") if told.get(name)}
    found = work.call(lambda api: api.certify(run, said))
    work.record(Kind.RESULT, ref=run.ref, word=str(found.get("status")), note="The certification stands on both sides.")
    return True


def clean_up(work: Work) -> bool:
    """Delete the migration on both sides, as the very last thing and only if asked for; its undo package goes with it."""
    reconciled = work.standing.results.get(("reconcile", ""))
    if not work.section.clean_up or reconciled is None or not reconciled.data.get("balanced"):
        return False
    made, run, file = package(work), Run(work.standing.ref), Run(work.standing.ref_of("open_run", FILE))
    if made.ref:
        work.call(lambda api: api.delete(made), at=SOURCE)
    if file.ref:
        work.call(lambda api: api.delete_file(file))
    work.call(lambda api: api.delete(run))
    work.record(Kind.RESULT, ref=run.ref, note="The migration was deleted on both sides, and its undo package with it.")
    return True
