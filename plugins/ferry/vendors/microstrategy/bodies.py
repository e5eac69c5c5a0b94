"""What is sent: bodies for new migrations and groups, for edits, and for validations, made from the manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ferry.core.model import Jsonable
from ferry.vendors.microstrategy.content import MetadataObject
from ferry.vendors.microstrategy.shapes import Json, decoded_tree, members, part
from ferry.vendors.microstrategy.specs import PackageSpec, TypeRule
from ferry.vendors.microstrategy.vocabulary import CONFIGURATION, PROJECT, type_number


@dataclass(frozen=True, slots=True)
class Project(Jsonable):
    """A project on one side, by its id there and its name."""

    id: str
    name: str

    def to_wire(self) -> dict[str, str]:
        """As records name it."""
        return {"id": self.id, "name": self.name}


@dataclass(frozen=True, slots=True)
class Member:
    """One package with everything that goes into it."""

    spec: PackageSpec
    objects: Sequence[MetadataObject]
    source: Project | None = None
    target: Project | None = None

    @property
    def order(self) -> tuple[bool, str]:
        """Configuration first, or metadata may be corrupted; then by project name, as the vendor lists members [D]."""
        return self.spec.type != CONFIGURATION, self.source.name if self.source else ""

    def contents(self) -> dict[str, Any]:
        """`tocView`: what goes into the package, and by which rules."""
        if self.spec.merge is not None:
            return {"settings": _settings(self.spec) | _merge(self.spec)}
        return {"settings": _settings(self.spec), "content": [one.to_wire() for one in self.objects]}


def migration_body(member: Member, name: str, source: Json, target: Json) -> dict[str, Any]:
    """A new migration of one package; its project goes into the header [D]."""
    info = {"type": member.spec.type, "name": name, "purpose": member.spec.purpose, "environment": dict(source)}
    return {
        "packageInfo": info | {"tocView": member.contents(), "treeView": {}},
        "importInfo": import_info(target, member.target),
    }


def group_body(every: Sequence[Member], name: str, source: Json, target: Json) -> dict[str, Any]:
    """A new group; each member's project goes into the body [D]."""
    return {
        "name": name,
        "sourceEnvironment": dict(source),
        "targetEnvironment": dict(target),
        "treeView": {},
        "migrations": [
            {
                "packageInfo": {"type": one.spec.type, "tocView": one.contents()} | _project(one.source),
                "importInfo": _project(one.target),
            }
            for one in sorted(every, key=lambda one: one.order)
        ],
    }


def import_info(target: Json, project: Project | None) -> dict[str, Any]:
    """Where a package is to be imported."""
    return {"environment": dict(target)} | _project(project)


def migration_edit(record: Json, member: Member | None, name: str) -> dict[str, Any]:
    """The saved package with its changes; `treeView` goes back as an object, though GET gives it as text [D]."""
    saved = dict(part(record, "packageInfo"))
    changed = {"tocView": member.contents()} if member else {}
    return saved | {"treeView": decoded_tree(saved)} | changed | ({"name": name} if name else {})


def group_edit(record: Json, every: Sequence[Member], name: str) -> dict[str, Any]:
    """The group with its changes. No member may say `replicated: true`: the same call would then be an import [A4]."""
    kept = [
        {
            "packageInfo": _kept(part(one, "packageInfo")),
            "importInfo": {"project": dict(part(part(one, "importInfo"), "project"))},
        }
        for one in members(record)
    ]
    made = [
        {
            "packageInfo": {"type": one.spec.type, "purpose": "migration_group", "tocView": one.contents()}
            | _project(one.source),
            "importInfo": _project(one.target),
        }
        for one in sorted(every, key=lambda one: one.order)
    ]
    return {"name": name or record.get("name"), "treeView": decoded_tree(record), "migrations": made or kept}


def validation_body(record: Json) -> dict[str, Any]:
    """What a target needs of a migration it has never seen, to try it [D]."""
    info, aim = part(record, "packageInfo"), part(record, "importInfo")
    return {
        "id": record.get("id"),
        "packageInfo": {
            name: info[name] for name in ("id", "type", "environment", "storage", "status", "project") if info.get(name)
        },
        "importInfo": {name: aim[name] for name in ("id", "environment", "project") if aim.get(name)},
    }


def changed_rules(asked: Json, member: Json) -> bool:
    """Whether a package's rules are others than were asked for; what the vendor does not tell is not held against it."""
    wanted, told = part(asked, "settings"), part(part(part(member, "packageInfo"), "tocView"), "settings")
    return any(name in told and (told[name] or None) != (wanted[name] or None) for name in wanted)


def _kept(info: Json) -> dict[str, Any]:
    return {name: info[name] for name in ("type", "purpose", "project", "tocView") if name in info}


def _project(project: Project | None) -> dict[str, Any]:
    return {"project": project.to_wire()} if project else {}


def _settings(spec: PackageSpec) -> dict[str, Any]:
    rules = spec.rules
    told: dict[str, Any] = {
        "updateSchema": list(rules.update_schema) if spec.type == PROJECT else [],
        "defaultAction": rules.default_action,
    }
    if rules.acl_on_replacing_objects:  # an emptied setting is left to the vendor
        told["aclOnReplacingObjects"] = rules.acl_on_replacing_objects
    if rules.acl_on_new_objects:
        told["aclOnNewObjects"] = [rules.acl_on_new_objects]
    return told


def _merge(spec: PackageSpec) -> dict[str, Any]:
    merge = spec.merge
    if merge is None:
        return {}
    told: dict[str, Any] = {
        "validateDependencies": merge.validate_dependencies,
        "folderActions": _by_id(merge.folders),
        "objectTypeActions": [_type_rule(rule) for rule in merge.types],
        "objectActions": _by_id(merge.objects),
    }
    return told | ({"translationAction": merge.translations} if merge.translations else {})


def _type_rule(rule: TypeRule) -> dict[str, Any]:
    subtype = {} if rule.subtype is None else {"subtype": rule.subtype}
    return {"type": type_number(str(rule.type))} | subtype | {"action": rule.action}


def _by_id(rules: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"id": key.strip().upper(), "action": action} for key, action in rules.items()]
