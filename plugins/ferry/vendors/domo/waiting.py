"""What a task waits for in the triggerer, and until when."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger

from ferry.steps.triggers import LivePlaceTrigger
from ferry.vendors.domo.fates import EVERY_STEP, Fate, fates
from ferry.vendors.domo.moving import part_seconds
from ferry.vendors.domo.planning import plan_of
from ferry.vendors.domo.starting import deadline_of
from ferry.vendors.domo.triggers import DomoListTrigger
from ferry.vendors.domo.vocabulary import Direction

if TYPE_CHECKING:
    from airflow.triggers.base import BaseTrigger

    from ferry.steps.work import Work
    from ferry.vendors.domo.moving import Pause

ROOM_PAUSE = 3.0
"""Seconds between two looks for room: a migration takes some seconds [D, by its samples]."""
FIRST_LOOK = 7.0
"""Seconds before a task is resumed at the earliest: Airflow 3.3.2 may fail one that comes back sooner (`LivePlaceTrigger`)."""


def trigger_for(work: Work, pause: Pause) -> BaseTrigger:
    """What ends that pause."""
    if pause.why == "rest":
        return TimeDeltaTrigger(timedelta(seconds=pause.seconds))
    if pause.why == "room":
        limit = work.hook.settings.max_live_runs
        parts = plan_of(work).at_once
        kept = part_seconds(work)
        return LivePlaceTrigger(
            work.attempt.key, limit, max_parts=parts, part_seconds=kept, first_look=FIRST_LOOK, pause=ROOM_PAUSE
        )
    return list_trigger(work, {pause.datasource: fates(work.standing, EVERY_STEP)[pause.datasource]})


def list_trigger(work: Work, unknown: Mapping[str, Fate], *, anew: bool = False) -> DomoListTrigger:
    """Watches the list until it proves that these were moved, or may be late no longer; from now on if `anew`."""
    direction = next(iter(unknown.values())).direction
    wanted = {one: fate.before for one, fate in unknown.items()}
    return _watch(work, wanted, direction, deadline_of(work, unknown, anew=anew))


def late_trigger(work: Work, wanted: Mapping[str, Mapping[str, Any]], until: float) -> DomoListTrigger:
    """Watches the list until it shows what Domo called complete, or may be late no longer."""
    return _watch(work, wanted, Direction.FORWARD, until)


def _watch(work: Work, wanted: Mapping[str, Mapping[str, Any]], direction: Direction, deadline: float) -> DomoListTrigger:
    return DomoListTrigger(
        attempt=work.attempt.key,
        step="watch_list",
        account_id=plan_of(work).account_id,
        wanted=wanted,
        direction=direction,
        deadline=max(deadline, time.time() + 1.3 * FIRST_LOOK),
        first_look=FIRST_LOOK,
    )
