"""What happens to a Fenergo batch up to its start."""

from __future__ import annotations

import hashlib
import logging
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferry.core.csvfile import header_of
from ferry.core.errors import BatchRefused, FerryError, VendorUnavailable
from ferry.core.model import Receipt, Run, RunState
from ferry.ledger.entries import Kind
from ferry.ledger.reconciliation import SentFile, write_keys
from ferry.steps.checking import report
from ferry.vendors.fenergo.checks import check_files
from ferry.vendors.fenergo.earlier import earlier_files
from ferry.vendors.fenergo.templates import check_against_templates, read_templates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ferry.core.batch import FileEntry
    from ferry.core.exchange import Exchange, Saved
    from ferry.ledger.evidence import Filed
    from ferry.steps.work import Work
    from ferry.vendors.fenergo.api import FenergoApi
    from ferry.vendors.fenergo.shapes import Artifact

log = logging.getLogger(__name__)
KEY, PARENT = "alternateId", "parentAlternateId"  # [D C1]
_CHUNK = 1024 * 1024


def check_batch(work: Work) -> dict[str, Any]:
    """All findings that need no vendor, as evidence; BatchRefused if the batch must not be sent."""
    with earlier_files(work, ingestions=False) as known:
        findings = check_files(work.batch, known)
    return report(work, findings, work.batch.section.checks, records=findings.records)


def check_templates(work: Work) -> dict[str, Any]:
    """Templates and schema of this very migration as evidence, and the findings against them."""
    prepared = work.standing.results.get(("await_prepared", ""))
    if prepared is not None and prepared.state is RunState.FAILED_CLEAN:
        raise BatchRefused(
            f"Fenergo could not prepare migration {prepared.ref}: {prepared.note or 'it gives no reason'}. Nothing was sent for "
            f"{work.attempt}. Check the jurisdiction in the manifest and trigger the batch again."
        )
    run, csvs, workbook = work.run, dict[str, Path](), None
    with work.desk() as desk:
        for artifact in work.call(lambda api: api.artifacts(run)):
            copy = desk / f"{artifact.type}-{_file_name(artifact.name)}.{_file_name(artifact.format)}"
            work.call(partial(_download, run, artifact, copy))
            work.evidence.file_from(work.attempt, work.step, copy.name, copy)
            if artifact.is_template:
                csvs[artifact.name] = copy
            elif artifact.format.lower() == "xlsx":
                workbook = copy
        findings = check_against_templates(work.batch, read_templates(csvs, workbook))
    return report(work, findings, work.batch.section.checks)


def _download(run: Run, artifact: Artifact, copy: Path, api: FenergoApi) -> Exchange[Saved]:
    return api.download_artifact(run, artifact, copy)


def open_run(work: Work) -> str:
    """The migration's id; the one that this attempt has, if it has one. A lost creation is repeated, once in each try."""
    if known := work.result():
        return known.ref
    section = work.batch.section
    for _ in range(2):
        entry = work.once(lambda api: api.create(section.jurisdiction, section.product_jurisdiction))
        if entry is not None:
            return entry.ref
        work.forget(
            "The answer to the creation was lost. An unstarted migration may be left at Fenergo, which does no harm [A-35]."
        )
    raise VendorUnavailable(
        f"Fenergo's answer to the creation of a migration for {work.attempt} was lost twice. Nothing was started; the step may "
        "be tried again. Unstarted migrations may be left at Fenergo, which do no harm."
    )


def upload_batch(work: Work, at_once: int) -> dict[str, int]:
    """Bytes per table. Files already sent with the same content in this attempt are not sent again."""
    if work.standing.started:
        log.info("%s was started already; nothing is uploaded any more", work.attempt)
        return {}
    batch, run = work.batch, work.run
    entries = list(_worth_sending(work))
    if not entries:
        raise BatchRefused(f"{work.attempt} has no records: every file is empty or holds only its header. Nothing was started.")
    with ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="upload") as pool:
        sending = [pool.submit(_upload, work, run, entry) for entry in entries]
        receipts = [task.result() for task in sending]
    log.info("%d files of %s are uploaded", len(receipts), batch.batch_id)
    return {receipt.table: receipt.size for receipt in receipts}


def _worth_sending(work: Work) -> Iterator[FileEntry]:
    """Header-only files are left out [A-24]; check_batch has counted the records."""
    records = _records(work)
    return (entry for entry in work.batch.manifest.files if records.get(entry.table, 1))


def _records(work: Work) -> dict[str, int]:
    """Records per table, as check_batch counted them."""
    checked = work.standing.results.get(("check_batch", ""))
    return checked.data.get("records", {}) if checked else {}


def _upload(work: Work, run: Run, entry: FileEntry) -> Receipt:
    with work.batch.local(entry.path) as source:
        receipt = _receipt(entry, source, _records(work).get(entry.table, 0))
        known = work.result(entry.table)
        if known and known.ref == run.ref and known.data.get("receipt", {}).get("sha256") == receipt.sha256:
            return receipt
        keys = _file_keys(work, entry, source)
        work.call(lambda api: api.upload(run, source, Path(entry.path).name, receipt))
    work.record(Kind.RESULT, keys, key=entry.table, ref=run.ref, data={"receipt": receipt.to_json()})
    return receipt


def _file_keys(work: Work, entry: FileEntry, source: Path) -> Filed:
    """The keys of what is about to be sent: reconciliation must not depend on a file that somebody may correct meanwhile."""
    with work.desk() as desk:
        parent = PARENT if PARENT in header_of(source) else None
        keys = write_keys(SentFile(entry.table, source, KEY, parent), desk / f"sent-{_file_name(entry.table)}.csv")
        return work.evidence.file_from(work.attempt, work.step, keys.name, keys)


def _receipt(entry: FileEntry, source: Path, records: int) -> Receipt:
    size, digest = 0, hashlib.sha256()
    with source.open("rb") as reading:
        while chunk := reading.read(_CHUNK):
            size += len(chunk)
            digest.update(chunk)
    return Receipt(entry.table, entry.path, size, digest.hexdigest(), records)


def start_run(work: Work) -> bool:
    """True once the vendor's answer is known; False where it was lost. Nothing is sent on any second call."""
    run = work.run
    if run.ref != work.standing.ref_of("open_run"):
        raise FerryError(
            f"The ledger names two runs for {work.attempt}; nothing was started. Run `make verify` and ask for help."
        )
    entry = work.once(lambda api: api.start(run), ref=run.ref, max_live=work.hook.settings.max_live_runs)
    return entry is not None


def _file_name(name: str) -> str:
    """An artifact's name as a file name of ours: nothing is written to a path that a vendor chose."""
    return "".join(character if character.isalnum() or character in "-_" else "_" for character in name)[:80] or "artifact"
