"""The stop: no further chunk is imported, and what is in stays in. Whoever asks for it, the ledger says so first."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ferry.core.errors import BadCredentials, BadInput, NotBalanced, VendorError, VendorRefused, VendorUnavailable
from ferry.core.model import Run, RunState
from ferry.ledger.entries import AttemptStanding, Draft, Entry, Kind, Origin
from ferry.steps.admitting import is_live
from ferry.steps.undoing import newest_that_acted, standing_of

if TYPE_CHECKING:
    from ferry.ledger.store import LedgerStore
    from ferry.steps.hook import VendorHook
    from ferry.steps.work import Work

log = logging.getLogger(__name__)
STOP = "stop_run"
ASKED = "stopping"
"""Key in the data of the entry that says a stop is about to be asked for."""
HEARD = 30.0
"""Seconds after which the triggerer has, as a rule, noticed that a person ended the wait and asked for the stop."""
REFUSED = "stop_refused"
"""Key in the data of the entry that says that DMM said no: it had ended, perhaps."""


def is_stopped(standing: AttemptStanding) -> bool:
    """Whether we asked for the newest run to be stopped and DMM heard, or may have: a no is an answer to one call only."""
    stops = _stops(standing)
    unanswered = [one for one, after in zip(stops, [*stops[1:], None], strict=False) if one.data.get(ASKED) and not _is_no(after)]
    return is_told(standing) or bool(unanswered)


def _is_no(entry: Entry | None) -> bool:
    return entry is not None and bool(entry.data.get(REFUSED))


def is_told(standing: AttemptStanding) -> bool:
    """Whether DMM is known to have heard that the newest run is to be stopped."""
    return any(entry.kind is Kind.RESULT and not entry.data.get(REFUSED) for entry in _stops(standing))


def _stops(standing: AttemptStanding) -> list[Entry]:
    """What was written about stops since the newest run was started."""
    begun = standing.starts[-1].seq if standing.starts else 0
    return [entry for entry in standing.entries if entry.step == STOP and entry.seq > begun]


def as_stopped(seen: Run) -> Run:
    """A run that ended after we stopped it: cancelled, whatever DMM's word for it, which is not documented."""
    done, total = seen.counters.get("completed"), seen.counters.get("total")
    known = f"{done:,} of {total:,} records" if done is not None and total is not None else "nobody knows how many records"
    detail = f"Stopped: {known} had been imported and stay there; a stop reverts nothing."
    return replace(seen, state=RunState.CANCELLED, detail=f"{detail} {seen.detail}".strip())


def _intention(standing: AttemptStanding, origin: Origin, why: str) -> Draft:
    """The entry to write before a stop is asked for: if nobody comes back from it, it counts as asked for."""
    return _draft(standing, origin, Kind.LOOK, why, {ASKED: True})


def _outcome(standing: AttemptStanding, origin: Origin, said: str, *, refused: bool) -> Draft:
    """The entry to write once DMM has answered."""
    note = f"DMM did not stop it: {said}" if refused else f"DMM was told to stop. {said}".strip()
    return _draft(standing, origin, Kind.RESULT, note, {REFUSED: True} if refused else {})


def _draft(standing: AttemptStanding, origin: Origin, kind: Kind, note: str, data: dict[str, Any]) -> Draft:
    return Draft(attempt=standing.attempt, step=STOP, kind=kind, origin=origin, ref=standing.ref, note=note, data=data)


def to_stop(hook_class: type[VendorHook[Any]], batch_id: str) -> AttemptStanding:
    """The batch's attempt whose execution is under way, or was stopped already; BadInput if there is none."""
    found = newest_that_acted(standing_of(hook_class, batch_id))
    if found is None:
        raise BadInput(f"Ferry has started nothing for batch {batch_id}, so there is nothing to stop. Nothing was sent.")
    if not found.ref:
        raise BadInput(
            f"Whether the execution of {found.attempt} was started is not known, nor its id, and DMM stops nothing without one. "
            "Answer the question of confirm_start first, or stop it in DMM's own pages. Nothing was sent."
        )
    if found.run_is_over and not is_stopped(found):
        raise BadInput(f"Execution {found.ref} of {found.attempt} ended '{found.word}' already. Nothing was sent.")
    return found


def stop_run(work: Work, reason: str) -> bool:
    """Ask DMM to stop the execution; whether it was told. It finishes the chunk it is at, and its end is waited for.

    False where it has ended, as DMM says itself; whoever is not let in has stopped nothing.
    """
    standing = work.standing
    if standing.run_is_over:
        log.info("Execution %s has ended '%s' already", standing.ref, standing.word)
        return False
    why = f"{work.origin.who or work.origin} has it stopped: {reason}"
    work.ledger.append(_intention(standing, work.origin, why))
    try:
        said = work.call(lambda api: api.stop(standing.ref))
    except VendorError as no:
        if entry := _refusal(standing, work.origin, no):
            work.ledger.append(entry)
        if not _is_dmms_own(no):
            raise
        log.warning("%s", no.message)
        return False
    work.ledger.append(_outcome(standing, work.origin, said, refused=False))
    return True


def _refusal(standing: AttemptStanding, origin: Origin, trouble: VendorError) -> Draft | None:
    """The entry about a stop that certainly came to nothing: DMM said no, or was never reached."""
    certain = isinstance(trouble, VendorRefused) or trouble.facts.get("never_sent")
    return _outcome(standing, origin, trouble.message, refused=True) if certain else None


def _is_dmms_own(no: VendorError) -> bool:
    """Whether DMM itself said no, which it does where the execution has ended; and nobody on the way to it."""
    return isinstance(no, VendorRefused) and not isinstance(no, BadCredentials) and "status" not in no.facts


async def astop(hook: VendorHook[Any], ledger: LedgerStore, standing: AttemptStanding, origin: Origin, why: str) -> bool:
    """The same from the triggerer."""
    await asyncio.to_thread(ledger.append, _intention(standing, origin, why))
    try:
        said = await hook.acall(lambda api: api.stop(standing.ref))
    except VendorError as no:
        if entry := _refusal(standing, origin, no):
            await asyncio.to_thread(ledger.append, entry)
        if not _is_dmms_own(no):
            raise
        return False
    await asyncio.to_thread(ledger.append, _outcome(standing, origin, said, refused=False))
    return True


def settle_stop(work: Work) -> dict[str, Any]:
    """How the execution ended. Where the batch's own DAG run is no longer there to settle it, that is done here."""
    standing = work.standing
    if not standing.run_is_over:
        raise NotBalanced(f"Execution {standing.ref} is not known to have ended. Look at the first red task and clear it.")
    told = {"attempt": standing.attempt.key, "word": standing.word, **standing.counters}
    if is_live(standing.holder):
        log.info("%s goes on by itself and settles the batch.", standing.holder)
        return told
    with contextlib.suppress(NotBalanced):  # a batch that was stopped does not balance, which is no failure of the stop
        settle_batch(work)
    log.info("%s: %s", standing.attempt, work.standing.reason)
    return told


def settle_batch(work: Work) -> dict[str, Any]:
    """The verdict. Of an execution that was stopped under its task's hands, the end is written down first."""
    from ferry.steps.settling import settle
    from ferry.vendors.dmm.ending import fetch_errors, fetch_outputs, may_reconcile, reconcile

    standing = work.standing
    cut_short = standing.run_state is RunState.CANCELLED if standing.ref else standing.run_state is RunState.FAILED_DIRTY
    if cut_short and ("reconcile", "") not in standing.results:
        for step, do in {"fetch_outputs": fetch_outputs, "fetch_errors": fetch_errors}.items() if standing.ref else ():
            with at_step(work, step) as mine:
                do(mine)
        if may_reconcile(work.standing):
            reconcile(at_step(work, "reconcile"))
    try:
        return settle(work)
    except NotBalanced as not_yet:
        if not _may_be_ending(standing):
            raise
        said = f"{not_yet.message} It may be stopping just now, so this is tried again by itself."
        raise VendorUnavailable(said, retry_after=HEARD) from not_yet


def _may_be_ending(standing: AttemptStanding) -> bool:
    """Whether the end of an execution may come to be known in the next minutes, though its task does not wait any more.

    When a person ends that task, Airflow plays on at once, while DMM is still being told to stop and at its last chunk. So the
    first look counts as too early; a later one only where there was a stop.
    """
    if not standing.ref or standing.run_is_over or not standing.is_open:
        return False
    return standing.verdict is None or is_stopped(standing)


def at_step(work: Work, step: str) -> Work:
    """The same attempt, seen from another of its steps."""
    return type(work)(work.attempt, step, work.origin, work.hook_class)
