"""Editing a migration or group before it is migrated: the vendor's rules first, then one call, and the content afterwards."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NoReturn

from ferry.core.errors import AnswerLost, BadInput, BatchRefused, NotFound, VendorUnavailable
from ferry.core.exchange import Exchange
from ferry.core.findings import Level
from ferry.core.model import Counts, Run, RunState
from ferry.ledger.entries import Kind
from ferry.steps.checking import report
from ferry.vendors.microstrategy.bodies import Member, group_edit, migration_edit
from ferry.vendors.microstrategy.checks import check_members, place
from ferry.vendors.microstrategy.content import Findings
from ferry.vendors.microstrategy.library import PAUSES
from ferry.vendors.microstrategy.planning import SAID, keep_members, places, planned
from ferry.vendors.microstrategy.sent import join_content, keep_whole
from ferry.vendors.microstrategy.shapes import Json, Ref, members, package_word, part, project_of, request_word
from ferry.vendors.microstrategy.vocabulary import EDITABLE, FAILED, GROUP, OPEN_REQUESTS, UPLOADED

if TYPE_CHECKING:
    from ferry.steps.work import Work
    from ferry.vendors.microstrategy.api import MicroStrategyApi
    from ferry.vendors.microstrategy.specs import Which

RECORD = "record.json"
BEFORE = "before"
"""Key in an intent's data: the hash of the record as it was when the edit was sent."""


def find_run(work: Work) -> str:
    """The ref of the record that the manifest names, which must be there."""
    if known := work.result():  # a batch that is named may have made another record since
        return known.ref
    which = work.batch.section.edit or work.batch.section.certification
    run = Run(named(work, which))
    try:
        record = work.call(lambda api: api.record(run))
    except NotFound:
        note = f"{work.attempt.environment} knows no {run.ref}. Check the id, and that `connection` leads to the source."
        work.record(Kind.RESULT, step="check_batch", note=note, data={"passed": False})
        raise BatchRefused(f"{note} Nothing was sent.") from None
    filed = work.evidence.file_json(work.attempt, work.step, RECORD, record)
    word = ", ".join(sorted({package_word(one) for one in members(record)}))
    work.record(Kind.ADOPTED, filed, ref=run.ref, word=word, note="The record that the manifest names.")
    return run.ref


def named(work: Work, which: Which) -> str:
    """The ref behind a migration, a group, or the batch that made one."""
    if which.batch is None:
        return str(Ref("group", which.group)) if which.group else str(which.migration)
    rows = work.ledger.batches(work.attempt.vendor, batch_id=which.batch)
    last = [work.ledger.standing(row.vendor, row.environment, row.batch_id).last for row in rows]
    refs = sorted({standing.ref_of("open_run") for standing in last if standing} - {""})
    if len(refs) != 1:
        found = f"has made {len(refs)} of them" if refs else "has made none that the ledger knows of"
        raise BadInput(f"Batch {which.batch} {found}, so it names no migration. Name its id as `migration` or `group` instead.")
    return refs[0]


def check_edit(work: Work) -> dict[str, Any]:
    """The vendor's rules for edits, then the new content; BatchRefused before anything is sent if one is broken."""
    if (known := work.result()) and ("edit_run", "") in work.standing.intents:  # what was sent is not judged anew
        return {"findings": known.note}
    record = work.call(lambda api: api.record(Run(work.standing.ref)))
    if broken := broken_rule(record):
        _refuse(work, f"{Ref.parse(work.standing.ref).kind.capitalize()} {work.standing.ref} cannot be edited: {broken}")
    findings = Findings()
    here = work.call(lambda api: api.projects())
    placed = place(check_members(work.batch, findings), here, here | _target_projects(record), findings)
    if mismatch := _mismatch(record, placed):
        _refuse(work, mismatch)
    if not findings.count(Level.ERROR):
        keep_members(work, placed)
        if not placed:  # a new name only: the record as a whole is what is accounted for
            keep_whole(work, 1, project_of(members(record)[0]), "name")
    return report(work, findings, say=SAID, records=findings.records, projects=[places(member) for member in placed])


def _refuse(work: Work, note: str) -> NoReturn:
    work.record(Kind.RESULT, note=note, data={"passed": False})
    raise BatchRefused(f"{note} Nothing was sent.")


def broken_rule(record: Json) -> str:
    """The vendor's rule that forbids an edit, as a sentence; empty if it may be edited [D]."""
    request = request_word(record)
    failed = any(package_word(member) in FAILED for member in members(record))
    for member in members(record):
        info, word = part(member, "packageInfo"), package_word(member)
        which = f"the package of {project_of(member)} is {word}" if "migrations" in record else f"its package is {word}"
        if info.get("purpose") == UPLOADED:
            return "it was uploaded as a file, and an uploaded migration cannot be edited."
        if info.get("replicated"):
            return "this is the target's copy; edits are for the source only."
        if word not in EDITABLE and not (failed and word == "empty"):  # members behind a failed one stay empty [A]
            also = " A group with one member that cannot be edited cannot be edited at all." if "migrations" in record else ""
            return f"{which}, and only one that is created or create_failed can be edited.{also}"
    if request not in OPEN_REQUESTS:
        return f"its import is {request}, and only one that is pending or rejected leaves the package open to edits."
    return ""


def _target_projects(record: Json) -> dict[str, str]:
    """The projects that the record itself is bound for: an edit asks the source only."""
    found = [part(part(member, half), "project") for member in members(record) for half in ("packageInfo", "importInfo")]
    return {str(project.get("name")): str(project.get("id")) for project in found if project.get("id")}


def _mismatch(record: Json, placed: list[Member]) -> str:
    """Type and purpose of a migration must not change [D]; nor may a package go to another project under the same id."""
    if not placed or "migrations" in record:
        return ""
    info = part(record, "packageInfo")
    asked, (one, *more) = {"type": info.get("type"), "purpose": info.get("purpose")}, placed
    if more:
        return "The manifest lists several packages, and this is a single migration: it has one."
    wanted = {"type": one.spec.type, "purpose": one.spec.purpose}
    changed = [f"{name} from {asked[name]} to {wanted[name]}" for name in asked if asked[name] != wanted[name]]
    if changed:
        return f"An edit cannot change {' or '.join(changed)}: type and purpose of a package stay as they are."
    project = part(info, "project").get("id")
    if one.source and project and one.source.id != project:
        return f"The package is of project {part(info, 'project').get('name')}, and an edit cannot move it to another."
    return ""


def edit_run(work: Work) -> str:
    """Send the edit, once; one whose answer was lost is judged by the record, against what it was before."""
    work.must_hold()
    run, body = Run(work.standing.ref), None
    record = work.call(lambda api: api.record(run))
    project_id = "" if Ref.parse(run.ref).kind == GROUP else str(part(part(record, "packageInfo"), "project").get("id") or "")
    for _ in range(2):
        if work.may_send():
            if broken := broken_rule(record):
                raise BatchRefused(f"{run.ref} cannot be edited any more: {broken} Nothing was sent; clear check_batch.")
            body = _body(work, record)
        entry = work.once(_sending(run, body, project_id), ref=run.ref, data={BEFORE: _essence(record)})
        if entry is not None:
            return entry.ref
        if work.call(_looking(run, str(work.last_intent().data[BEFORE]))):
            return work.adopt(run, "The answer to the edit was lost; the record shows that it was made.").ref
        work.forget("The answer to the edit was lost, and a minute later the record is as it was.")
    raise VendorUnavailable(
        f"MicroStrategy's answer to the edit of {run.ref} was lost twice, and its record is as it was. The step may be tried "
        "again."
    )


def _sending(run: Run, body: Json | None, project_id: str) -> Callable[[MicroStrategyApi], Exchange[Run]]:
    def verb(api: MicroStrategyApi) -> Exchange[Run]:
        if body is None:  # another try of this very step came to its end in this instant
            raise AnswerLost("Another try of this step was under way. Whether the edit was made is looked up.")
        return api.edit(run, body, project_id)

    return verb


def _body(work: Work, record: Json) -> dict[str, Any]:
    """The edit from the manifest, with the projects that check_batch found."""
    placed, name = planned(work), work.batch.section.name or ""
    return (
        group_edit(record, placed, name)
        if "migrations" in record
        else migration_edit(record, placed[0] if placed else None, name)
    )


def _looking(run: Run, before: str) -> Callable[[MicroStrategyApi], Exchange[bool]]:
    """Whether the record is being made anew, or is another than it was; looked at over a minute."""

    def look(api: MicroStrategyApi) -> Exchange[bool]:
        for pause in PAUSES:
            now = yield from api.record(run, after=pause)
            if any(package_word(one) == "creating" for one in members(now)) or _essence(now) != before:
                return True
        return False

    return look


def _essence(record: Json) -> str:
    """A hash over what an edit changes of a record."""
    told = [
        [part(member, "packageInfo").get(name) for name in ("name", "lastUpdatedDate", "tocView", "status")]
        for member in members(record)
    ]
    whole = json.dumps([record.get("name"), told], sort_keys=True, default=str)
    return hashlib.sha256(whole.encode()).hexdigest()


def reconcile_edit(work: Work) -> dict[str, int]:
    """Counts of the edit: what was asked for against what the package holds now."""
    prepared = work.standing.results.get(("await_prepared", ""))
    run = Run(work.standing.ref)
    record = work.call(lambda api: api.record(run))
    filed = work.evidence.file_json(work.attempt, work.step, RECORD, record)
    if prepared is None or prepared.state is not RunState.SUCCEEDED:
        reason = (prepared.note if prepared else "") or "the vendor gives no reason"
        raise BatchRefused(
            f"The edit of {run.ref} failed: {reason}. Correct the manifest and trigger again: it can be edited again."
        )
    with work.desk() as desk:
        found = join_content(work, record, desk)
    counts, section = asdict(found.counts), work.batch.section
    renamed = not section.name or section.name in {record.get("name"), part(record, "packageInfo").get("name")}
    balanced = found.balanced and renamed
    note = (
        f"The package holds the {found.counts.sent:,} objects that were asked for."
        if balanced
        else f"The package is not as asked for: missing.csv, rejected.csv and extra.csv name the objects; renamed: {renamed}."
    )
    work.record(Kind.RESULT, filed, ref=run.ref, note=note, counts=counts, data=found.to_json() | {"balanced": balanced})
    return asdict(Counts.from_json(counts))
