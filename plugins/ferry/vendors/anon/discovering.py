"""From the organisation's list to batches: each migration that is new becomes one, and is watched by a DAG run of its own."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import yaml

from ferry.core.batch import BATCH_ID, MANIFEST, parse_manifest
from ferry.core.errors import BadInput
from ferry.steps import places
from ferry.steps.admitting import is_live
from ferry.steps.dispatching import MOST
from ferry.vendors.anon.finding import FIND, VENDOR, news
from ferry.vendors.anon.hook import AnonHook, AnonSettings
from ferry.vendors.anon.manifest import AnonSection
from ferry.vendors.anon.shapes import Migration

log = logging.getLogger(__name__)
WATCH = "watch_anon"
LONGEST_ID = 60
"""Characters of a migration's id that its batch is named by."""


def discover(connections: Iterable[str]) -> list[dict[str, Any]]:
    """What is to be watched, as plain JSON, oldest first: new migrations as new batches, and those that ended unwatched.

    It may be done again at any moment: what is being watched is left alone.
    """
    found: list[dict[str, Any]] = []
    for connection in connections:
        found += _discovered(connection)
    if left := found[MOST:]:
        names = ", ".join(due["batch_id"] for due in left[:100])
        log.warning("%d migrations are more than one run can map; left for the next: %s", len(found), names)
    log.info("%d migrations to watch", len(found[:MOST]))
    return found[:MOST]


def _discovered(connection: str) -> list[dict[str, Any]]:
    hook = AnonHook(connection)
    try:
        settings = hook.settings
        listed: list[Migration] = hook.call(lambda api: api.migrations())
    finally:
        hook.close()
    found = []
    for migration in news(places.ledger(), settings.environment, listed, settings.watch_since):
        try:
            if due := _due(connection, settings, migration):
                found.append(due)
        except BadInput as error:  # one that a person must look at stops no other
            log.error("%s", error.message)  # noqa: TRY400 (the sentence is what helps)
    return found


def _due(connection: str, settings: AnonSettings, migration: Migration) -> dict[str, Any] | None:
    """The attempt that is to watch a migration; None while somebody does, or where a person has closed the matter."""
    ledger, number = places.ledger(), 1
    watched = ledger.who_has(VENDOR, settings.environment, FIND, migration.id)
    batch_id = watched[-1].batch_id if watched else _write(connection, settings, migration)
    last = ledger.standing(VENDOR, settings.environment, batch_id).last
    if last is not None:
        if not last.is_open or is_live(last.holder):
            return None
        number = last.attempt.number
    return {"dag": WATCH, "batch_id": batch_id, "attempt": number}


def _write(connection: str, settings: AnonSettings, migration: Migration) -> str:
    """The batch's id, once its manifest is there. One that is there already is never written over."""
    batch_id = batch_id_of(migration.id)
    folder = places.batches() / VENDOR / batch_id
    path = folder / MANIFEST
    if path.exists() and path.stat().st_size:  # an empty one is what a killed worker leaves
        _must_be_about(migration, path.read_text(encoding="utf-8"), batch_id)
        return batch_id
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(_manifest(connection, settings, migration), encoding="utf-8")
    except OSError as error:
        raise BadInput(
            f"Batch {VENDOR}/{batch_id} could not be written ({type(error).__name__}), so migration {migration.id} is not "
            "watched. Let Airflow's workers write to the folder of batches (FERRY_BATCHES); the next run finds it again."
        ) from None
    return batch_id


def _must_be_about(migration: Migration, text: str, batch_id: str) -> None:
    _, section = parse_manifest(text, VENDOR, batch_id, AnonSection)
    if not isinstance(section, AnonSection) or section.migration != migration.id:
        raise BadInput(
            f"Batch {VENDOR}/{batch_id} is about something else, and migration {migration.id} would be called so. It was not "
            "touched, and the migration is not watched: name that batch otherwise."
        )


def batch_id_of(ref: str) -> str:
    """The name of the batch of a migration: its id, as far as that makes a name; otherwise with a mark of the whole id."""
    name = re.sub(r"[^a-z0-9._-]+", "-", ref.lower()).strip("-._")[:LONGEST_ID]
    if name == ref and BATCH_ID.fullmatch(name):
        return name
    mark = hashlib.sha256(ref.encode()).hexdigest()[:10]
    return f"{name}-{mark}" if name else f"migration-{mark}"


def _manifest(connection: str, settings: AnonSettings, migration: Migration) -> str:
    due = (migration.created or datetime.now(UTC)).date()
    told = {
        "vendor": VENDOR,
        "title": f"Migration {migration.id}",
        "connection": connection,
        "dag": WATCH,
        VENDOR: {"migration": migration.id, "accept_partial": settings.accept_partial},
    }
    return f"# Made by discover_anon.\ndue: {due.isoformat()}\n{yaml.safe_dump(told, sort_keys=False, allow_unicode=True)}"
