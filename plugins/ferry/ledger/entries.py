"""One fact per entry, appended and never changed; `fold` says how a batch stands after all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from ferry.core.model import Attempt, Counts, RunState
from ferry.ledger.chain import (
    ADMIT,
    AGAIN,
    ANSWERS,
    GENESIS,
    SEEN,
    SETTLE,
    START,
    UNDO,
    Draft,
    Entry,
    InputChanged,
    Kind,
    LedgerFull,
    NotHolder,
    Origin,
    Verdict,
    part_of,
)

__all__ = [
    "ADMIT",
    "AGAIN",
    "ANSWERS",
    "GENESIS",
    "SEEN",
    "SETTLE",
    "START",
    "UNDO",
    "WATCHED",
    "AttemptStanding",
    "Draft",
    "Entry",
    "InputChanged",
    "Intent",
    "Kind",
    "LedgerFull",
    "NotHolder",
    "Origin",
    "Standing",
    "Verdict",
    "fold",
    "part_of",
]

FIND = "find_run"
"""The step that adopts a run which a person has begun."""
AWAIT = "await_run"
"""The step that waits for a run's end."""
RUN_STEPS = (FIND, "open_run", START)
"""The steps whose results name the vendor's run."""
WATCHED = frozenset({*RUN_STEPS, AWAIT, "fetch_outputs", UNDO, "await_undo", "stop_run"})
"""The steps whose entries say how the vendor's run stands; other steps look at other things."""


def _is_seen(entry: Entry) -> bool:
    """Whether an entry says how the vendor's run was seen; an undo that came to nothing says nothing of it."""
    refused = entry.step == UNDO and entry.state is RunState.FAILED_CLEAN
    return entry.state is not None and entry.kind in SEEN and entry.step in WATCHED and not refused


def _is_whole(entry: Entry) -> bool:
    """Whether an entry is about the run as a whole; the key of an undo may be a number, which says which time it was tried."""
    part = part_of(entry.key)
    return not part or (entry.step == UNDO and part.isdecimal())


@dataclass(frozen=True, slots=True)
class AttemptStanding:
    """How one attempt stands, read from its entries."""

    entries: tuple[Entry, ...]

    @property
    def attempt(self) -> Attempt:
        """Which attempt this is."""
        return self.entries[0].attempt

    @property
    def input_hash(self) -> str:
        """The hash of the manifest and files it was opened for."""
        return self.entries[0].input_hash

    @property
    def opened_at(self) -> datetime:
        """When it was opened, UTC."""
        return self.entries[0].at

    @property
    def openings(self) -> tuple[Entry, ...]:
        """The entry that opened it, then one for each DAG run that took it over."""
        return tuple(e for e in self.entries if e.step == ADMIT and e.kind in {Kind.INTENT, Kind.ADOPTED})

    @property
    def holder(self) -> Origin:
        """The DAG run it belongs to now: the one that opened it or last took it over."""
        return (self.openings or self.entries)[-1].origin

    @property
    def intents(self) -> dict[tuple[str, str], Entry]:
        """What was about to be sent, by step and key."""
        return {(e.step, e.key): e for e in self.entries if e.kind is Kind.INTENT}

    @property
    def answers(self) -> dict[tuple[str, str], Entry]:
        """What each intent came to, by step and the intent's own key."""
        return {(e.step, e.key): e for e in self.entries if e.kind in ANSWERS}

    @property
    def results(self) -> dict[tuple[str, str], Entry]:
        """The latest result (or adoption) of each step and part, however often it was intended."""
        return {(e.step, part_of(e.key)): e for e in self.entries if e.kind in ANSWERS}

    def latest(self, step: str, *kinds: Kind, key: str | None = None) -> Entry | None:
        """The newest entry of a step, of the given kinds (any if none are given) and key (any if None)."""
        wanted = (e for e in reversed(self.entries) if e.step == step and key in {None, e.key} and (not kinds or e.kind in kinds))
        return next(wanted, None)

    @property
    def ref(self) -> str:
        """The vendor's ref of the run: the newest that a step which opens, finds or starts one came back with."""
        return next((e.ref for e in reversed(self.entries) if e.step in RUN_STEPS and e.kind in ANSWERS and e.ref), "")

    def ref_of(self, step: str, key: str = "") -> str:
        """The newest ref that one step came back with; empty if none."""
        found = (e.ref for e in reversed(self.entries) if (e.step, part_of(e.key)) == (step, key) and e.kind in ANSWERS and e.ref)
        return next(found, "")

    @property
    def seen(self) -> Entry | None:
        """The newest observation of the run as a whole; of a part of it if nobody saw the whole."""
        seen = [e for e in self.entries if _is_seen(e)]
        whole = [e for e in seen if _is_whole(e)] or seen
        return whole[-1] if whole else None

    @property
    def run_state(self) -> RunState | None:
        """The run's state as last seen; None if nobody has seen it."""
        return self.seen.state if self.seen else None

    @property
    def word(self) -> str:
        """The vendor's word for that state."""
        return self.seen.word if self.seen else ""

    @property
    def word_before_start(self) -> str:
        """The vendor's last word before anyone meant to start: what a proof of the start is measured against."""
        begun = self.starts[0].seq if self.starts else 0
        return next((e.word for e in reversed(self.entries) if e.word and e.seq < begun), "")

    @property
    def counters(self) -> dict[str, int]:
        """The vendor's counters as last seen."""
        return dict(self.seen.counts) if self.seen else {}

    @property
    def parts_told(self) -> dict[str, int]:
        """How many parts of a run are how far, by the vendor's word for each; empty for a run that is seen as a whole."""
        if self.seen is None or _is_whole(self.seen):
            return {}
        newest = {part_of(e.key): e for e in self.entries if _is_seen(e) or (e.step == START and e.kind is Kind.INTENT)}
        words = Counter("under way" if e.kind is Kind.INTENT else e.word or str(e.state) for e in newest.values())
        return dict(sorted(words.items()))

    @property
    def verdict(self) -> Verdict | None:
        """The last verdict; None while nobody has judged."""
        return next((e.verdict for e in reversed(self.entries) if e.verdict), None)

    @property
    def reason(self) -> str:
        """The sentence that came with the last verdict."""
        return next((e.note for e in reversed(self.entries) if e.verdict), "")

    @property
    def counts(self) -> Counts:
        """What became of the records: as judged, else as last reconciled, else all zero."""
        judged = [e for e in self.entries if e.kind is Kind.VERDICT and e.counts]
        reconciled = [e for e in self.entries if e.step == "reconcile" and e.kind is Kind.RESULT and not e.key and e.counts]
        return Counts.from_json((judged or reconciled)[-1].counts) if judged or reconciled else Counts()

    @property
    def is_open(self) -> bool:
        """True until a verdict closes it."""
        return self.verdict is None or not self.verdict.closes

    @property
    def starts(self) -> tuple[Entry, ...]:
        """The intents to start: one for most vendors, one per part where the vendor runs parts."""
        return tuple(e for e in self.entries if e.step == START and e.kind is Kind.INTENT)

    @property
    def started(self) -> bool:
        """True once someone meant to start it, whether or not the vendor is known to have heard."""
        return bool(self.starts)

    @property
    def watched(self) -> bool:
        """True once a run that a person began was adopted and its end is waited for: there is nothing to start."""
        adopted = any(e.step == FIND and e.kind is Kind.ADOPTED for e in self.entries)
        return adopted and any(e.step == AWAIT and e.kind in SEEN for e in self.entries)

    @property
    def acted(self) -> bool:
        """True once it was started and not every start is known to have come to nothing."""
        return not all(self._came_to_nothing(e) for e in self.starts)

    @property
    def undos(self) -> tuple[Entry, ...]:
        """The intents to take the run back: one for each time it was tried."""
        return tuple(e for e in self.entries if e.step == UNDO and e.kind is Kind.INTENT)

    @property
    def undoing(self) -> bool:
        """True once someone meant to take the run back, or found it taken back; not where that came to a certain no."""
        found = any(e.step == UNDO and e.kind is Kind.ADOPTED for e in self.entries)
        return found or not all(self._came_to_nothing(e) for e in self.undos)

    @property
    def undo_known(self) -> bool:
        """True if something is known of every undo that was intended."""
        return all((UNDO, e.key) in self.answers for e in self.undos)

    def _came_to_nothing(self, intent: Entry) -> bool:
        answer = self.answers.get((intent.step, intent.key))
        return answer is not None and answer.state is RunState.FAILED_CLEAN

    @property
    def start_known(self) -> bool:
        """True if something is known of every start that was intended."""
        return self.started and all((START, e.key) in self.answers for e in self.starts)

    @property
    def run_is_over(self) -> bool:
        """True if the vendor is known to be done with all that was started or undone; never guessed from silence."""
        if not (self.started and self.undo_known) or self._has_unanswered_parts:
            return False
        after = [e for e in self.entries if _is_seen(e) and e.seq > self.starts[0].seq]
        whole = [e for e in after if _is_whole(e) and e.seq > self.starts[-1].seq]
        if whole:
            return bool(whole[-1].state and whole[-1].state.is_final)
        parts = {part_of(e.key): e.state for e in after if e.state}
        # Parts that are over say nothing of parts still to be started, so a run of parts is over when someone has judged it.
        return self.verdict is not None and all(part_of(e.key) in parts and parts[part_of(e.key)].is_final for e in self.starts)

    @property
    def _has_unanswered_parts(self) -> bool:
        """True while any part was sent, in whichever step, of which nobody knows what came of it."""
        return any(part_of(key) and step != ADMIT and (step, key) not in self.answers for step, key in self.intents)

    @property
    def holds_place(self) -> bool:
        """True while its run must be counted as live at the vendor."""
        return self.started and self.is_open and not self.run_is_over


@dataclass(frozen=True, slots=True)
class Standing:
    """How one batch stands in one environment: its attempts, oldest first, and every entry."""

    vendor: str
    environment: str
    batch_id: str
    attempts: tuple[AttemptStanding, ...] = ()
    entries: tuple[Entry, ...] = ()

    @property
    def last(self) -> AttemptStanding | None:
        """The attempt that was opened or taken up last; None if there was none."""
        return max(self.attempts, key=lambda attempt: attempt.openings[-1].seq if attempt.openings else 0, default=None)

    @property
    def next_number(self) -> int:
        """The number of an attempt that would be opened now."""
        return self.attempts[-1].attempt.number + 1 if self.attempts else 1

    @property
    def balanced(self) -> bool:
        """True if the newest attempt, and so the newest input that was tried, balances."""
        return self.last is not None and self.last.verdict is Verdict.BALANCED

    @property
    def rests(self) -> bool:
        """True if nothing is sent unless somebody asks for it by name: it balances, or was taken back."""
        return self.balanced or (self.last is not None and self.last.verdict is Verdict.UNDONE)

    @property
    def seq(self) -> int:
        """The number of the newest entry; 0 before the first."""
        return self.entries[-1].seq if self.entries else 0

    @property
    def head(self) -> str:
        """The newest entry's hash: who keeps it elsewhere can show later that nothing before it was changed."""
        return self.entries[-1].entry_hash if self.entries else GENESIS


@dataclass(frozen=True, slots=True)
class Intent:
    """What became of the wish to send. Only a fresh one may be sent."""

    entry: Entry
    fresh: bool
    """True: this very call wrote the intent, so nobody else may have sent."""
    result: Entry | None = None
    """What is known of an intent that is not fresh."""

    @property
    def is_ambiguous(self) -> bool:
        """True if someone meant to send and nobody knows what came of it: look or ask a person, never send."""
        return not self.fresh and self.result is None


def fold(entries: Iterable[Entry]) -> Standing:
    """How a batch stands after its entries, given in order; all of one batch and at least one."""
    chain = tuple(entries)
    if not chain:
        raise ValueError("there is nothing to fold: a batch without entries has no name here")
    by_attempt: dict[int, list[Entry]] = {}
    for entry in chain:
        by_attempt.setdefault(entry.attempt.number, []).append(entry)
    first = chain[0].attempt
    attempts = tuple(AttemptStanding(tuple(by_attempt[number])) for number in sorted(by_attempt))
    return Standing(first.vendor, first.environment, first.batch_id, attempts, chain)
