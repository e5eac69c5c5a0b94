"""New groups and edited ones, and the rules that every group keeps (contract 1.6)."""

from __future__ import annotations

from collections.abc import Sequence

from ferry.vendors.microstrategy.sandbox import catalogue as lists
from ferry.vendors.microstrategy.sandbox.answers import broken, missing
from ferry.vendors.microstrategy.sandbox.asking import Json, asked_package, optional_part, part, text, tree_of
from ferry.vendors.microstrategy.sandbox.environment import Environment, new_id
from ferry.vendors.microstrategy.sandbox.making import copied, fresh_import, fresh_package, need_project
from ferry.vendors.microstrategy.sandbox.people import User
from ferry.vendors.microstrategy.sandbox.record import Group, Migration, Requests
from ferry.vendors.microstrategy.sandbox.requesting import born_certification


def new_group(home: Environment, user: User, body: Json, key: str = "") -> Group:
    """The record of a CreateGroup; its packages still have to be built."""
    stamp = home.stamp()
    package_id, import_id = key.split(":") if key else (new_id(), new_id())
    group = Group(
        package_id,
        import_id,
        text(body, "name"),
        part(body, "sourceEnvironment"),
        part(body, "targetEnvironment"),
        stamp,
        stamp,
        tree_of(body, {}),
    )
    fill(home, group, [_member(home, user, group, told) for told in members_of(body)])
    group.certification = born_certification(home, user)
    return group


def edited_members(home: Environment, user: User, group: Group, body: Json) -> list[Migration]:
    """The members after an edit: known ones keep their ids, by type and project [A]; the list replaces the old one [D]."""
    known = {_place(member): member for member in group.members} if home.switches.flag("edit_keeps_ids") else {}
    members = []
    for told in members_of(body):
        member = _member(home, user, group, told)
        old = known.pop(_place(member), None)
        if old is not None:
            member.package.id, member.importing.id = old.package.id, old.importing.id
            member.package.created, member.importing.created = old.package.created, old.importing.created
        members.append(member)
    check_members(home, members)
    return members


def group_replica(home: Environment, body: Json, key: str) -> Group:
    """The target's record of a group that it has never seen: the body is all it has [D]."""
    if body.get("id", key) != key:
        raise broken("The id of the body is not that of the path.")
    if body.get("importRequestStatus") != "approved":
        raise broken("The import request of the group is not approved.")
    package_id, _, import_id = key.partition(":")
    group = Group(
        package_id,
        import_id,
        text(body, "name"),
        optional_part(body, "sourceEnvironment"),
        optional_part(body, "targetEnvironment"),
        str(body.get("creationDate") or home.stamp()),
        home.stamp(),
        tree_of(body, {}),
        requests=Requests("approved"),
        certification=body.get("certification"),
    )
    fill(home, group, [copied(home, part(told, "packageInfo"), part(told, "importInfo")) for told in members_of(body)])
    return group


def members_of(body: Json) -> list[Json]:
    """The list `migrations`, not empty."""
    members = body.get("migrations")
    if not members:
        raise missing("migrations")
    if not isinstance(members, list) or not all(isinstance(told, dict) for told in members):
        raise broken("migrations is not a list of migrations.")
    return members


def fill(home: Environment, group: Group, members: list[Migration]) -> None:
    """Make them the members: the first has a purpose of its own [D]."""
    check_members(home, members)
    group.members = members
    for place, member in enumerate(members):
        member.group = group
        member.package.asked.purpose = lists.OTHER_MEMBER if place else lists.FIRST_MEMBER


def check_members(home: Environment, members: Sequence[Migration]) -> None:
    """At most so many, one package per project, the configuration first [D]."""
    limit = home.switches.integer("max_members")
    if len(members) > limit:
        raise broken(f"A group has at most {limit} migrations.")
    places = [_place(member) for member in members]
    if len(set(places)) < len(places):
        raise broken("A group has at most one package for each project.")
    if any(kind == "configuration" for kind, _ in places[1:]):
        raise broken("The configuration package must come first.")


def _member(home: Environment, user: User, group: Group, told: Json) -> Migration:
    half = part(told, "packageInfo")
    asked = asked_package(half)
    if asked.merge:
        raise broken("A project merge cannot be in a group.")
    package = fresh_package(home, user, half, asked, group.name)
    if asked.type == "project":
        key = need_project(half)
        known = home.projects.get(key)
        if known is None:
            raise broken(f"The project {key} does not exist in this environment.")
        package.project = known.short()
    return Migration(package, fresh_import(home, optional_part(told, "importInfo")), group=group)


def _place(member: Migration) -> tuple[str, str]:
    return member.package.asked.type, str(member.package.project.get("id", ""))
