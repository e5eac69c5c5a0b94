"""Certifying packages: the status at the source, and the same with operator and date on a target that has a copy."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ferry.core.errors import BatchRefused
from ferry.core.model import Counts, Run
from ferry.ledger.entries import Kind
from ferry.vendors.microstrategy.shapes import Json, certification, members, package_word, part

if TYPE_CHECKING:
    from ferry.steps.work import Work

TARGET = "target"
_FROM = {  # [A11] which status each action may start from; the vendor prints no table
    "request": {"uncertified", "rejected"},
    "revert": {"requested"},
    "approve": {"requested", "uncertified"},
    "reject": {"requested"},
    "decertify": {"certified"},
}


def check_certification(work: Work) -> dict[str, Any]:
    """Whether the record can be certified so; BatchRefused with the vendor's rule before anything is sent."""
    told, run = work.batch.section.certification, Run(work.standing.ref)
    record = work.call(lambda api: api.record(run))
    there = str(certification(record).get("status") or "uncertified")
    if broken := _broken_rule(record, told.action, there, told.status):
        note = f"{run.ref} cannot be certified so: {broken}"
        work.record(Kind.RESULT, note=note, data={"passed": False})
        raise BatchRefused(f"{note} Nothing was sent.")
    work.record(Kind.RESULT, note=f"The certification stands at {there} and may become {told.status}.", data={"passed": True})
    return {"from": there, "to": told.status}


def _broken_rule(record: Json, action: str, there: str, wanted: str) -> str:
    if there == wanted:
        return ""  # nothing needs to be sent
    words = sorted({package_word(member) for member in members(record)} - {"created"})
    if words:
        return f"the package is {', '.join(words)}, and only one that is created can be certified."
    if there not in _FROM[action]:
        return f"{action} is for packages that are {' or '.join(sorted(_FROM[action]))}, and this one is {there}."
    return ""


def certify_package(work: Work) -> str:
    """Bring the certification about at the source; the status that is there then."""
    work.must_hold()
    told, run = work.batch.section.certification, Run(work.standing.ref)
    found = work.call(lambda api: api.certify(run, {"status": told.status}))
    who = part(found, "operator").get("name") or "the vendor names nobody"
    work.record(Kind.RESULT, ref=run.ref, word=str(found.get("status")), note=f"Certification at the source, by {who}.")
    return str(found.get("status") or "uncertified")


def sync_certification(work: Work) -> bool:
    """Say the same on the target, with operator and date, or let the vendor carry it over; whether the manifest names one."""
    told, run = work.batch.section.certification, Run(work.standing.ref)
    if not told.replay_on:
        return False
    work.must_hold()
    source = certification(work.call(lambda api: api.record(run)))
    said = {name: source[name] for name in ("status", "operator", "lastUpdatedDate") if source.get(name)} or {
        "status": told.status
    }
    found = work.call(lambda api: api.certify(run, said, auto_sync=told.auto_sync), at=TARGET)
    work.record(Kind.RESULT, ref=run.ref, word=str(found.get("status")), note="The certification was carried over to the target.")
    return True


def reconcile_certification(work: Work) -> dict[str, int]:
    """One record for each side on which the certification was to stand, accepted where it does."""
    told, run = work.batch.section.certification, Run(work.standing.ref)
    roles = ["", TARGET] if told.replay_on else [""]
    words = {role or "source": _status(work, run, role) for role in roles}
    right = sum(word == told.status for word in words.values())
    counts = Counts(len(words), accepted=right, unprocessed=len(words) - right)
    stands = ", ".join(f"{side}: {word}" for side, word in words.items())
    note = f"The certification of {run.ref} was to be {told.status}; it is {stands}."
    work.record(Kind.RESULT, ref=run.ref, note=note, counts=asdict(counts), data={"balanced": counts.all_arrived})
    return asdict(counts)


def _status(work: Work, run: Run, role: str) -> str:
    record = work.call(lambda api: api.record(run), at=role)
    work.evidence.file_json(work.attempt, work.step, f"{role or 'source'}.json", record)
    return str(certification(record).get("status") or "uncertified")
