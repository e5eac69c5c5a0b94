"""How the demo's batches ended, from the ledger: the table, var/demo.json, and what is not as it should be."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from ferry.core.model import Counts
from ferry.ledger.entries import Standing
from ferry.ledger.evidence import Folder
from ferry.ledger.store import LedgerStore
from scripts.rehearsal import DemoBatch

NUMBERS = ("sent", "accepted", "rejected", "unprocessed", "waived")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one batch ended."""

    vendor: str
    batch_id: str
    verdict: str
    attempts: int
    counts: Counts
    vendor_refs: list[str]
    evidence: str
    evidence_is_there: bool = True

    @property
    def unaccounted(self) -> int:
        """Records without exactly one fate."""
        counts = self.counts
        return abs(counts.sent - counts.accepted - counts.rejected - counts.unprocessed - counts.waived)

    def to_json(self) -> dict[str, Any]:
        """The object var/demo.json holds for the batch."""
        before = {"vendor": self.vendor, "batch_id": self.batch_id, "verdict": self.verdict, "attempts": self.attempts}
        return {**before, **self.counts.to_json(), "vendor_refs": self.vendor_refs, "evidence": self.evidence}


def standing_of(ledger: LedgerStore, batch: DemoBatch) -> Standing | None:
    """How the batch stands; None before its first entry. A demo has one environment per vendor."""
    rows = [row for row in ledger.batches(batch.vendor) if row.batch_id == batch.batch_id]
    return ledger.standing(batch.vendor, rows[0].environment, batch.batch_id) if rows else None


def outcome_of(standing: Standing | None, batch: DemoBatch, evidence: Folder) -> Outcome:
    """The batch's end, in the words and numbers of its ledger."""
    if standing is None or standing.last is None:
        return Outcome(batch.vendor, batch.batch_id, "never admitted", 0, Counts(), [], "")
    last = standing.last
    refs = list(dict.fromkeys(one.ref for one in standing.attempts if one.ref))
    filed = next((entry.evidence_path for entry in standing.entries if entry.evidence_path), "")
    # <vendor>/<environment>/<batch>/<attempt>/<step>/<name>
    folder = evidence.joinpath(*Path(filed).parts[-6:-3]) if filed else None
    told = str(folder or ""), folder is None or folder.is_dir()
    return Outcome(batch.vendor, batch.batch_id, str(last.verdict), len(standing.attempts), last.counts, refs, *told)


def problems(outcome: Outcome, batch: DemoBatch) -> list[str]:
    """How the outcome differs from what the batch's demo.yaml says; empty is good."""
    found = []
    if outcome.verdict != batch.expected.verdict:
        found.append(f"ended {outcome.verdict}, not {batch.expected.verdict}")
    if outcome.attempts != batch.expected.attempts:
        found.append(f"took {outcome.attempts} attempts, not {batch.expected.attempts}")
    if not outcome.counts.adds_up:
        found.append(f"its counts do not add up: {outcome.counts}")
    if not outcome.evidence_is_there:
        found.append(f"its evidence is not at {outcome.evidence}")
    return found


def table_of(outcomes: list[Outcome]) -> Table:
    """The outcome table with its totals."""
    table = Table(title="Outcome, in records: sent = accepted + rejected + unprocessed + waived", title_justify="left")
    for name in ("vendor", "batch", "verdict"):
        table.add_column(name, no_wrap=True)
    for name in ("attempts", *NUMBERS):
        table.add_column(name, justify="right")
    for one in outcomes:
        colour = "green" if one.verdict == "balanced" else "yellow"
        numbers = [f"{getattr(one.counts, name):,}" for name in NUMBERS]
        table.add_row(one.vendor, one.batch_id, f"[{colour}]{one.verdict}[/]", str(one.attempts), *numbers)
    table.add_section()
    totals = [f"{sum(getattr(one.counts, name) for one in outcomes):,}" for name in NUMBERS]
    table.add_row("total", "", "", str(sum(one.attempts for one in outcomes)), *totals)
    return table


def write_json(outcomes: list[Outcome], path: Path) -> None:
    """One object per batch, for programs."""
    path.write_text(json.dumps([one.to_json() for one in outcomes], indent=2) + "\n", encoding="utf-8")
