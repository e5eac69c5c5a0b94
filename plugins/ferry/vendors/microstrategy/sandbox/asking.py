"""What a body asks for, checked against the closed lists: packages with their settings and content, trees, flags."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from ferry.vendors.microstrategy.sandbox import catalogue as lists
from ferry.vendors.microstrategy.sandbox.answers import broken, missing

OBJECT_ID = re.compile(r"[0-9A-Fa-f]{32}")
Json = dict[str, Any]


@dataclass(slots=True)
class Asked:
    """What shall go into a package."""

    type: str
    purpose: str
    settings: Json = field(default_factory=dict)
    content: list[Json] = field(default_factory=list)
    merge: bool = False

    def toc(self, content: list[Json] | None = None) -> Json:
        """The tocView: a project merge has settings only [D]."""
        return {"settings": self.settings} | ({} if self.merge else {"content": self.content if content is None else content})


def part(body: Json, name: str) -> Json:
    """A member that has to be an object; `{}` is one."""
    value = body.get(name)
    if value is None:
        raise missing(name)
    if not isinstance(value, dict):
        raise broken(f"{name} is not an object.")
    return value


def optional_part(body: Json, name: str) -> Json:
    """A member that may be absent or null, else an object."""
    return part(body, name) if body.get(name) is not None else {}


def text(body: Json, name: str) -> str:
    """A member that has to be a text with something in it."""
    value = body.get(name)
    if value in (None, ""):
        raise missing(name)
    if not isinstance(value, str):
        raise broken(f"{name} is not a text.")
    return value


def asked_package(told: Json) -> Asked:
    """The package of a `packageInfo`: type, purpose and tocView."""
    kind = text(told, "type")
    if kind not in lists.TYPES:
        raise broken(f"The package type {kind} is not supported.")
    purpose = told.get("purpose") or "object_migration"  # [D] the default
    if purpose not in (*lists.PURPOSES, lists.FIRST_MEMBER, lists.OTHER_MEMBER):
        raise broken(f"The purpose {purpose} is not supported.")
    if purpose == "project_merge" and kind != "project":
        raise broken("A project merge is of type project.")
    return asked_toc(kind, purpose, part(told, "tocView"))


def asked_toc(kind: str, purpose: str, toc: Json) -> Asked:
    """Settings and content, checked."""
    merge = purpose == "project_merge"
    settings = optional_part(toc, "settings")
    _check_settings(settings, merge=merge)
    if merge and toc.get("content"):
        raise broken("A project merge has no content.")
    if merge:
        return Asked(kind, purpose, settings, merge=True)
    content = toc.get("content")
    if not isinstance(content, list):
        raise missing("tocView.content")
    return Asked(kind, purpose, settings, [_checked_object(kind, item) for item in content])


def tree_of(told: Json, before: Json) -> Json:
    """The treeView as an object: sent as one, or as JSON text as in a GET; encoded twice it is refused."""
    tree = told.get("treeView")
    if tree is None:
        return before
    if isinstance(tree, str):
        try:
            tree = json.loads(tree)
        except ValueError as error:
            raise broken("treeView is not JSON.") from error
    if not isinstance(tree, dict):
        raise broken("treeView is not an object.")
    return tree


def has_keep_both(asked: Asked) -> bool:
    """Whether any rule, of the settings or of an object, is keep_both: then there will be no undo package [D]."""
    return "keep_both" in _leaves(asked.settings) or any(item["action"] == "keep_both" for item in asked.content)


def flag(value: str | None, *, default: bool) -> bool:
    """A yes-or-no of a query or a header, in any case [C]."""
    if value is None:
        return default
    if value.lower() not in ("true", "false"):
        raise broken(f"{value} is not a boolean.")
    return value.lower() == "true"


def _check_settings(settings: Json, *, merge: bool) -> None:
    actions = lists.MERGE_ACTIONS if merge else lists.ACTIONS
    _one_of(settings, "defaultAction", actions)
    _one_of(settings, "aclOnReplacingObjects", lists.ACL_REPLACING)
    _one_of(settings, "translationAction", lists.TRANSLATIONS)
    _some_of(settings, "updateSchema", lists.SCHEMA_UPDATES)
    _some_of(settings, "aclOnNewObjects", lists.ACL_NEW)
    for name in ("folderActions", "objectTypeActions", "objectActions"):
        rules = settings.get(name) or []
        if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
            raise broken(f"{name} is not a list of rules.")
        for rule in rules:
            _one_of(rule, "action", actions)


def _checked_object(kind: str, item: Any) -> Json:
    if not isinstance(item, dict):
        raise broken("An entry of tocView.content is not an object.")
    if not OBJECT_ID.fullmatch(text(item, "id")):
        raise broken(f"{item['id']} is not an object id.")
    if type(item.get("type")) is not int:
        raise missing("tocView.content.type")
    if item["type"] not in lists.ALLOWED[kind]:
        raise broken(f"An object of type {item['type']} cannot be in a {kind} package.")  # [D]
    text(item, "action")
    _one_of(item, "action", lists.ACTIONS)
    if not isinstance(item.get("includeDependents") or False, bool):
        raise broken("includeDependents is not a boolean.")
    return {**item, "id": item["id"].upper(), "includeDependents": bool(item.get("includeDependents"))}


def _one_of(told: Json, name: str, allowed: frozenset[str]) -> None:
    value = told.get(name)
    if value is not None and not (isinstance(value, str) and value in allowed):
        raise broken(f"{value} is not a valid {name}.")


def _some_of(told: Json, name: str, allowed: frozenset[str]) -> None:
    value = told.get(name)
    if value is None:
        return
    if not isinstance(value, list) or not all(isinstance(one, str) and one in allowed for one in value):
        raise broken(f"{name} takes a list of {', '.join(sorted(allowed))}.")


def _leaves(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set().union(*(_leaves(inner) for inner in value.values()))
    if isinstance(value, list):
        return set().union(*(_leaves(inner) for inner in value))
    return {value} if isinstance(value, str) else set()
