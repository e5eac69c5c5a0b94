"""Anon's own words, each with the contract's mark, and what they mean in ours."""

from __future__ import annotations

from ferry.core.model import RunState

LIST = "/api/v1/migrations"  # [D]
PAGE, PAGE_SIZE = "page", "page_size"  # [D]
ENVELOPES = ("data", "migrations", "items", "results")
"""Names under which a page may hold its list, first that is one; or it is a bare array. The vendor does not tell [A]."""

NOT_STARTED, WORKING, PENDING_USER_INPUT = "NOT_STARTED", "WORKING", "PENDING_USER_INPUT"  # [D]
COMPLETE, COMPLETED_WITH_FAILURES, FAILED = "COMPLETE", "COMPLETED_WITH_FAILURES", "FAILED"  # [D]
NOT_READY, LOGIN_ABANDONED = "NOT_READY", "LOGIN_ABANDONED"  # [D2] only in an enum of the API reference

STATES = {
    NOT_STARTED: RunState.WAITING_FOR_PERSON,  # [A] nothing happens until a person opens the modal and logs in
    NOT_READY: RunState.QUEUED,  # [A]
    WORKING: RunState.RUNNING,  # [D]
    PENDING_USER_INPUT: RunState.WAITING_FOR_PERSON,  # [D]
    COMPLETE: RunState.SUCCEEDED,  # [D]
    COMPLETED_WITH_FAILURES: RunState.PARTIALLY_SUCCEEDED,  # [D]
    FAILED: RunState.FAILED_DIRTY,  # [A] files of what was done before may exist [D2], so "nothing changed" is not promised
    LOGIN_ABANDONED: RunState.CANCELLED,  # [A] its name says that the person gave up at the login
}

WAITS_FOR = {
    NOT_STARTED: "a person must open the modal, log in and start it",
    PENDING_USER_INPUT: "it has stopped until the person supplies what it asks for in the modal",
}

TASK_DONE = frozenset({"COMPLETE", "NO_DATA"})  # [D2] words of tasks differ from those of migrations
TASK_FAILED = "FAILED"  # [D2]


def state_of(word: str) -> RunState:
    """What a migration's word means. One that nobody documented ends nothing [A]: the wait goes on until its deadline."""
    return STATES.get(word, RunState.RUNNING)
