"""The plan of a batch: its mapping held against the instance once, kept by the ledger, and the same for every later step."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferry.core.errors import BatchRefused
from ferry.core.findings import Level
from ferry.core.model import Jsonable
from ferry.ledger.entries import Kind
from ferry.steps.checking import report
from ferry.vendors.domo.checks import InstanceCheck, Moved
from ferry.vendors.domo.fates import fates, undone
from ferry.vendors.domo.mapping import Findings, Item, MappingCheck

if TYPE_CHECKING:
    from ferry.steps.work import Work

log = logging.getLogger(__name__)
CHECK, MAPPING = "check_batch", "mapping"
"""The step that keeps the mapping, and the part under which it does."""
SAID = 3
"""Findings that are told in the message itself, if there are no more."""
MOST = 1000
"""Tasks that are made of one batch, at most: Airflow maps no more than 1024 ([core] max_map_length). A larger batch puts several
datasources into each."""
HEADER = tuple(column.name for column in fields(Item))


@dataclass(frozen=True, slots=True)
class Plan(Jsonable):
    """What was found when the batch was checked: what later steps go by, whatever becomes of the manifest."""

    account_id: str
    at_once: int
    on_incomplete: str
    repeats: int
    already_migrated: str
    reversal: str


def check_batch(work: Work) -> dict[str, Any]:
    """All findings of manifest, mapping and instance as evidence; BatchRefused if there are faults."""
    if (known := work.result()) and work.standing.started:  # what was sent is not judged anew
        return {"findings": known.note}
    findings, section = Findings(), work.batch.section
    check = MappingCheck(work.batch, findings)
    items = check.run()
    instance = InstanceCheck(check, section, earlier_attempts(work))
    account = work.call(instance.account)
    if account is not None:
        candidates = work.call(lambda api: api.candidates(account.id))
        items = instance.place(items, account, candidates)
        if strangers := [item.id for item in items if item.id not in candidates]:
            work.call(lambda api: instance.name_strangers(api, account, candidates, strangers))
    if account is not None and not findings.count(Level.ERROR):
        keep(work, items)
    plan = section.settings() | {"account_id": account.id if account else ""}
    return report(work, findings, say=SAID, records=findings.records, plan=plan, already=sum(bool(one.already) for one in items))


def earlier_attempts(work: Work) -> dict[str, Moved]:
    """What earlier attempts at this batch have moved to V2 and not back, or left half-done, by datasource."""
    attempt, found = work.attempt, dict[str, Moved]()
    standing = work.ledger.standing(attempt.vendor, attempt.environment, attempt.batch_id)
    for one in standing.attempts:
        mapping, checked = one.results.get((CHECK, MAPPING)), one.results.get((CHECK, ""))
        if one.attempt.number >= attempt.number or mapping is None or checked is None:
            continue
        known, account_id = fates(one), str(checked.data["plan"]["account_id"])
        for item in _read(work, mapping.evidence_path):
            fate = known.get(item.id)
            if fate and (fate.has_moved or fate.is_half_done):
                found[item.id] = Moved(f"attempt {one.attempt.number}", account_id, item, half_done=fate.is_half_done)
        for datasource, fate in undone(one).items():
            if fate.is_back:
                found.pop(datasource, None)
    return found


def keep(work: Work, items: Iterable[Item]) -> None:
    """File the mapping as it is sent; a person may correct the batch's own while it is under way."""
    rows = [astuple(item) for item in items]
    with work.desk() as desk:
        filed = work.evidence.file_from(work.attempt, work.step, "mapping.csv", write_csv(desk / "mapping.csv", HEADER, rows))
    work.record(Kind.RESULT, filed, key=MAPPING, data={"records": len(rows)})


def kept(work: Work) -> list[Item]:
    """The batch's datasources as they were checked."""
    checked = work.standing.results.get((CHECK, MAPPING))
    if checked is None:
        raise _unchecked(work)
    return _read(work, checked.evidence_path)


def plan_of(work: Work) -> Plan:
    """What was found when the batch was checked."""
    checked = work.standing.results.get((CHECK, ""))
    if checked is None or not checked.data.get("passed"):
        raise _unchecked(work)
    return Plan.from_json(checked.data["plan"])


def is_planned(work: Work) -> bool:
    """Whether the batch passed its check and is not being reversed: otherwise nothing is left for its migration to do."""
    standing = work.standing
    checked = standing.results.get((CHECK, ""))
    return bool(checked and checked.data.get("passed")) and not standing.undoing


def plan_run(work: Work) -> list[list[str]]:
    """The datasources that are to be sent now, by id, portioned for Airflow's tasks: all that are not on V2 yet."""
    standing = work.standing
    if standing.undoing:
        log.info("%s is being reversed, or was: nothing of it is sent again. Force a new attempt for that.", work.attempt)
        return []
    known = fates(standing)
    due = [item.id for item in kept(work) if not item.already and not (item.id in known and known[item.id].has_moved)]
    log.info("%s: %d datasources are to be migrated", work.attempt, len(due))
    return portions(due)


def portions(datasources: Sequence[str], most: int = MOST) -> list[list[str]]:
    """One for each datasource, or as few for each as are needed to make `most` portions at most."""
    size = max(1, -(-len(datasources) // most))
    return [list(datasources[start : start + size]) for start in range(0, len(datasources), size)]


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    """A CSV file in which every value stands in quotes."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def _read(work: Work, evidence_path: str) -> list[Item]:
    with work.desk() as desk:
        path = work.evidence.fetch(evidence_path, desk / "mapping.csv")
        with path.open(encoding="utf-8", newline="") as lines:
            return [Item.from_json(row) for row in csv.DictReader(lines)]


def _unchecked(work: Work) -> BatchRefused:
    return BatchRefused(f"The ledger does not know that {work.attempt} was checked; clear check_batch. Nothing was sent.")
