"""The vendor's records as we read them: one migration or a group of them, and what their words come to together."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import quote

from ferry.core.errors import VendorNonsense
from ferry.core.model import Run, RunState
from ferry.vendors.microstrategy.vocabulary import CONFIGURATION, GROUP, IMPORT_STATES, PACKAGE_STATES

Json = Mapping[str, Any]
Kind = Literal["migration", "group", "file"]
_PREFIXES: dict[str, Kind] = {"migrationGroups/": "group", "files/": "file"}
GOING = frozenset({"importing", "undoing"})
OBJECT_FACTS = ("id", "type", "action", "version", "includeDependents")


@dataclass(frozen=True, slots=True)
class Ref:
    """What a run's ref names: a migration by its bare id, a group or an uploaded file by its path."""

    kind: Kind
    id: str

    @classmethod
    def parse(cls, text: str) -> Ref:
        """The ref behind its text form."""
        for prefix, kind in _PREFIXES.items():
            if text.startswith(prefix):
                return cls(kind, text.removeprefix(prefix))
        return cls("migration", text)

    def __str__(self) -> str:
        return next((prefix for prefix, kind in _PREFIXES.items() if kind == self.kind), "") + self.id

    @property
    def path(self) -> str:
        """Where the record is read; the colon goes out unescaped [C]."""
        return f"/api/migration{'Groups' if self.kind == GROUP else 's'}/{quote(self.id, safe=':')}"

    @property
    def package_id(self) -> str:
        """The first half of a compound id: what DELETE and downloads take [D]."""
        return self.id.partition(":")[0]


def members(record: Json) -> list[Json]:
    """The migrations of a group; a migration is its own only member."""
    found = record.get("migrations", [record])
    if not isinstance(found, list) or not found or not all(isinstance(one, Mapping) for one in found):
        raise VendorNonsense("MicroStrategy describes a migration group without its members; look at it in Workstation.")
    return found


def part(record: Json, name: str) -> Json:
    """`packageInfo`, `importInfo` and the like; empty where it is absent."""
    found = record.get(name)
    return found if isinstance(found, Mapping) else {}


def package_word(member: Json) -> str:
    """A member's package status as sent."""
    return str(part(member, "packageInfo").get("status") or "")


def import_word(member: Json) -> str:
    """A member's import status as sent."""
    return str(part(member, "importInfo").get("status") or "")


def request_word(record: Json, request: str = "importRequestStatus") -> str:
    """The status of the import (or undo) request: of a group as a whole, of a migration in its import half [D]."""
    return str((record if "migrations" in record else part(record, "importInfo")).get(request) or "")


def certification(record: Json) -> Json:
    """Who certified what when; empty until somebody did. At the top of a group, in the package of a migration [A]."""
    return part(record if "migrations" in record else part(record, "packageInfo"), "certification")


def can_be_undone(member: Json) -> bool:
    """Whether the import left an undo package: without its path there is none [D]."""
    return bool(part(part(member, "importInfo"), "undoStorage").get("path"))


def project_of(member: Json) -> str:
    """The name of the project a member is about; `configuration` where it is about the server."""
    info = part(member, "packageInfo")
    name = part(info, "project").get("name") or part(part(member, "importInfo"), "project").get("name")
    return str(name or (CONFIGURATION if info.get("type") == CONFIGURATION else "project"))


def content_of(member: Json) -> list[Json]:
    """The objects in a member's package as the vendor lists them."""
    found = part(part(member, "packageInfo"), "tocView").get("content") or []
    if not isinstance(found, list):
        raise VendorNonsense("MicroStrategy lists a package's content as something that is no list; look at it in Workstation.")
    return [one for one in found if isinstance(one, Mapping)]


def seen_package(run: Run, record: Json) -> Run:
    """How the making of the package stands: any failure fails the group, all created is ready [D]."""
    words = [package_word(one) for one in members(record)]
    states = {PACKAGE_STATES.get(word, RunState.RUNNING) for word in words}
    state = RunState.FAILED_CLEAN if RunState.FAILED_CLEAN in states else RunState.RUNNING
    if states == {RunState.SUCCEEDED}:
        state = RunState.SUCCEEDED
    return _seen(run, record, "packageInfo", words, state)


def seen_import(run: Run, record: Json) -> Run:
    """How the import stands: any failure fails the group [D], and nothing is over while a member is being worked on."""
    words = [import_word(one) for one in members(record)]
    return _seen(run, record, "importInfo", words, _import_state(words))


def _import_state(words: list[str]) -> RunState:
    states = {RunState.RUNNING if word in GOING else IMPORT_STATES.get(word, RunState.RUNNING) for word in words}
    if RunState.RUNNING in states:
        return RunState.RUNNING
    if RunState.FAILED_DIRTY in states or states >= {RunState.SUCCEEDED, RunState.CANCELLED}:
        return RunState.FAILED_DIRTY
    if RunState.CANCELLED in states:
        return RunState.CANCELLED  # whatever is pending beside an undone member was never begun and never will be
    return states.pop() if len(states) == 1 else RunState.RUNNING


def seen_undo(run: Run, record: Json) -> Run:
    """How the undo stands: over once every member that can be undone was; one that failed does not stop the others [D]."""
    every = members(record)
    words = [import_word(one) for one in every]
    ahead = any(
        word in GOING or (word in {"imported", "import_failed"} and can_be_undone(one))
        for word, one in zip(words, every, strict=True)
    )
    dirty = any(word in {"undo_failed", "imported", "import_failed"} for word in words)
    known = all(word in IMPORT_STATES or word in GOING for word in words)
    state = RunState.RUNNING if ahead or not known else RunState.FAILED_DIRTY if dirty else RunState.CANCELLED
    return _seen(run, record, "importInfo", words, state)


def _seen(run: Run, record: Json, half: str, words: list[str], state: RunState) -> Run:
    """The run with its members' words as one, their progress, and the reason of the first that gives one."""
    counted = Counter(words)
    word = words[0] if len(counted) == 1 else ", ".join(f"{name or 'no status'} x {n}" for name, n in counted.items())
    halves = [part(one, half) for one in members(record)]
    progress = [float(one.get("progress") or 0) for one in halves if isinstance(one.get("progress"), int | float | None)]
    counters = {"progress": round(sum(progress) / len(progress))} if progress else {}
    if "migrations" in record:
        counters["members"] = len(words)
    reasons = (
        f"{project_of(m)}: {h['message']}" if "migrations" in record else str(h["message"]) for m, h in _told(record, half)
    )
    return replace(run, state=state, word=word, counters=counters, detail=next(reasons, ""))


def _told(record: Json, half: str) -> Iterator[tuple[Json, Json]]:
    return ((member, part(member, half)) for member in members(record) if part(member, half).get("message"))


def replicated(record: Json) -> dict[str, Any]:
    """The whole record as the target wants it: nothing changed but that every package is said to be replicated [D]."""
    body = json.loads(json.dumps(record))
    for member in members(body):
        if isinstance(info := member.get("packageInfo"), dict):
            info["replicated"] = True
    return dict(body)


def fingerprint(record: Json) -> str:
    """A hash over all that decides what an import of the record does: package file, both ends, settings, objects; no dates."""
    told = []
    for member in members(record):
        info, importing = part(member, "packageInfo"), part(member, "importInfo")
        ends = [part(half, name).get("id") for half in (info, importing) for name in ("project", "environment")]
        objects = sorted([str(one.get(name)) for name in OBJECT_FACTS] for one in content_of(member))
        told.append([*ends, *(info.get(name) for name in ("type", "purpose")), part(info, "storage").get("path")])
        told.append([part(info, "tocView").get("settings"), objects])
    whole = [*(part(record, name).get("id") for name in ("sourceEnvironment", "targetEnvironment")), told]
    return hashlib.sha256(json.dumps(whole, sort_keys=True, default=str).encode()).hexdigest()


def decoded_tree(info: Json) -> Any:
    """A package's `treeView` as an object: GET gives it as a JSON text, and edits want the object [D]."""
    tree = info.get("treeView") or {}
    if not isinstance(tree, str):
        return tree
    try:
        return json.loads(tree)
    except ValueError:
        raise VendorNonsense("MicroStrategy gives a package's treeView that is not JSON; nothing was edited.") from None
