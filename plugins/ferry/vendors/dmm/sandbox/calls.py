"""The five calls (contract 3), in the platform's order: which call, who asks, with what parameters, and then the rest [P]."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ferry.vendors.dmm.sandbox.answers import PlatformError, RefusedError, unauthorized
from ferry.vendors.dmm.sandbox.connecting import create_connection
from ferry.vendors.dmm.sandbox.looking import get_outputs, get_status
from ferry.vendors.dmm.sandbox.parameters import from_body, from_query, spooled
from ferry.vendors.dmm.sandbox.starting import start, stop
from ferry.vendors.dmm.sandbox.uploads import Upload
from ferry.vendors.dmm.sandbox.world import Environment, World

TOKEN, PASSWORD = "X-DMM-Token", "X-DMM-Token-OTP"  # names of headers [D]
PLAIN_MB = 1
"""A body without a zip is never larger; [A], and only to keep it out of memory."""
Told = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """The verbs by which a call may be asked [A], and what it does."""

    verbs: tuple[str, ...]
    does: Callable[[World, Environment, Told], Response | Awaitable[Response]]


OPERATIONS = {
    "GetExecutionStatus": Operation(("GET", "POST"), get_status),
    "GetExecutionOutputs": Operation(("GET", "POST"), get_outputs),
    "StopExecution": Operation(("POST",), stop),
    "CreateConnection": Operation(("POST",), create_connection),
}
START = "StartExecution"


def serving(world: Callable[[], World]) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint for every path of both environments."""

    async def serve(request: Request) -> Response:
        here = world()
        try:
            return await _answer(here, request)
        except PlatformError as error:
            return error.response()
        except RefusedError as refused:
            return refused.response()

    return serve


async def _answer(world: World, request: Request) -> Response:
    try:
        home, name = _called(world, request)
    except PlatformError:
        await _drain(request)
        raise
    if not _is(request.headers.get(TOKEN, ""), world.switches.text(f"{home.name}_key")):
        await _drain(request)
        return unauthorized(world.switches.text("bad_token"))
    if name == START:
        return await _start(world, home, request)
    if request.method == "GET":
        told: Told = from_query(request)
    else:
        told, _ = await from_body(request, world.folder, PLAIN_MB)
    world.catch_up()
    answer = OPERATIONS[name].does(world, home, told)
    return answer if isinstance(answer, Response) else await answer


def _called(world: World, request: Request) -> tuple[Environment, str]:
    name, _, path = request.path_params["path"].partition("/")
    home = world.environments.get(name)
    base, _, operation = f"/{path}".rpartition("/")
    known = operation == START or operation in OPERATIONS
    if home is None or not known or base.strip("/") != world.switches.text("base_path").strip("/"):
        raise PlatformError(404, "The requested method was not found.")
    verbs = ("POST",) if operation == START else OPERATIONS[operation].verbs
    if request.method not in verbs:
        raise PlatformError(405, f"The method {operation} does not support {request.method}.")
    return home, operation


async def _start(world: World, home: Environment, request: Request) -> Response:
    upload: Upload | None
    async with spooled(request, world.folder, world.switches.integer("max_body_mb")) as body:
        told, upload = await body.taken_apart()
    try:
        return await start(world, home, request.headers.get(PASSWORD, ""), told, upload)
    finally:
        if upload is not None:
            upload.path.unlink(missing_ok=True)


async def _drain(request: Request) -> None:
    """Read what is still being sent: a client in the middle of a large body would not see the answer."""
    async for _ in request.stream():
        pass


def _is(token: str, known: str) -> bool:
    return bool(known) and secrets.compare_digest(token.encode(), known.encode())
