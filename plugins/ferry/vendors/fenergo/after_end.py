"""What happens to a Fenergo batch once its run has ended."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferry.core.csvfile import header_of
from ferry.core.errors import NotFound
from ferry.core.model import RunState
from ferry.ledger.entries import Kind
from ferry.ledger.reconciliation import KeyFile, Reconciliation, SentFile
from ferry.ledger.reconciliation import reconcile as join
from ferry.steps.waiving import waived_files
from ferry.vendors.fenergo import triage
from ferry.vendors.fenergo.records import reported

if TYPE_CHECKING:
    from ferry.steps.work import Work

log = logging.getLogger(__name__)
ERRORS, RECORDS = "errors.csv", "records.csv"


def fetch_errors(work: Work) -> dict[str, int]:
    """The error file as evidence, twice; counts of a run that wrote nothing: all or nothing [D SEED]."""
    with work.desk() as desk:
        raw = desk / ERRORS
        try:
            work.call(lambda api: api.fetch_errors(work.run, raw, work.section.errors_via))
        except NotFound:
            return _failed_without_file(work, desk)
        filed = work.evidence.file_from(work.attempt, work.step, ERRORS, raw)
        human = triage.human_copy(raw, desk / "errors-for-people.csv")
        work.evidence.file_from(work.attempt, work.step, human.name, human)
        rejected = desk / "rejected-keys.csv"
        triage.triage(raw, rejected)
        found = _join(work, desk, rejected=[KeyFile(rejected, "key", "table")])
    counts = asdict(found.counts)
    note = (
        f"Fenergo refused the run and wrote nothing: its error file names {found.counts.rejected:,} of "
        f"{found.counts.sent:,} records ({filed.path})."
    )
    work.record(Kind.RESULT, filed, note=note, counts=counts)
    log.info("%s", note)
    return counts


def _failed_without_file(work: Work, desk: Path) -> dict[str, int]:
    """A failure before processing may leave no error file; the message of the migration is all there is [A-20]."""
    counts = asdict(_join(work, desk).counts)
    said = work.standing.latest("await_run", Kind.RESULT)
    reason = said.note if said and said.note else "it gives no reason"
    note = f"Fenergo refused the run, wrote nothing and offers no error file: {reason}."
    work.record(Kind.RESULT, note=note, counts=counts, data={"no_file": True})
    return counts


def triage_errors(work: Work) -> bool:
    """Whether the alternate-ID remedy is the way on; the report says what to correct in either case."""
    fetched = work.standing.results[("fetch_errors", "")]
    if fetched.data.get("no_file"):
        return False
    with work.desk() as desk:
        raw = work.evidence.fetch(fetched.evidence_path, desk / ERRORS)
        found = triage.triage(raw, unresolved_codes=work.section.unresolved_codes)
        report = desk / "report.md"
        report.write_text(triage.report_markdown(found, work.attempt.batch_id, work.run.ref), encoding="utf-8")
        filed = work.evidence.file_from(work.attempt, work.step, report.name, report)
    remedy = _may_be_remedied(work, found)
    note = f"{found.errors:,} errors in {found.rejected:,} records. What to correct: {filed.path}."
    work.record(Kind.RESULT, filed, note=note, data=found.to_json() | {"remedy": remedy})
    log.info("%s", note)
    return remedy


def _may_be_remedied(work: Work, found: triage.Triage) -> bool:
    name = work.section.alternate_ids
    if name is None or _remedied_before(work):
        return False
    with work.batch.local(name) as alternate_ids:
        return triage.remedied_by(found, alternate_ids)


def _remedied_before(work: Work) -> bool:
    """At most one remedy for one input: the same alternate ids would meet the same errors."""
    attempts = work.ledger.standing(work.attempt.vendor, work.attempt.environment, work.attempt.batch_id).attempts
    mine = work.standing.input_hash
    return any(
        attempt.input_hash == mine and attempt.attempt != work.attempt and ("ingest_alternate_ids", "") in attempt.intents
        for attempt in attempts
    )


def reconcile(work: Work) -> dict[str, int]:
    """Counts of the identity; lists of missing, extra, duplicate and rejected keys as evidence."""
    run, section = work.run, work.section
    complete = work.standing.run_state is RunState.SUCCEEDED
    with work.desk() as desk:
        raw = desk / RECORDS
        work.call(lambda api: api.fetch_records(run, raw, section.records_via))
        filed = work.evidence.file_from(work.attempt, work.step, RECORDS, raw)
        # A complete success vouches for data groups, which the file does not list: all or nothing [D SEED].
        reports = {"accepted": [reported(raw)], "waived": waived_files(work, desk)}
        found = _join(work, desk, **reports, run_vouches=complete)
    waived = found.balanced and found.counts.waived > 0  # a person has answered for what the counters call failed
    tolerated = complete or waived or section.on_failed_counters == "warn"
    note = _said(work, found, tolerated=tolerated)
    data = found.to_json() | {"balanced": found.balanced and tolerated}
    work.record(Kind.RESULT, filed, note=note, counts=asdict(found.counts), data=data)
    log.info("%s", note)
    return asdict(found.counts)


def _said(work: Work, found: Reconciliation, *, tolerated: bool) -> str:
    if not tolerated:
        counters = {name: number for name, number in work.standing.counters.items() if name.startswith("failed") and number}
        return f"Fenergo says '{work.standing.word}' and still counts failures: {counters}. Look at missing.csv in the evidence."
    if found.balanced:
        return f"Every one of {found.counts.sent:,} records is accounted for."
    return (
        f"Of {found.counts.sent:,} records, {found.counts.accepted:,} arrived; {found.counts.unprocessed:,} are missing and "
        f"{found.extra:,} were not ours. missing.csv and extra.csv in the evidence name them. "
        "Ask the vendor about them before sending again."
    )


def clean_up_inputs(work: Work) -> bool:
    """Remove the vendor's copy of the input, as the very last thing and only if asked for."""
    reconciled = work.standing.results.get(("reconcile", ""))
    if not work.section.clean_up_inputs or reconciled is None or not reconciled.data.get("balanced"):
        return False
    work.call(lambda api: api.clean_up_inputs(work.run))
    work.record(Kind.RESULT, note="Fenergo was asked to remove its copies of the input files.")
    return True


def _join(work: Work, desk: Path, **reports: Any) -> Reconciliation:
    """Reconcile the keys that were sent, as upload_batch kept them, and file the lists of keys."""
    standing = work.standing
    checked = standing.results.get(("check_batch", ""))
    records = checked.data.get("records", {}) if checked else {}
    lists = desk / "lists"
    lists.mkdir()
    sent: list[SentFile] = []
    for (step, table), entry in standing.results.items():
        if step == "upload_batch":
            keys = work.evidence.fetch(entry.evidence_path, desk / f"sent-{len(sent)}.csv")
            parent = "parent" if "parent" in header_of(keys) else None
            sent.append(SentFile(table, keys, "key", parent, records.get(table)))
    found = join(sent, out=lists, **reports)
    for path in found.files.values():
        work.evidence.file_from(work.attempt, work.step, path.name, path)
    return found
