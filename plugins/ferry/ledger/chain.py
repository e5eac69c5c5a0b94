"""What an entry is: a fact, cleaned, numbered, timed, and chained by hash to the one before it in the same batch.

The words of other modules come through `ferry.ledger.entries`; this half knows nothing of how a batch stands.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self

from ferry.core.errors import LedgerError
from ferry.core.model import Attempt, RunState
from ferry.core.redact import redact, redact_json

ADMIT = "admit_batch"
"""The step that opens an attempt, or goes on with one."""
START = "start_run"
"""The step that no vendor run may go through twice in one attempt."""
UNDO = "undo_run"
"""The step that takes back what a run did, for vendors that can."""
SETTLE = "settle_batch"
GENESIS = "0" * 64
"""What stands in the place of the previous hash in a batch's first entry."""


def part_of(key: str) -> str:
    """The part of a step that a key is about, however often it was intended; empty for the step as a whole."""
    return key.partition(AGAIN)[0]


class Kind(StrEnum):
    """What sort of fact an entry states."""

    INTENT = "intent"
    """About to send something that must not be sent twice; written before it is sent."""
    RESULT = "result"
    """What came of a step."""
    LOOK = "look"
    """The vendor's run as somebody saw it."""
    ADOPTED = "adopted"
    """A run, or a whole attempt, that someone else began is ours from here on."""
    ASKED = "asked"
    """A person was asked."""
    WAIVED = "waived"
    """A person accepted that something did not arrive."""
    VERDICT = "verdict"
    """How the attempt ended; the entry's `verdict` says it."""


ANSWERS = frozenset({Kind.RESULT, Kind.ADOPTED})
"""The kinds that resolve an intent."""
AGAIN = "~"
"""Stands in a key before the number of a repeated intent: `orders~2` is the second for part `orders`, `~2` for the whole."""
SEEN = frozenset({Kind.RESULT, Kind.LOOK, Kind.ADOPTED})
"""The kinds whose state is an observation of the vendor's run."""


class Verdict(StrEnum):
    """How an attempt was judged. Unbalanced and unknown leave it open, so that a cleared DAG run goes on with it."""

    BALANCED = "balanced"
    REFUSED = "refused"
    UNBALANCED = "unbalanced"
    UNKNOWN = "unknown"
    ABANDONED = "abandoned"
    SUPERSEDED = "superseded"
    UNDONE = "undone"
    """It had arrived and was taken back."""

    @property
    def closes(self) -> bool:
        """True if nothing more is to happen in the attempt."""
        return self not in {Verdict.UNBALANCED, Verdict.UNKNOWN}


class LedgerFull(LedgerError):
    """As many vendor runs are live in this environment as its connection allows (`max_live_runs`): wait and ask again."""


class InputChanged(LedgerError):
    """The batch's files changed while the vendor still works on the old ones: a person decides, a retry cannot help."""

    retry_later = False


class NotHolder(LedgerError):
    """The attempt belongs to another DAG run by now, or is closed: the one who asks must send nothing."""

    retry_later = False


@dataclass(frozen=True, slots=True)
class Origin:
    """Who wrote an entry: the task and try of a DAG run, and the person behind it where there is one."""

    dag_id: str
    run_id: str
    task_id: str = ""
    try_number: int = 0
    who: str = ""

    def same_run(self, other: Origin) -> bool:
        """True if both are tasks or tries of one DAG run."""
        return (self.dag_id, self.run_id) == (other.dag_id, other.run_id)

    def __str__(self) -> str:
        return f"DAG run {self.run_id} of {self.dag_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A fact to be appended. The ledger adds the number, the time and the hashes, and hides what is secret."""

    attempt: Attempt
    step: str
    kind: Kind
    origin: Origin
    input_hash: str = ""
    """May be left empty for an attempt that is open: the ledger knows it."""
    key: str = ""
    """Which part of the step: a table, a data source; empty for the step as a whole."""
    ref: str = ""
    word: str = ""
    state: RunState | None = None
    verdict: Verdict | None = None
    """Set in entries of kind verdict, and only there."""
    counts: dict[str, int] = field(default_factory=dict)
    note: str = ""
    evidence_path: str = ""
    evidence_hash: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    """Small JSON facts; anything large or literal is evidence and belongs in a file."""

    def __post_init__(self) -> None:
        if (self.kind == Kind.VERDICT) != (self.verdict is not None):
            raise ValueError(f"an entry of kind {self.kind} with verdict {self.verdict}: the two go together")

    def cleaned(self) -> Self:
        """The draft as it may be stored: redacted, plain JSON, and free of characters that a database refuses.

        Never raises for odd content: an entry is often written just after something was sent, and must not be lost.
        """
        texts: dict[str, Any] = {name: _storable(getattr(self, name)) for name in _TEXTS}
        texts |= {name: redact(texts[name]) for name in ("note", "word")}
        counts = {str(name): int(number) for name, number in self.counts.items()}
        return replace(self, **texts, counts=counts, data=redact_json(_plain(self.data)))


_TEXTS = ("step", "key", "ref", "word", "note", "evidence_path", "evidence_hash", "input_hash")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Draft):
    """A fact in the ledger: its number in the batch (from 1), its time, and the hashes that chain it."""

    seq: int
    at: datetime
    prev_hash: str
    entry_hash: str = ""

    @classmethod
    def seal(cls, draft: Draft, *, seq: int, at: datetime, prev_hash: str) -> Entry:
        """The entry a cleaned draft becomes at this place of the chain."""
        facts = {f.name: getattr(draft, f.name) for f in fields(Draft)}
        entry = cls(**facts, seq=seq, at=at.astimezone(UTC), prev_hash=prev_hash)
        return replace(entry, entry_hash=entry.computed_hash())

    def to_json(self) -> dict[str, Any]:
        """Every field as flat JSON: one row of the table, one line of an evidence pack."""
        flat = {name: getattr(self, name) for name in _FACTS}
        flat |= {name: getattr(self.attempt, name) for name in ("vendor", "environment", "batch_id")}
        flat |= {name: getattr(self.origin, name) for name in _ORIGIN}
        flat |= {name: str(flat[name]) if flat[name] else None for name in ("kind", "state", "verdict")}
        return flat | {"attempt": self.attempt.number, "at": self.at.isoformat(timespec="microseconds")}

    @classmethod
    def from_json(cls, flat: Mapping[str, Any]) -> Entry:
        """The entry again; ValueError, KeyError or TypeError if the row cannot be one."""
        facts = {name: flat[name] for name in _FACTS}
        facts |= {
            "kind": Kind(flat["kind"]),
            "state": RunState(flat["state"]) if flat["state"] else None,
            "verdict": Verdict(flat["verdict"]) if flat["verdict"] else None,
            "at": datetime.fromisoformat(flat["at"]),
        }
        attempt = Attempt(flat["vendor"], flat["environment"], flat["batch_id"], flat["attempt"])
        return cls(attempt=attempt, origin=Origin(**{name: flat[name] for name in _ORIGIN}), **facts)

    def computed_hash(self) -> str:
        """SHA-256 over everything the entry says, the hash before it included."""
        return digest(self.to_json())


# Named once: an attempt is read many times a step, and to ask a dataclass for its fields costs as much as to fill them.
_ORIGIN = tuple(f.name for f in fields(Origin))
_FACTS = tuple(f.name for f in fields(Entry) if f.name not in {"attempt", "origin"})


def canonical(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces, ASCII. Hashes are taken over it, and a stranger can rebuild it."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest(flat: Mapping[str, Any]) -> str:
    """The hash of an entry's flat JSON, whatever words and fields are in it: its own hash is all that is left out."""
    content = {name: value for name, value in flat.items() if name != "entry_hash"}
    return hashlib.sha256(canonical(content).encode()).hexdigest()


def _storable(text: str) -> str:
    """PostgreSQL refuses NUL and lone surrogates in text; vendors have been seen to send both [G]."""
    return str(text).replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_storable(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str):
        return _storable(value)
    return value if value is None or isinstance(value, bool | int | float) else _storable(str(value))
