"""Making a package at the source, trying it on the target, and judging what is in it; nothing is imported by any of this."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from ferry.core.errors import BatchRefused, NotFound, VendorUnavailable
from ferry.core.exchange import Exchange
from ferry.core.model import Run, RunState
from ferry.ledger.entries import Kind
from ferry.vendors.microstrategy.bodies import changed_rules, group_body, migration_body, validation_body
from ferry.vendors.microstrategy.content import MetadataObject
from ferry.vendors.microstrategy.planning import AT_SOURCE, aim, end_of, header, package, planned, settings
from ferry.vendors.microstrategy.sent import differences, is_dependent, keep, kept, table_of
from ferry.vendors.microstrategy.shapes import Json, content_of, fingerprint, members
from ferry.vendors.microstrategy.vocabulary import GROUP, type_name

if TYPE_CHECKING:
    from ferry.steps.work import Work
    from ferry.vendors.microstrategy.api import MicroStrategyApi


def open_run(work: Work) -> str:
    """The ref of the package at the source. One whose creation's answer was lost is found by its name, never made twice."""
    if known := work.result():
        return known.ref
    section = work.batch.section
    if section.package_file:
        work.record(Kind.RESULT, step="await_prepared", state=RunState.SUCCEEDED, note="The package comes as a file.")
        return ""
    if section.reuse:
        return _reused(work)
    return _created(work)


def _created(work: Work) -> str:
    kind = work.batch.section.record_kind
    for _ in range(2):
        entry = work.once(_creating(work, kind), at=AT_SOURCE)
        if entry is not None:
            return entry.ref
        if found := work.call(_finding(marked_name(work), kind), at=AT_SOURCE):
            note = f"The answer to the creation was lost; the {kind} was found by its name."
            return work.adopt(found, note).ref
        work.forget(f"The answer to the creation was lost, and the source shows no {kind} of that name a minute later.")
    raise VendorUnavailable(
        f"MicroStrategy's answer to the creation of a {kind} for {work.attempt} was lost twice, and none of that name is there. "
        "Nothing was imported; the step may be tried again."
    )


def _creating(work: Work, kind: str) -> Callable[[MicroStrategyApi], Exchange[Run]]:
    """The creation, whose name is known once its intent is written: the intent's mark is part of it."""
    every, source, target = planned(work), end_of(work, AT_SOURCE), end_of(work)

    def verb(api: MicroStrategyApi) -> Exchange[Run]:
        name = marked_name(work)
        if kind == GROUP:
            return api.create(group_body(every, name, source, target), kind)
        (member,) = every
        return api.create(migration_body(member, name, source, target), kind, member.source.id if member.source else "")

    return verb


def _finding(name: str, kind: str) -> Callable[[MicroStrategyApi], Exchange[Run | None]]:
    return lambda api: api.look_for(name, kind)


def _reused(work: Work) -> str:
    """Another record of a package that exists. A lost answer leaves an unused one behind, which does no harm."""
    told = work.batch.section.reuse.package
    where, project_id = aim(work), header(work)
    for _ in range(2):
        try:
            entry = work.once(lambda api: api.reuse(told, where, project_id), at=AT_SOURCE)
        except NotFound:
            refuse(work, f"The source knows no package {told}. Nothing was sent. Correct `reuse` and trigger the batch again.")
        if entry is not None:
            return entry.ref
        work.forget("The answer was lost. An unused record may be left at the source, which does no harm.")
    raise VendorUnavailable(
        f"MicroStrategy's answer was lost twice for {work.attempt}. Nothing was imported; try the step again."
    )


def marked_name(work: Work) -> str:
    """The name at the vendor: for people, then batch and attempt, then the mark of the intent, by which it is found again."""
    told = work.batch.section.name or work.batch.manifest.title or work.attempt.batch_id
    intent = work.last_intent()
    return f"{told} [{work.attempt.batch_id}.{work.attempt.number} {intent.entry_hash[:8]}]"


def _must_be_prepared(work: Work) -> None:
    prepared = work.standing.results.get(("await_prepared", ""))
    if prepared is not None and prepared.state is RunState.FAILED_CLEAN:
        raise BatchRefused(
            f"MicroStrategy could not make the package ({prepared.word}): {prepared.note or 'it gives no reason'}. Nothing was "
            f"imported for {work.attempt}. Correct the manifest or its object list and trigger the batch again."
        )


def validate_package(work: Work) -> bool:
    """Have the target try the package, where the manifest asks for it; whether it does."""
    if work.standing.started:
        return False
    _must_be_prepared(work)
    work.must_hold()
    if not settings(work)["validation"]:
        work.record(Kind.RESULT, step="await_validation", state=RunState.SUCCEEDED, note="The manifest asks for no validation.")
        return False
    run = package(work)
    where, project_id = aim(work), header(work)
    record = work.call(lambda api: api.aim(run, where), at=AT_SOURCE)
    work.call(lambda api: api.validate(run, validation_body(record), project_id))
    work.call(lambda api: api.note_validation(run), at=AT_SOURCE)
    work.record(Kind.RESULT, ref=run.ref, note="The target was asked to try the package; nothing is committed by that.")
    return True


def check_package(work: Work) -> dict[str, Any]:
    """What is in the package against what was asked for; BatchRefused if an object is missing, changed, or failed validation."""
    if (known := work.result()) and work.standing.started:  # what was imported is not judged anew
        return {"objects": known.data.get("objects", 0)}
    _must_be_prepared(work)
    tried = work.standing.results.get(("await_validation", ""))
    if tried is not None and tried.state is RunState.FAILED_CLEAN:
        note = (
            f"The target tried the package and it would fail there ({tried.word}): {tried.note or 'it gives no reason'}. Nothing "
            "was imported. Correct what it names and trigger the batch again."
        )
        refuse(work, note)
    if work.batch.section.package_file:
        note = "A package that comes as a file shows its content only when it is imported."
        work.record(Kind.RESULT, note=note, data={"passed": True, "fingerprint": work.standing.input_hash})
        return {}
    run = package(work)
    record = work.call(lambda api: api.record(run), at=AT_SOURCE)
    if work.batch.section.reuse and not any(step == "check_package" for step, key in work.standing.results if key):
        _keep_content(work, record)
    return _judge_content(work, record)


def _keep_content(work: Work, record: Json) -> None:
    """A package that is used once more is held against itself: what it holds now is what is sent."""
    for number, member in enumerate(members(record), 1):
        named = [one for one in content_of(member) if not is_dependent(one, brings=False)]
        objects = [_as_asked(one) for one in named]
        keep(work, number, table_of(work, member), objects)


def _as_asked(there: Json) -> MetadataObject:
    key, action = str(there.get("id") or "").upper(), str(there.get("action") or "")
    return MetadataObject(key, int(there.get("type") or 0), action, include_dependents=False, name="")


def _judge_content(work: Work, record: Json) -> dict[str, Any]:
    filed = work.evidence.file_json(work.attempt, work.step, "package.json", record)
    shown = Counter(
        (table_of(work, m), type_name(int(o.get("type") or 0)), str(o.get("action")))
        for m in members(record)
        for o in content_of(m)
    )
    if odd := _differences(work, record):
        told = ", ".join(f"{number:,} {what}" for what, number in sorted(odd.items()))
        refuse(
            work,
            f"The package is not what was asked for: {told}. What it holds is in {filed.path}. Nothing was imported. Look at the "
            "package in Workstation, correct the manifest or its object list and trigger the batch again.",
        )
    content = [[*group, number] for group, number in sorted(shown.items())]
    data = {"passed": True, "fingerprint": fingerprint(record), "content": content[:200], "objects": shown.total()}
    brought = sum(is_dependent(one, brings=False) for member in members(record) for one in content_of(member))
    with_them = f", {brought:,} of them brought along by others" if brought else ""
    work.record(Kind.RESULT, filed, note=f"The package holds {shown.total():,} objects, as asked for{with_them}.", data=data)
    return {"objects": shown.total()}


def _differences(work: Work, record: Json) -> Counter[str]:
    """How the packages differ from what was asked for: in objects, their actions, and the rules for all others."""
    odd = Counter[str]()
    with work.desk() as desk:
        asked = {one.table: one for one in kept(work, desk)}
        for member in members(record):
            if (one := asked.pop(table_of(work, member), None)) is not None and not one.whole:
                odd.update(differences(one, member))
    odd["packages missing"] += len(asked)
    rules = {member.spec.label: member for member in planned(work)} if work.batch.section.packages else {}
    for member in members(record):
        if (plan := rules.get(table_of(work, member))) and changed_rules(plan.contents(), member):
            odd["packages with other rules"] += 1
    return +odd


def must_be_checked(work: Work) -> None:
    """Nobody is asked about a package, and nothing of it is imported, before its content was held against what was asked for."""
    checked = work.standing.results.get(("check_package", ""))
    if checked is None or not checked.data.get("passed"):
        raise BatchRefused(f"The package of {work.attempt} was not checked, or did not pass. Clear check_package.")


def refuse(work: Work, note: str) -> NoReturn:
    """End the batch before its import, with the reason; checks that say no close an attempt as refused."""
    work.record(Kind.RESULT, step="check_package", note=note, data={"passed": False})
    raise BatchRefused(note)
