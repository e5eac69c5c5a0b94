"""What Domo answers, read into our own shapes; whatever the contract does not promise is tolerated or refused by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ferry.core.errors import AnswerLost, VendorNonsense
from ferry.core.model import Run
from ferry.vendors.domo.vocabulary import Direction, state_of

Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Account:
    """A V2 account: a connection to the customer's database. Its name is chosen by a person and need not be unique [A]."""

    id: str
    type: str
    name: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A datasource that an account could take, or has taken."""

    id: str
    name: str = ""
    migrated: bool = False
    date: str = ""
    """When it was migrated, as Domo writes it; empty for never."""

    def stands(self, direction: Direction) -> bool:
        """Whether the list shows it where that way leads."""
        return self.migrated is (direction is Direction.FORWARD)

    def has_moved(self, direction: Direction, before: Json) -> bool:
        """Whether the list proves that it was moved that way since it stood as `before` says.

        What stood there before proves nothing, as it may after an INCOMPLETE call; but a date of migration that has changed does
        [A].
        """
        if not self.stands(direction):
            return False
        stood_elsewhere = before.get("migrated") is (not self.migrated)
        return stood_elsewhere or (direction is Direction.FORWARD and "date" in before and self.date not in {"", before["date"]})

    def to_json(self) -> Json:
        """How it stands, to be compared with later."""
        return {"migrated": self.migrated, "date": self.date}


Candidates: TypeAlias = Mapping[str, Candidate]


@dataclass(frozen=True, slots=True)
class Answer:
    """Domo's answer to a migration or reversal. HTTP 200 says nothing: `word` decides [D]."""

    word: str
    toe: str
    """The request's id at Domo, by which its support finds it [N]; empty if the answer has none."""
    message: str
    raw: Json = field(repr=False)

    def run(self, datasource: str, direction: Direction) -> Run:
        """The same as a run of the vendor."""
        return Run(self.toe or datasource, state_of(self.word, direction), self.word, {}, self.message)


def types_in(body: Any, what: str) -> list[str]:
    """The integration types; an open set [D]."""
    if not isinstance(body, list) or not all(isinstance(name, str) for name in body):
        raise _odd(what, "a list of integration types")
    return list(body)


def accounts_in(body: Any, what: str) -> list[Account]:
    """The accounts of a type that this token's user may see."""
    rows = _rows(body, what, "a list of accounts")
    return [Account(str(row["id"]), str(row.get("type") or ""), str(row.get("name") or "")) for row in rows]


def candidates_in(body: Any, what: str) -> dict[str, Candidate]:
    """The candidates of an account by their id, which is opaque and case-sensitive [D]."""
    rows = _rows(body, what, "a list of candidates")
    return {
        str(row["id"]): Candidate(
            str(row["id"]), str(row.get("name") or ""), row.get("migrated") is True, str(row.get("migrationDate") or "")
        )
        for row in rows
    }


def answer_in(body: Any, what: str, datasource: str, direction: Direction) -> Answer:
    """The answer to a call that moves a datasource; AnswerLost where it says nothing of this one's fate."""
    word = _line(body["state"]) if isinstance(body, dict) and isinstance(body.get("state"), str) else ""
    if not word:
        raise _useless(what, "has no `state`")
    if body.get("datasourceId") not in (None, datasource):
        raise _useless(what, "is about another datasource")
    if body.get("direction") not in (None, str(direction)):
        raise _useless(what, f"is about the direction {_line(body['direction'])[:40]!r}")
    message = _line(body.get("errorMessage") or "")  # absent means none [N]
    return Answer(word[:100], _line(body.get("toe") or "")[:100], message[:2_000], body)


def _line(told: Any) -> str:
    return " ".join(str(told).split())


def _useless(what: str, why: str) -> AnswerLost:
    return AnswerLost(
        f"Domo's answer to {what} {why}, so nobody knows what came of it. It will not be sent again; the candidates list is "
        "watched instead."
    )


def _rows(body: Any, what: str, wanted: str) -> Iterator[Json]:
    """The rows of a bare list [D]. One without an id cannot be spoken of, and makes the list worthless as a witness."""
    if not isinstance(body, list):
        raise _odd(what, wanted)
    for row in body:
        if not isinstance(row, dict) or not row.get("id"):
            raise _odd(what, f"{wanted} in which every entry has an id")
        yield row


def _odd(what: str, wanted: str) -> VendorNonsense:
    return VendorNonsense(
        f"Domo's answer to {what} is not {wanted}, which is outside its contract. Check that the connection's instance is right."
    )
