"""Records as people make them in Workstation, without any call of ours; for rehearsals, and for the scripts."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

from ferry.vendors.microstrategy.sandbox.asking import Json, optional_part
from ferry.vendors.microstrategy.sandbox.building import Building
from ferry.vendors.microstrategy.sandbox.environment import Environment
from ferry.vendors.microstrategy.sandbox.grouping import group_replica, new_group
from ferry.vendors.microstrategy.sandbox.importing import Import
from ferry.vendors.microstrategy.sandbox.making import created, replica
from ferry.vendors.microstrategy.sandbox.people import ADMINISTRATOR, Project
from ferry.vendors.microstrategy.sandbox.record import Group, Migration
from ferry.vendors.microstrategy.sandbox.requesting import STEPS, certify_by_hand, lock
from sandbox.control import BadControlError

FIELDS = frozenset(
    {"environment", "kind", "id", "name", "created", "importRequestStatus", "body", "imported_on", "certified", "locked"}
)
RECORD_ID = re.compile(r"[0-9A-F]{32}:[0-9A-F]{32}")

Homes = Mapping[str, Environment]


def make_by_hand(homes: Homes, wanted: Mapping[str, Any]) -> str:
    """A record as the control endpoint asks for it; answers its id."""
    home = _home(homes, wanted.get("environment", "source"))
    _check(home, wanted)
    body, key = copy.deepcopy(wanted["body"]), wanted.get("id") or ""
    record = _group(home, body, wanted, key) if wanted.get("kind") == "group" else _migration(home, body, wanted, key)
    _settle(home, record, wanted.get("importRequestStatus", "pending"), created_already=wanted.get("created", True))
    lock([member for member in _members(record) if member.package.project.get("name") in wanted.get("locked", [])])
    _keep(home, record)
    if wanted.get("imported_on") and wanted.get("created", True):
        _import_by_hand(home, homes, wanted["imported_on"], record)
    if wanted.get("certified"):  # after the copy was made, so that the other side does not know of it
        certify_by_hand(home, ADMINISTRATOR, record)
    return record.id


def _check(home: Environment, wanted: Mapping[str, Any]) -> None:
    if (
        set(wanted) - FIELDS
        or wanted.get("kind", "migration") not in ("migration", "group")
        or not isinstance(wanted.get("body"), dict)
    ):
        raise BadControlError(f"Post {', '.join(sorted(FIELDS))}; kind is migration or group, body what would create it.")
    key = wanted.get("id") or ""
    if key and (not isinstance(key, str) or not RECORD_ID.fullmatch(key) or key in home.migrations or key in home.groups):
        raise BadControlError("id takes two times 32 upper-case hex digits with a colon between, not used yet.")
    request = wanted.get("importRequestStatus", "pending")
    if not isinstance(request, str) or request not in STEPS or not isinstance(wanted.get("created", True), bool):
        raise BadControlError(f"importRequestStatus is one of {', '.join(STEPS)}; created is true or false.")
    if not isinstance(wanted.get("locked", []), list):
        raise BadControlError("locked is a list of projects, by name.")


def _settle(home: Environment, record: Migration | Group, request: str, *, created_already: bool) -> None:
    members = _members(record)
    if not created_already:
        Building(home, members).start()
        return
    Building(home, members).at_once()
    if problem := next((member.package.message for member in members if member.package.message), None):
        raise BadControlError(f"The record cannot be made: {problem}")
    record.requests.importing = request
    lock(members if request == "approved" else [])


def _keep(home: Environment, record: Migration | Group) -> None:
    if isinstance(record, Group):
        home.groups[record.id] = record
    else:
        home.migrations[record.id] = record


def _members(record: Migration | Group) -> list[Migration]:
    return record.members if isinstance(record, Group) else [record]


def _import_by_hand(home: Environment, homes: Homes, name: Any, record: Migration | Group) -> None:
    target = _home(homes, name)
    if target is home:
        raise BadControlError("imported_on is the other environment.")
    lock(_members(record))
    record.requests.importing = "approved"
    Import(target, carry(home, target, record), ADMINISTRATOR).at_once()


def carry(home: Environment, target: Environment, record: Migration | Group) -> list[Migration]:
    """The target's copy of a locked record, ready to be imported."""
    copied: Migration | Group
    if isinstance(record, Group):
        body = home.documents.full_group(record, "all")
        for told in body["migrations"]:
            told["packageInfo"]["replicated"] = True
        copied = group_replica(target, body, record.id)
    else:
        body = home.documents.full(record, "all")
        body["packageInfo"]["replicated"] = True
        copied = replica(target, body, record.id)
    _keep(target, copied)
    for member in _members(copied):
        member.importing.project = _target_project(target, member)
    return _members(copied)


def _target_project(target: Environment, member: Migration) -> Json:
    if member.package.asked.type == "configuration":
        return {}
    named = str(member.importing.project.get("id") or member.package.project.get("name"))
    project = target.project_named(named)
    if project is None:
        raise BadControlError(f"The target has no project {named}.")
    return project.short()


def _migration(home: Environment, body: Json, wanted: Mapping[str, Any], key: str) -> Migration:
    told = optional_part(body, "packageInfo")
    told["name"] = wanted.get("name") or told.get("name")
    body = {"importInfo": {}, **body, "packageInfo": told}
    return created(home, ADMINISTRATOR, body, _project(home, body), key)


def _project(home: Environment, body: Json) -> Project | None:
    if body["packageInfo"].get("type") == "configuration":
        return None
    named = optional_part(body["packageInfo"], "project") or optional_part(optional_part(body, "importInfo"), "project")
    project = home.project_named(str(named.get("id") or named.get("name")))
    if project is None:
        raise BadControlError("Say which project in body.packageInfo.project: its id or its name.")
    return project


def _group(home: Environment, body: Json, wanted: Mapping[str, Any], key: str) -> Group:
    ends: Json = {"sourceEnvironment": {}, "targetEnvironment": {}}
    return new_group(home, ADMINISTRATOR, {**ends, **body, "name": wanted.get("name") or body.get("name")}, key)


def _home(homes: Homes, name: Any) -> Environment:
    if not isinstance(name, str) or name not in homes:
        raise BadControlError(f"environment and imported_on are one of {', '.join(homes)}.")
    return homes[name]
