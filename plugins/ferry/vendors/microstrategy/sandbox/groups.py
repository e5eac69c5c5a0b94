"""The calls of migration groups (contract 3.2)."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from ferry.vendors.microstrategy.sandbox.answers import broken, gone, missing, unknown
from ferry.vendors.microstrategy.sandbox.asking import Json, flag, optional_part, tree_of
from ferry.vendors.microstrategy.sandbox.building import Building
from ferry.vendors.microstrategy.sandbox.gateway import Call, Gateway, Handler
from ferry.vendors.microstrategy.sandbox.grouping import edited_members, fill, group_replica, members_of, new_group
from ferry.vendors.microstrategy.sandbox.importing import Import, Undo, touched
from ferry.vendors.microstrategy.sandbox.making import paged
from ferry.vendors.microstrategy.sandbox.migrations import forget_files
from ferry.vendors.microstrategy.sandbox.record import Group
from ferry.vendors.microstrategy.sandbox.requesting import (
    certify,
    check_import_request,
    check_undo_request,
    editable,
    lock,
    set_certification,
    synchronise,
)


def group_routes(base: str, gateway: Gateway) -> list[Route]:
    """The status call first."""
    one, every = f"{base}/migrationGroups/{{id}}", f"{base}/migrationGroups"

    def route(path: str, handler: Handler, method: str) -> Route:
        return Route(path, gateway.guard(handler, storage=True), methods=[method])

    return [
        route(one, _get, "GET"),
        route(every, _create, "POST"),
        route(every, _list, "GET"),
        route(every, _delete, "DELETE"),
        route(one, _patch, "PATCH"),
        route(one, _put, "PUT"),
        route(f"{one}/certification", _certify, "PATCH"),
    ]


async def _get(call: Call) -> Response:
    group = _known(call)
    shown = call.home.documents.full_group(group, call.query("showContent"))
    call.home.agenda.looked(group)
    return call.answer(shown)


async def _list(call: Call) -> Response:
    rows = [call.home.documents.full_group(group, "default") for group in call.home.groups.values()]
    return call.answer(paged(call.request.query_params, rows))


async def _create(call: Call) -> Response:
    group = new_group(call.home, call.user, await call.body())
    call.home.groups[group.id] = group
    call.home.tally.package(call.home.name, run_key(group), group.name, "creates")
    Building(call.home, group.members).start()
    return call.answer(call.home.documents.brief_group(group), 201)


async def _patch(call: Call) -> Response:
    body = await call.body()
    group = _known(call)
    request, undo = body.get("importRequestStatus"), body.get("undoRequestStatus")
    wants_import = request is not None and check_import_request(call.user, group.requests, group.members, request)
    wants_undo = undo is not None and check_undo_request(call.user, group.requests, group.members, undo)
    if wants_import:
        group.requests.importing = str(request)
        lock(group.members if request == "approved" else [])
    if wants_undo:
        group.requests.undoing = str(undo)
    group.updated = call.home.stamp()
    if wants_undo and undo == "approved":
        Undo(call.home, list(touched(group.members))).start()
        call.home.tally.run(call.home.name, run_key(group), "undos")
    return _answer(call, group)


async def _put(call: Call) -> Response:
    call.prefer()
    body = await call.body()
    replicated = [optional_part(told, "packageInfo").get("replicated") is True for told in members_of(body)]
    if any(replicated) and not all(replicated):
        raise broken("packageInfo.replicated is not true for every migration of the group.")
    # [A4] one verb and path for both; nothing documents how the vendor tells them apart.
    return _import(call, body) if all(replicated) else _edit(call, body)


def _import(call: Call, body: Json) -> Response:
    call.administrators_only()
    group = call.home.groups.get(call.id())
    if group is not None and any(member.importing.status == "importing" for member in group.members):
        if call.home.switches.text("repeat_import") == "refuse":
            raise broken("The group is being imported already.")
        call.home.tally.run(call.home.name, run_key(group), "repeats")
        return _answer(call, group)  # [A12]
    if group is None:
        group = group_replica(call.home, body, call.id())
    elif any(member.importing.status != "pending" for member in group.members):
        raise broken("The import of the group has ended already.")
    elif group.requests.importing != "approved" or any(member.package.status != "locked" for member in group.members):
        raise broken("The packages are not locked, or the import request is not approved.")
    _set_projects(call, group)
    call.home.groups[group.id] = group
    for member in group.members:
        member.importing.wants_undo = call.flag("generateUndo", default=True)
    Import(call.home, group.members, call.user).start()
    call.home.tally.run(call.home.name, run_key(group), "starts")
    return _answer(call, group)


def _set_projects(call: Call, group: Group) -> None:
    # [D] groups take the target project from the body, never from the header.
    for member in group.members:
        if member.package.asked.type == "configuration":
            member.importing.project = {}
            continue
        named = member.importing.project.get("id") or member.package.project.get("id")
        member.importing.project = call.known_project(str(named), {}).short()


def _edit(call: Call, body: Json) -> Response:
    group = _known(call)
    editable(group.requests, group.members)
    members = edited_members(call.home, call.user, group, body)
    group.tree = tree_of(body, group.tree)
    group.name = str(body.get("name") or group.name)
    for member in group.members:
        forget_files(call.home, member)
    fill(call.home, group, members)
    group.updated = call.home.stamp()
    if call.home.switches.flag("edit_resets_certification"):
        set_certification(group, None)
    call.home.tally.package(call.home.name, run_key(group), group.name, "edits")
    Building(call.home, group.members).start()
    return _answer(call, group)


async def _certify(call: Call) -> Response:
    group = _known(call)
    if flag(call.query("autoSync") or None, default=False):
        synchronise(call.home, group)
    else:
        body = await call.body()
        certify(call.home, call.user, group, optional_part(body, "certification") or body)  # flat and nested, both printed [D]
    return Response(status_code=204)


async def _delete(call: Call) -> Response:
    call.administrators_only()
    package_id = call.query("packageGroupId")
    if not package_id:
        raise missing("packageGroupId")
    groups = [group for group in call.home.groups.values() if group.package_id == package_id]
    if not groups:
        raise gone(f"The package group {package_id}")
    if any(member.busy for group in groups for member in group.members):
        raise broken("The migration group is in use.")  # [A13]
    for group in groups:
        del call.home.groups[group.id]
        for member in group.members:
            forget_files(call.home, member)
    return Response(status_code=204)


def run_key(group: Group) -> str:
    """How a group is told apart from a migration where both are listed."""
    return f"migrationGroups/{group.id}"


def _answer(call: Call, group: Group) -> Response:
    return call.answer(call.home.documents.brief_group(group), int(call.home.switches.text("group_status")))


def _known(call: Call) -> Group:
    group = call.home.groups.get(call.id())
    if group is None:
        raise unknown(f"The migration group {call.id()}")
    return group
