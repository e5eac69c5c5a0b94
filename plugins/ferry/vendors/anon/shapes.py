"""Anon's objects as they come over the wire, read tolerantly: a field that is missing is unknown, and only an id is a must."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from ferry.core.errors import VendorNonsense
from ferry.core.model import Run, RunState
from ferry.vendors.anon.vocabulary import ENVELOPES, TASK_DONE, TASK_FAILED, state_of

LONGEST = 200
"""Characters of an id or a word that are read; anything longer is none."""


@dataclass(frozen=True, slots=True)
class Migration:
    """A migration as a list or a look shows it."""

    id: str
    word: str
    created: datetime | None
    """UTC; None if it is missing or no time."""
    user: str
    company: str
    """Empty while the company is not known [D2]."""

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Self:
        """From the vendor's object [D]."""
        return cls(
            _id(told),
            _text(told.get("status")),
            moment(told.get("created")),
            _text(told.get("created_by_user_id")),
            _text(told.get("company_id")),
        )

    @property
    def state(self) -> RunState:
        """What its word means."""
        return state_of(self.word)

    @property
    def run(self) -> Run:
        """The migration as a run, as it is now."""
        return Run(self.id, self.state, self.word)


@dataclass(frozen=True, slots=True)
class File:
    """A file of a migration [D2]. Its link is a secret and is asked for anew whenever it is used."""

    id: str
    name: str
    type: str
    content_type: str
    size: int | None
    url: str

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Self:
        """From the vendor's object."""
        size = told.get("size")
        return cls(
            _id(told),
            _text(told.get("name")),
            _text(told.get("type")),
            _text(told.get("content_type")),
            size if isinstance(size, int) and not isinstance(size, bool) and size >= 0 else None,
            str(told.get("url") or ""),
        )

    def __repr__(self) -> str:
        return f"File({self.id!r}, {self.type!r})"


@dataclass(frozen=True, slots=True)
class Task:
    """A part of a migration [D2], such as its list of employees; the vendor says that this page may change without notice."""

    id: str
    word: str
    category: str
    type: str

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Self:
        """From the vendor's object."""
        return cls(_id(told), _text(told.get("status")), _text(told.get("data_category")), _text(told.get("data_type")))

    @property
    def is_done(self) -> bool:
        """Whether everything there was to do has been done."""
        return self.word in TASK_DONE

    @property
    def has_failed(self) -> bool:
        """Whether it ended in a failure."""
        return self.word == TASK_FAILED

    @property
    def name(self) -> str:
        """What a person calls it."""
        return self.type or self.category or self.id


def items_in(told: Any, what: str) -> list[Mapping[str, Any]]:
    """The objects on a page, whichever envelope it came in [A]; VendorNonsense if it is no page."""
    if isinstance(told, Mapping):
        told = next((told[name] for name in ENVELOPES if isinstance(told.get(name), list)), None)
    if not isinstance(told, list) or not all(isinstance(item, Mapping) for item in told):
        raise VendorNonsense(
            f"Anon's answer to {what} is no list of objects, neither by itself nor under {', '.join(ENVELOPES)}, which is "
            "outside its contract. Check that the connection's host leads to Anon."
        )
    return told


def moment(told: Any) -> datetime | None:
    """A time of the vendor's in UTC. Samples have it with and without a zone [D, D2]; without one it is UTC [A]."""
    try:
        found = datetime.fromisoformat(told)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError, TypeError):  # a number is none: some would be read as a day of the year 1710
        return None


def _id(told: Mapping[str, Any]) -> str:
    found = told.get("id")
    if not isinstance(found, str) or not 0 < len(found) <= LONGEST or not found.isprintable():
        raise VendorNonsense("Anon lists something without an id, so nobody can tell what it is. Its answer was not used.")
    return found


def _text(told: Any) -> str:
    return " ".join(str(told).split())[:LONGEST] if isinstance(told, str | int) and not isinstance(told, bool) else ""
