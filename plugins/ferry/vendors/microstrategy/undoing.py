"""Taking an import back: as the way out of a failed one, or later, in a DAG and with a ledger attempt of its own."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context

from ferry.core.batch import MANIFEST, parse_manifest
from ferry.core.errors import BadInput, BatchRefused, VendorUnavailable
from ferry.core.model import Attempt, Counts, Run, RunState
from ferry.ledger.admission import Admission
from ferry.ledger.entries import AttemptStanding, Draft, Kind, Origin, Verdict
from ferry.steps import places
from ferry.steps.admitting import is_live
from ferry.steps.work import CONNECTION, connection_of, origin_of
from ferry.vendors.microstrategy.hook import MicroStrategyHook
from ferry.vendors.microstrategy.shapes import can_be_undone, import_word, members
from ferry.vendors.microstrategy.vocabulary import UNDOABLE

if TYPE_CHECKING:
    from ferry.steps.work import Work

log = logging.getLogger(__name__)
MARK = ".undo"
"""Ends the name under which the ledger keeps the undo of a batch."""
UNDOES = "undoes"
PROJECT, APPROVAL = "project", "approval"
"""Keys in the admission's data: the attempt that is taken back, and what its manifest and checks said."""


def admit_undo(batch_id: str, context: Context, *, force: bool) -> Admission:
    """Opens an attempt at undoing the batch's last import, or goes on with the open one. BadInput if there is nothing to undo."""
    undone, approval = _what_to_undo(batch_id)
    attempt, checked = undone.attempt, undone.results.get(("check_batch", ""))
    projects = checked.data.get("projects", []) if checked else []
    project = (projects[0].get("target") or {}) if len(projects) == 1 else {}
    data = {
        CONNECTION: connection_of(undone),
        "title": f"Undo of {attempt}",
        UNDOES: attempt.key,
        "ref": undone.ref,
        "sent": undone.counts.sent,
        PROJECT: project.get("id", ""),
        APPROVAL: approval,
    }
    return places.ledger().admit(
        attempt.vendor,
        attempt.environment,
        batch_id + MARK,
        hashlib.sha256(f"undo {attempt.key} {undone.ref}".encode()).hexdigest(),
        origin_of(context),
        is_live=is_live,
        force=force,
        data=data,
    )


def _what_to_undo(batch_id: str) -> tuple[AttemptStanding, str]:
    vendor, root = MicroStrategyHook.vendor, places.batches()
    if (root / vendor / (batch_id + MARK) / MANIFEST).is_file():
        raise BadInput(f"There is a batch {batch_id + MARK}, the name under which an undo is kept. Rename that batch's folder.")
    try:
        text = (root / vendor / batch_id / MANIFEST).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise BadInput(f"There is no batch {batch_id!r} for {vendor}. Nothing was undone.") from None
    manifest, section = parse_manifest(text, vendor, batch_id, MicroStrategyHook.section_class)
    environment = MicroStrategyHook(manifest.connection).settings.environment
    standing = places.ledger().standing(vendor, environment, batch_id)
    imported = [one for one in standing.attempts if one.started and one.start_known]
    last = imported[-1] if imported else None
    if last is None or not _may_be_undone(last):
        raise BadInput(_nothing(batch_id, environment, last))
    if last.is_open and is_live(last.holder):
        raise BadInput(f"{last.attempt} is still at work in {last.holder}. Let it end; nothing was undone.")
    return last, str(getattr(section, APPROVAL))


def _may_be_undone(standing: AttemptStanding) -> bool:
    return standing.run_state in {RunState.SUCCEEDED, RunState.PARTIALLY_SUCCEEDED, RunState.FAILED_DIRTY}


def _nothing(batch_id: str, environment: str, last: AttemptStanding | None) -> str:
    if last is None:
        return f"Ferry has imported nothing for batch {batch_id} at {environment}, so there is nothing to undo."
    state = f"stands at '{last.word}'" if last.word else "is not known to have ended"
    return f"The import of {last.attempt} {state}: there is nothing to undo, or nothing yet. Nothing was sent."


def find_run(work: Work) -> str:
    """The import that is to be taken back, as the target shows it now; BatchRefused if the vendor has no undo for it."""
    data = work.standing.entries[0].data
    run = Run(str(data["ref"]))
    record = work.call(lambda api: api.record(run))
    every = members(record)
    words = sorted({import_word(member) for member in every})
    if not any(can_be_undone(member) and import_word(member) in UNDOABLE for member in every):
        note = (
            f"The target shows run {run.ref} as {', '.join(words)} and without an undo package. A keep_both rule, keep_undo: "
            "false or an earlier undo leave none. Nothing was sent; what was imported has to be corrected by another migration."
        )
        work.record(Kind.RESULT, step="check_undo", note=note, data={"passed": False})
        raise BatchRefused(note)
    filed = work.evidence.file_json(work.attempt, work.step, "record.json", record)
    note = f"The import stands at {', '.join(words)} and can be taken back."
    work.record(Kind.ADOPTED, filed, ref=run.ref, word=", ".join(words), note=note)
    return run.ref


def undo_run(work: Work) -> str:
    """Request and approve the undo, once; one whose answer was lost is judged by the record and not sent again."""
    _must_be_approved(work)
    run, project_id = Run(work.standing.ref), _project_id(work)
    for _ in range(2):
        if work.may_send():
            work.call(lambda api: api.request_undo(run))
        entry = work.once(lambda api: api.undo(run, project_id), ref=run.ref)
        if entry is not None:
            return entry.ref
        if found := work.call(lambda api: api.undo_again(run)):
            return work.adopt(found, "The answer to the approval was lost; the record shows that it was approved.").ref
        work.forget("The answer to the approval was lost, and the record shows a minute later that it never arrived.")
    raise VendorUnavailable(
        f"MicroStrategy's answer to the undo of run {run.ref} was lost twice, and its record shows none. The step may be tried "
        "again."
    )


def _must_be_approved(work: Work) -> None:
    gate = "approve" if UNDOES in work.standing.entries[0].data else "approve_undo"
    said = work.standing.results.get((gate, ""))
    if said is None or said.state is not RunState.SUCCEEDED:
        raise BatchRefused(f"Nobody has approved the undo of {work.attempt}, so nothing is undone. Clear {gate} to ask again.")


def _project_id(work: Work) -> str:
    """The target project, whose header an undo needs [D]; none for the configuration and for groups."""
    told = work.standing.entries[0].data
    if PROJECT in told:
        return str(told[PROJECT])
    projects = work.standing.results[("check_batch", "")].data["projects"]
    return str(((projects[0]["target"] if len(projects) == 1 else None) or {}).get("id", ""))


def reconcile_undo(work: Work) -> dict[str, int]:
    """Counts of the undo, and a note of it in the attempt that was taken back, which holds nothing from then on."""
    data = work.standing.entries[0].data
    sent, run = int(data["sent"]), Run(work.standing.ref)
    record = work.call(lambda api: api.record(run))
    filed = work.evidence.file_json(work.attempt, work.step, "record.json", record)
    words = sorted({import_word(member) for member in members(record)})
    if work.standing.run_state is not RunState.CANCELLED:
        seen = work.standing.seen
        reason = (seen.note if seen else "") or "the vendor gives no reason"
        note = (
            f"The undo ended {', '.join(words)}: {reason}. What is on the target is unknown. Look at it there; triggering "
            "undo_microstrategy again asks for another undo."
        )
        work.judge(Verdict.REFUSED, asdict(Counts(sent, unprocessed=sent)), note)
        return asdict(Counts(sent, unprocessed=sent))
    undone = Attempt.parse(str(data[UNDOES]))
    _write_into(undone, work.origin, run.ref, words)
    counts = asdict(Counts(sent, accepted=sent))
    note = f"The import of {undone} was taken back: its {sent:,} objects are on the target as they were before."
    work.record(Kind.RESULT, filed, ref=run.ref, note=note, counts=counts, data={"balanced": True})
    log.info("%s", note)
    return counts


def _write_into(undone: Attempt, origin: Origin, ref: str, words: list[str]) -> None:
    """The attempt that was taken back is no longer balanced, and its own page says why; written once, whoever dies."""
    ledger = places.ledger()
    standing = ledger.attempt(undone)
    sent, who = standing.counts.sent, f"{origin.who} in {origin}" if origin.who else str(origin)
    if standing.run_state is not RunState.CANCELLED:
        facts: dict[str, Any] = {"ref": ref, "word": ", ".join(words), "state": RunState.CANCELLED}
        ledger.append(Draft(attempt=undone, step="undo_run", kind=Kind.RESULT, origin=origin, note=f"Undone by {who}.", **facts))
    if standing.verdict is not Verdict.ABANDONED:
        note = f"Its import was undone by {who}. The same input is sent again only with force_new_attempt."
        ledger.settle(undone, Verdict.ABANDONED, origin, counts=asdict(Counts(sent, unprocessed=sent)), note=note)


def undone_before(work: Work) -> Attempt | None:
    """The earlier attempt at this very input that arrived and was taken back, unless a person forces a new one."""
    standing = work.standing
    if any(entry.data.get("forced") for entry in standing.openings):
        return None
    batch = work.ledger.standing(work.attempt.vendor, work.attempt.environment, work.attempt.batch_id)
    earlier = [one for one in batch.attempts if one.attempt != work.attempt and one.input_hash == standing.input_hash]
    return next((one.attempt for one in reversed(earlier) if _arrived_and_undone(one)), None)


def _arrived_and_undone(standing: AttemptStanding) -> bool:
    arrived = any(entry.verdict is Verdict.BALANCED for entry in standing.entries)
    return arrived and standing.verdict is Verdict.ABANDONED and standing.latest("undo_run", Kind.RESULT) is not None
