"""A federated datasource: which table it reads on V1, where it is now, and what the candidate list shows of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Coordinates:
    """A table in the customer's database. Every part is case-sensitive [D]."""

    catalog: str
    schema: str
    table: str

    def __str__(self) -> str:
        return f"{self.catalog}.{self.schema}.{self.table}"

    def document(self) -> dict[str, str]:
        """By their names in the vendor's request."""
        return {"catalog": self.catalog, "schema": self.schema, "table": self.table}


@dataclass(frozen=True, slots=True)
class View:
    """What the candidate list says: whether it was migrated, and when."""

    migrated: bool = False
    date: str | None = None


@dataclass(slots=True, eq=False)
class Datasource:
    """One datasource. It keeps its id whatever happens to it [A]."""

    id: str
    name: str
    type: str
    v1: Coordinates
    v2: Coordinates | None = None
    """The table it reads through its V2 account; None while it is on V1."""
    account: str | None = None
    date: str | None = None
    broken: bool = False
    """Something failed half-way, and its content may be unavailable [D]."""
    gone: bool = False
    listed: View = View()
    coming: list[tuple[float, View]] = field(default_factory=list)

    @property
    def migrated(self) -> bool:
        """Whether it is on V2, whatever the list shows."""
        return self.v2 is not None

    def show(self, view: View, since: float) -> None:
        """Let the candidate list show this from a moment on."""
        self.coming.append((since, view))

    def candidate(self, now: float) -> dict[str, Any]:
        """As the candidate list tells it: without any coordinates [D, by absence]."""
        while self.coming and self.coming[0][0] <= now:
            self.listed = self.coming.pop(0)[1]
        return {"id": self.id, "name": self.name, "migrated": self.listed.migrated, "migrationDate": self.listed.date}

    def document(self) -> dict[str, Any]:
        """As it really is, for rehearsals."""
        return {
            "id": self.id,
            "name": self.name,
            "type": self.type,
            "migrated": self.migrated,
            "broken": self.broken,
            "accountId": self.account,
            "migrationDate": self.date,
        }
