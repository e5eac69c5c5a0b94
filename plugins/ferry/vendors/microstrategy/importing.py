"""From the approval to the import: certify, lock, carry over where there is no shared storage, and import once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferry.core.errors import AnswerLost, BatchRefused
from ferry.core.exchange import Exchange
from ferry.core.model import Receipt, Run, RunState
from ferry.ledger.entries import Kind
from ferry.steps.people import MATTER
from ferry.vendors.microstrategy.making import refuse
from ferry.vendors.microstrategy.planning import AT_SOURCE, FILE, aim, end_of, header, package, settings
from ferry.vendors.microstrategy.shapes import Json, fingerprint, members, package_word, replicated, request_word

if TYPE_CHECKING:
    from ferry.steps.work import Work
    from ferry.vendors.microstrategy.api import MicroStrategyApi

_CHUNK = 1024 * 1024


def certify_package(work: Work) -> bool:
    """Certify the package while it may still be [D: before it is locked], where the manifest asks for it; whether it does."""
    if work.standing.started or not settings(work)["certify"]:
        return False
    _must_be_approved(work)
    run = package(work)
    said = work.call(lambda api: api.certify(run, {"status": "certified"}), at=AT_SOURCE)
    work.record(Kind.RESULT, ref=run.ref, word=str(said.get("status")), note="The package is certified at the source.")
    return True


def lock_package(work: Work) -> bool:
    """Request and approve the import at the source, which locks the package; only where the approval is in the ledger."""
    run = package(work)
    if work.standing.started or not run.ref:
        return False
    _must_be_approved(work)
    record = work.call(lambda api: api.lock(run), at=AT_SOURCE)
    _must_be_the_same(work, record)
    words = ", ".join(sorted({package_word(one) for one in members(record)}))
    work.record(Kind.RESULT, ref=run.ref, word=words, note="The import is requested and approved; the package is locked.")
    return True


def _must_be_approved(work: Work) -> None:
    """What is approved is the very package that was checked last; and only the attempt's holder acts on it."""
    work.must_hold()
    approved, checked = (work.standing.results.get((step, "")) for step in ("approve", "check_package"))
    if approved is None or approved.state is not RunState.SUCCEEDED:
        raise BatchRefused(f"Nobody has approved {work.attempt}, so nothing is imported. Clear approve to ask again.")
    if checked is None or approved.data.get(MATTER) != checked.data.get("fingerprint"):
        raise BatchRefused(
            f"What was approved for {work.attempt} is not what is there now: the package was checked again since, and differs. "
            "Nothing was imported. Clear approve, which asks about it as it is."
        )


def _must_be_the_same(work: Work, record: Json) -> None:
    approved = work.standing.results[("approve", "")]
    if approved.data.get(MATTER) != fingerprint(record):
        refuse(
            work,
            "The package was changed at the source after it was checked and approved. Nothing was imported. Find out in "
            "Workstation who edited it; then trigger the batch again, which makes and asks about a package of its own.",
        )


def upload_batch(work: Work) -> int:
    """Carry the package to the target's file store, where the Libraries share no storage; bytes sent."""
    if work.standing.started or not settings(work)["by_file"]:
        return 0
    _must_be_approved(work)
    if known := work.standing.results.get(("open_run", FILE)):
        return int(known.data["receipt"]["size"])
    if told := work.batch.section.package_file:
        with work.batch.local(told.file) as source:
            return _upload(work, source)
    with work.desk() as desk:
        run, source = package(work), desk / "package.mmp"
        work.call(lambda api: api.download(run, source), at=AT_SOURCE)
        return _upload(work, source)


def _upload(work: Work, source: Path) -> int:
    receipt = _receipt(source)
    about = _about(work, receipt)
    run = work.call(lambda api: api.upload(source, about))
    # As a part of open_run: from here on the file is what the target knows of the run, until its import has an id.
    work.record(Kind.RESULT, step="open_run", key=FILE, ref=run.ref, data={"receipt": receipt.to_json()})
    return receipt.size


def _about(work: Work, receipt: Receipt) -> dict[str, Any]:
    section, told = work.batch.section, work.batch.section.package_file
    kind, purpose = (told.type, told.purpose) if told else (section.packages[0].type, section.packages[0].purpose)
    return {
        "name": f"{work.attempt.batch_id}.{work.attempt.number} {receipt.sha256[:8]}",
        "type": "migrations.packages",
        "size": receipt.size,
        "sha256": receipt.sha256,
        "extension": "mmp",
        "environment": end_of(work),
        "extraInfo": {"packageType": kind, "packagePurpose": purpose},
    }


def _receipt(source: Path) -> Receipt:
    size, digest = 0, hashlib.sha256()
    with source.open("rb") as reading:
        while chunk := reading.read(_CHUNK):
            size += len(chunk)
            digest.update(chunk)
    return Receipt("package", source.name, size, digest.hexdigest())


def start_run(work: Work) -> bool:
    """True once the vendor's answer is known; False where it was lost. Nothing is imported on any second call."""
    limit, project_id = work.hook.settings.max_live_runs, header(work)
    sends = work.may_send()
    if sends:
        _must_be_approved(work)
    if settings(work)["by_file"]:
        file, where = Run(work.standing.ref_of("open_run", FILE)), aim(work)
        entry = work.once(lambda api: api.import_file(file, where, project_id), ref=file.ref, max_live=limit)
    else:
        run, keep_undo = package(work), bool(settings(work)["keep_undo"])
        body = _record_to_import(work, run) if sends else None
        entry = work.once(_importing(run, body, project_id, keep_undo=keep_undo), ref=run.ref, max_live=limit)
    return entry is not None


def _importing(run: Run, body: Json | None, project_id: str, *, keep_undo: bool) -> Callable[[MicroStrategyApi], Exchange[Run]]:
    def verb(api: MicroStrategyApi) -> Exchange[Run]:
        if body is None:  # another try of this very step came to its end in this instant
            raise AnswerLost("Another try of this step was under way. Whether the import began is looked up.")
        return api.import_run(run, body, project_id, keep_undo=keep_undo)

    return verb


def _record_to_import(work: Work, run: Run) -> dict[str, Any]:
    """The whole record as the source has it now: locked, approved, and still what was approved."""
    record = work.call(lambda api: api.record(run), at=AT_SOURCE)
    _must_be_the_same(work, record)
    words = {package_word(one) for one in members(record)}
    if words != {"locked"} or request_word(record) != "approved":
        raise BatchRefused(
            f"The source says that the package is {', '.join(sorted(words))} and its import {request_word(record)}; it must be "
            f"locked and approved. Nothing was imported for {work.attempt}. Clear lock_package."
        )
    return replicated(record)
