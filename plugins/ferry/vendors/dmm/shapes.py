"""What DMM answers, read into our own shapes. Unknown fields are kept by whoever files the answer, and ignored here [D2]."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ferry.core.errors import VendorNonsense
from ferry.core.model import Run, RunState
from ferry.vendors.dmm.vocabulary import LOG_PAGES, LOGS, REPORT, STATES, STATUS_FIELD

Json: TypeAlias = dict[str, Any]

COUNTERS = {
    "CompletedRecords": "completed",
    "TotalRecords": "total",
    "CompletedInstructions": "completed_instructions",
    "TotalInstructions": "total_instructions",
    "CompletedBPTRecords": "completed_bpt",
    "TotalBPTRecords": "total_bpt",
}
"""A report's counters [D2] and their names in ours."""
DONE_COUNTERS = ("completed", "completed_instructions", "completed_bpt")
NO_TIME = frozenset({"", "None", "1900-01-01 00:00:00", "1900-01-01T00:00:00"})
"""How "not ended yet" may be written [A]; the last two are the platform's null date."""
_NUMBER = re.compile(r"-?[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Status:
    """An execution as GetExecutionStatus shows it: only `word` says how it stands; Result and Success do not [D2]."""

    word: str
    counters: dict[str, int] = field(default_factory=dict)
    message: str = ""
    started_at: str = ""
    """The environment's local time, without a zone [A]; empty for not yet."""
    log_lines: tuple[str, ...] = field(default=(), repr=False)
    log_pages: int = 0

    @property
    def state(self) -> RunState:
        """Ours. InError has changed nothing only where the report says 0 of everything [A]."""
        state = STATES.get(self.word, RunState.RUNNING)
        told = [self.counters[name] for name in DONE_COUNTERS if name in self.counters]
        untouched = len(told) == len(DONE_COUNTERS) and not any(told)
        return RunState.FAILED_CLEAN if state is RunState.FAILED_DIRTY and untouched else state

    def run(self, ref: str) -> Run:
        """The same as a run of the vendor."""
        return Run(ref, self.state, self.word, dict(self.counters), self.message)


@dataclass(frozen=True, slots=True)
class EntityError:
    """One line of the error report: an error of one entity, and how many of its chunks had it."""

    entity: str
    error: str = field(repr=False)
    tip: str = ""
    moment: str = ""
    chunks: int = 0
    stacktrace: str = field(default="", repr=False)


def status_in(body: Json, what: str) -> Status:
    """An execution's status; VendorNonsense without a word for it."""
    word = body.get(STATUS_FIELD)
    if not isinstance(word, str) or not word.strip():
        raise VendorNonsense(
            f"DMM's answer to {what} has no `{STATUS_FIELD}`, which is outside its contract. Nothing is guessed."
        )
    report = body.get(REPORT) if isinstance(body.get(REPORT), Mapping) else {}
    lines = log_lines(body.get(LOGS), what)
    pages = whole(body.get(LOG_PAGES)) or 0
    return Status(one_line(word)[:100], counters_in(report or {}), message_in(report or {}), time_in(report or {}), lines, pages)


def counters_in(report: Mapping[str, Any]) -> dict[str, int]:
    """The counters that the report has; one that is absent is not known, which is not 0."""
    found = {ours: whole(report.get(theirs)) for theirs, ours in COUNTERS.items()}
    return {name: number for name, number in found.items() if number is not None and number >= 0}


def message_in(report: Mapping[str, Any]) -> str:
    """The report's message: one object by its type's name, perhaps a list [A]."""
    told = report.get("Message")
    parts: Iterable[Any] = told if isinstance(told, list) else [told]
    texts = [one_line(part.get("MessageText")) for part in parts if isinstance(part, Mapping) and part.get("MessageText")]
    return "; ".join(texts)[:500]


def time_in(report: Mapping[str, Any]) -> str:
    """When it began, as DMM writes it; empty if it has not."""
    told = str(report.get("StartedAt"))
    return "" if told in NO_TIME else told[:40]


def log_lines(told: Any, what: str) -> tuple[str, ...]:
    """The lines of a page of the status's log, which is base64 of text [D]; the outputs' log is another thing."""
    if not told:
        return ()
    try:
        text = base64.b64decode("".join(str(told).split()), validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        raise VendorNonsense(f"The log in DMM's answer to {what} is not base64, which is outside its contract.") from None
    return tuple(text.replace("\r\n", "\n").removesuffix("\n").split("\n")) if text else ()


def errors_in(told: Any) -> list[EntityError] | None:
    """The entries of an error report; None if it is no list of objects."""
    if not isinstance(told, list) or not all(isinstance(one, Mapping) for one in told):
        return None
    return [
        EntityError(
            one_line(one.get("FinalReportEntity"))[:200] or "(no entity named)",
            str(one.get("FinalReportError") or ""),
            str(one.get("FinalReportTip") or ""),
            str(one.get("FinalReportMoment") or ""),
            whole(one.get("Count")) or 0,
            str(one.get("FinalReportStacktrace") or ""),
        )
        for one in told
    ]


def whole(told: Any) -> int | None:
    """A whole number, also where it comes as text; None for anything else."""
    if isinstance(told, bool):
        return None
    return int(told) if isinstance(told, int) or (isinstance(told, str) and _NUMBER.fullmatch(told)) else None


def one_line(told: Any) -> str:
    """A text without line breaks; empty for none."""
    return " ".join(str(told).split()) if told is not None else ""
