"""The nouns of the house: attempt, run, state, receipt, counts. All plain JSON when stored."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any, Self
from urllib.parse import quote, unquote

_KEY = re.compile(r"([^:/]+)://([^/]+)/([^/]+)/([0-9]+)")


class RunState(StrEnum):
    """Where a vendor run stands, in our words; the vendor's own word is kept beside it."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING_FOR_PERSON = "waiting_for_person"
    SUCCEEDED = "succeeded"
    PARTIALLY_SUCCEEDED = "partially_succeeded"
    FAILED_CLEAN = "failed_clean"
    """The vendor promises that nothing changed."""
    FAILED_DIRTY = "failed_dirty"
    """Something changed, or nobody knows. Unknown is never rounded up to clean."""
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """True once the vendor will not move on by itself."""
        return self not in {RunState.QUEUED, RunState.RUNNING, RunState.WAITING_FOR_PERSON}

    @property
    def is_success(self) -> bool:
        """True only for a complete success; a partial one is for reconciliation to judge."""
        return self is RunState.SUCCEEDED


class Jsonable:
    """Stored form of a dataclass: plain JSON; keys a newer version added get their defaults, unknown ones are dropped."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, fit for XCom, a trigger's arguments and the ledger."""
        return asdict(self)  # type: ignore[call-overload,no-any-return]

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The object again, also from JSON that an older or newer Ferry wrote."""
        known = {f.name for f in fields(cls)}  # type: ignore[arg-type]
        return cls(**{key: value for key, value in data.items() if key in known})


@dataclass(frozen=True, slots=True)
class Counts(Jsonable):
    """The identity of a batch, in records: sent = accepted + rejected + unprocessed + waived."""

    sent: int = 0
    accepted: int = 0
    rejected: int = 0
    unprocessed: int = 0
    waived: int = 0

    @property
    def adds_up(self) -> bool:
        """True if every record that was sent has exactly one fate."""
        return self.sent == self.accepted + self.rejected + self.unprocessed + self.waived

    @property
    def all_arrived(self) -> bool:
        """True if every record was accepted or waived by a person: the only green there is."""
        return self.adds_up and self.rejected == 0 and self.unprocessed == 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at one batch against one environment. Its key is what tasks hand each other."""

    vendor: str
    environment: str
    batch_id: str
    number: int

    @property
    def key(self) -> str:
        """Text form, `fenergo://api.example.com/clients-1/2`: an XCom, a trigger argument, a log line."""
        return f"{self.vendor}://{quote(self.environment, safe=':.-_[]')}/{self.batch_id}/{self.number}"

    @classmethod
    def parse(cls, key: str) -> Attempt:
        """The attempt a key names; ValueError for anything that is not such a key."""
        parts = _KEY.fullmatch(key)
        if parts is None:
            raise ValueError(f"{key!r} is not the key of an attempt (vendor://environment/batch/number)")
        vendor, environment, batch_id, number = parts.groups()
        return cls(vendor, unquote(environment), batch_id, int(number))

    def __str__(self) -> str:
        return f"{self.vendor} batch {self.batch_id}, attempt {self.number}"


@dataclass(frozen=True, slots=True)
class Run(Jsonable):
    """One run of the vendor, as last seen: its ref, its own word, our state, and its counters by name."""

    ref: str
    state: RunState = RunState.QUEUED
    word: str = ""
    counters: dict[str, int] = field(default_factory=dict)
    detail: str = ""
    """One sentence of the vendor's about the run as a whole, redacted; never a record's content."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", RunState(self.state))


@dataclass(frozen=True, slots=True)
class Receipt(Jsonable):
    """What we keep of one uploaded file: which table, how many bytes and records, and the SHA-256 of what was sent."""

    table: str
    file: str
    size: int
    sha256: str
    records: int = 0
