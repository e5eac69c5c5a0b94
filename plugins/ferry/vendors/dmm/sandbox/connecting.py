"""CreateConnection (contract 3.1): names that configurations refer to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from ferry.vendors.dmm.sandbox.answers import RefusedError, as_json
from ferry.vendors.dmm.sandbox.parameters import text
from ferry.vendors.dmm.sandbox.world import Environment, World

KINDS = ("SQLServer", "Oracle", "MySQL", "DMMREST")  # [D2] the kinds, [A] their names
USAGES = ("Source", "Destination")
SECRET = re.compile("passw|pwd|token|secret|key", re.IGNORECASE)
SAVED = "The connection was saved, but the connectivity test failed: made-up: no answer from the server."


def create_connection(world: World, home: Environment, told: Mapping[str, Any]) -> Response:
    """Keep a connection, without its secrets. That it was created does not mean that it works [D2]."""
    name, usage, kind = text(told, "Name"), text(told, "Usage"), text(told, "ConnectionType")
    said = _echo(told) if world.switches.flag("echo_secrets") else ""
    if why := _why_not(home, name, usage, kind):
        raise RefusedError(why + said)
    home.connections[name] = {key: value for key, value in told.items() if not SECRET.search(key)}
    failed = world.switches.text("connectivity") == "failed_saved"
    return as_json({"Success": True, "ErrorMessage": SAVED + said if failed else "", "ConnectionName": name})


def _why_not(home: Environment, name: str, usage: str, kind: str) -> str:
    if usage not in USAGES:
        return f"Usage is one of {', '.join(USAGES)}."
    if kind not in KINDS:
        return f"ConnectionType is one of {', '.join(KINDS)}."
    if kind == "MySQL" and usage == "Destination":
        return "MySQL can only be a source."  # [D2]
    return f"There is a connection {name!r} already." if name in home.connections else ""


def _echo(told: Mapping[str, Any]) -> str:
    """What a careless vendor says."""
    return "".join(f" {name}={value}" for name, value in told.items() if SECRET.search(name))
