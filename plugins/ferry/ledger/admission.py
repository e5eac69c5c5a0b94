"""Who may work on a batch now: decided from what the ledger holds and nothing else, so that it can be decided again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ferry.core.errors import LedgerConflict
from ferry.core.model import Attempt
from ferry.ledger.entries import ADMIT, SETTLE, AttemptStanding, Draft, InputChanged, Kind, Origin, Standing, Verdict

IsLive = Callable[[Origin], bool]
"""Whether the DAG run that wrote an entry still runs. Only Airflow knows."""

Outcome = Literal["opened", "resumed", "balanced", "held"]


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether the asking DAG run may work on the batch, and on which attempt.

    `opened` and `resumed`: go ahead. `balanced`: nothing is left to do. `held`: `holder` is at work, end without doing anything.
    """

    kind: Outcome
    attempt: Attempt
    holder: Origin
    reason: str

    @property
    def may_work(self) -> bool:
        """True if the attempt is the asker's."""
        return self.kind in {"opened", "resumed"}


@dataclass(frozen=True, slots=True)
class Decision:
    """An admission and the entries that make it true; they count only if nothing was appended meanwhile."""

    admission: Admission
    drafts: tuple[Draft, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """A DAG run asking to work on a batch as it lies there now."""

    input_hash: str
    origin: Origin
    force: bool = False
    data: dict[str, Any] = field(default_factory=dict)
    """Facts for the entry that opens or takes over an attempt."""


RESTING = (Verdict.BALANCED, Verdict.UNDONE)
"""Verdicts after which the same input is not sent again by itself."""

Rule = Callable[[Standing, Request, IsLive], Decision]
"""What a request gets, from how the batch stands; decided anew whenever another writer was first."""


def decide(standing: Standing, request: Request, is_live: IsLive) -> Decision:
    """What a request gets. Raises InputChanged where only a person can tell what to do."""
    last = standing.last
    if last is None:
        return _open(standing, request, "first attempt", forced=request.force)
    if last.is_open and not last.holder.same_run(request.origin) and is_live(last.holder):
        reason = f"{last.attempt} is held by {last.holder}, which still runs"
        return Decision(Admission("held", last.attempt, last.holder, reason))
    if request.force and not force_is_spent(standing, request.origin):
        return _forced(standing, last, request)
    if last.is_open:
        return _go_on(standing, last, request)
    if last.verdict is Verdict.BALANCED and last.input_hash == request.input_hash:
        return Decision(Admission("balanced", last.attempt, last.holder, f"{last.attempt} balances; nothing is left to do"))
    rests = any(one.input_hash == request.input_hash and one.verdict in RESTING for one in standing.attempts)
    if last.verdict is Verdict.UNDONE and rests:
        raise InputChanged(
            f"{last.attempt} was undone: {last.reason} Nothing was sent. Correct the batch, or send the same input again with "
            "force_new_attempt.",
            attempt=last.attempt.key,
        )
    changed = "" if last.input_hash == request.input_hash else ", and the input has changed since"
    return _open(standing, request, f"{last.attempt} was {last.verdict}{changed}")


def take_up(attempt: Attempt) -> Rule:
    """The rule by which an attempt that was started is taken up again, to undo what it did. It must be the newest of its kind."""

    def rule(standing: Standing, request: Request, is_live: IsLive) -> Decision:
        last = standing.last
        mine = next((one for one in standing.attempts if one.attempt == attempt), None)
        if last is None or mine is None or any(one.acted and one.attempt.number > attempt.number for one in standing.attempts):
            raise LedgerConflict(
                f"{attempt} is no longer the newest that was started. Nothing was sent; look at the batch again."
            )
        if last.is_open and not last.holder.same_run(request.origin) and is_live(last.holder):
            reason = f"{last.attempt} is held by {last.holder}, which still runs"
            return Decision(Admission("held", last.attempt, last.holder, reason))
        if mine is last and mine.is_open and mine.holder.same_run(request.origin):
            return Decision(Admission("resumed", attempt, request.origin, f"{attempt} is this DAG run's already"))
        who = request.origin.who or str(request.origin)
        return _taken_up(mine, last, request, f"{attempt} is taken up by {who} to be undone")

    return rule


def _taken_up(mine: AttemptStanding, last: AttemptStanding, request: Request, reason: str) -> Decision:
    drafts: list[Draft] = []
    if last is not mine and last.is_open:
        drafts.append(
            replace(_draft(last.attempt, request, Kind.VERDICT, reason, verdict=Verdict.SUPERSEDED), input_hash=last.input_hash)
        )
    adopted = replace(_draft(mine.attempt, request, Kind.ADOPTED, reason, data=request.data), input_hash=mine.input_hash)
    drafts.append(adopted)
    if not mine.is_open:
        drafts.append(replace(adopted, step=SETTLE, kind=Kind.VERDICT, verdict=Verdict.UNKNOWN, data={}))
    return Decision(Admission("resumed", mine.attempt, request.origin, reason), tuple(drafts))


def _go_on(standing: Standing, last: AttemptStanding, request: Request) -> Decision:
    if last.input_hash != request.input_hash:
        return _with_new_input(standing, last, request)
    if last.holder.same_run(request.origin):
        return Decision(Admission("resumed", last.attempt, request.origin, f"{last.attempt} is this DAG run's already"))
    reason = f"{last.attempt} taken over from {last.holder}, which no longer runs"
    takeover = _draft(last.attempt, request, Kind.ADOPTED, reason, data=request.data)
    return Decision(Admission("resumed", last.attempt, request.origin, reason), (takeover,))


def _with_new_input(standing: Standing, last: AttemptStanding, request: Request) -> Decision:
    if last.started and not last.run_is_over:
        raise InputChanged(
            f"{last.attempt} was started with other files than the batch has now, and its run "
            f"({last.ref or 'ref not known'}) is not known to be over at {last.attempt.environment}. Nothing was sent. "
            "Let that run end and be settled with the files it was started with, or cancel it at the vendor and settle the "
            "attempt; then trigger again. Only force_new_attempt starts a second run beside it.",
            attempt=last.attempt.key,
            ref=last.ref,
        )
    return _open(standing, request, f"the input has changed since {last.attempt} was opened", closing=last)


def _forced(standing: Standing, last: AttemptStanding, request: Request) -> Decision:
    who = request.origin.who or str(request.origin)
    reason = f"new attempt forced by {who}; {last.attempt} was {last.verdict or 'open'}"
    if last.holds_place:
        reason += f" and its run ({last.ref or 'ref not known'}) not known to be over"
    return _open(standing, request, reason, closing=last if last.is_open else None, forced=True)


def force_is_spent(standing: Standing, origin: Origin) -> bool:
    """One DAG run can force one attempt: its retries and clears go on with that one instead of opening more."""
    openings = (entry for attempt in standing.attempts for entry in attempt.openings)
    return any(entry.data.get("forced") and entry.origin.same_run(origin) for entry in openings)


def _open(
    standing: Standing, request: Request, reason: str, *, closing: AttemptStanding | None = None, forced: bool = False
) -> Decision:
    drafts: list[Draft] = []
    if closing is not None:
        verdict = _draft(closing.attempt, request, Kind.VERDICT, reason, verdict=Verdict.SUPERSEDED)
        drafts.append(replace(verdict, input_hash=closing.input_hash))
    attempt = Attempt(standing.vendor, standing.environment, standing.batch_id, standing.next_number)
    drafts.append(_draft(attempt, request, Kind.INTENT, reason, data=request.data | ({"forced": True} if forced else {})))
    return Decision(Admission("opened", attempt, request.origin, reason), tuple(drafts))


def _draft(attempt: Attempt, request: Request, kind: Kind, note: str, **more: Any) -> Draft:
    facts: dict[str, Any] = {
        "attempt": attempt,
        "step": ADMIT,
        "kind": kind,
        "origin": request.origin,
        "input_hash": request.input_hash,
    }
    return Draft(**(facts | {"note": note} | more))
