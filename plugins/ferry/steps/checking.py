"""What checks found: every finding in one file of evidence, and in the ledger whether it stops the batch."""

from __future__ import annotations

import logging
from typing import Any

from ferry.core.errors import BatchRefused
from ferry.core.findings import Findings, Level
from ferry.ledger.entries import Kind
from ferry.steps.work import Work

log = logging.getLogger(__name__)
FILE = "findings.csv"


def report(work: Work, findings: Findings, checks: str = "strict", *, say: int = 0, **data: Any) -> dict[str, Any]:
    """File the findings and write down whether they stop the batch; BatchRefused if they do.

    Up to `say` errors are told in the message itself, for vendors whose findings hold nothing of a record. `data` is kept in the
    ledger; what comes back is the headline and the counts.
    """
    with work.desk() as desk:
        filed = work.evidence.file_from(work.attempt, work.step, FILE, findings.write(desk / FILE))
    stop = findings.stop(checks)
    errors = [finding.message for finding in findings.kept if finding.level is Level.ERROR]
    told = f" {' '.join(errors)}" if 0 < len(errors) <= say else ""
    note = f"{work.step}: {findings.headline()}.{told} All findings are in {filed.path}."
    work.record(Kind.RESULT, filed, note=note, data={"passed": not stop, "findings": findings.summary()[:50], **data})
    if stop:
        raise BatchRefused(f"{note} Nothing was sent for {work.attempt}. Correct the files and trigger the batch again.")
    log.info("%s", note)
    return {"findings": findings.headline(), "records": findings.records}
