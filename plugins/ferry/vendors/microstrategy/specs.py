"""The pieces of a MicroStrategy section: packages and their rules, a file, a record that is there already, a certification."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, TypeAdapter, model_validator

from ferry.core.batch import BatchFile, Strict
from ferry.vendors.microstrategy.vocabulary import CERTIFICATIONS, MERGE, OBJECTS, PROJECT

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]*[^\x00-\x20][^\x00-\x1f]*$")]
"""Something that can be read, on one line."""
_ID = re.compile(r"[0-9A-Fa-f]{32}")
_RECORD_ID = re.compile(r"[0-9A-Za-z]{8,64}:[0-9A-Za-z]{8,64}")


def _record_id(text: str) -> str:
    if not _RECORD_ID.fullmatch(text):
        raise ValueError("must be the vendor's compound id, two ids joined by a colon, as Workstation and the ledger show it")
    return text


def _package_id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise ValueError("must be the id of a package: 32 hex digits, the first half of its migration's id")
    return text.upper()


def _no_truth(told: Any) -> Any:
    if isinstance(told, bool):  # YAML's yes and no are no type of object, though Python would count with them
        raise ValueError("must be the number or the name of an object type")  # noqa: TRY004 (pydantic tells only these)
    return told


Number = Annotated[str | int, BeforeValidator(_no_truth)]
"""The type of an object, by number or by name."""
RecordId = Annotated[str, AfterValidator(_record_id)]


class Rules(Strict):
    """How a package meets what is there already. By default the target's access rights stay as they are."""

    default_action: str
    """For objects without an action of their own, and for dependents that they bring: never a guess of ours."""
    update_schema: tuple[str, ...] = ()
    acl_on_replacing_objects: str = "use_existing"
    acl_on_new_objects: str = "inherit_acl_as_dest_folder"


class ObjectSpec(Strict):
    """One object of a package. `type` is a number or a name such as `attribute`; without `action` the default applies."""

    id: str
    type: Number
    action: str = ""
    include_dependents: bool = False
    name: str = ""


_FILE, _LIST = TypeAdapter(BatchFile), TypeAdapter(tuple[ObjectSpec, ...])


def _file_or_list(told: Any) -> str | tuple[ObjectSpec, ...]:
    """One or the other, so that what is wrong is told of the one that was meant, and with its place in the list."""
    return _FILE.validate_python(told) if isinstance(told, str) else _LIST.validate_python(told)


Objects = Annotated[str | tuple[ObjectSpec, ...], PlainValidator(_file_or_list)]


class TypeRule(Strict):
    """What becomes of all objects of one type in a project merge."""

    type: Number
    subtype: int | None = None
    action: str


class MergeRules(Strict):
    """Rules of a project merge, which has no object list [D]: actions by folder, by type, by object."""

    validate_dependencies: bool = False
    folders: dict[str, str] = Field(default_factory=dict)
    objects: dict[str, str] = Field(default_factory=dict)
    types: tuple[TypeRule, ...] = ()
    translations: Literal["", "not_merged", "use_existing", "existing", "replace", "force_replace"] = ""
    """[C], and `existing` as a page prints it [D]."""

    @property
    def actions(self) -> list[str]:
        """Every action that a rule names."""
        return [*self.folders.values(), *self.objects.values(), *(rule.action for rule in self.types)]


class PackageSpec(Strict):
    """One package: objects of one project, or of the server; or the rules of a project merge."""

    type: Literal["project", "configuration"] = "project"
    project: str = ""
    """Name or id on the source."""
    target_project: str = ""
    """Name or id on the target; the same as on the source if empty."""
    rules: Rules
    objects: Objects = ()
    """The list itself, or a CSV file `id,type,action,include_dependents,name`."""
    merge: MergeRules | None = None

    @property
    def purpose(self) -> str:
        """What the vendor calls the package's purpose."""
        return OBJECTS if self.merge is None else MERGE

    @property
    def label(self) -> str:
        """What the package's objects are filed under: the project as the manifest calls it, or `configuration`."""
        return self.project if self.type == PROJECT else self.type

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.type == PROJECT and not self.project:
            raise ValueError("a project package needs `project`, the project's name or id on the source")
        if self.type != PROJECT and (self.project or self.target_project or self.merge):
            raise ValueError("a configuration package is about the server: it has no project and no merge")
        if self.merge is not None and self.objects:
            raise ValueError("a project merge has rules and no objects")
        return self


class PackageFile(Strict):
    """A package that comes as a file, made elsewhere."""

    file: BatchFile
    type: Literal["project", "configuration", "project_security"] = "project"
    purpose: Literal["object_migration", "project_merge"] = "object_migration"
    target_project: str = ""
    objects: Objects = ()
    """What the file is expected to hold, if that is known; without it only the file as a whole is accounted for."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.type == "configuration") == bool(self.target_project):
            raise ValueError("a configuration package has no target_project; every other one needs it")
        return self


class Reuse(Strict):
    """A package that exists at the source already, imported once more [C]."""

    package: Annotated[str, AfterValidator(_package_id)]
    target_project: str = ""
    """Empty for a configuration package."""


class Which(Strict):
    """Which record is meant: a migration or a group by the vendor's id, or the one that a batch of Ferry's made."""

    migration: RecordId | None = None
    group: RecordId | None = None
    batch: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(told is not None for told in (self.migration, self.group, self.batch)) != 1:
            raise ValueError("name one of `migration`, `group` and `batch`")
        return self


class Certification(Which):
    """What is to become of a package's certification, and where it is to be said as well."""

    action: Literal["request", "revert", "approve", "reject", "decertify"]
    replay_on: str = ""
    """Connection of a target that has a copy: the change is replayed there with operator and date."""
    auto_sync: bool = False
    """Let the vendor carry operator and date over by itself."""

    @property
    def status(self) -> str:
        """The vendor's word for it."""
        return CERTIFICATIONS[self.action]

    @model_validator(mode="after")
    def _carried(self) -> Self:
        if self.auto_sync and not self.replay_on:
            raise ValueError("auto_sync is about the copy on a target: name its connection as replay_on")
        return self
