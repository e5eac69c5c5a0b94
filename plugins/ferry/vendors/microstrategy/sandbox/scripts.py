"""Every way an import can end, brought about inside the sandbox: what the contract suite holds the client against."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ferry.vendors.microstrategy.sandbox.byhand import carry, make_by_hand
from ferry.vendors.microstrategy.sandbox.environment import Environment
from ferry.vendors.microstrategy.sandbox.groups import run_key
from ferry.vendors.microstrategy.sandbox.importing import Import, Undo
from ferry.vendors.microstrategy.sandbox.people import ADMINISTRATOR, FINANCE, SALES, Project
from ferry.vendors.microstrategy.sandbox.record import Group, Migration
from sandbox.switches import Value
from sandbox.vendor import Script

TARGET = "microstrategy_target"
NAME = "scripted"
QUICK: Mapping[str, Value] = {"import_seconds": 0.2, "undo_seconds": 0.2, "status_looks": 1, "fail_import": "", "fail_undo": ""}


async def _migration(sandbox: Any) -> str:
    """An import under way on the target."""
    homes: Mapping[str, Environment] = sandbox.homes
    body = {"packageInfo": _package(SALES), "importInfo": {"project": SALES.short()}}
    key = make_by_hand(homes, {"name": NAME, "importRequestStatus": "approved", "body": body})
    return _begin(homes, homes["source"].migrations[key])


async def _group(sandbox: Any) -> str:
    """The import of two projects under way on the target."""
    homes: Mapping[str, Environment] = sandbox.homes
    members = [
        {"packageInfo": _package(project) | {"project": project.short()}, "importInfo": {"project": project.short()}}
        for project in (FINANCE, SALES)
    ]
    wanted = {"kind": "group", "name": NAME, "importRequestStatus": "approved", "body": {"migrations": members}}
    return _begin(homes, homes["source"].groups[make_by_hand(homes, wanted)])


async def _undone(sandbox: Any) -> str:
    """An import that people took back: its undo is under way."""
    homes: Mapping[str, Environment] = sandbox.homes
    body = {"packageInfo": _package(SALES), "importInfo": {"project": SALES.short()}}
    key = make_by_hand(homes, {"name": NAME, "imported_on": "target", "body": body})
    target = homes["target"]
    record = target.migrations[key]
    record.requests.undoing = "approved"
    Undo(target, [record]).start()
    target.tally.run(target.name, key, "undos")
    return key


def _begin(homes: Mapping[str, Environment], record: Migration | Group) -> str:
    target = homes["target"]
    Import(target, carry(homes["source"], target, record), ADMINISTRATOR).start()
    key = run_key(record) if isinstance(record, Group) else record.id
    target.tally.run(target.name, key, "starts")
    return key


def _package(project: Project) -> dict[str, Any]:
    content = [{"id": f"{place:032X}", "type": 12, "action": "replace", "includeDependents": True} for place in (1, 2)]
    toc = {"settings": {"defaultAction": "replace"}, "content": content}
    return {"type": "project", "project": project.short(), "tocView": toc, "treeView": {}}


def _script(ends: str, begin: Any, **switches: Value) -> Script:
    return Script(ends, begin, {**QUICK, **switches}, connection=TARGET)


SCRIPTS = {
    "imported": _script("succeeded", _migration),
    "imported_group": _script("succeeded", _group),
    "import_failed": _script("failed_dirty", _migration, fail_import=NAME),
    "group_with_a_failed_member": _script("failed_dirty", _group, fail_import=NAME),
    "undone": _script("cancelled", _undone),
    "undo_failed": _script("failed_dirty", _undone, fail_undo=NAME),
}
