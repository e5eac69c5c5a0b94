"""Waiting for Anon, in the triggerer: one walk through the list serves everybody who waits at one connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Hashable, Mapping
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TaskSuccessEvent, TriggerEvent

from ferry.core.model import Run, RunState
from ferry.ledger.entries import AttemptStanding, Kind
from ferry.steps.hook import VendorHook
from ferry.steps.triggers import VendorRunTrigger
from ferry.vendors.anon.finding import fitting
from ferry.vendors.anon.hook import AnonHook, AnonSettings
from ferry.vendors.anon.manifest import Filter
from ferry.vendors.anon.telling import Episode, episode_of
from ferry.vendors.anon.walks import Snapshot, snapshots
from ferry.vendors.anon.watching import AnonListTrigger, stream_of

TELL = "tell"
"""Key of an event: a person is to be told, which takes a worker."""


class AnonFindTrigger(AnonListTrigger):
    """Waits until a migration fits, or until the deadline (epoch seconds); it resumes its task with what it found."""

    def __init__(
        self,
        *,
        wanted: Mapping[str, Any] | None = None,
        deadline: float = 0.0,
        first_look: float = 0.0,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        self.wanted, self.deadline, self.first_look = dict(wanted or {}), deadline, first_look

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and plain JSON."""
        path, shared = super().serialize()
        mine = {name: getattr(self, name) for name in ("wanted", "deadline", "first_look")}
        return path, shared | mine

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Snapshot]) -> AsyncIterator[TriggerEvent]:
        """One event: the ids of all that fit, or none when time has run out."""
        wanted = Filter.model_validate(self.wanted)
        await asyncio.sleep(self.first_look)
        trouble = ""
        async for snapshot in shared_stream:
            if snapshot.trouble is not None:
                trouble = self._told(snapshot.trouble.message, trouble)
            if found := fitting(snapshot.migrations.values(), wanted):
                yield TriggerEvent({"found": [one.id for one in found]})
                return
            if time.time() >= self.deadline:
                yield TriggerEvent({"found": [], "trouble": trouble})
                return

    def _told(self, message: str, before: str) -> str:
        if message != before:
            self.log.warning("%s", message)
        return message


class AnonRunTrigger(VendorRunTrigger, BaseEventTrigger):
    """Waits for the end of one migration, by the walk that all share; by itself where there is no shared stream.

    While the migration waits for a person, and the connection names a notifier, it hands the task to a worker for as long as it
    takes to tell that person: once for each time it comes to stand so, and once more after the connection's time.
    """

    hook_class = AnonHook

    def __init__(self, *, connection: str = "", **shared: Any) -> None:
        super().__init__(**shared)
        self.connection = connection
        self._snapshots: AsyncIterator[Snapshot] | None = None
        self._episode, self._tells = Episode(), False
        self._remind_after: float | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and plain JSON."""
        path, shared = super().serialize()
        return path, shared | {"connection": self.connection}

    def shared_stream_key(self) -> Hashable | None:
        """The connection: the same key as that of all others who read its list."""
        return stream_of(self.connection)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[Snapshot]:
        """Snapshots of the list, for ever."""
        async for snapshot in snapshots(kwargs["connection"]):
            yield snapshot

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Snapshot]) -> AsyncIterator[TriggerEvent]:
        """The wait of `run`, fed by the shared walk."""
        self._snapshots, self.longest_pause = shared_stream, 0.0  # the walks are the pace
        async for event in self.run():
            yield event
            return

    def begin(self, standing: AttemptStanding) -> None:
        """Since when it stands as it does, and who was told of it."""
        self._episode = episode_of(standing)

    def is_over(self, seen: Run) -> bool:
        """Its end; and a moment at which a person is to be told."""
        return seen.state.is_final or self._must_tell(seen)

    def kind(self) -> Kind:
        """Only an end is a result."""
        return Kind.LOOK if self._tells else Kind.RESULT

    def found(self, seen: Run) -> TriggerEvent:
        """The end ends the task here; to tell a person takes a worker."""
        return TriggerEvent({TELL: seen.word}) if self._tells else TaskSuccessEvent()

    async def look(self, hook: VendorHook[Any], before: Run) -> Run:
        """The migration in the next walk; asked for by itself where there is no walk, or where it is missing in it."""
        if self._snapshots is None:
            self._remind_after = _remind_after(hook)
            return await super().look(hook, before)
        snapshot = await anext(self._snapshots)
        if snapshot.trouble is not None:
            raise snapshot.trouble
        self._remind_after = snapshot.remind_after
        migration = snapshot.migrations.get(before.ref)
        return migration.run if migration else await super().look(hook, before)

    def _must_tell(self, seen: Run) -> bool:
        waits = seen.state is RunState.WAITING_FOR_PERSON and self._remind_after is not None
        if seen.word != self._episode.word:
            self._episode = Episode(word=seen.word, since=time.time())
        self._tells = waits and self._episode.is_due(self._remind_after or 0.0, time.time())
        return self._tells


def _remind_after(hook: VendorHook[Any]) -> float | None:
    told = hook.settings
    return told.remind_after if isinstance(told, AnonSettings) and told.notifier else None
