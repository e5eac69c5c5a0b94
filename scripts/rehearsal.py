"""The demo batches: which they are, what each says about itself in its demo.yaml, and whether the vendor holds what it should."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from ferry.core.batch import MANIFEST, Strict
from ferry.ledger.entries import Verdict
from ferry.vendors import all_vendors
from scripts.environment import ROOT

BATCHES = ROOT / "include" / "batches"
DEMO = "demo.yaml"
HAND_MADE = "hand_made.json"
REHEARSAL = "rehearsal.yaml"


class DemoError(Exception):
    """A demo batch is not what it should be; says which file to correct."""


class Holding(Strict):
    """A file of the batch, and where the sandbox's state keeps its records: `records.Company`, by the key column's value."""

    file: str
    at: str
    key: str = "alternateId"


class Expectation(Strict):
    """What a batch's demo.yaml says: how the batch must end, and what the vendor must hold (or lack) afterwards."""

    about: str
    verdict: Verdict
    attempts: int = 1
    answers: Mapping[str, str] = Field(default_factory=dict)
    """What a person answers in the demo, by the task that asks."""
    reads: Mapping[str, Mapping[str, str]] = Field(default_factory=dict)
    """What they look up for it, by the task that asks and the form's field: a path of the sandbox's control endpoints."""
    then: str = ""
    """The DAG that a person triggers with the batch once its first DAG run has ended, such as an undo."""
    meanwhile: str = ""
    """The DAG that a person triggers with the batch while its run is waited for, such as a stop."""
    begins: Mapping[str, Any] = Field(default_factory=dict)
    """What a person begins at the vendor, which makes the batch: what the sandbox's control endpoint for records takes."""
    after: str = ""
    """The batch that makes this one: it has no manifest before, and a person triggers it when that one has ended."""
    holds: tuple[Holding, ...] = ()
    lacks: tuple[Holding, ...] = ()


class Rehearsal(Strict):
    """A vendor's rehearsal.yaml: how its sandbox is set for the demo, and where the sandbox's state counts starts."""

    switches: Mapping[str, Any] = Field(default_factory=dict)
    runs: str = ""
    """Where the state lists the vendor's runs, each with the fields named next."""
    ref: str = "id"
    starts: str = "starts"
    executions: str = ""
    """Where it lists what starts came to, by the ids that Ferry knows, if `runs` lists something else."""


@dataclass(frozen=True, slots=True)
class DemoBatch:
    """One batch of the demo."""

    vendor: str
    batch_id: str
    due: date | None
    """None for a batch that `dispatch_batches` does not begin."""
    dag: str
    """The DAG that moves it."""
    folder: Path
    expected: Expectation

    @property
    def name(self) -> str:
        """`vendor/batch_id`."""
        return f"{self.vendor}/{self.batch_id}"

    @property
    def first_run(self) -> str:
        """The id of the DAG run that people see end before they do anything further."""
        return f"{self.batch_id}.{self.expected.attempts}"

    @property
    def later_run(self) -> str:
        """The id of the DAG run that a person triggers beside it, afterwards or meanwhile; empty if nobody does."""
        dag = self.expected.then or self.expected.meanwhile
        return f"{self.batch_id}.{dag}" if dag else ""

    def hand_made(self) -> list[dict[str, Any]]:
        """Records that people made at the vendor before Ferry came."""
        path = self.folder / HAND_MADE
        return list(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else []


def demo_batches(root: Path = BATCHES) -> list[DemoBatch]:
    """Every batch below `root` that has a demo.yaml, of all vendors there are."""
    found = [_read(vendor, path.parent) for vendor in all_vendors() for path in sorted((root / vendor).glob(f"*/{DEMO}"))]
    if not found:
        raise DemoError(f"No folder below {root} has a {DEMO}; there is nothing to show.")
    return found


def rehearsal(vendor: str, root: Path = BATCHES) -> Rehearsal:
    """What the vendor's folder of batches says about the demo; nothing special if it says nothing."""
    path = root / vendor / REHEARSAL
    if not path.exists():
        return Rehearsal()
    try:
        return Rehearsal.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (ValidationError, yaml.YAMLError) as error:
        raise DemoError(f"{path} is not usable: {error}") from error


def started(told: Rehearsal, state: Any) -> list[str]:
    """The refs of runs that the vendor has started, as it lists them."""
    if told.executions:
        return [str(one["id"]) for one in _at(state, told.executions)]
    runs = _at(state, told.runs) if told.runs else []
    return [str(run[told.ref]) for run in runs if int(run[told.starts])]


def started_twice(told: Rehearsal, state: Any) -> list[str]:
    """The refs of runs that the vendor was told to start more than once."""
    runs = _at(state, told.runs) if told.runs else []
    return [str(run[told.ref]) for run in runs if int(run[told.starts]) > 1]


def copy_to(batches: list[DemoBatch], target: Path) -> None:
    """Only the demo's batches, so that whatever else lies beside them is left alone."""
    for batch in batches:
        shutil.copytree(batch.folder, target / batch.vendor / batch.batch_id)


def differences(batch: DemoBatch, state: Any) -> Iterator[str]:
    """What the vendor holds otherwise than the batch's files say: key by key and value by value, without showing a value."""
    for holding in batch.expected.holds:
        there = _by_key(state, holding)
        sent = _rows(batch.folder / holding.file)
        wrong = [row[holding.key] for row in sent if not _same(row, there.get(row[holding.key]))]
        if wrong:
            yield f"{len(wrong)} of {len(sent)} records of {holding.file} are missing there or differ, the first is {wrong[0]!r}"
    for holding in batch.expected.lacks:
        there = _by_key(state, holding)
        arrived = [row[holding.key] for row in _rows(batch.folder / holding.file) if row[holding.key] in there]
        if arrived:
            yield f"{len(arrived)} records of {holding.file} are there, but none should be; the first is {arrived[0]!r}"


def _read(vendor: str, folder: Path) -> DemoBatch:
    path = folder / DEMO
    try:
        expected = Expectation.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        if expected.begins:
            return DemoBatch(vendor, folder.name, None, all_vendors()[vendor].dag_id, folder, expected)
        made_by = folder.with_name(expected.after) if expected.after else folder
        told = yaml.safe_load((made_by / MANIFEST).read_text(encoding="utf-8"))
        due, own = told["due"], all_vendors()[vendor].dag_id
    except (ValidationError, yaml.YAMLError, OSError, KeyError) as error:
        raise DemoError(f"{path} (or the manifest beside it) is not usable: {error}") from error
    dag = own if expected.after else told.get("dag", own)
    return DemoBatch(vendor, folder.name, due, dag, folder, expected)


def _by_key(state: Any, holding: Holding) -> dict[str, Mapping[str, Any]]:
    return {str(record[holding.key]): record for record in _at(state, holding.at)}


def _at(part: Any, path: str) -> list[Any]:
    for name in path.split("."):
        part = part.get(name, []) if isinstance(part, Mapping) else []
    return list(part)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        return list(csv.DictReader(lines))


def _same(row: Mapping[str, str], record: Mapping[str, Any] | None) -> bool:
    """True if the record has every value of the row; an empty value may be absent."""
    return record is not None and all(str(record.get(name) or "") == value for name, value in row.items())
