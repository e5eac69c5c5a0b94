"""What a batch is about to do: checked once before a password is asked for, kept by the ledger, the same for every later step."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferry.core.batch import Batch
from ferry.core.errors import BadInput, BatchRefused
from ferry.core.findings import Findings, Level
from ferry.core.model import RunState
from ferry.steps.checking import report
from ferry.steps.hook import connection_named
from ferry.vendors.dmm.datazip import DataZip, look_into
from ferry.vendors.dmm.manifest import DmmSection
from ferry.vendors.dmm.shapes import DONE_COUNTERS
from ferry.vendors.dmm.vocabulary import APPEND, DESTINATION, ExecutionType

if TYPE_CHECKING:
    from ferry.ledger.entries import AttemptStanding, Standing
    from ferry.steps.work import Work

log = logging.getLogger(__name__)
CHECK = "check_batch"
SAID = 3
"""Findings that are told in the message itself, if there are no more."""
MEGA = 1_000_000


@dataclass(frozen=True, slots=True)
class Plan:
    """What was found when the batch was checked; with defaults, because an older Ferry may have written it."""

    type: str = ExecutionType.IMPORT
    destination: str = ""
    appends: bool = True
    on_deadline: str = "stop"
    zip_name: str = ""
    zip_size: int = 0
    zip_sha256: str = ""
    records: Mapping[str, int] = field(default_factory=dict)
    """Records in the zip, by entity. Kept as pairs: as a key, a name such as `ResetToken` would have its number hidden."""
    warnings: int = 0
    """Findings that do not stop the batch."""
    counts_system: bool = True
    """Whether DMM's counters include the system's own tables, as the connection says."""

    @property
    def is_import(self) -> bool:
        """Whether the zip says how many records there are to account for; otherwise DMM's own total does."""
        return self.type == ExecutionType.IMPORT

    @property
    def sent(self) -> int:
        """Records that DMM's counters should come to."""
        return DataZip(dict(self.records)).count(system=self.counts_system)


def check_batch(work: Work) -> dict[str, Any]:
    """All findings of manifest, zip and connections as evidence; BatchRefused if there are faults. It asks DMM for nothing."""
    if (known := work.result()) and work.standing.started:  # what was sent is not judged anew
        return {"findings": known.note}
    findings, section = Findings(), work.batch.section
    _check_connections(section, findings)
    plan = _looked_into(work, section, findings)
    kept = asdict(plan) | {"records": [list(pair) for pair in plan.records.items()]}
    return report(work, findings, say=SAID, plan=kept)


def _check_connections(section: DmmSection, findings: Findings) -> None:
    wanted = [section.create_connection.credentials] if section.create_connection else []
    wanted += [section.import_as.connection] if section.import_as else []
    for conn_id in wanted:
        try:
            connection_named(conn_id)
        except BadInput as missing:
            findings.add(Level.ERROR, "CONNECTION", missing.message)


def _looked_into(work: Work, section: DmmSection, findings: Findings) -> Plan:
    settings: Any = work.hook.settings
    plan = Plan(
        section.type,
        str(section.configuration.get(DESTINATION) or ""),
        section.appends,
        section.on_deadline,
        counts_system=settings.counts_system_records,
    )
    if section.zip is None:
        return plan
    with work.batch.local(section.zip) as path:
        size = path.stat().st_size
        if size > settings.max_zip_mb * MEGA:
            told = f"{section.zip} has {size:,} bytes, and the connection's `max_zip_mb` is {settings.max_zip_mb:g}."
            findings.add(Level.ERROR, "SIZE", told, file=section.zip)
            return plan
        by_id = section.configuration.get(APPEND) is False
        found = look_into(path, findings, name=section.zip, sorted_by_id=by_id)
        zipped = {"zip_name": section.zip, "zip_size": size, "zip_sha256": _sha256(path), "records": found.records}
        zipped["warnings"] = findings.count(Level.WARNING)
    return Plan(**(asdict(plan) | zipped))


def plan_of(work: Work) -> Plan:
    """What was found when the batch was checked; BatchRefused if it never was, or did not pass."""
    plan = plan_in(work.standing)
    if plan is None:
        raise BatchRefused(f"The ledger does not know that {work.attempt} was checked; clear check_batch. Nothing was sent.")
    return plan


def plan_in(standing: AttemptStanding) -> Plan | None:
    """The same from the ledger alone; None if the batch did not pass its check."""
    checked = standing.results.get((CHECK, ""))
    if checked is None or not checked.data.get("passed"):
        return None
    told: dict[str, Any] = checked.data.get("plan") or {}
    records = {str(entity): int(number) for entity, number in told.get("records") or ()}
    return Plan(**{name: value for name, value in told.items() if name in Plan.__slots__} | {"records": records})


@contextmanager
def zip_of(work: Work) -> Iterator[Path | None]:
    """The zip, as a local file; None where there is none. LedgerError if the batch is not what was admitted any more."""
    section: DmmSection = work.batch.section
    if section.zip is None:
        yield None
        return
    with work.batch.local(section.zip) as path:
        yield path


def matter(work: Work, *more: str) -> str:
    """What exactly a person decides on, as a hash: this attempt with this input, and what more there is to it."""
    return hashlib.sha256("\n".join([work.attempt.key, work.standing.input_hash, *more]).encode()).hexdigest()[:16]


def must_not_duplicate(batch: Batch, standing: Standing) -> None:
    """BatchRefused where an earlier attempt may have left records in the environment that a new one would append once more.

    The same input of an attempt that is open, or balances, is no new one: nothing is sent for it again anyway.
    """
    before = [one for one in standing.attempts if one.acted and not wrote_nothing(one)]
    goes_on = standing.last and standing.last.input_hash == batch.input_hash and (standing.last.is_open or standing.balanced)
    if not before or goes_on:
        return
    last = before[-1]
    if last.start_known and not last.ref:
        raise BatchRefused(
            f"Nobody knows whether the execution of {last.attempt} began, nor its id, so it may be running. Nothing was sent. "
            "If it is found, clear confirm_start in that attempt's DAG run and give its id; if it certainly never began, trigger "
            "with force_new_attempt."
        )
    if not batch.section.appends:
        return
    done = last.counters.get("completed")
    known = f"{done:,} records" if done is not None else "nobody knows how many records"
    raise BatchRefused(
        f"{last.attempt} ended '{last.word or last.run_state}' and had imported {known}, which are still there: DMM reverts "
        f"nothing. The batch appends (`{APPEND}` is not false), so sending it again would duplicate them. Nothing was sent. "
        "Remove them in the environment, or take them out of the zip; then trigger with force_new_attempt: the "
        "ledger records it with your name."
    )


def wrote_nothing(standing: AttemptStanding) -> bool:
    """Whether it is certain that the run changed nothing: DMM's counters say so, or a person that it never began.

    A person's word does not stand against an answer that came after all. An export changes nothing, whatever its end.
    """
    said, plan, state = standing.results.get(("confirm_start", "")), plan_in(standing), standing.run_state
    if said is not None and said.state is RunState.CANCELLED and not standing.start_known:
        return True
    if plan is not None and plan.type == ExecutionType.EXPORT and state is not None and state.is_final:
        return state is not RunState.SUCCEEDED
    stopped = standing.run_state is RunState.CANCELLED and all(standing.counters.get(name) == 0 for name in DONE_COUNTERS)
    return stopped or standing.run_state is RunState.FAILED_CLEAN


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
