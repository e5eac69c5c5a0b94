"""The ways in which a migration can end, brought about inside the sandbox; the ref of such a run is the migration's id."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ferry.vendors.anon.sandbox.organisation import Wish
from ferry.vendors.anon.sandbox.stories import named
from sandbox.switches import Value
from sandbox.vendor import Script

QUICK: Mapping[str, Value] = {"story_scale": 0.1}


def _told(story: str) -> Callable[[Any], Awaitable[str]]:
    async def begin(sandbox: Any) -> str:
        (made,) = sandbox.organisation.make(Wish(named(story, sandbox.switches)))
        return str(made.id)

    return begin


# What a failed migration leaves behind is not told, and files of it may exist [D2]: nobody may call that clean.
SCRIPTS = {
    "completes": Script("succeeded", _told("completes"), QUICK),
    "partly": Script("partially_succeeded", _told("partly"), QUICK),
    "fails": Script("failed_dirty", _told("fails"), QUICK),
    "abandons": Script("cancelled", _told("abandons"), QUICK),
    "stalls": Script("succeeded", _told("stalls"), QUICK),
    "strange": Script("succeeded", _told("strange"), QUICK),
    "service": Script("succeeded", _told("service"), QUICK),
}
