"""What an Anon batch says about itself: which migration it is, or how to know the one that a person is to begin."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, Field, model_validator

from ferry.core.batch import Section, Strict
from ferry.vendors.anon.vocabulary import STATES


def _with_zone(told: datetime) -> datetime:
    if not 2000 <= told.year < 3000:  # at the ends of what a calendar holds there is no other zone, and no margin
        raise ValueError("is too far from now to be meant")
    return told.replace(tzinfo=UTC) if told.tzinfo is None else told.astimezone(UTC)


Moment = Annotated[datetime, AfterValidator(_with_zone)]
"""A time; without a zone it is UTC."""
Word = Annotated[str, Field(min_length=1, max_length=200)]


class Filter(Strict):
    """Which migrations are meant. Everything that is given must fit; Anon itself cannot filter [D], so Ferry does."""

    migration_id: Annotated[Word | None, Field(default=None, description="The migration, by its own id")]
    company_id: Annotated[Word | None, Field(default=None, description="The company, as Anon names it")]
    user_id: Annotated[Word | None, Field(default=None, description="Who began it, as Anon names them (not as you do)")]
    created_after: Annotated[Moment | None, Field(default=None, description="Only migrations that were made since then")]
    status: Annotated[tuple[Word, ...], Field(default=(), description="Only migrations that stand so")]

    @model_validator(mode="after")
    def _say_something(self) -> Self:
        if not (self.migration_id or self.company_id or self.user_id or self.created_after or self.status):
            raise ValueError("names nothing to look for: give migration_id, company_id, user_id, created_after or status")
        if unknown := [word for word in self.status if word not in STATES]:
            raise ValueError(f"status {', '.join(unknown)} is none of Anon's: {', '.join(STATES)}")
        return self


class AnonSection(Section):
    """The `anon:` section of a manifest."""

    own_dag: ClassVar[str] = "watch_anon"

    migration: Annotated[Word | None, Field(default=None, description="The migration's id, where it is known")]
    find: Annotated[Filter | None, Field(default=None, description="What the migration is known by, where its id is not")]
    accept_partial: Annotated[
        bool,
        Field(default=False, description="Take COMPLETED_WITH_FAILURES for good; what failed is listed all the same"),
    ]

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.migration is None) is (self.find is None):
            raise ValueError("needs either `migration`, an id, or `find`, what it is known by")
        return self

    def dags(self) -> tuple[str, ...]:
        """The DAG that watches."""
        return (self.own_dag,)
