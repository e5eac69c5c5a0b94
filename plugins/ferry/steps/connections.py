"""Airflow's connections in the triggerer: one look-up serves all waits that begin within a few seconds."""

from __future__ import annotations

import asyncio
import time
from typing import TypeAlias

from airflow.sdk import BaseHook, Connection

FRESH = 5.0
"""Seconds after which a connection is looked up anew: less than it takes a person to correct one and to clear a task."""
Asked: TypeAlias = dict[str, tuple[float, asyncio.Task[Connection]]]
_asked: dict[asyncio.AbstractEventLoop, Asked] = {}


async def aconnection(conn_id: str, *, anew: bool = False) -> Connection:
    """The connection of that name; what went wrong with a look-up is told to all who waited for it, and not remembered.

    In Airflow 3.3.2 each look-up costs up to three questions to the parent process of the triggerer, which answers one between
    two rounds through its database. Five hundred waits that begin at once, as after a restart, would stand in line there.
    """
    asked = _asked_here()
    at, asking = asked.get(conn_id, (0.0, None))
    if anew or asking is None or (asking.done() and (_failed(asking) or time.monotonic() - at > FRESH)):
        asking = asyncio.ensure_future(_look_up(conn_id))
        asked[conn_id] = time.monotonic(), asking
    return await asyncio.shield(asking)


def _asked_here() -> Asked:
    """What was asked in this event loop. Tasks hold on to theirs, so those of loops that are over are let go of here."""
    for over in [loop for loop in _asked if loop.is_closed()]:
        del _asked[over]
    return _asked.setdefault(asyncio.get_running_loop(), {})


def _failed(asking: asyncio.Task[Connection]) -> bool:
    return asking.cancelled() or asking.exception() is not None


async def _look_up(conn_id: str) -> Connection:
    return await BaseHook.aget_connection(conn_id)
