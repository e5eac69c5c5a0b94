"""What a Domo batch says about itself: integration type, V2 account, and where each datasource's table lies."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from ferry.core.batch import BatchFile, Section, Strict

MOST_AT_ONCE = 4
"""Calls of one batch that may be under way at once, at most: so many tasks Airflow keeps alive for it."""


Name: TypeAlias = Annotated[str, Field(min_length=1)]


def _quoted(told: Any) -> Any:
    if isinstance(told, int | float):
        raise ValueError("is a text at Domo: write it in quotes")  # noqa: TRY004 (pydantic wants it so)
    return told


def _list_or_file(told: Any) -> Any:
    if not isinstance(told, str | list | tuple):
        raise ValueError("must be a list of datasources, or the name of a CSV file")  # noqa: TRY004 (pydantic wants it so)
    return told


class Datasource(Strict):
    """One datasource and the table it reads. Names are case-sensitive [D]."""

    id: Annotated[str, BeforeValidator(_quoted)]
    catalog: Annotated[str | None, BeforeValidator(_quoted)] = None
    schema_: Annotated[str | None, BeforeValidator(_quoted), Field(default=None, alias="schema")]
    table: Annotated[str | None, BeforeValidator(_quoted)] = None


class DomoSection(Section):
    """The `domo:` section of a manifest."""

    type: Annotated[str, Field(min_length=1, description="Integration type of the datasources, such as mysql-federated")]
    account_id: Annotated[
        Name | None, BeforeValidator(_quoted), Field(default=None, description="The V2 account's id, in quotes")
    ]
    account_name: Annotated[Name | None, Field(default=None, description="Its name instead, where it is unique")]
    datasources: Annotated[
        Annotated[tuple[Datasource, ...], Tag("list")] | Annotated[BatchFile, Tag("str")],
        Discriminator(lambda told: "str" if isinstance(told, str) else "list"),
        BeforeValidator(_list_or_file),
        Field(description="The mapping: a list here, or a CSV file with the columns id, catalog, schema, table"),
    ]
    at_once: Annotated[
        int, Field(default=2, ge=1, le=MOST_AT_ONCE, description="Migrations under way at once; Domo documents nothing on it [A]")
    ]
    on_incomplete: Annotated[
        Literal["retry", "reverse", "ask"],
        Field(
            default="retry",
            description="What to do about INCOMPLETE: repeat a few times [D], reverse (not documented to help), or ask a person",
        ),
    ]
    repeats: Annotated[int, Field(default=3, ge=1, le=10, description="How often an INCOMPLETE call is repeated at most [A]")]
    already_migrated: Annotated[
        Literal["refuse", "accept"],
        Field(
            default="refuse",
            description="What to do about a datasource that others have migrated: Domo does not tell to which table",
        ),
    ]
    reversal: Annotated[
        Literal["ask", "auto"], Field(default="ask", description="Whether a person is asked before the batch is reversed")
    ]

    @model_validator(mode="after")
    def _one_account(self) -> Self:
        if (self.account_id is None) == (self.account_name is None):
            raise ValueError("name the V2 account by `account_id` or by `account_name`, one of the two")
        if not self.datasources:
            raise ValueError("`datasources` is empty: there is nothing to migrate")
        return self

    def extra_files(self) -> list[str]:
        """The mapping, where it is a file."""
        return [self.datasources] if isinstance(self.datasources, str) else []

    def dags(self) -> tuple[str, ...]:
        """The DAG that such a batch is for."""
        return ("migrate_domo",)

    def settings(self) -> dict[str, Any]:
        """What later steps go by; kept when the batch is checked, so that a manifest changed meanwhile changes nothing."""
        return {name: getattr(self, name) for name in ("at_once", "on_incomplete", "repeats", "already_migrated", "reversal")}
