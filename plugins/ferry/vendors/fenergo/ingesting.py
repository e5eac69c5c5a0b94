"""The alternate-ID remedy: records made by hand at the vendor get the ids that the batch refers to."""

from __future__ import annotations

import logging
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ferry.core.csvfile import records
from ferry.core.errors import BatchRefused, FerryError, NotFound
from ferry.core.model import Counts, Run, RunState
from ferry.ledger.entries import Entry, Kind, Verdict, part_of
from ferry.vendors.fenergo.earlier import GUARD, earlier_files
from ferry.vendors.fenergo.findings import Level
from ferry.vendors.fenergo.references import check_references, count_error_lines

if TYPE_CHECKING:
    from ferry.steps.work import Work

log = logging.getLogger(__name__)
LONG = 60.0  # seconds by which the query service may lag behind


def ingest_alternate_ids(work: Work) -> str:
    """The ingestion's id, once its execution was asked for. Whatever would overwrite an id is refused before it is sent."""
    name = work.batch.section.alternate_ids
    if name is None:
        raise BatchRefused(f"The manifest of {work.attempt.batch_id} names no alternate_ids file. Add it and trigger again.")
    with work.batch.local(name) as source:
        _guard(work, name)
        sent = work.result("file")
        if sent is None:
            run: Run = work.call(lambda api: api.send_references(source, source.stat().st_size))
            sent = work.record(Kind.RESULT, key="file", ref=run.ref)
    ref = sent.ref
    _execute(work, ref)
    return ref


def _execute(work: Work, ref: str) -> None:
    """Have the ingestion executed, once. A lost answer shows in the ingestion's own status, which `await_ingestion` reads.

    Where that knows of no execution even long after the answer was lost, none took place, and a cleared task asks for it again.
    """
    standing = work.standing
    intended = [entry for (step, key), entry in standing.intents.items() if step == work.step and not part_of(key)]
    lost = bool(intended) and (work.step, intended[-1].key) not in standing.answers
    if lost and (datetime.now(UTC) - intended[-1].at).total_seconds() > LONG and not _executed(work, ref):
        work.forget(f"Fenergo knows of no execution of ingestion {ref}, long after it was asked for one: it never heard.")
    work.once(lambda api: api.execute_ingestion(Run(ref)), ref=ref)


def _executed(work: Work, ref: str) -> bool:
    try:
        work.call(lambda api: api.look_ingestion(Run(ref)))
    except NotFound:
        return False
    return True


def _guard(work: Work, name: str) -> None:
    if work.result(GUARD):
        return
    with work.batch.local(name) as source, earlier_files(work, ingestions=True) as known:
        findings = check_references(source, known)
        with work.desk() as desk:
            filed = work.evidence.file_from(work.attempt, work.step, "findings.csv", findings.write(desk / "findings.csv"))
        if findings.count(Level.ERROR):
            raise BatchRefused(
                f"The alternate-id file {name} was not sent: {findings.headline()}. All findings are in {filed.path}. The vendor "
                "would overwrite without a word; correct the file and trigger again."
            )
        copy = work.evidence.file_from(work.attempt, work.step, "alternate_ids.csv", source)
    work.record(Kind.RESULT, copy, key=GUARD, note=f"{name} would overwrite nothing that Ferry knows of.")


def settle_ingestion(work: Work) -> Entry:
    """The result of the ingestion; FerryError with the number of refused rows unless all were taken."""
    awaited = work.standing.results.get(("await_ingestion", ""))
    ref = work.standing.ref_of("ingest_alternate_ids", "file")
    if awaited is None or awaited.state is None:
        raise FerryError(f"The ledger does not know how ingestion {ref} ended; clear await_ingestion to ask again.")
    refused = _refused_rows(work, ref)
    if awaited.state is RunState.SUCCEEDED and not refused:
        return work.record(Kind.RESULT, ref=ref, note=f"Ingestion {ref} took every alternate id.")
    work.record(
        Kind.RESULT, ref=ref, note=f"Ingestion {ref} ended '{awaited.word}'; refused rows by table: {refused or 'not told'}."
    )
    raise BatchRefused(
        f"Ingestion {ref} ended '{awaited.word}' and refused rows ({refused or 'the vendor names none'}). Its error lines are in "
        "the evidence. Some rows may have been taken: correct only what is named there, in a new alternate-id file."
    )


def _refused_rows(work: Work, ref: str) -> dict[str, int]:
    with work.desk() as desk:
        lines = desk / "ingestion-errors.jsonl"
        try:
            work.call(lambda api: api.fetch_ingestion_errors(Run(ref), lines))
        except NotFound:
            return {}
        work.evidence.file_from(work.attempt, work.step, lines.name, lines)
        return count_error_lines(lines)


def close_for_next(work: Work) -> str:
    """Close the refused attempt in favour of the next; returns the DAG run id that will try it."""
    standing = work.standing
    if standing.is_open:
        fetched = standing.results[("fetch_errors", "")]
        note = f"{fetched.note} Its alternate ids are ingested now; attempt {work.attempt.number + 1} follows."
        counts: dict[str, Any] = asdict(Counts.from_json(fetched.counts))
        work.judge(Verdict.REFUSED, counts, note)
    return f"{work.attempt.batch_id}.{work.attempt.number + 1}"


def reconcile_ingestion(work: Work) -> dict[str, int]:
    """Counts of an assignment of alternate ids: rows sent, rows the vendor names as refused, and the rest by how it ended."""
    name = str(work.batch.section.alternate_ids)
    ref = work.standing.ref_of("ingest_alternate_ids", "file")
    awaited = work.standing.results[("await_ingestion", "")]
    with work.batch.local(name) as source:
        sent = sum(1 for _ in records(source))
    rejected = min(sent, sum(_refused_rows(work, ref).values()))
    whole = awaited.state is RunState.SUCCEEDED or rejected > 0
    rest = sent - rejected
    counts = Counts(sent, accepted=rest if whole else 0, rejected=rejected, unprocessed=0 if whole else rest)
    note = (
        f"Ingestion {ref} ended '{awaited.word}': {counts.accepted:,} of {sent:,} alternate ids were taken, {rejected:,} refused."
    )
    work.record(Kind.RESULT, ref=ref, note=note, counts=asdict(counts), data={"balanced": counts.all_arrived})
    log.info("%s", note)
    return asdict(counts)
