"""What happens to a MicroStrategy batch once its import has ended."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ferry.core.model import Counts, Run
from ferry.ledger.entries import Kind, Verdict
from ferry.vendors.microstrategy.planning import AT_SOURCE, FILE, is_one_library, package, settings
from ferry.vendors.microstrategy.sent import join
from ferry.vendors.microstrategy.shapes import Json, can_be_undone, certification, members, part

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
        note = (
            f"The target says '{work.standing.word}', and its record lists every one of {found.counts.sent:,} objects with the "
            "action that was asked for."
        )
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
    wanted = settings(work)["on_import_failed"] == "undo"
    possible = any(can_be_undone(member) for member in members(record))
    what = _what_failed(work, record)
    note = f"{what} Part of it may have been written on the target. {_what_now(possible=possible, wanted=wanted)}"
    work.record(Kind.RESULT, filed, note=note, counts=asdict(counts), data={"undo": possible, "what": what})
    log.info("%s", note)
    return wanted and possible


def _counts_of_failure(work: Work, record: Json) -> Counts:
    with work.desk() as desk:
        return join(work, record, desk).counts


def _what_failed(work: Work, record: Json) -> str:
    seen = work.standing.seen
    reasons = [str(part(member, "importInfo").get("message") or "").rstrip(".") for member in members(record)]
    told = "; ".join(dict.fromkeys(reason for reason in reasons if reason)) or "the vendor gives no reason"
    return f"The import ended '{seen.word if seen else ''}': {told}."


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


def sync_certification(work: Work) -> bool:
    """Say on the target, too, who certified the package and when, where the manifest asks for it; whether it does."""
    if not settings(work)["certify"]:
        return False
    work.must_hold()
    if is_one_library(work):
        return False
    run, made = Run(work.standing.ref), package(work)
    told = certification(work.call(lambda api: api.record(made), at=AT_SOURCE))
    said = {name: told[name] for name in ("status", "operator", "lastUpdatedDate") if told.get(name)}
    found = work.call(lambda api: api.certify(run, said))
    work.record(Kind.RESULT, ref=run.ref, word=str(found.get("status")), note="The certification stands on both sides.")
    return True


def clean_up(work: Work) -> bool:
    """Delete the migration on both sides, as the very last thing and only if asked for; its undo package goes with it."""
    if not settings(work)["clean_up"] or work.standing.verdict is not Verdict.BALANCED:
        return False
    work.must_hold()
    made, run, file = package(work), Run(work.standing.ref), Run(work.standing.ref_of("open_run", FILE))
    if made.ref:
        work.call(lambda api: api.delete(made), at=AT_SOURCE)
    if file.ref:
        work.call(lambda api: api.delete_file(file))
    work.call(lambda api: api.delete(run))
    work.record(Kind.RESULT, ref=run.ref, note="The migration was deleted on both sides, and its undo package with it.")
    return True
