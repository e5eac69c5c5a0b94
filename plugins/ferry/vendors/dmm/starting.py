"""The start: what a person must know before they give a password, the one call, and the question where its answer was lost."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any, cast

from ferry.core.errors import BadInput, NotFound
from ferry.core.model import RunState
from ferry.ledger.entries import START, Kind
from ferry.vendors.dmm.body import StartBody
from ferry.vendors.dmm.datazip import is_system
from ferry.vendors.dmm.planning import Plan, plan_of, zip_of
from ferry.vendors.dmm.vocabulary import IRREVERSIBLE, ExecutionType

if TYPE_CHECKING:
    from ferry.steps.work import Work

log = logging.getLogger(__name__)
_PASSWORD = re.compile(r"[!-~]{1,200}")
_ID = re.compile(r"[!-~]{1,200}")
_SHOWN = 20
_MARKUP = re.compile(r"[`|\[\]<>*\x00-\x1f\x7f]")
_MARGIN = 30.0
"""Seconds beyond the start's own timeout after which nobody can be sending it any more."""


def is_room(work: Work) -> bool:
    """Whether the environment has room for another live execution; only the start itself decides who gets it."""
    settings: Any = work.hook.settings
    attempt = work.attempt
    others = [one for one in work.ledger.live(attempt.vendor, attempt.environment) if one.attempt != attempt]
    return bool(len(others) < settings.max_live_runs)


def start_run(work: Work, password: str) -> bool:
    """Start the execution, once; whether the vendor's answer is known. LedgerFull if the room is gone again."""
    if not _PASSWORD.fullmatch(password):
        raise BadInput(
            "What was given is no one-time password: it must be printable characters without spaces, and at most 200. "
            "Nothing was sent, and no password is used up. Clear start_run: it asks again."
        )
    plan, settings = plan_of(work), work.hook.settings
    with zip_of(work) as path:
        body = StartBody(plan.type, work.batch.section.configuration, path)
        sent = {"type": plan.type, "zip": plan.zip_sha256, "records": plan.sent}
        entry = work.once(lambda api: api.start(body, password), data=sent, max_live=settings.max_live_runs)
    if entry is None:
        log.warning("%s: the answer to the start was lost; a person is asked", work.attempt)
        return False
    log.info("%s: DMM started execution %s", work.attempt, entry.ref)
    return True


def question(work: Work) -> str:
    """What is about to be started, and where the password is read, in Markdown."""
    plan, settings = plan_of(work), work.hook.settings
    page = f"[{settings.ui_url}]({settings.ui_url})" if settings.ui_url else f"of the environment `{settings.environment}`"
    warning = IRREVERSIBLE.get(ExecutionType(plan.type))
    return "\n".join(
        [
            *_facts(work, plan),
            "",
            *([f"**{warning}**", ""] if warning else []),
            f"Open the *Authentication Token* page {page}, read the one-time password and type it in here. It is used for this",
            "one start, at once, and kept nowhere. Another batch, or another try, needs another one.",
        ]
    )


def sure_at(work: Work) -> float:
    """From when on, in epoch seconds, a start without a word can no longer be under way.

    Its worker may have been given up by Airflow and go on sending; one that wrote down that its answer was lost does not.
    """
    begun, settings = work.standing.starts[-1], cast("Any", work.hook.settings)
    told = work.standing.latest(START, Kind.LOOK)
    if told is not None and told.seq > begun.seq:
        return 0.0
    return begun.at.timestamp() + float(settings.start_timeout) + _MARGIN


def lost_question(work: Work) -> str:
    """What a person must know to find out whether the execution runs, in Markdown."""
    plan, begun = plan_of(work), work.standing.starts[-1]
    said = work.standing.latest(START, Kind.LOOK)
    return "\n".join(
        [
            f"The start of this execution was sent at {begun.at:%Y-%m-%d %H:%M:%S} UTC, and its answer was lost. DMM offers no",
            "list to look in, so nobody can tell from here whether it runs. **It is not sent again**: in append mode that could",
            "duplicate every record.",
            "",
            *_facts(work, plan),
            *([f"| What happened | {_cell(said.note)} |"] if said else []),
            "",
            "Look at the executions in the environment's DMM pages: one of this type, begun at that time (its clock may have",
            "another zone), with so many records. If it is there, give its id (*MainExecutionTrackerId*), and it is waited for.",
            "A large zip may take DMM some minutes before anything is seen: look again before you say that it was not started.",
        ]
    )


def _facts(work: Work, plan: Plan) -> list[str]:
    rows = [
        ("Batch", f"{work.attempt.batch_id}, attempt {work.attempt.number}"),
        ("Environment", work.attempt.environment),
        ("Execution", plan.type),
    ]
    if plan.destination:
        rows.append(("Destination", _cell(plan.destination) + (", appending" if plan.appends else ", keeping ids")))
    if plan.zip_name:
        rows.append(("Zip", f"{_cell(plan.zip_name)}, {plan.zip_size:,} bytes, SHA-256 {plan.zip_sha256[:16]}…"))
        rows.append(("Records", f"{plan.sent:,}: {_entities(plan)}"))
    if plan.warnings:
        rows.append(("Warnings", f"{plan.warnings:,} in the check's findings.csv: look at them before a password is used up"))
    return ["| | |", "|---|---|", *(f"| {name} | {told} |" for name, told in rows)]


def _cell(told: str) -> str:
    """A text from a manifest, a zip or DMM as it may stand in the question: on what is read here, people type in passwords."""
    return _MARKUP.sub(" ", " ".join(told.split()))[:100]


def _entities(plan: Plan) -> str:
    counted = {name: number for name, number in plan.records.items() if plan.counts_system or not is_system(name)}
    told = [f"{_cell(entity)} {number:,}" for entity, number in counted.items()]
    more = f" and {len(told) - _SHOWN} more entities" if len(told) > _SHOWN else ""
    return ", ".join(told[:_SHOWN]) + more


def adopt_started(work: Work, ref: str) -> None:
    """A person found the execution: it is ours from here on."""
    if not _ID.fullmatch(ref):
        raise BadInput(
            "To wait for the execution its id is needed (MainExecutionTrackerId, without spaces), and none was given. "
            "Nothing was written; clear confirm_start and answer again."
        )
    _must_be_there(work, ref)
    note = f"{work.origin.who} says that it was started, as execution {ref}."
    work.record(Kind.ADOPTED, step=START, key=work.standing.starts[-1].key, ref=ref, state=RunState.QUEUED, note=note)
    log.info("%s", note)


def _must_be_there(work: Work, ref: str) -> None:
    """A wrong id would be waited for in vain, or another execution's end be taken for this one's."""
    attempt, why = work.attempt, ""
    others = work.ledger.who_has(attempt.vendor, attempt.environment, START, ref)
    if other := next((one for one in others if one != attempt), None):
        why = f"Execution {ref} is that of {other}, not of this one."
    else:
        try:
            work.call(lambda api: api.status(ref))
        except NotFound as none:
            if "status" in none.facts:  # HTTP's own 404: nobody is there
                raise
            why = f"DMM knows no execution {ref}: look again at the execution's id (MainExecutionTrackerId)."
    if why:
        raise BadInput(f"{why} Nothing was written; clear confirm_start and answer again.")


def leave_unknown(work: Work) -> str:
    """A person cannot find out, or found it without an id: something may be there, and nobody can wait for it."""
    note = f"{work.origin.who} says that it may have been started and that its id is not to be found."
    work.record(Kind.ADOPTED, step=START, key=work.standing.starts[-1].key, state=RunState.FAILED_DIRTY, note=note)
    return note
