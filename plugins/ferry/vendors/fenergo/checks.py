"""What can be known about a batch's files before anything is created at the vendor.

[D] One bad value anywhere makes Fenergo refuse the whole migration, so every fault found here saves a run. Two levels:
an *error* is what the vendor must refuse, or what would leave us unable to say what became of a record; a *warning* is
what a migration lead should look at. References to records outside the batch are warnings by default, because an earlier
migration may have brought them [D]; a first migration says `references: batch_only` and gets errors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from ferry.core.batch import Batch, FileEntry
from ferry.core.csvfile import header_of, open_csv
from ferry.vendors.fenergo.filecheck import KEY, FileCheck
from ferry.vendors.fenergo.findings import Code, Findings, Level, Place
from ferry.vendors.fenergo.keys import Answers, key_index
from ferry.vendors.fenergo.manifest import FenergoSection
from ferry.vendors.fenergo.records import layout_of

_COMING = "Not a record of this batch; the batch's alternate-id file would give this id to a record at the vendor."
_UNKNOWN = "Not a record of this batch. If no earlier migration brought it, the vendor refuses the whole batch [D]."


def check_files(batch: Batch, known: Iterable[Path] = ()) -> Findings:
    """Everything that can be found without the vendor. `known`: records files of earlier migrations, whose ids also resolve.

    The result also counts the records of each table, so that files are not read again for that.
    """
    findings, section = Findings(), batch.section
    if not isinstance(section, FenergoSection):
        raise TypeError(f"{batch.batch_id} was read without FenergoSection")
    _check_list(batch.manifest.files, findings)
    with key_index() as index:
        for entry in batch.manifest.files:
            with batch.local(entry.path) as path:
                FileCheck(entry, section, findings, index).run(path)
        with index.answers() as answers:
            _report_duplicates(answers, findings)
            _report_references(answers, batch, section, findings, [(path, layout_of(path).key_column) for path in known])
    return findings


def count_records(batch: Batch) -> dict[str, int]:
    """Records by table, as RFC 4180 counts them: a line break inside quotes is no new record, a blank line is none."""
    counts: dict[str, int] = {}
    for entry in batch.manifest.files:
        with batch.local(entry.path) as path, open_csv(path, strict=False) as file:
            counts[entry.table] = counts.get(entry.table, 0) + sum(1 for row in file if row.cells)
    return counts


def _check_list(files: list[FileEntry], findings: Findings) -> None:
    if not files:
        findings.add(Level.ERROR, Code.NO_FILES, "The manifest lists no files: there is nothing to migrate.")
    tables = Counter(entry.table.casefold() for entry in files)
    for entry in files:
        if tables[entry.table.casefold()] > 1:
            message = (
                f"Table {entry.table} is given {tables[entry.table.casefold()]} files. Join them: the vendor takes one [A-3]."
            )
            findings.add(Level.ERROR, Code.TWO_FILES, message, file=entry.path, table=entry.table)


def _by_ingestion(batch: Batch, section: FenergoSection) -> set[str]:
    """The ids that the batch's own alternate-id file would give, if it is readable; `check_references` judges the file."""
    if not section.alternate_ids:
        return set()
    with batch.local(section.alternate_ids) as path:
        return set(_ids_in(path))


def _ids_in(path: Path) -> Iterator[str]:
    header = header_of(path)
    if KEY not in header:
        return
    with open_csv(path, strict=False) as file:
        for row in file:
            if len(row.cells) == len(header):
                yield row.cells[header.index(KEY)]


def _report_duplicates(answers: Answers, findings: Findings) -> None:
    message = "The same alternateId stands in row {} already. Each record of a table needs its own."
    for table, file, key, row, line, first in answers.repeated():
        place = Place(file, table, row, line, KEY, key)
        findings.at(place, Level.ERROR, Code.KEY_DUPLICATE, message.format(first))


def _report_references(
    answers: Answers, batch: Batch, section: FenergoSection, findings: Findings, known: list[tuple[Path, str]]
) -> None:
    tables = {entry.path: entry.table for entry in batch.manifest.files}
    level = Level.ERROR if section.references == "batch_only" else Level.WARNING
    coming = _by_ingestion(batch, section)
    for file, column, key, row, line in answers.unresolved(known):
        place = Place(file, tables[file], row, line, column, key)
        if key in coming:
            findings.at(place, Level.NOTE, Code.REFERENCE_BY_INGESTION, _COMING)
        else:
            findings.at(place, level, Code.REFERENCE_UNKNOWN, _UNKNOWN)
