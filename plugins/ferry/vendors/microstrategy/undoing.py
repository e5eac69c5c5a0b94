"""Taking an import back: as the way out of a failed one, or later, in a DAG of its own. The attempt in the ledger is the same."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING

from ferry.core.errors import BatchRefused, FerryError, NotFound, VendorUnavailable
from ferry.core.model import Counts, Run, RunState
from ferry.ledger.entries import UNDO, Kind
from ferry.steps.undoing import undo_key, undo_part
from ferry.vendors.microstrategy.planning import header
from ferry.vendors.microstrategy.sent import kept
from ferry.vendors.microstrategy.shapes import Json, can_be_undone, import_word, members, project_of
from ferry.vendors.microstrategy.vocabulary import UNDOABLE

if TYPE_CHECKING:
    from ferry.steps.work import Work

log = logging.getLogger(__name__)
RECORD = "record.json"


def check_undo(work: Work) -> str:
    """How the import stands on the target; BatchRefused if the vendor has no undo for it. What was sent is not judged anew."""
    run, standing = Run(work.standing.ref), work.standing
    if standing.undoing and not (standing.undo_known and standing.run_state is RunState.FAILED_DIRTY):
        return run.ref
    try:
        record = work.call(lambda api: api.record(run))
    except NotFound:
        return _cannot(work, f"The target keeps no record of run {run.ref} any more, and with it went its undo package.")
    words = sorted({import_word(member) for member in members(record)})
    if words == ["undo_success"]:
        note = "The import was undone already, by somebody in Workstation."
        work.record(Kind.ADOPTED, step=UNDO, key=undo_part(work), ref=run.ref, word=words[0], state=RunState.RUNNING, note=note)
        return run.ref
    if lacking := _cannot_be_undone(record):
        return _cannot(
            work,
            f"The target shows run {run.ref} as {', '.join(words)}, without an undo package for {', '.join(lacking)}. A "
            "keep_both rule, keep_undo: false or an earlier undo leave none. Correct what was imported by another migration.",
        )
    filed = work.evidence.file_json(work.attempt, work.step, RECORD, record)
    work.record(Kind.RESULT, filed, ref=run.ref, note=f"The import stands at {', '.join(words)} and can be taken back.")
    return run.ref


def _cannot_be_undone(record: Json) -> list[str]:
    """The packages that were touched and have no undo; a group is taken back as a whole or not at all [A]."""
    touched = [member for member in members(record) if import_word(member) != "pending"]
    return sorted({project_of(m) for m in touched if not (import_word(m) in UNDOABLE and can_be_undone(m))}) or (
        [] if touched else ["anything"]
    )


def _cannot(work: Work, note: str) -> str:
    work.record(Kind.RESULT, note=note)
    raise BatchRefused(f"{note} Nothing was sent.")


def undo_run(work: Work) -> bool:
    """Request and approve the undo, once; one whose answer was lost is judged by the record. True once it is known."""
    work.must_hold()
    run, project_id, part = Run(work.standing.ref), header(work), undo_key(work)
    if work.result(part):
        return True
    _must_be_approved(work)
    limit = work.hook.settings.max_live_runs
    for _ in range(2):
        if work.may_send(part):
            work.call(lambda api: api.request_undo(run))
        entry = work.once(lambda api: api.undo(run, project_id), part=part, ref=run.ref, max_live=limit)
        if entry is not None:
            return True
        if found := work.call(lambda api: api.look_for_undo(run)):
            work.adopt(found, "The answer to the approval was lost; the record shows that it was approved.", part)
            return True
        work.forget("The answer to the approval was lost, and the record shows a minute later that it never arrived.", part)
    raise VendorUnavailable(
        f"MicroStrategy's answer to the undo of run {run.ref} was lost twice, and its record shows none. The step may be tried "
        "again."
    )


def _must_be_approved(work: Work) -> None:
    said = work.standing.results.get(("approve_undo", undo_part(work)))
    if said is None or said.state is not RunState.SUCCEEDED:
        raise BatchRefused(
            f"Nobody has approved the undo of {work.attempt}, so nothing is undone. Clear approve_undo to ask again."
        )


def confirm_undo(work: Work) -> dict[str, int]:
    """What is on the target after the undo: nothing of this batch, or nobody can say, which is red."""
    record = work.call(lambda api: api.record(Run(work.standing.ref)))
    filed = work.evidence.file_json(work.attempt, work.step, RECORD, record)
    words = ", ".join(sorted({import_word(member) for member in members(record)}))
    with work.desk() as desk:
        sent = sum(one.records for one in kept(work, desk))
    counts = asdict(Counts(sent, unprocessed=sent))
    if work.standing.run_state is not RunState.CANCELLED:
        seen = work.standing.seen
        note = (
            f"The import could not be taken back ({words}): {_sentence(seen.note if seen else '')} What is on the target is "
            "unknown: look at it with the vendor's people. Triggering undo_microstrategy again asks for another undo."
        )
        work.record(Kind.RESULT, filed, note=note, counts=counts)
        raise FerryError(note)
    failed = work.standing.results.get(("fetch_errors", ""))
    what = f"{failed.data.get('what', failed.note)} It" if failed else "The import"
    after = (
        "Correct the cause and trigger the batch again." if failed else "Nothing of it is sent again unless somebody forces it."
    )
    note = f"{what} was taken back: its {sent:,} objects are on the target as they were before. {after}"
    work.record(Kind.RESULT, filed, note=note, counts=counts)
    log.info("%s", note)
    return counts


def _sentence(said: str) -> str:
    return f"{said.rstrip('.')}." if said else "the vendor gives no reason."
