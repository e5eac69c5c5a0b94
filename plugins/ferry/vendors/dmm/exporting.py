"""From an export's zip to a batch that is ready to be imported into another environment."""

from __future__ import annotations

import hashlib
import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ferry.core.batch import MANIFEST, Batch, read_batch
from ferry.core.errors import BatchRefused
from ferry.core.findings import Findings
from ferry.ledger.entries import Kind
from ferry.steps import places
from ferry.vendors.dmm.datazip import DataZip, look_into
from ferry.vendors.dmm.ending import exported
from ferry.vendors.dmm.manifest import DmmSection, ImportAs
from ferry.vendors.dmm.planning import plan_of

if TYPE_CHECKING:
    from ferry.steps.work import Work

log = logging.getLogger(__name__)
ZIP = "data.zip"
_CHUNK = 1024 * 1024


def make_batch(work: Work) -> str:
    """The id of the batch that the export has become; empty if the manifest asks for none. Its zip is counted either way."""
    wanted: ImportAs | None = work.batch.section.import_as
    with work.desk() as desk:
        path = work.evidence.fetch(exported(work), desk / ZIP)
        found = _checked(path)
        records = found.count(system=plan_of(work).counts_system)
        if wanted is not None:
            _write(work, wanted, path)
    note = f"The zip holds {records:,} records of {len(found.records)} entities." + (
        f" It is batch dmm/{wanted.batch_id} now; trigger migrate_dmm with it." if wanted else ""
    )
    work.record(Kind.RESULT, note=note, data={"records": records, "entities": dict(found.records)})
    log.info("%s", note)
    return wanted.batch_id if wanted else ""


def _checked(path: Path) -> DataZip:
    """What the zip holds. An export of the structure only, or of empty tables, holds no record and is still one."""
    findings = Findings()
    found = look_into(path, findings, name=ZIP)
    bad = [finding.message for finding in findings.kept if finding.level == "error" and finding.code not in {"EMPTY", "NO_DATA"}]
    if bad:
        raise BatchRefused(
            f"The exported zip cannot be imported: {' '.join(bad[:3])} Nothing was made of it; it is in the evidence."
        )
    return found


def _write(work: Work, wanted: ImportAs, zip_path: Path) -> None:
    try:
        _put(work, wanted, zip_path)
    except OSError as error:
        raise BatchRefused(
            f"Batch dmm/{wanted.batch_id} could not be written ({type(error).__name__}); the exported zip is in the evidence. "
            "Let Airflow's workers write to the folder of batches (FERRY_BATCHES), then clear make_batch."
        ) from None


def _put(work: Work, wanted: ImportAs, zip_path: Path) -> None:
    """Write the batch: the zip first, the manifest last, because a folder without a manifest is no batch yet."""
    root = places.batches()
    folder = root / work.attempt.vendor / wanted.batch_id
    if (folder / MANIFEST).exists() and (folder / MANIFEST).stat().st_size:  # an empty one is what a killed worker leaves
        _must_be_the_same(read_batch(root, work.attempt.vendor, wanted.batch_id, DmmSection), wanted, zip_path)
        return
    folder.mkdir(parents=True, exist_ok=True)
    with zip_path.open("rb") as source, (folder / ZIP).open("wb") as sink:
        shutil.copyfileobj(source, sink, _CHUNK)
    (folder / MANIFEST).write_text(_manifest(work, wanted), encoding="utf-8")


def _must_be_the_same(there: Batch, wanted: ImportAs, zip_path: Path) -> None:
    """A batch of that name may be there already, made by an earlier try; another one is never written over."""
    same = (there.manifest.connection, there.section.configuration) == (wanted.connection, wanted.configuration)
    with there.path(there.section.zip or ZIP).open("rb") as file:
        theirs = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    with zip_path.open("rb") as file:
        if same and hashlib.file_digest(file, "sha256").hexdigest() == theirs:
            return
    raise BatchRefused(
        f"Batch dmm/{there.batch_id} exists already and is another one; it was not touched. Choose another "
        "`import_as.batch_id` and trigger the export again, or move that batch away and clear make_batch."
    )


def _manifest(work: Work, wanted: ImportAs) -> str:
    due = wanted.due or work.batch.manifest.due
    told: dict[str, Any] = {
        "vendor": work.attempt.vendor,
        "title": wanted.title or f"Import of what {work.attempt.batch_id} exported",
        "connection": wanted.connection,
        "dmm": {"type": "Import", "zip": ZIP, "configuration": wanted.configuration},
    }
    origin = f"# Made by export_dmm from batch {work.attempt.batch_id}, attempt {work.attempt.number}.\n"
    return f"{origin}due: {due.isoformat()}\n{yaml.safe_dump(told, sort_keys=False, allow_unicode=True)}"
