"""A migration and a migration group as one environment keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field

from ferry.vendors.microstrategy.sandbox.asking import Asked, Json

BUSY = frozenset({"creating", "importing", "undoing"})


@dataclass(slots=True, eq=False)
class Package:
    """The half that is built on the source."""

    id: str
    name: str
    asked: Asked
    project: Json
    environment: Json | None  # [D] uploaded packages have none
    creator: Json
    created: str
    updated: str
    replicated: bool = False
    status: str = "creating"
    message: str = ""
    path: str = ""
    tree: Json = field(default_factory=dict)
    certification: Json | None = None
    content: list[Json] | None = None
    """What is in the file; None while there is none, then what was asked for is shown."""


@dataclass(slots=True, eq=False)
class Importing:
    """The half that happens on the target."""

    id: str
    environment: Json
    project: Json
    created: str
    updated: str
    creator: Json = field(default_factory=dict)  # [C] empty until somebody imports
    status: str = "pending"
    message: str = ""
    undo: Json = field(default_factory=dict)
    wants_undo: bool = True
    before: dict[str, dict[str, str] | None] = field(default_factory=dict)
    """What the target held of each object this import touched."""


@dataclass(slots=True, eq=False)
class Requests:
    """The two requests, of a migration or of a whole group."""

    importing: str = "pending"
    undoing: str = "pending"


@dataclass(slots=True, eq=False)
class Migration:
    """A package and one import of it; alone, or a member of a group."""

    package: Package
    importing: Importing
    requests: Requests = field(default_factory=Requests)
    validation: Json | None = None
    group: Group | None = None
    span: tuple[float, float] = (0.0, 0.0)
    """When the work under way began and will end."""

    @property
    def id(self) -> str:
        """`<packageId>:<importId>` [D]."""
        return f"{self.package.id}:{self.importing.id}"

    @property
    def uploaded(self) -> bool:
        """Whether the package came as a file: neither editable nor to be validated [D]."""
        return self.package.environment is None

    @property
    def busy(self) -> bool:
        """Whether it may not be deleted now [A13]."""
        return self.package.status in BUSY or self.importing.status in BUSY

    def toc(self) -> Json:
        """What is in the package, or shall be."""
        return self.package.asked.toc(self.package.content)


@dataclass(slots=True, eq=False)
class Group:
    """Migrations handled together, in the order in which they were given."""

    package_id: str
    import_id: str
    name: str
    source: Json
    target: Json
    created: str
    updated: str
    tree: Json = field(default_factory=dict)
    members: list[Migration] = field(default_factory=list)
    requests: Requests = field(default_factory=Requests)
    certification: Json | None = None

    @property
    def id(self) -> str:
        """`<packageGroupId>:<importGroupId>` [D]."""
        return f"{self.package_id}:{self.import_id}"

    @property
    def replicated(self) -> bool:
        """Whether this is the target's copy."""
        return any(member.package.replicated for member in self.members)
