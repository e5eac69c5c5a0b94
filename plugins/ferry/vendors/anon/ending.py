"""What a migration came to: its files as evidence, its parts, and the counts of the identity."""

from __future__ import annotations

import csv
import logging
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ferry.core.csvfile import neutralise, visible
from ferry.core.model import Counts, RunState
from ferry.ledger.entries import Kind
from ferry.steps.waiving import waived_files
from ferry.vendors.anon.hook import settings_of
from ferry.vendors.anon.shapes import File, Task

if TYPE_CHECKING:
    from ferry.ledger.evidence import Filed
    from ferry.steps.work import Work

log = logging.getLogger(__name__)
COLLECT = "collect_files"
MIGRATION = "migration"
"""The table of the one record that a migration is, where its parts are not known."""
AGAIN = "Anon cannot begin it again: a person does so in the modal, as another migration."


def collect_files(work: Work) -> dict[str, int]:
    """How many files there are; each is a file of evidence of its own, and collected once however often this is repeated.

    They are also asked for where the migration failed: what was extracted until then may be there [D2].
    """
    if not settings_of(work).files_path:
        work.record(Kind.RESULT, note="The connection has no path of files, so none were collected.", data={"files": None})
        return {"files": 0}
    ref = work.standing.ref
    files: list[File] = work.call(lambda api: api.files(ref))
    filed = {key: entry for (step, key), entry in work.standing.results.items() if step == work.step and key}
    for number, file in enumerate(files, 1):
        if file.id not in filed:
            _collect(work, ref, file, number)
    with work.desk() as desk:
        index = work.evidence.file_from(work.attempt, work.step, "files.csv", _index(work, files, desk / "files.csv"))
    note = f"{len(files):,} files, listed in {index.path}." if files else "There are no files."
    work.record(Kind.RESULT, index, note=note, data={"files": len(files)})
    log.info("%s", note)
    return {"files": len(files)}


def _collect(work: Work, ref: str, file: File, number: int) -> None:
    """One file, under a name of ours: the vendor's may be anything."""
    name = f"{number:05}{_ending(file)}"
    with work.desk() as desk:
        work.call(lambda api: api.download(ref, file, desk / name))
        filed = work.evidence.file_from(work.attempt, work.step, name, desk / name)
    work.record(
        Kind.RESULT, filed, key=file.id, note=f"{file.type or 'a file'}: {filed.size:,} bytes.", data={"size": filed.size}
    )


ENDINGS = {"csv": ".csv", "json": ".json", "pdf": ".pdf", "html": ".html", "xlsx": ".xlsx", "screenshot": ".png"}


def _ending(file: File) -> str:
    """By the type's suffix, which tells the format [D2]; else by the media type."""
    suffix = file.type.rpartition("-")[2].lower()
    return ENDINGS.get(suffix) or ENDINGS.get(file.content_type.partition(";")[0].rpartition("/")[2].lower(), ".bin")


def _index(work: Work, files: list[File], path: Path) -> Path:
    known = {key: entry for (step, key), entry in work.standing.results.items() if step == work.step and key}
    with path.open("w", encoding="utf-8", newline="") as sink:
        writer = csv.writer(sink, quoting=csv.QUOTE_ALL)
        writer.writerow(["id", "name", "type", "content type", "bytes", "sha256", "evidence"])
        for file in files:
            entry = known[file.id]
            told = [file.id, file.name, file.type, file.content_type]
            cells = [neutralise(visible(cell)) for cell in told]
            writer.writerow([*cells, entry.data.get("size", ""), entry.evidence_hash, entry.evidence_path])
    return path


def fetch_errors(work: Work) -> dict[str, int]:
    """What failed, as far as it is known, and what to do. Anon tells no reason [D, by absence]."""
    parts = _parts(work)
    failed = [part for part in parts if not part.is_done]
    with work.desk() as desk:
        path = desk / "failed.csv"
        with path.open("w", encoding="utf-8", newline="") as sink:
            writer = csv.writer(sink, quoting=csv.QUOTE_ALL)
            writer.writerow(["task", "category", "type", "status"])
            for part in failed:
                writer.writerow([neutralise(visible(cell)) for cell in (part.id, part.category, part.type, part.word)])
        filed = work.evidence.file_from(work.attempt, work.step, path.name, path)
    note = f"{_what_failed(work, failed)} {_way_on(work)}".strip()
    work.record(Kind.RESULT, filed, note=note, data={"failed": [part.name for part in failed][:100]})
    log.warning("%s", note)
    return {"failed": len(failed)}


def _what_failed(work: Work, failed: list[Task]) -> str:
    standing = work.standing
    if standing.run_state is RunState.CANCELLED:
        return f"The person gave up at the login: migration {standing.ref} is '{standing.word}', and nothing was moved."
    if not settings_of(work).tasks_path:
        return (
            f"Migration {standing.ref} ended '{standing.word}'. Which of its parts failed is not known, because the connection "
            "has no path of tasks: look at Anon's dashboard."
        )
    names = ", ".join(f"{part.name} ({part.word or 'no status'})" for part in failed[:20])
    return f"Migration {standing.ref} ended '{standing.word}'. Not done: {names or 'none of its tasks'}."


def _way_on(work: Work) -> str:
    if work.standing.run_state is RunState.PARTIALLY_SUCCEEDED and work.section.accept_partial:
        return "The manifest accepts that."
    return AGAIN


def reconcile(work: Work) -> dict[str, int]:
    """Counts of the identity, in tasks of the migration; in migrations (one) where its tasks cannot be read."""
    standing, parts = work.standing, _parts(work)
    fates = {(part.category or part.type, part.id): _fate(part) for part in parts}
    if not fates:
        fates = {(MIGRATION, standing.ref): _fate_of_all(standing.run_state)}
    waived = _waived(work, set(fates))
    if standing.run_state is RunState.PARTIALLY_SUCCEEDED and work.section.accept_partial:
        waived |= {key for key, fate in fates.items() if fate != "accepted"}
    counted = {key: "waived" if key in waived and fate != "accepted" else fate for key, fate in fates.items()}
    counts = Counts(len(counted), **{name: sum(fate == name for fate in counted.values()) for name in FATES})
    contradiction = _contradiction(work, counts)
    balanced = counts.all_arrived and not contradiction
    note = f"{_told(work, counts, of_parts=bool(parts))} {contradiction}".strip()
    filed = _file_fates(work, parts, counted)
    work.record(Kind.RESULT, filed, note=note, counts=asdict(counts), data={"balanced": balanced})
    log.info("%s", note)
    return asdict(counts)


FATES = ("accepted", "rejected", "unprocessed", "waived")


def _parts(work: Work) -> list[Task]:
    if not settings_of(work).tasks_path:
        return []
    ref = work.standing.ref
    found: list[Task] = work.call(lambda api: api.tasks(ref))
    return found


def _fate(part: Task) -> str:
    return "accepted" if part.is_done else "rejected" if part.has_failed else "unprocessed"


def _fate_of_all(state: RunState | None) -> str:
    if state is RunState.SUCCEEDED:
        return "accepted"
    return "unprocessed" if state is RunState.CANCELLED else "rejected"


def _waived(work: Work, keys: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """What a person has waived, of what there is."""
    pairs: set[tuple[str, str]] = set()
    with work.desk() as desk:
        for file in waived_files(work, desk):
            with file.path.open(encoding="utf-8", newline="") as lines:
                pairs |= {(row["table"], row["key"]) for row in csv.DictReader(lines)}
    return pairs & keys


def _contradiction(work: Work, counts: Counts) -> str:
    """What speaks against an end that looks good: Anon's own word for the whole. A person's waiver or consent outweighs it."""
    standing = work.standing
    consented = standing.run_state is RunState.PARTIALLY_SUCCEEDED and work.section.accept_partial
    ended_well = standing.run_state is RunState.SUCCEEDED or counts.waived > 0 or consented
    if counts.all_arrived and not ended_well:
        return f"All that is listed is done, and yet Anon calls the migration '{standing.word}'. Look at its dashboard."
    return ""


def _told(work: Work, counts: Counts, *, of_parts: bool) -> str:
    standing, what = work.standing, "tasks" if of_parts else "migration"
    told = f"Of {counts.sent:,} {what} of '{standing.word}' {standing.ref}, {counts.accepted:,} are done"
    told += "".join(f", {getattr(counts, name):,} {name}" for name in FATES[1:] if getattr(counts, name))
    return f"{told}." if counts.all_arrived else f"{told}. failed.csv and the files in the evidence say what there is. {AGAIN}"


def _file_fates(work: Work, parts: list[Task], fates: dict[tuple[str, str], str]) -> Filed:
    words = {part.id: (part.name, part.word) for part in parts}
    with work.desk() as desk:
        path = desk / "tasks.csv"
        with path.open("w", encoding="utf-8", newline="") as sink:
            writer = csv.writer(sink, quoting=csv.QUOTE_ALL)
            writer.writerow(["table", "key", "name", "status", "counted as"])
            for (table, key), fate in fates.items():
                name, word = words.get(key, (work.standing.ref, work.standing.word))
                writer.writerow([neutralise(visible(cell)) for cell in (table, key, name, word, fate)])
        return work.evidence.file_from(work.attempt, work.step, path.name, path)
