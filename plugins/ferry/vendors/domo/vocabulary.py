"""Domo's closed words: states, directions, and what they come to in ours."""

from __future__ import annotations

from enum import StrEnum

from ferry.core.model import RunState

BASE = "/api/query/migration/federated/v1/to/v2"  # [D]
TOKEN = "X-DOMO-Developer-Token"  # noqa: S105 (a header's name) [D]
NULL = "NULL"
"""What is sent as `schema` where the database has none: this text, not JSON's null [D]."""

COMPLETE, INCOMPLETE, ABORTED = "COMPLETE", "INCOMPLETE", "ABORTED"  # [D]


class Direction(StrEnum):
    """Which way a datasource is moved, in Domo's words [D]."""

    FORWARD = "V1_TO_V2"
    BACK = "V2_TO_V1"

    @property
    def done(self) -> str:
        """What the candidates list shows of a datasource that was moved this way."""
        return "migrated" if self is Direction.FORWARD else "not migrated"

    @property
    def noun(self) -> str:
        """What such a move is called."""
        return "migration" if self is Direction.FORWARD else "reversal"


STATES = {  # [D]; any other word counts as one that changed something [A]
    COMPLETE: RunState.SUCCEEDED,
    INCOMPLETE: RunState.FAILED_DIRTY,
    ABORTED: RunState.FAILED_CLEAN,
}


def state_of(word: str, direction: Direction) -> RunState:
    """Our state for the final state of a call. A reversal that completed is a run that was taken back."""
    state = STATES.get(word, RunState.FAILED_DIRTY)
    return RunState.CANCELLED if (state, direction) == (RunState.SUCCEEDED, Direction.BACK) else state
