"""Undo: an attempt that was started is taken up again, and what it did is taken back. The same for every vendor that can."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Context

from ferry.core.batch import MANIFEST, parse_manifest
from ferry.core.errors import BadInput
from ferry.core.model import RunState
from ferry.ledger.admission import Admission
from ferry.ledger.entries import AttemptStanding, Standing, Verdict, part_of
from ferry.steps import places
from ferry.steps.admitting import is_live
from ferry.steps.hook import VendorHook
from ferry.steps.work import CONNECTION, Work, connection_of, origin_of

TAKEN_UP = "taken_up_to_undo"
"""Key in the data of the entry by which an undo DAG run takes an attempt up."""
LEFT = "left"
"""Key in the data of `confirm_undo`'s result: how many parts were to be taken back and were not, where a run has parts."""


def admit_undo(hook_class: type[VendorHook[Any]], batch_id: str, context: Context) -> Admission:
    """The batch's newest attempt that did something, for this DAG run to undo; BadInput if there is nothing to undo."""
    ledger, standing = places.ledger(), standing_of(hook_class, batch_id)
    last = newest_that_acted(standing)
    if last is None:
        raise BadInput(f"Ferry has started nothing for batch {batch_id}, so there is nothing to undo. Nothing was sent.")
    taken_back = last.verdict is Verdict.UNDONE or (last.run_state is RunState.CANCELLED and not last.is_open)
    if taken_back and not (last.counts.accepted or last.counts.rejected):  # else it was taken back in part, and more may be
        note = f"{last.attempt} is undone already; nothing is left to do"
        return Admission("balanced", last.attempt, last.holder, note)
    if not last.start_known:
        next_thing = (
            "Let its own DAG run find out first."
            if last.is_open
            else f"{last.reason} Look at it in the vendor's own pages first."
        )
        raise BadInput(
            f"Whether the run of {last.attempt} was started is not known, so nobody can say what an undo would do. {next_thing} "
            "Nothing was sent."
        )
    data = {CONNECTION: connection_of(last), TAKEN_UP: True}
    return ledger.take_up(last.attempt, origin_of(context), is_live=is_live, data=data)


def standing_of(hook_class: type[VendorHook[Any]], batch_id: str) -> Standing:
    """How the batch stands, also where its folder is gone; the manifest is asked only which of several environments is meant."""
    vendor, ledger = hook_class.vendor, places.ledger()
    rows = ledger.batches(vendor, batch_id=batch_id)
    if len(rows) > 1:
        meant = _environment(hook_class, batch_id)
        rows = [row for row in rows if row.environment == meant]
    if not rows:
        raise BadInput(f"The ledger knows no batch {batch_id!r} of {vendor}, so there is nothing to undo. Nothing was sent.")
    return ledger.standing(vendor, rows[0].environment, batch_id)


def _environment(hook_class: type[VendorHook[Any]], batch_id: str) -> str:
    try:
        text = (places.batches() / hook_class.vendor / batch_id / MANIFEST).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise BadInput(
            f"Batch {batch_id} was sent to several environments, and without its manifest nobody can say which is meant. Put the "
            "batch's folder back. Nothing was sent."
        ) from None
    manifest, _ = parse_manifest(text, hook_class.vendor, batch_id, None)
    return hook_class(manifest.connection).settings.environment


def newest_that_acted(standing: Standing) -> AttemptStanding | None:
    """An attempt whose start came to a certain no did nothing."""
    acted = [one for one in standing.attempts if one.acted]
    return acted[-1] if acted else None


def undo_part(work: Work) -> str:
    """Which undo is meant: one that failed may be tried again by whoever takes the attempt up anew, and is asked about anew."""
    openings = work.standing.openings
    mine = [one for one in openings if one.data.get(TAKEN_UP) and one.origin.same_run(openings[-1].origin)]
    return str(mine[0].seq) if mine else ""


def reopen(work: Work) -> None:
    """Go on with an attempt that this DAG run has taken up and settled since: somebody cleared a red task of it."""
    standing = work.standing
    if standing.is_open or not standing.holder.same_run(work.origin):
        return
    data = {CONNECTION: connection_of(standing), TAKEN_UP: True}
    work.ledger.take_up(work.attempt, work.origin, is_live=is_live, data=data)


def undo_key(work: Work) -> str:
    """The part under which the undo is sent: a new one only where the last is known to have failed."""
    standing = work.standing
    sent, seen = [key for step, key in standing.intents if step == work.step], standing.seen
    failed = standing.undo_known and seen and (seen.step, seen.state) == ("await_undo", RunState.FAILED_DIRTY)
    return part_of(sent[-1]) if sent and not failed else undo_part(work)
