"""What was asked for, kept object by object as evidence, and what the vendor reports of it: the two sides of reconciliation."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferry.ledger.entries import Kind
from ferry.ledger.reconciliation import KeyFile, Reconciliation, SentFile, reconcile
from ferry.steps.waiving import waived_files
from ferry.vendors.microstrategy.content import MetadataObject
from ferry.vendors.microstrategy.shapes import Json, content_of, import_word, members, part, project_of
from ferry.vendors.microstrategy.vocabulary import CONFIGURATION, IMPORT_STATES

if TYPE_CHECKING:
    from ferry.steps.work import Work

HEADER = ("key", "type", "action", "include_dependents")
KEEPERS = ("check_batch", "check_package")
"""The steps that keep what is sent: from the manifest where it lists the objects, else from the package itself."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What one package was asked to hold. A whole has no objects that anyone lists: a file, or the rules of a merge."""

    table: str
    path: Path
    whole: bool
    records: int

    def rows(self) -> Iterator[dict[str, str]]:
        """Each object as it was asked for."""
        with self.path.open(encoding="utf-8", newline="") as lines:
            yield from csv.DictReader(lines)


def keep(work: Work, number: int, table: str, objects: Iterable[MetadataObject], *, source_project: str = "") -> None:
    """File the objects of one package; a person may correct the manifest while the run is under way."""
    rows = [(one.id, one.type, one.action, str(one.include_dependents).lower()) for one in objects]
    _file(work, number, rows, {"table": table, "records": len(rows), "project": source_project})


def keep_whole(work: Work, number: int, table: str, key: str) -> None:
    """File a package of which nothing is known but that it is one."""
    _file(work, number, [(key, "", "", "")], {"table": table, "records": 1, "whole": True})


def _file(work: Work, number: int, rows: Sequence[Sequence[Any]], data: dict[str, Any]) -> None:
    with work.desk() as desk:
        path = desk / f"sent-{number}.csv"
        _write(path, HEADER, rows)
        filed = work.evidence.file_from(work.attempt, work.step, path.name, path)
    work.record(Kind.RESULT, filed, key=f"package-{number}", data=data)


def kept(work: Work, desk: Path) -> list[Kept]:
    """What was asked for, package by package."""
    entries = [entry for (step, key), entry in work.standing.results.items() if step in KEEPERS and key]
    return [
        Kept(
            str(entry.data["table"]),
            work.evidence.fetch(entry.evidence_path, desk / f"sent-{number}.csv"),
            bool(entry.data.get("whole")),
            int(entry.data["records"]),
        )
        for number, entry in enumerate(entries)
    ]


def table_of(work: Work, member: Json) -> str:
    """Under which name a member's objects were filed: found by its project's id on the source, else its own name."""
    project = part(part(member, "packageInfo"), "project").get("id")
    filed = [entry.data for (step, key), entry in work.standing.results.items() if step in KEEPERS and key]
    if len(filed) == 1:
        return str(filed[0]["table"])
    found = next((str(data["table"]) for data in filed if project and data.get("project") == project), "")
    return found or (CONFIGURATION if part(member, "packageInfo").get("type") == CONFIGURATION else project_of(member))


def join(work: Work, record: Json, desk: Path) -> Reconciliation:
    """Every object that was asked for against what the target reports; lists of the differences as evidence.

    Accepted: reported by a member that was imported, with the action that was asked for. Rejected: reported with another one,
    or asked of a member whose import failed. All else is unprocessed.
    """
    return _joined(work, record, desk, lambda member: import_word(member) == "imported")


def join_content(work: Work, record: Json, desk: Path) -> Reconciliation:
    """The same against what the packages hold, before anything is imported."""
    return _joined(work, record, desk, lambda _member: True)


def _joined(work: Work, record: Json, desk: Path, counts: Callable[[Json], bool]) -> Reconciliation:
    sides, lists = _Sides(), desk / "lists"
    lists.mkdir()
    asked = kept(work, desk)
    by_table = {one.table: one for one in asked}
    for member in members(record):
        if (one := by_table.get(table_of(work, member))) is not None:
            sides.weigh(one, member, imported=counts(member))
    found = reconcile(
        [SentFile(one.table, one.path, "key", records=one.records) for one in asked],
        accepted=[sides.write(desk, "accepted")],
        rejected=[sides.write(desk, "rejected")],
        waived=waived_files(work, desk),
        out=lists,
    )
    for path in found.files.values():
        work.evidence.file_from(work.attempt, work.step, path.name, path)
    return found


class _Sides:
    """Collects the fate of each object, by table and key."""

    def __init__(self) -> None:
        self.accepted, self.rejected = list[tuple[str, str]](), list[tuple[str, str]]()

    def weigh(self, asked: Kept, member: Json, *, imported: bool) -> None:
        wanted = {row["key"]: row for row in asked.rows()}
        if not imported:
            failed = IMPORT_STATES.get(import_word(member)) is not None and import_word(member) != "pending"
            self.rejected += [(asked.table, key) for key in wanted] if failed else []
            return
        if asked.whole:
            self.accepted += [(asked.table, key) for key in wanted]
            return
        brings = any(row["include_dependents"] == "true" for row in wanted.values())
        for there in content_of(member):
            key = str(there.get("id") or "").upper()
            if row := wanted.get(key):
                (self.accepted if _as_asked(there, row) else self.rejected).append((asked.table, key))
            elif not is_dependent(there, brings=brings):
                self.accepted.append((asked.table, key))  # nobody asked for it: the join calls it extra

    def write(self, desk: Path, fate: str) -> KeyFile:
        path = desk / f"{fate}.csv"
        _write(path, ("table", "key"), getattr(self, fate))
        return KeyFile(path, "key", "table")


def differences(asked: Kept, member: Json) -> Counter[str]:
    """How a package's content differs from what was asked of it: missing, changed, and never asked for."""
    wanted, odd = {row["key"]: row for row in asked.rows()}, Counter[str]()
    brings = any(row["include_dependents"] == "true" for row in wanted.values())
    there = {str(one.get("id") or "").upper(): one for one in content_of(member)}
    for key, row in wanted.items():
        found = there.get(key)
        odd["objects missing"] += found is None
        odd["objects with another type or action"] += found is not None and not _as_asked(found, row)
    odd["objects that nobody asked for"] += sum(
        key not in wanted and not is_dependent(one, brings=brings) for key, one in there.items()
    )
    return +odd


def _as_asked(there: Json, row: Mapping[str, str]) -> bool:
    return (str(there.get("type")), str(there.get("action"))) == (row["type"], row["action"])


def is_dependent(there: Json, *, brings: bool) -> bool:
    """Whether an object that nobody named was pulled in by another [A]; untold, it counts as one if any was to bring some."""
    told = there.get("explicitIncluded")
    return brings if told is None else not told


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(header)
        writer.writerows(rows)
