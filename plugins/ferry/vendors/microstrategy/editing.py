"""Editing a migration or group before it is migrated: the vendor's rules first, then one call, and the content afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ferry.core.errors import BadInput, BatchRefused, VendorUnavailable
from ferry.core.exchange import Exchange
from ferry.core.findings import Level
from ferry.core.model import Counts, Run, RunState
from ferry.ledger.entries import Kind
from ferry.steps.checking import report
from ferry.vendors.microstrategy.bodies import Member, group_edit, migration_edit
from ferry.vendors.microstrategy.checks import check_members, place
from ferry.vendors.microstrategy.content import Findings
from ferry.vendors.microstrategy.library import PAUSES
from ferry.vendors.microstrategy.sent import join_content, keep, keep_whole
from ferry.vendors.microstrategy.shapes import Json, Ref, members, package_word, part, project_of, request_word
from ferry.vendors.microstrategy.vocabulary import EDITABLE, FAILED, GROUP, OPEN_REQUESTS, UPLOADED

if TYPE_CHECKING:
    from ferry.steps.work import Work
    from ferry.vendors.microstrategy.api import MicroStrategyApi
    from ferry.vendors.microstrategy.manifest import Which

RECORD = "record.json"


def find_run(work: Work) -> str:
    """The ref of the record that the manifest names, which must be there."""
    which = work.batch.section.edit or work.batch.section.certification
    run = Run(named(work, which))
    record = work.call(lambda api: api.record(run))
    filed = work.evidence.file_json(work.attempt, work.step, RECORD, record)
    word = ", ".join(sorted({package_word(one) for one in members(record)}))
    work.record(Kind.ADOPTED, filed, ref=run.ref, word=word, note="The record that the manifest names.")
    return run.ref


def named(work: Work, which: Which) -> str:
    """The ref behind a migration, a group, or the batch that made one."""
    if which.batch is None:
        return str(Ref("group", which.group)) if which.group else str(which.migration)
    rows = [row for row in work.ledger.batches(work.attempt.vendor, limit=10_000) if row.batch_id == which.batch]
    last = [work.ledger.standing(row.vendor, row.environment, row.batch_id).last for row in rows]
    refs = sorted({standing.ref_of("open_run") for standing in last if standing} - {""})
    if len(refs) != 1:
        found = f"has made {len(refs)} of them" if refs else "has made none that the ledger knows of"
        raise BadInput(f"Batch {which.batch} {found}, so it names no migration. Name its id as `migration` or `group` instead.")
    return refs[0]


def check_edit(work: Work) -> dict[str, Any]:
    """The vendor's rules for edits, then the new content; BatchRefused before anything is sent if one is broken."""
    record = work.call(lambda api: api.record(Run(work.standing.ref)))
    if broken := broken_rule(record):
        note = (
            f"{Ref.parse(work.standing.ref).kind.capitalize()} {work.standing.ref} cannot be edited: {broken} Nothing was sent."
        )
        work.record(Kind.RESULT, note=note, data={"passed": False})
        raise BatchRefused(note)
    findings = Findings()
    projects = work.call(lambda api: api.projects())
    placed = place(check_members(work.batch, findings), projects, _target_projects(record), findings)
    if mismatch := _mismatch(record, placed):
        work.record(Kind.RESULT, note=mismatch, data={"passed": False})
        raise BatchRefused(f"{mismatch} Nothing was sent.")
    if not findings.count(Level.ERROR):
        _keep_what_is_asked(work, placed, record)
    told = [
        {side: asdict(found) if found else None for side, found in (("source", m.source), ("target", m.target))} for m in placed
    ]
    return report(work, findings, records=findings.records, projects=told)


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


def _keep_what_is_asked(work: Work, placed: list[Member], record: Json) -> None:
    for number, member in enumerate(placed, 1):
        if member.spec.merge is not None:
            keep_whole(work, number, member.spec.label, "project merge")
        else:
            keep(work, number, member.spec.label, member.objects, source_project=member.source.id if member.source else "")
    if not placed:  # a new name only: the record as a whole is what is accounted for
        keep_whole(work, 1, project_of(members(record)[0]), "name")


def edit_run(work: Work) -> str:
    """Send the edit, once; one whose answer was lost is judged by the record."""
    run = Run(work.standing.ref)
    record = work.call(lambda api: api.record(run))
    body = _body(work, record)
    project_id = "" if Ref.parse(run.ref).kind == GROUP else str(part(part(record, "packageInfo"), "project").get("id") or "")
    for _ in range(2):
        if work.may_send() and (broken := broken_rule(record)):
            raise BatchRefused(f"{run.ref} cannot be edited any more: {broken} Nothing was sent; clear check_batch.")
        entry = work.once(lambda api: api.edit(run, body, project_id), ref=run.ref)
        if entry is not None:
            return entry.ref
        if work.call(_seen_edited(run, record)):
            return work.adopt(run, "The answer to the edit was lost; the record shows that it was made.").ref
        work.forget("The answer to the edit was lost, and a minute later the record is as it was.")
    raise VendorUnavailable(
        f"MicroStrategy's answer to the edit of {run.ref} was lost twice, and its record is as it was. Try again."
    )


def _body(work: Work, record: Json) -> dict[str, Any]:
    checked = work.standing.results[("check_batch", "")].data["projects"]
    placed = place(
        check_members(work.batch, Findings()),
        {told["source"]["name"]: told["source"]["id"] for told in checked if told["source"]},
        {told["target"]["name"]: told["target"]["id"] for told in checked if told["target"]},
        Findings(),
    )
    name = work.batch.section.name or ""
    return (
        group_edit(record, placed, name)
        if "migrations" in record
        else migration_edit(record, placed[0] if placed else None, name)
    )


def _seen_edited(run: Run, before: Json) -> Callable[[MicroStrategyApi], Exchange[bool]]:
    """Whether the record is being made anew, or is another than it was; looked at over a minute."""

    def look(api: MicroStrategyApi) -> Exchange[bool]:
        for pause in PAUSES:
            now = yield from api.record(run, after=pause)
            if any(package_word(one) == "creating" for one in members(now)) or _essence(now) != _essence(before):
                return True
        return False

    return look


def _essence(record: Json) -> str:
    """What an edit changes of a record, as text."""
    told = [
        [part(member, "packageInfo").get(name) for name in ("name", "lastUpdatedDate", "tocView", "status")]
        for member in members(record)
    ]
    return json.dumps([record.get("name"), told], sort_keys=True, default=str)


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
