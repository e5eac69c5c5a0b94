"""The calls of migrations (contract 3.1)."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from ferry.vendors.microstrategy.sandbox import catalogue as lists
from ferry.vendors.microstrategy.sandbox.answers import broken, gone, missing, unknown
from ferry.vendors.microstrategy.sandbox.asking import Json, flag, optional_part, part, text, tree_of
from ferry.vendors.microstrategy.sandbox.building import Building
from ferry.vendors.microstrategy.sandbox.environment import Environment, new_id
from ferry.vendors.microstrategy.sandbox.gateway import PROJECT, Call, Gateway, Handler
from ferry.vendors.microstrategy.sandbox.importing import Import, Undo
from ferry.vendors.microstrategy.sandbox.making import created, edited, paged, replica, reused, uploaded
from ferry.vendors.microstrategy.sandbox.record import Migration
from ferry.vendors.microstrategy.sandbox.requesting import (
    certify,
    check_import_request,
    check_undo_request,
    editable,
    lock,
    set_certification,
    synchronise,
)
from ferry.vendors.microstrategy.sandbox.validating import await_verdict


def migration_routes(base: str, gateway: Gateway) -> list[Route]:
    """The status call first: it is asked thousands of times a second."""
    one, every = f"{base}/migrations/{{id}}", f"{base}/migrations"

    def route(path: str, handler: Handler, method: str) -> Route:
        return Route(path, gateway.guard(handler, storage=True), methods=[method])

    return [
        route(one, _get, "GET"),
        route(every, _create, "POST"),
        route(every, _list, "GET"),
        route(every, _delete, "DELETE"),
        route(one, _patch, "PATCH"),
        route(one, _import, "PUT"),
        route(f"{one}/packageInfo", _edit, "PUT"),
        route(f"{one}/packageInfo/certification", _certify, "PATCH"),
    ]


async def _get(call: Call) -> Response:
    record = known(call)
    shown = call.home.documents.full(record, call.query("showContent"))
    call.home.agenda.looked(record)
    return call.answer(shown)


async def _list(call: Call) -> Response:
    wanted = call.query("packageInfo.purpose") or lists.PURPOSES[0]  # [C] only those if nothing is said
    purposes = {name.strip() for name in wanted.split(",")}
    records = [record for record in call.home.migrations.values() if record.package.asked.purpose in purposes]
    rows = [call.home.documents.full(record, "default") for record in records]
    return call.answer(paged(call.request.query_params, rows))


async def _create(call: Call) -> Response:
    body = await call.body()
    if call.query("packageId"):
        call.administrators_only()  # [D] reusing belongs to managing migrations
        record = reused(call.home, call.query("packageId"), body)
    elif part(body, "packageInfo").get("purpose") == lists.UPLOADED:
        return _import_uploaded(call, body)
    else:
        told = part(body, "packageInfo")
        project = call.project(text(told, "type"), optional_part(told, "project"))
        record = created(call.home, call.user, body, project)
        call.home.tally.package(call.home.name, record.package.id, record.package.name, "creates")
        Building(call.home, [record]).start()
    call.home.migrations[record.id] = record
    return call.answer(call.home.documents.brief(record), 201)


def _import_uploaded(call: Call, body: Json) -> Response:
    # [D] this POST starts the import at once.
    call.administrators_only()
    record = uploaded(call.home, call.user, body)
    project = call.project(record.package.asked.type, record.importing.project)
    record.importing.project = project.short() if project else {}
    call.home.migrations[record.id] = record
    _start_import(call, record)
    return call.answer(call.home.documents.brief(record), 201)


async def _patch(call: Call) -> Response:
    body = await call.body()
    record = known(call)
    package, importing = optional_part(body, "packageInfo"), optional_part(body, "importInfo")
    request, undo = importing.get("importRequestStatus"), importing.get("undoRequestStatus")
    wants_import = request is not None and check_import_request(call.user, record.requests, [record], request)
    wants_undo = undo is not None and check_undo_request(call.user, record.requests, [record], undo)
    undoes = wants_undo and undo == "approved"
    if undoes and record.package.asked.type != "configuration":
        call.project(record.package.asked.type, record.importing.project)  # [D] the header is required here
    wants_validation = _wants_validation(call, record, optional_part(body, "validation"))
    _rename(record, package, importing)
    if wants_import:
        record.requests.importing = str(request)
        lock([record] if request == "approved" else [])
    if wants_undo:
        record.requests.undoing = str(undo)
    if wants_validation:
        await_verdict(call.home, record)
    record.importing.updated = call.home.stamp()
    if undoes:
        Undo(call.home, [record]).start()
        call.home.tally.run(call.home.name, record.id, "undos")
    status = int(call.home.switches.text("undo_status")) if undoes else 200
    return call.answer(call.home.documents.brief(record), status)


def _rename(record: Migration, package: Json, importing: Json) -> None:
    if package.get("name"):
        record.package.name = text(package, "name")
    if "environment" in importing:
        record.importing.environment = optional_part(importing, "environment")
    if "project" in importing and record.importing.status == "pending":
        record.importing.project = optional_part(importing, "project")


def _wants_validation(call: Call, record: Migration, told: Json) -> bool:
    word = told.get("status")
    if word is None or word == (record.validation or {}).get("status"):
        return False
    if word != "validating":
        raise broken(f"The validation cannot be made {word}.")
    call.administrators_only()  # [D]
    if record.uploaded or record.package.replicated or record.package.status != "created":
        raise broken("Only a package that is created can be validated.")
    return True


async def _import(call: Call) -> Response:
    call.administrators_only()
    call.prefer()
    body, record = await call.body(), call.home.migrations.get(call.id())
    told = part(body, "packageInfo")
    project = call.project(text(told, "type"), optional_part(part(body, "importInfo"), "project"))
    if record is not None and record.importing.status == "importing":
        return _repeated(call, record)
    if record is None:
        record = replica(call.home, body, call.id())
        call.home.migrations[record.id] = record
    elif record.importing.status != "pending":
        raise broken(f"The migration is {record.importing.status} already.")  # [A] make or reuse another one
    elif (record.package.status, record.requests.importing) != ("locked", "approved"):
        raise broken("The package is not locked, or the import request is not approved.")
    record.importing.project = project.short() if project else {}
    _start_import(call, record)
    return call.answer(call.home.documents.brief(record), 201)


def _repeated(call: Call, record: Migration) -> Response:
    # [C] HTTP libraries repeat a PUT by themselves; [A12] that must not start it twice.
    if call.home.switches.text("repeat_import") == "refuse":
        raise broken("The migration is being imported already.")
    call.home.tally.run(call.home.name, record.id, "repeats")
    return call.answer(call.home.documents.brief(record), 201)


def _start_import(call: Call, record: Migration) -> None:
    record.importing.wants_undo = call.flag("generateUndo", default=True)  # [A10]
    Import(call.home, [record], call.user).start()
    call.home.tally.run(call.home.name, record.id, "starts")


async def _edit(call: Call) -> Response:
    call.prefer()
    body = await call.body()
    record = known(call)
    editable(record.requests, [record])
    asked = edited(record, body)
    named = call.request.headers.get(PROJECT) or optional_part(body, "project").get("id")
    if asked.type == "project" and not named and call.home.switches.text("project_header") == "strict":
        raise missing("project")  # [D] in the header or in the body
    package = record.package
    package.tree = tree_of(body, package.tree)
    package.asked, package.name = asked, str(body.get("name") or package.name)
    record.validation = None  # [A]
    call.home.storage.verdicts.pop(record.id, None)
    if call.home.switches.flag("edit_resets_certification"):
        set_certification(record, None)
    call.home.storage.delete(package.path)
    if not call.home.switches.flag("edit_keeps_ids"):
        del call.home.migrations[record.id]
        package.id = new_id()
        call.home.migrations[record.id] = record
    call.home.tally.package(call.home.name, package.id, package.name, "edits")
    Building(call.home, [record]).start()
    return call.answer({"id": package.id, "status": package.status, "progress": 0.0}, 202)


async def _certify(call: Call) -> Response:
    record = known(call)
    if flag(call.query("autoSync") or None, default=False):
        synchronise(call.home, record)
    else:
        body = await call.body()
        inner = optional_part(optional_part(body, "packageInfo"), "certification")
        certify(call.home, call.user, record, inner or body)  # nested on the pages [D], flat from the official client [C]
    return Response(status_code=204)


async def _delete(call: Call) -> Response:
    call.administrators_only()
    package_id = call.query("packageId")
    if not package_id:
        raise missing("packageId")
    records = [record for record in call.home.migrations.values() if record.package.id == package_id]
    if not records:
        raise gone(f"The package {package_id}")
    if any(record.busy for record in records):
        raise broken("The migration is in use.")  # [A13]
    for record in records:
        del call.home.migrations[record.id]
        forget_files(call.home, record)
    return Response(status_code=204)


def forget_files(home: Environment, record: Migration) -> None:
    """Remove a package and its undo package from the shared storage [T]."""
    home.storage.delete(record.package.path)
    home.storage.delete(str(record.importing.undo.get("path")))


def known(call: Call) -> Migration:
    """The migration of the path."""
    record = call.home.migrations.get(call.id())
    if record is None:
        raise unknown(f"The migration {call.id()}")
    return record
