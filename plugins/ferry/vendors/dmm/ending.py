"""What an execution came to: its outputs as evidence, its errors sorted, and its counters against the batch's records."""

from __future__ import annotations

import csv
import json
import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferry.core.csvfile import neutralise, visible
from ferry.core.errors import VendorNonsense, VendorRefused
from ferry.core.longjson import unfold
from ferry.core.model import Counts, RunState
from ferry.core.zipfiles import BadZip, open_zip
from ferry.ledger.entries import Kind
from ferry.steps.settling import NOTHING_TO_DO
from ferry.steps.waiving import waived_files
from ferry.vendors.dmm import vocabulary as dmm
from ferry.vendors.dmm.datazip import is_system
from ferry.vendors.dmm.planning import Plan, plan_of, wrote_nothing
from ferry.vendors.dmm.shapes import EntityError, errors_in, one_line, status_in

if TYPE_CHECKING:
    from ferry.ledger.entries import AttemptStanding
    from ferry.ledger.evidence import Filed
    from ferry.steps.work import Work

log = logging.getLogger(__name__)
OUTPUTS = "fetch_outputs"
LOGS, ZIP, ERRORS = "logs", "zip", "errors"
"""Parts of the outputs, each with an entry and a file of its own."""
FILES = {LOGS: "logs.zip", ZIP: "data.zip", ERRORS: "errors.json"}
FIELDS = {LOGS: dmm.LOGS, ZIP: dmm.ZIP_FILE, ERRORS: dmm.ERROR_REPORT}
REFUSED = "refused"
"""Key in the data of an entry about a zip that is not opened: why."""
READABLE = 64 * 1024 * 1024
"""Bytes of an error report that is read for people; a larger one is kept and not read."""
NAMED = 3
AGAIN = "Sending the batch again would append those once more: remove them first, then trigger with force_new_attempt."
_LITERAL = re.compile(r"'[^']*'|\"[^\"]*\"|\([^)]*\)|[0-9]+")


def fetch_outputs(work: Work) -> dict[str, Any]:
    """Report, errors, logs and (of an export) the zip, each a file of evidence; how many entities had errors.

    The answer may be hundreds of megabytes: it goes to a file as it comes, and is taken apart from there.
    """
    if known := work.result():
        return {"errors": known.data.get("errors")}
    standing, plan = work.standing, plan_of(work)
    with work.desk() as desk:
        raw, parts = desk / "outputs.json", {part: desk / name for part, name in FILES.items()}
        with_files = plan.type == dmm.ExecutionType.EXPORT
        work.call(lambda api: api.outputs(standing.ref, raw, files=with_files))
        told = unfold(raw, {FIELDS[part]: path for part, path in parts.items()}, dmm.OUTPUTS)
        raw.unlink()
        if told.get(dmm.SUCCESS) is False:
            raise VendorRefused(f"DMM gives no outputs of execution {standing.ref}. Look at its pages, then clear {OUTPUTS}.")
        if (word := status_in(told, dmm.OUTPUTS).word) != standing.word:
            raise VendorNonsense(
                f"DMM gives no outputs of execution {standing.ref}: it calls it '{word}' now and '{standing.word}' before. "
                f"Look at its pages, then clear {OUTPUTS}."
            )
        filed = work.evidence.file_json(work.attempt, work.step, "outputs.json", told)
        errors = _read_errors(parts[ERRORS])
        notes = [_file(work, part, path) for part, path in parts.items() if path.exists()]
        report = told.get(dmm.REPORT)
        return _record(work, report if isinstance(report, Mapping) else {}, filed, errors, notes)


def _file(work: Work, part: str, path: Path) -> str:
    """File one of the outputs. A zip that may do harm is kept under a name that nothing opens; what is wrong with it is told."""
    why = "" if part == ERRORS else _why_refused(path)
    name = f"{path.name}.refused" if why else path.name
    filed = work.evidence.file_from(work.attempt, work.step, name, path)
    note = f"{part}: {filed.size:,} bytes in {filed.path}." + (f" It is not opened: {why}" if why else "")
    work.record(Kind.RESULT, filed, key=part, note=note, data={REFUSED: why} if why else {})
    (log.warning if why else log.info)("%s", note)
    return note if why else ""


def _why_refused(path: Path) -> str:
    try:
        with open_zip(path):
            return ""
    except BadZip as bad:
        return bad.message


def _read_errors(path: Path) -> list[EntityError] | None:
    """The error report's entries; none if there is no report, None if nobody can read it."""
    if not path.exists():
        return []
    if path.stat().st_size > READABLE:
        return None
    try:
        return errors_in(json.loads(path.read_text("utf-8", "replace")))
    except (ValueError, RecursionError):
        return None


def _record(
    work: Work, told: Mapping[str, Any], filed: Filed, errors: list[EntityError] | None, notes: Iterable[str]
) -> dict[str, Any]:
    standing = work.standing
    state = _refined(work, standing.run_state, errors)
    unreadable = "The error report cannot be read; it is kept as it came." if errors is None else ""
    entities = sorted({error.entity for error in errors or ()})
    report = {one_line(name)[:60]: value if isinstance(value, int) else one_line(value)[:200] for name, value in _flat(told)}
    data = {"errors": None if errors is None else len(errors), "entities": entities[:100], "report": report}
    note = " ".join(filter(None, [f"{len(entities)} entities had errors." if entities else "", unreadable, *notes]))
    work.record(
        Kind.RESULT, filed, ref=standing.ref, word=standing.word, state=state, counts=standing.counters, note=note, data=data
    )
    return {"errors": data["errors"]}


def _refined(work: Work, state: RunState | None, errors: list[EntityError] | None) -> RunState | None:
    """The run's state once its outputs are known. An export has changed nothing, and half of one is not used."""
    if state is RunState.SUCCEEDED and (errors is None or errors):
        state = RunState.PARTIALLY_SUCCEEDED  # [A] Complete with an error report
    half = state in {RunState.PARTIALLY_SUCCEEDED, RunState.FAILED_DIRTY}
    return RunState.FAILED_CLEAN if half and plan_of(work).type == dmm.ExecutionType.EXPORT else state


def _flat(told: Mapping[str, Any]) -> list[tuple[str, int | str]]:
    """The numbers and texts of a report, not too many of them."""
    return [(name, value) for name, value in told.items() if isinstance(value, int | str)][:40]


def fetch_errors(work: Work) -> dict[str, int]:
    """What went wrong, entity by entity, as a file for people; chunks in error by entity."""
    standing, plan = work.standing, plan_of(work)
    errors = _errors(work)
    table, chunks = _triage(errors, plan)
    with work.desk() as desk:
        path = desk / "errors.csv"
        table.to_csv(path, index=False, quoting=csv.QUOTE_ALL)
        filed = work.evidence.file_from(work.attempt, work.step, path.name, path)
    counts = asdict(Counts(sent=plan.sent, unprocessed=plan.sent)) if wrote_nothing(standing) and plan.is_import else {}
    sorts = "; ".join(f"{error.entity}: {_pattern(error.error)} ({error.chunks} chunks)" for error in errors[:NAMED])
    more = f"; and {len(errors) - NAMED} more" if len(errors) > NAMED else ""
    told = f" {sorts}{more}. Each is in {filed.path}." if errors else ""
    note = f"Execution {standing.ref} ended '{standing.word}'.{told}{_way_on(standing)}"
    work.record(Kind.RESULT, filed, note=note, counts=counts, data={"errors": chunks})
    log.info("%s", note)
    return chunks


def _errors(work: Work) -> list[EntityError]:
    found = work.standing.results.get((OUTPUTS, ERRORS))
    if found is None:
        return []
    with work.desk() as desk:
        return _read_errors(work.evidence.fetch(found.evidence_path, desk / "errors.json")) or []


def _triage(errors: list[EntityError], plan: Plan) -> tuple[Any, dict[str, int]]:
    """The errors as a table, those of most chunks first; chunks by entity."""
    import pandas as pd

    rows = [
        {
            "entity": error.entity,
            "records in the zip": plan.records.get(error.entity, ""),
            "chunks in error": error.chunks,
            "error": error.error,
            "tip": error.tip,
            "first": error.moment,
            "stacktrace": error.stacktrace,
        }
        for error in errors
    ]
    columns = ["entity", "records in the zip", "chunks in error", "error", "tip", "first", "stacktrace"]
    frame = pd.DataFrame(rows, columns=columns).sort_values("chunks in error", ascending=False, kind="stable")
    for name in ("entity", "error", "tip", "first", "stacktrace"):
        frame[name] = [neutralise(visible(str(cell))) for cell in frame[name]]
    return frame, {str(name): int(number) for name, number in frame.groupby("entity")["chunks in error"].sum().items()}


def _pattern(message: str) -> str:
    """An error as a sort of error: the values in it may be a record's, the words are not."""
    return _LITERAL.sub("#", one_line(message))[:120] or "no reason given"


def _way_on(standing: AttemptStanding) -> str:
    ended = standing.results.get(("await_run", ""))
    said = f" DMM says: {ended.note}" if ended and ended.note else ""
    if wrote_nothing(standing):
        return f"{said} DMM's counters say that nothing was changed: correct the cause and trigger the batch again."
    return said


def may_reconcile(standing: AttemptStanding) -> bool:
    """Whether enough is known to say what became of the records, and something may have."""
    state = standing.run_state
    ended = bool(state and state.is_final) and (not standing.ref or (OUTPUTS, "") in standing.results)
    return standing.acted and standing.start_known and ended and not wrote_nothing(standing)


def reconcile(work: Work) -> dict[str, int]:
    """Counts of the identity, in records: those of the zip (of other executions: DMM's own total) against DMM's counters.

    DMM counts records and names none [D2]. Accepted are those it calls completed. Of the rest, as many as the entities in the
    error report have are rejected, and what is left is unprocessed.
    """
    plan, standing = plan_of(work), work.standing
    done, total = standing.counters.get("completed"), standing.counters.get("total")
    sent, arrived = _sent_and_arrived(work, plan, done, total)
    counts = _counts(work, plan, sent, arrived)
    why = _contradiction(plan, sent, done, total, standing)
    note = f"{_told(plan, counts, standing)} {why}".strip()
    with work.desk() as desk:
        filed = work.evidence.file_from(work.attempt, work.step, "entities.csv", _entities(work, plan, desk / "entities.csv"))
    balanced = counts.all_arrived and not why and (standing.run_state is RunState.SUCCEEDED or _too_late(work, plan))
    waived = counts.all_arrived and not why and bool(_waived(work, plan))
    nothing = not plan.is_import and counts == Counts() and standing.run_state is RunState.SUCCEEDED and not why
    data = {"balanced": balanced or waived, "by": "counters", NOTHING_TO_DO: nothing}
    work.record(Kind.RESULT, filed, note=note, counts=asdict(counts), data=data)
    log.info("%s", note)
    return asdict(counts)


def _too_late(work: Work, plan: Plan) -> bool:
    """Whether an import was told to stop when there was nothing left to stop: complete in DMM's word, and nothing in error."""
    standing = work.standing
    complete = dmm.STATES.get(standing.word) is RunState.SUCCEEDED and standing.run_state is RunState.CANCELLED
    return complete and plan.is_import and not _errors(work)


def _sent_and_arrived(work: Work, plan: Plan, done: int | None, total: int | None) -> tuple[int, int]:
    """Records to account for, and those that arrived: of an export, they are what its zip holds."""
    if plan.type == dmm.ExecutionType.EXPORT:
        zipped = work.standing.results.get(("make_batch", ""))
        held = int(zipped.data.get("records") or 0) if zipped else 0
        return max(total or 0, done or 0, held), min(held, done if done is not None else 0)
    sent = plan.sent if plan.is_import else max(total or 0, done or 0)
    return sent, min(sent, done or 0)


def _counts(work: Work, plan: Plan, sent: int, arrived: int) -> Counts:
    missing = sent - arrived
    entities = {error.entity for error in _errors(work)}
    in_error = sum(plan.records.get(entity, 0) for entity in entities) if plan.is_import else missing * bool(entities)
    rejected = min(missing, in_error)
    waived = min(missing, _waived(work, plan))
    rejected, unprocessed = max(0, rejected - waived), missing - rejected - max(0, waived - rejected)
    return Counts(sent, arrived, rejected, unprocessed, waived)


def _waived(work: Work, plan: Plan) -> int:
    """How many records a person has waived, each once. DMM names none, so they are held against the entities' numbers only."""
    pairs: set[tuple[str, str]] = set()
    with work.desk() as desk:
        for file in waived_files(work, desk):
            with file.path.open(encoding="utf-8", newline="") as lines:
                pairs |= {(row["table"], row["key"]) for row in csv.DictReader(lines)}
    if not plan.is_import:
        return len(pairs)
    return sum(min(number, plan.records.get(entity, 0)) for entity, number in Counter(entity for entity, _ in pairs).items())


def _contradiction(plan: Plan, sent: int, done: int | None, total: int | None, standing: AttemptStanding) -> str:
    """What in DMM's own counters speaks against the batch; empty if nothing does."""
    if done is None:
        return "DMM's report has no CompletedRecords, so nobody can say how many arrived."
    if not plan.is_import and total is None:
        return "DMM's report has no TotalRecords, so nobody can say how many there should be."
    ended_well = standing.run_state in {RunState.SUCCEEDED, RunState.PARTIALLY_SUCCEEDED}
    processes, all_processes = standing.counters.get("completed_bpt"), standing.counters.get("total_bpt")
    if ended_well and all_processes is not None and processes != all_processes:
        return f"DMM counts {processes or 0:,} of {all_processes:,} records of business processes as completed."
    if plan.is_import and (done > sent or (ended_well and total is not None and total != sent)):
        system = sum(number for entity, number in plan.records.items() if is_system(entity))
        hint = (
            f" The zip's system tables have {system:,}: if DMM counts otherwise, set `counts_system_records` in the connection."
            if system
            else ""
        )
        return f"DMM speaks of {done:,} of {total or 0:,} records, and the zip holds {sent:,}.{hint}"
    return ""


def _told(plan: Plan, counts: Counts, standing: AttemptStanding) -> str:
    ended = f"execution {standing.ref} ended '{standing.word}'"
    told = f"Of {counts.sent:,} records, DMM counts {counts.accepted:,} as completed; {ended}."
    if standing.run_state is RunState.CANCELLED:
        told = f"Stopped: of {counts.sent:,} records, {counts.accepted:,} had been imported and stay there; nothing was reverted."
    if not standing.ref:
        told = f"Whether the execution began is not known, nor its id, so none of {counts.sent:,} records can be accounted for."
    if counts.all_arrived and counts.sent:
        return told
    again = AGAIN if plan.appends else "Look at it in the environment, then trigger with force_new_attempt."
    return f"{told} errors.csv and the logs in the evidence say what is known. {again}"


def _entities(work: Work, plan: Plan, path: Path) -> Path:
    chunks = {error.entity: error.chunks for error in _errors(work)}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(["entity", "records in the zip", "counted by DMM", "chunks in error"])
        for entity in dict.fromkeys([*plan.records, *chunks]):
            counted = "no" if is_system(entity) and not plan.counts_system else "yes"
            writer.writerow([neutralise(visible(entity)), plan.records.get(entity, ""), counted, chunks.get(entity, 0)])
    return path


def exported(work: Work) -> str:
    """Where the zip of an export lies in the evidence; VendorNonsense if there is none that may be opened."""
    found = work.standing.results.get((OUTPUTS, ZIP))
    if found is None:
        raise VendorNonsense(
            f"Execution {work.standing.ref} ended '{work.standing.word}' and its outputs hold no zip. Was it an export to a "
            "file? Look at its configuration (ExportToDatabase, ExportToSFTP), correct the manifest and trigger again."
        )
    if why := found.data.get(REFUSED):
        raise VendorNonsense(
            f"The exported zip is refused: {why} It is kept as {found.evidence_path} and nothing was made of it. Show it to "
            "DMM's support before anybody opens it."
        )
    return found.evidence_path
