"""What a DMM batch says about itself: what kind of execution, its configuration, and the zip of an import."""

from __future__ import annotations

import json
from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from ferry.core.batch import BATCH_ID, BatchFile, Section, Strict
from ferry.vendors.dmm.vocabulary import APPEND, DESTINATION, RUNTIME_CONNECTION, ExecutionType


def _plain_json(told: dict[str, Any]) -> dict[str, Any]:
    """What goes to DMM untouched must be JSON: YAML knows more, such as dates."""
    for key, value in told.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            raise ValueError(f"`{key}` is not plain JSON (a date, perhaps): write it in quotes") from None
    return told


def _must_append(told: dict[str, Any]) -> dict[str, Any]:
    if told.get(DESTINATION) == RUNTIME_CONNECTION and told.get(APPEND) is not True:
        raise ValueError(f"`{APPEND}` must be true where `{DESTINATION}` is {RUNTIME_CONNECTION!r}: that one can only append")
    return told


Configuration = Annotated[dict[str, Any], AfterValidator(_plain_json)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class NewConnection(Strict):
    """A connection that is registered in DMM before the start, for environments where nobody did. Most names are assumed [A]."""

    name: Name
    usage: Literal["Source", "Destination"] = "Destination"
    type: Literal["SQLServer", "Oracle", "MySQL", "DMMREST"]
    credentials: Annotated[
        Name, Field(description="Airflow connection with host, port, schema, login and password; the key as password for DMMREST")
    ]

    @model_validator(mode="after")
    def _no_mysql(self) -> Self:
        if (self.type, self.usage) == ("MySQL", "Destination"):
            raise ValueError("MySQL can only be a source, never a destination")
        return self


class ImportAs(Strict):
    """The batch that an export's zip becomes, ready to be imported into another environment."""

    batch_id: Annotated[str, Field(pattern=f"^{BATCH_ID.pattern}$")]
    connection: Name
    configuration: Configuration
    due: date | None = None
    title: str = ""

    @field_validator("configuration")
    @classmethod
    def _append(cls, told: dict[str, Any]) -> dict[str, Any]:
        return _must_append(told)


class DmmSection(Section):
    """The `dmm:` section of a manifest."""

    type: Annotated[
        ExecutionType, Field(default=ExecutionType.IMPORT, description="Import, Export, Migration, Delete or Scramble")
    ]
    configuration: Annotated[
        Configuration, Field(description="DMM's own configuration, passed on untouched; JSON as DMM shows it")
    ]
    zip: Annotated[BatchFile | None, Field(default=None, description="The zip to import, as an export of DMM makes it")]
    on_deadline: Annotated[
        Literal["stop", "leave"],
        Field(default="stop", description="What becomes of an execution that does not end in 12 hours; a stop reverts nothing"),
    ]
    create_connection: Annotated[
        NewConnection | None, Field(default=None, description="A connection to register in DMM first; usually people did")
    ]
    import_as: Annotated[ImportAs | None, Field(default=None, description="For an export: the batch its zip becomes")]

    @model_validator(mode="after")
    def _fit(self) -> Self:
        kind = self.type
        if kind in {ExecutionType.IMPORT, ExecutionType.MIGRATION}:
            _must_append(self.configuration)
        if (kind is ExecutionType.IMPORT) is (self.zip is None):
            raise ValueError("`zip` is for an Import, which needs one" if self.zip else "an Import needs its `zip`")
        if self.import_as and kind is not ExecutionType.EXPORT:
            raise ValueError("`import_as` is for an Export: nothing else makes a zip")
        return self

    def extra_files(self) -> list[str]:
        """The zip."""
        return [self.zip] if self.zip else []

    def dags(self) -> tuple[str, ...]:
        """The DAG that such a batch is for."""
        return ("export_dmm",) if self.type is ExecutionType.EXPORT else ("migrate_dmm",)

    @property
    def appends(self) -> bool:
        """Whether doing it again would duplicate records; it is not known where the configuration does not say."""
        writes = self.type in {ExecutionType.IMPORT, ExecutionType.MIGRATION}
        return writes and self.configuration.get(APPEND) is not False
