"""`ferry verify`: walks every batch of the ledger, says how each stands, names every fault; and writes evidence packs."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from ferry.core.errors import FerryError
from ferry.ledger.audit import Fault
from ferry.ledger.evidence import EvidenceStore, Sent
from ferry.ledger.listing import BatchRow
from ferry.ledger.pack import pack
from ferry.ledger.schema import HEAD
from ferry.ledger.store import LedgerStore

Places = Callable[[], tuple[LedgerStore, EvidenceStore]]
"""Where ledger and evidence are if no option says so."""

PAGE = 500


def verify(arguments: list[str], places: Places) -> int:
    """Run the command; 0 if all is well, 1 if anything is wrong, 2 if it could not look."""
    chosen = _parser().parse_args(arguments)
    try:
        ledger, evidence = _places(chosen, places)
        ledger.migrate()
        if chosen.pack:
            return _pack(ledger, evidence, chosen.pack, chosen.to)
        return _verify(ledger, evidence, chosen.heads)
    except FerryError as error:
        print(error, file=sys.stderr)  # noqa: T201 (a command's output)
        return 2


def migrate(arguments: list[str], places: Places) -> int:
    """Bring the ledger's database to what this version was written for; 0 if it is there, 2 if it could not be."""
    parser = argparse.ArgumentParser(prog="ferry migrate", description=migrate.__doc__)
    parser.add_argument("--ledger", help="URL or path of the ledger (default: Airflow's connection ferry_ledger)")
    chosen = parser.parse_args(arguments)
    try:
        ledger = LedgerStore(chosen.ledger) if chosen.ledger else places()[0]
        ledger.migrate()
    except FerryError as error:
        print(error, file=sys.stderr)  # noqa: T201 (a command's output)
        return 2
    print(f"the ledger ({ledger.database.name}) is at version {HEAD}")  # noqa: T201 (same)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ferry verify", description=__doc__)
    parser.add_argument("--ledger", help="URL or path of the ledger (default: Airflow's connection ferry_ledger)")
    parser.add_argument("--evidence", help="URL or folder of the evidence, without a connection (default: FERRY_EVIDENCE)")
    parser.add_argument(
        "--heads", type=Path, help="file that remembers each chain's head: what was remembered must still be there"
    )
    parser.add_argument("--pack", metavar="BATCH", help="write the evidence pack of this batch instead ([vendor/]batch)")
    parser.add_argument("--to", type=Path, metavar="FILE", help="where the pack goes (default: BATCH-evidence.zip)")
    return parser


def _places(chosen: argparse.Namespace, places: Places) -> tuple[LedgerStore, EvidenceStore]:
    if chosen.ledger and chosen.evidence:
        return LedgerStore(chosen.ledger), EvidenceStore(chosen.evidence)
    ledger, evidence = places()
    return (LedgerStore(chosen.ledger) if chosen.ledger else ledger), (
        EvidenceStore(chosen.evidence) if chosen.evidence else evidence
    )


def _rows(ledger: LedgerStore) -> Iterator[BatchRow]:
    offset = 0
    while rows := ledger.batches(limit=PAGE, offset=offset):
        yield from rows
        offset += PAGE


def _verify(ledger: LedgerStore, evidence: EvidenceStore, heads: Path | None) -> int:
    rows = list(_rows(ledger))
    faults = ledger.verify(evidence=evidence.check)
    faults += [_forgotten(sent) for sent in ledger.forgotten(evidence)]
    if heads is not None:
        faults += _compare_heads(ledger, rows, heads)
    # By folder, because what is forgotten is known by the names of files only.
    by_batch = Counter(evidence.folder_of(fault.vendor, fault.environment, fault.batch_id) for fault in faults)
    table: list[tuple[str, ...]] = [
        ("vendor", "batch", "environment", "attempts", "entries", "verdict", "sent", "accepted", "faults")
    ]
    for row in rows:
        found = by_batch[evidence.folder_of(row.vendor, row.environment, row.batch_id)]
        numbers = (str(n) for n in (row.counts.sent, row.counts.accepted, found))
        table.append(
            (row.vendor, row.batch_id, row.environment, str(row.attempts), str(row.entries), row.verdict or "-", *numbers)
        )
    _print_table(table)
    for fault in faults:
        print(f"FAULT  {fault}")  # noqa: T201 (a command's output)
    print(f"{len(rows)} batches, {sum(row.entries for row in rows)} entries, {len(faults)} faults")  # noqa: T201 (same)
    return 1 if faults else 0


def _print_table(table: list[tuple[str, ...]]) -> None:
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())  # noqa: T201 (same)


def _compare_heads(ledger: LedgerStore, rows: list[BatchRow], file: Path) -> list[Fault]:
    """A chain cannot show that its end was cut off or that all of it was written anew; a head kept elsewhere can."""
    kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    faults = [fault for head in kept for fault in _compare_head(ledger, head)]
    if not faults:
        heads = []
        for row in rows:
            standing = ledger.standing(row.vendor, row.environment, row.batch_id)
            heads.append([row.vendor, row.environment, row.batch_id, standing.seq, standing.head])
        part = file.with_name(f"{file.name}.part")
        part.write_text(json.dumps(sorted(heads), indent=0) + "\n", encoding="utf-8")
        part.replace(file)
    return faults


def _compare_head(ledger: LedgerStore, head: tuple[str, str, str, int, str]) -> Iterator[Fault]:
    vendor, environment, batch_id, seq, entry_hash = head
    entries = ledger.of_batch(vendor, environment, batch_id)
    if seq > len(entries) or entries[seq - 1].entry_hash != entry_hash:
        yield Fault(vendor, environment, batch_id, seq, f"the entry remembered here ({entry_hash[:12]}…) is gone or another")


def _forgotten(sent: Sent) -> Fault:
    what = f"there is word that `{sent.step}` of attempt {sent.attempt} was about to be sent, and no such entry"
    return Fault(sent.vendor, sent.environment, sent.batch_id, sent.seq, what)


def _pack(ledger: LedgerStore, evidence: EvidenceStore, name: str, to: Path | None) -> int:
    vendor, _, batch_id = name.rpartition("/")
    found = [row for row in _rows(ledger) if row.batch_id == batch_id and vendor in {"", row.vendor}]
    if len(found) != 1:
        where = ", ".join(f"{row.vendor}/{row.batch_id} at {row.environment}" for row in found) or "none"
        print(f"{name} must name one batch of the ledger, and names: {where}", file=sys.stderr)  # noqa: T201 (a command's output)
        return 2
    row = found[0]
    standing = ledger.standing(row.vendor, row.environment, row.batch_id)
    print(pack(evidence, standing, to or Path(f"{batch_id}-evidence.zip")))  # noqa: T201 (same)
    return 0
