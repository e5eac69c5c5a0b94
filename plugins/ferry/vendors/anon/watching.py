"""Anon's list as an asset: what wakes a DAG when a migration is new, or has ended. Light, because DAG files import it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Hashable
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetWatcher
from airflow.triggers.base import BaseEventTrigger, TriggerEvent

if TYPE_CHECKING:
    from ferry.vendors.anon.shapes import Migration
    from ferry.vendors.anon.walks import Snapshot

CONNECTIONS = "FERRY_ANON_CONNECTIONS"
"""Environment variable: the connections whose lists are watched, separated by commas; `anon_default` without it."""


def watched_connections() -> list[str]:
    """The connections that `FERRY_ANON_CONNECTIONS` names. It must be the same for all of Airflow's processes."""
    told = os.environ.get(CONNECTIONS) or "anon_default"
    return [name for part in told.split(",") if (name := part.strip())]


def migrations_of(connection: str) -> Asset:
    """The list of migrations at a connection, as an asset that tells when there is something new."""
    watcher = AssetWatcher(name=f"{connection}_changes", trigger=AnonChangesTrigger(connection=connection))
    # No URI: Airflow would read the metadata of all providers to see whose scheme it is, half a second for each DAG file.
    return Asset(name=f"{connection}_migrations", watchers=[watcher])


def stream_of(connection: str) -> Hashable | None:
    """The key of the walk that all who read one connection's list share; nothing but the connection decides what is read."""
    return ("anon", connection) if connection else None


class AnonListTrigger(BaseEventTrigger):
    """Reads the list of a connection. All triggers of one connection in a triggerer share one walk through it."""

    def __init__(self, *, connection: str = "", **shared: Any) -> None:
        super().__init__(**shared)  # type: ignore[no-untyped-call]
        self.connection = connection

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and plain JSON."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {"connection": self.connection}

    def shared_stream_key(self) -> Hashable | None:
        """The connection; nothing else decides what is read."""
        return stream_of(self.connection)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[Snapshot]:
        """Snapshots of the list, for ever."""
        from ferry.vendors.anon.walks import snapshots

        async for snapshot in snapshots(kwargs["connection"]):
            yield snapshot

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """The same without sharing, should a triggerer know nothing of shared streams."""
        from ferry.vendors.anon.walks import snapshots

        async for event in self.filter_shared_stream(snapshots(self.connection)):
            yield event


class AnonChangesTrigger(AnonListTrigger):
    """For an asset: an event whenever there are migrations that the ledger does not know, or that ended without its knowing.

    What it has told of is not kept anywhere: the ledger knows what was adopted since. So a triggerer that was killed misses
    nothing, and at worst says once more what is being dealt with already.
    """

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Snapshot]) -> AsyncIterator[TriggerEvent]:
        """One event for all that is new in a snapshot."""
        told: dict[str, str] = {}
        async for snapshot in shared_stream:
            fresh = {one.id: one.word for one in snapshot.migrations.values() if told.get(one.id) != one.word}
            if fresh and (found := await self._news(snapshot, [snapshot.migrations[ref] for ref in fresh])):
                yield TriggerEvent({"connection": self.connection, "migrations": found})  # type: ignore[no-untyped-call]
            told |= fresh

    async def _news(self, snapshot: Snapshot, fresh: list[Migration]) -> int:
        """How many of these the ledger does not know, or not to have ended. The ledger being away makes all of them news."""
        from ferry.steps import places
        from ferry.vendors.anon.finding import news
        from ferry.vendors.anon.hook import AnonHook

        try:
            hook = await AnonHook.aopen(self.connection)
            ledger = await asyncio.to_thread(places.ledger_at, await places.aledger_url())
            return len(await asyncio.to_thread(news, ledger, snapshot.environment, fresh, hook.settings.watch_since))
        except Exception as error:  # noqa: BLE001 (ledger or connection: it passes, and nobody else would wake the DAG meanwhile)
            self.log.warning("What is new could not be looked up (%s): all that changed is called new", type(error).__name__)
            return len(fresh)
