"""What people and the vendor will do to a migration, told in advance: words, named stories, and who may act when."""

from __future__ import annotations

import math
from typing import Any

from sandbox.switches import Switches

NOT_STARTED, WORKING, PENDING_USER_INPUT = "NOT_STARTED", "WORKING", "PENDING_USER_INPUT"  # [D]
COMPLETE, COMPLETED_WITH_FAILURES, FAILED = "COMPLETE", "COMPLETED_WITH_FAILURES", "FAILED"  # [D]
NOT_READY, LOGIN_ABANDONED = "NOT_READY", "LOGIN_ABANDONED"  # [D2] only in the enum of the API reference
IDLE = frozenset({NOT_STARTED, PENDING_USER_INPUT, COMPLETE, COMPLETED_WITH_FAILURES, FAILED, NOT_READY, LOGIN_ABANDONED})
EXTRA = None
"""Stands for the word of the switch `extra_word`."""

Story = tuple[tuple[float, str], ...]
"""Statuses, each with the simulated seconds after the creation at which it begins."""

STORIES: dict[str, tuple[tuple[float, str | None], ...]] = {
    "completes": ((0, NOT_STARTED), (2, WORKING), (4, COMPLETE)),
    "partly": ((0, NOT_STARTED), (2, WORKING), (4, COMPLETED_WITH_FAILURES)),
    "fails": ((0, NOT_STARTED), (2, WORKING), (4, FAILED)),
    "abandons": ((0, NOT_STARTED), (3, LOGIN_ABANDONED)),
    "stalls": ((0, NOT_STARTED), (2, WORKING), (2, PENDING_USER_INPUT), (5, WORKING), (2, COMPLETE)),
    "forgets": ((0, NOT_STARTED),),
    "stuck": ((0, NOT_STARTED), (2, WORKING), (2, PENDING_USER_INPUT)),
    "strange": ((0, NOT_STARTED), (2, WORKING), (2, EXTRA), (2, COMPLETE)),
    "service": ((0, NOT_READY), (2, WORKING), (4, COMPLETE)),
}
"""Each status with the seconds after the one before. Of the edges only those to and from WORKING are documented [D, D2]."""

LONGEST = 1000
"""Steps of a story at most."""
FOREVER = 1e10
"""Seconds after which nothing is told any more: three centuries."""

ACTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "login": (WORKING, (NOT_STARTED,)),  # [D2]
    "ask": (PENDING_USER_INPUT, (WORKING, NOT_STARTED)),  # [A]
    "supply": (WORKING, (PENDING_USER_INPUT,)),  # [A]
    "abandon": (LOGIN_ABANDONED, (NOT_STARTED,)),  # [A]
    "finish": (COMPLETE, (WORKING,)),  # [D2]
    "finish_with_failures": (COMPLETED_WITH_FAILURES, (WORKING,)),  # [D2]
    "fail": (FAILED, (WORKING, NOT_STARTED, PENDING_USER_INPUT)),  # [D2] from WORKING, else [A]
}
"""What a person does: the status it leads to, and those in which it can be done."""


def named(name: str, switches: Switches) -> Story:
    """A story of the sandbox, as long as `story_scale` makes it."""
    scale, extra = switches.number("story_scale"), switches.text("extra_word")
    return _summed([(seconds * scale, extra if word is EXTRA else word) for seconds, word in STORIES[name]])


def told(steps: Any) -> Story | None:
    """A story from a control request, its seconds as they stand; None if it is none."""
    if not isinstance(steps, list) or not 0 < len(steps) <= LONGEST or not all(_is_step(step) for step in steps):
        return None
    return _summed([(float(seconds), word) for seconds, word in steps])


def works(word: str) -> bool:
    """Whether something is being done in a status: also in one that nobody documented [A]."""
    return word not in IDLE


def allows(act: str, word: str) -> bool:
    """Whether a person may do this in a status; what may be done in WORKING may be done in an undocumented one too [A]."""
    return (WORKING if works(word) else word) in ACTS[act][1]


def _summed(steps: list[tuple[float, str]]) -> Story:
    total, story = 0.0, []
    for seconds, word in steps:
        total = min(total + seconds, FOREVER)
        story.append((total, word))
    return tuple(story)


def _is_step(step: Any) -> bool:
    if not isinstance(step, list) or len(step) != 2:
        return False
    seconds, word = step
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool) and math.isfinite(seconds) and seconds >= 0
    return number and isinstance(word, str) and bool(word)
