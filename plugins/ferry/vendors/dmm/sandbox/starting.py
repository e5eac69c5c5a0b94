"""StartExecution and StopExecution (contract 3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import anyio
from starlette.responses import Response

from ferry.vendors.dmm.sandbox.answers import PlatformError, RefusedError, as_json
from ferry.vendors.dmm.sandbox.execution import TYPES, Order
from ferry.vendors.dmm.sandbox.parameters import ID, key_of, text
from ferry.vendors.dmm.sandbox.unpacking import staged
from ferry.vendors.dmm.sandbox.uploads import Upload
from ferry.vendors.dmm.sandbox.world import UNDER_WAY, Environment, World
from sandbox.switches import Switches

IMPORT = "Import"
NOT_ACTIVATED = "DMM is not activated in this environment."
STOPPED_BY_API = "the API"


async def start(world: World, home: Environment, password: str, told: Mapping[str, Any], upload: Upload | None) -> Response:
    """Start an execution, if the password is good."""
    kind, configuration = text(told, "Type"), told.get("Configuration")
    if not isinstance(configuration, dict):
        raise PlatformError(400, "The parameter Configuration is missing or has the wrong type.")
    _admit(world.switches, home, password)
    order = Order(kind, configuration, upload)
    try:
        _check(world.switches, order)
    except RefusedError as refused:
        if not world.switches.flag("otp_used_by_failure"):
            raise
        home.passwords.use(password)
        raise refused from None
    home.passwords.use(password)
    return await _started(world, home, order)


def stop(world: World, home: Environment, told: Mapping[str, Any]) -> Response:
    """Stop an execution. What it did stays [D]."""
    key = key_of(told)
    execution = home.executions.get(key)
    if execution is None:
        raise RefusedError(f"There is no execution {key}.")
    if execution.status in UNDER_WAY:
        home.engine.stop(execution, STOPPED_BY_API)
    elif world.switches.text("stop_ended") == "refused":
        raise RefusedError(f"The execution {key} has ended already.")
    world.stops += 1
    return as_json({"Success": True, "ErrorMessage": ""})


def no_id(switches: Switches) -> dict[str, Any]:
    """How an answer without an id looks: an empty text, or no such key."""
    return {ID: ""} if switches.text("id_type") == "string" else {}


def _admit(switches: Switches, home: Environment, password: str) -> None:
    if why := home.passwords.why_bad(password):
        raise RefusedError(why, **no_id(switches))


def _check(switches: Switches, order: Order) -> None:
    if not switches.flag("activated"):
        raise RefusedError(NOT_ACTIVATED, **no_id(switches))
    if order.type not in TYPES:
        raise RefusedError(f"Type is one of {', '.join(TYPES)}.", **no_id(switches))
    if order.type == IMPORT and order.upload is None:
        raise RefusedError("ZipFile is required for an import.", **no_id(switches))


async def _started(world: World, home: Environment, order: Order) -> Response:
    how = world.switches.text("start_id")
    if how != "missing":
        key: str | int = await begun(world, home, order)
        if how == "given":
            key = key if world.switches.text("id_type") == "string" else int(key)
            return as_json({ID: key, "Success": True, "ErrorMessage": ""})
    return as_json({**no_id(world.switches), "Success": True, "ErrorMessage": ""})


async def begun(world: World, home: Environment, order: Order) -> str:
    """Look into the zip, if any, and put the execution in the queue; gives its id."""
    if order.type == IMPORT and order.upload is not None:
        target, most = world.folder / f"{uuid4().hex}.rows", world.switches.integer("max_inflated_mb")
        order.staged = await anyio.to_thread.run_sync(staged, order.upload.path, target, most)
    world.catch_up()
    return world.start(home, order).key
