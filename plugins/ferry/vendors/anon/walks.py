"""One walk through the list for all who wait: snapshots of everything an organisation has, as often as the connection says."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from ferry.core.api import Patience
from ferry.core.errors import FerryError, NotFound, VendorError, VendorNonsense, VendorRefused, VendorUnavailable
from ferry.core.model import RunState
from ferry.vendors.anon.hook import AnonHook
from ferry.vendors.anon.shapes import Migration
from ferry.vendors.anon.vocabulary import STATES

log = logging.getLogger(__name__)
A_PAGE = Patience(tries=4, seconds=60.0)
"""A page that does not come is asked for again: one bad answer among hundreds must not cost a whole walk."""
LONGEST_PAUSE = 300.0
"""Seconds between two walks at most, while Anon gives no usable answer."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything in the list at one moment, by id; or why it could not be had."""

    environment: str = ""
    migrations: dict[str, Migration] = field(default_factory=dict)
    trouble: VendorError | None = None
    remind_after: float | None = None
    """Seconds after which a person is reminded; None where the connection names nobody to tell."""


async def snapshots(connection: str) -> AsyncIterator[Snapshot]:
    """One snapshot after the other, for ever. What goes wrong is in the snapshot: an exception would end all who wait.

    The pause between two walks is at least as long as a walk, so that a long list is not walked through without a rest.
    """
    failed, warned = 0, set[str]()
    while True:
        begun = time.monotonic()
        try:
            hook = await AnonHook.aopen(connection, anew=True)  # a key may have been changed
            wanted, snapshot = hook.settings.poll_seconds, await _walked(hook)
            _warn_of_new_words(snapshot, warned)
        except NotFound as error:  # the list itself, which says nothing of any migration in it
            wanted, snapshot = _after(failed, error), Snapshot(trouble=VendorRefused(error.message))
        except VendorError as error:
            wanted, snapshot = _after(failed, error), Snapshot(trouble=error)
        except FerryError as error:  # the connection itself
            wanted, snapshot = _after(failed, error), Snapshot(trouble=VendorNonsense(error.message))
        except Exception as odd:  # noqa: BLE001 (Airflow could not tell the connection, say: that passes, and must end nobody's wait)
            away = VendorUnavailable(f"Anon's list could not be read ({type(odd).__name__}). It is tried again.")
            wanted, snapshot = _after(failed, away), Snapshot(trouble=away)
        failed = failed + 1 if snapshot.trouble else 0
        yield snapshot
        pause = max(wanted, time.monotonic() - begun)
        await asyncio.sleep(pause * random.uniform(1.0, 1.2))  # noqa: S311 (so that many triggerers do not come together; never sooner)


async def _walked(hook: AnonHook) -> Snapshot:
    told = hook.settings
    found = await hook.acall(lambda api: api.migrations(), A_PAGE)
    return Snapshot(
        told.environment,
        {migration.id: migration for migration in found},
        remind_after=told.remind_after if told.notifier else None,
    )


def _after(failed: int, error: FerryError) -> float:
    """Seconds until the next try: more and more, and as many as Anon asks for. Anon may be away for days on end."""
    return max(float(error.facts.get("retry_after") or 0.0), min(LONGEST_PAUSE, 5.0 * 2.0 ** min(failed, 10)))


def _warn_of_new_words(snapshot: Snapshot, warned: set[str]) -> None:
    """An undocumented status is survived and told of, once for each word."""
    for word in sorted({one.word for one in snapshot.migrations.values()} - STATES.keys() - warned):
        warned.add(word)
        log.warning("Anon has a status that its pages do not tell of: '%s'. It is watched on as %s.", word, RunState.RUNNING)
