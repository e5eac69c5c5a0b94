"""Airflow's connections in the triggerer: one look-up serves everybody who waits, for half a minute."""

from __future__ import annotations

import asyncio
import time
from weakref import WeakKeyDictionary

from airflow.sdk import BaseHook, Connection

FRESH = 30.0
"""Seconds after which a connection is looked up anew: whoever corrects one wants to see it used."""
_asked: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, tuple[float, asyncio.Task[Connection]]]] = WeakKeyDictionary()


async def aconnection(conn_id: str, *, anew: bool = False) -> Connection:
    """The connection of that name; what went wrong with a look-up is told to all who waited for it, and not remembered.

    In Airflow 3.3.2 each look-up costs up to three questions to the parent process of the triggerer, which answers one between
    two rounds through its database. Five hundred waits that begin at once, as after a restart, would stand in line there.
    """
    asked = _asked.setdefault(asyncio.get_running_loop(), {})
    at, asking = asked.get(conn_id, (0.0, None))
    failed = asking is not None and asking.done() and (asking.cancelled() or asking.exception() is not None)
    if anew or asking is None or failed or time.monotonic() - at > FRESH:
        asking = asyncio.ensure_future(_look_up(conn_id))
        asked[conn_id] = time.monotonic(), asking
    return await asyncio.shield(asking)


async def _look_up(conn_id: str) -> Connection:
    return await BaseHook.aget_connection(conn_id)
