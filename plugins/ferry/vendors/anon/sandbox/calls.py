"""The calls: list and get [D], files and tasks at paths that the vendor does not tell [A]. Whatever is no GET is refused."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response

from ferry.vendors.anon.sandbox import files, paging, tasks
from ferry.vendors.anon.sandbox.answers import RefusedError, as_json, bent, not_found, written
from ferry.vendors.anon.sandbox.migration import Migration
from ferry.vendors.anon.sandbox.organisation import Organisation
from ferry.vendors.anon.sandbox.register import Shelf, anyhow

PREFIX = "/anon"
BASE = "/api/v1/migrations"


def serving(organisation: Callable[[], Organisation]) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint for every path of the vendor."""

    async def serve(request: Request) -> Response:
        home = organisation()
        try:
            _check_method(home, request.method)
            home.throttle()
            _check_key(request.headers.get("authorization", ""), home.switches.text("api_key"))
            return as_json(_answer(home, request))
        except RefusedError as refused:
            return refused.response()

    return serve


def _check_method(home: Organisation, method: str) -> None:
    if method != "GET":
        home.counters["other_methods"] += 1
        raise RefusedError(405, "method_not_allowed", "This API can only be read.", {"Allow": "GET"})  # [A]


def _check_key(header: str, known: str) -> None:
    kind, _, key = header.partition(" ")
    # An empty switch is a key that was revoked: nothing is as good as it.
    if kind.lower() != "bearer" or not known or not secrets.compare_digest(key.strip().encode(), known.encode()):
        raise RefusedError(401, "unauthorized", "The API key is missing, unknown or revoked.")  # [A]


def _answer(home: Organisation, request: Request) -> Any:
    match _parts(request):
        case []:
            return _migrations(home, request)
        case [key]:
            home.counters["get_calls"] += 1
            return bent(_document(home, home.visible(key)), home.switches)
        case [key, "files"]:
            home.counters["file_calls"] += 1
            return _files(home, request, home.visible(key))
        case [key, "tasks"]:
            home.counters["task_calls"] += 1
            return _tasks(home, request, home.visible(key))
    raise not_found("This path")


def _parts(request: Request) -> list[str]:
    """The segments after the base, split before they are decoded: an id is opaque and may hold anything."""
    path = request.scope["raw_path"].partition(b"?")[0].decode("latin-1").removeprefix(PREFIX)
    base, slash, rest = path[: len(BASE)], path[len(BASE) : len(BASE) + 1], path[len(BASE) + 1 :]
    if base != BASE or slash not in ("", "/"):
        raise not_found("This path")
    return [unquote(part) for part in rest.split("/")] if slash else []


def _migrations(home: Organisation, request: Request) -> Any:
    home.counters["list_calls"] += 1
    home.grow()
    other = home.switches.flag("wrong_organisation")
    shelf = Shelf([]) if other else home.register.shelf(home.switches.text("order"))
    body = paging.answer(request, shelf, home.switches, lambda one: _document(home, one))
    home.counters["pages"] += 1
    return body


def _document(home: Organisation, migration: Migration) -> dict[str, Any]:
    """The migration as list and get tell it [D]: no end, no progress, no error text, no provider."""
    return {
        "object": "migration",
        "id": migration.id,
        "created": _written(home, migration.created),
        "status": migration.status(home.clock.now()),
        "created_by_user_id": migration.user,
        "company_id": None if home.switches.flag("null_company") else migration.company,
    }


def _files(home: Organisation, request: Request, migration: Migration) -> Any:
    seconds = home.switches.integer("file_url_seconds")
    found = files.files_of(migration, _tasks_now(home, migration), home.switches.integer("files_per_migration"))

    def link(place: str, name: str) -> str:
        return home.store.download_url(request, files.BUCKET, place, seconds, name)

    def render(file: files.File) -> dict[str, Any]:
        return files.document(file, migration.id, _written(home, file.created), home.store, link)

    return paging.answer(request, _arranged(home, found, lambda file: file.id), home.switches, render)


def _tasks(home: Organisation, request: Request, migration: Migration) -> Any:
    created = _written(home, migration.created)

    def render(task: tasks.Task) -> dict[str, Any]:
        completed = None if task.done_at is None else f"{written(task.done_at, 'none')}+00:00"  # always with an offset [D2]
        return tasks.document(migration.id, task, created, completed)

    found = _tasks_now(home, migration)
    return paging.answer(request, _arranged(home, found, lambda task: tasks.task_id(migration.id, task)), home.switches, render)


def _tasks_now(home: Organisation, migration: Migration) -> list[tasks.Task]:
    return tasks.tasks_of(migration.plans, migration.history(home.clock.now()))


def _arranged(home: Organisation, things: list[Any], key: Callable[[Any], str]) -> Shelf:
    """Things of one migration, oldest first, in the order of the switch."""
    order = home.switches.text("order")
    if order == "shuffled":
        return Shelf(sorted(things, key=lambda one: anyhow(key(one))))
    return Shelf(things, backwards=order == "newest")


def _written(home: Organisation, seconds: float) -> str:
    return written(seconds, home.switches.text("zone"))
