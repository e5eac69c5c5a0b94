"""Which migrations are meant, and which are new: pure questions about a list, and the step that adopts one."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ferry.core.errors import BadInput, NotFound
from ferry.ledger.entries import Kind
from ferry.vendors.anon.manifest import AnonSection, Filter
from ferry.vendors.anon.shapes import Migration

if TYPE_CHECKING:
    from ferry.ledger.store import LedgerStore
    from ferry.steps.work import Work

log = logging.getLogger(__name__)
VENDOR, FIND, AWAIT = "anon", "find_run", "await_run"
MARGIN = timedelta(minutes=5)
"""How much earlier than wished a migration may have been made: the vendor's times may lack a zone, and clocks differ [A]."""


def fitting(migrations: Iterable[Migration], wanted: Filter) -> list[Migration]:
    """Those that are meant, oldest first. One whose age is not known does not fit a filter that asks for it."""
    return sorted((one for one in migrations if _fits(one, wanted)), key=age)


def age(migration: Migration) -> tuple[datetime, str]:
    """What migrations are sorted by; those whose age is not known come first."""
    return migration.created or datetime.min.replace(tzinfo=UTC), migration.id


def _fits(one: Migration, wanted: Filter) -> bool:
    return (
        wanted.migration_id in {None, one.id}
        and wanted.company_id in {None, one.company}
        and wanted.user_id in {None, one.user}
        and (not wanted.status or one.word in wanted.status)
        and (wanted.created_after is None or (one.created is not None and one.created >= wanted.created_after - MARGIN))
    )


def news(store: LedgerStore, environment: str, migrations: Iterable[Migration], since: datetime | None) -> list[Migration]:
    """Those that the ledger does not know, or whose end it does not know; oldest first.

    One whose age is not known counts as new enough: better watched for nothing than missed.
    """
    known, ended = store.refs(VENDOR, environment, FIND), store.refs(VENDOR, environment, AWAIT, Kind.RESULT)
    new_enough = (one for one in migrations if since is None or one.created is None or one.created >= since - MARGIN)
    return sorted((one for one in new_enough if one.id not in known or (one.state.is_final and one.id not in ended)), key=age)


# The step


def find_run(work: Work, found: list[str] | None = None) -> str | None:
    """Adopt the batch's migration; its id. None if the manifest names no id and nothing fits yet.

    `found` are the ids that fit, where somebody has waited for one.
    """
    if work.standing.ref:
        return work.standing.ref
    section: AnonSection = work.section
    refs = [section.migration] if section.migration else (found if found is not None else _fitting_now(work, section.find))
    if not refs:
        return None
    if len(refs) > 1:
        raise BadInput(
            f"{len(refs)} migrations fit what {work.attempt.batch_id} looks for: {', '.join(refs[:10])}. Put the id of the one "
            "that is meant into the manifest as `migration`, in place of `find`, and trigger again."
        )
    return _adopt(work, refs[0])


def _fitting_now(work: Work, wanted: Filter | None) -> list[str]:
    listed: list[Migration] = work.call(lambda api: api.migrations())
    return [one.id for one in fitting(listed, wanted)] if wanted else []


def _adopt(work: Work, ref: str) -> str:
    migration, attempt = _looked_up(work, ref), work.attempt
    others = {one.batch_id for one in work.ledger.who_has(VENDOR, attempt.environment, FIND, ref)} - {attempt.batch_id}
    if others:
        raise BadInput(
            f"Migration {ref} is watched as batch {', '.join(sorted(others))} already. One migration is one batch: look there, "
            f"and take {attempt.batch_id} away."
        )
    made = f"made {migration.created:%Y-%m-%d %H:%M} UTC" if migration.created else "its age is not told"
    note = f"A person began it ({made}); it is '{migration.word}'."
    data: dict[str, Any] = {"company": migration.company, "user": migration.user}
    work.record(Kind.ADOPTED, ref=ref, word=migration.word, state=migration.state, note=note, data=data)
    log.info("%s: migration %s is watched. %s", attempt, ref, note)
    return ref


def _looked_up(work: Work, ref: str) -> Migration:
    """The migration by its id; one that was just begun may be in the list before it can be looked at [A]."""
    try:
        found: Migration = work.call(lambda api: api.migration(ref))
    except NotFound:
        listed: list[Migration] = work.call(lambda api: api.migrations())
        for one in listed:
            if one.id == ref:
                return one
        raise
    return found


def check_filter(section: AnonSection) -> None:
    """BadInput if what is looked for cannot be: nothing is made after a moment that is still to come."""
    wanted = section.find
    if wanted and wanted.created_after and wanted.created_after.timestamp() > time.time() + MARGIN.total_seconds():
        raise BadInput(
            f"`find.created_after` is {wanted.created_after:%Y-%m-%d %H:%M} UTC, which is still to come. Correct the manifest "
            "and trigger again."
        )
