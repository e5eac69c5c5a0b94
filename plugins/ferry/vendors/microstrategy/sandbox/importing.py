"""Imports and undos on the target, what they do to its objects, and validations."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ferry.vendors.microstrategy.sandbox.asking import Json, has_keep_both
from ferry.vendors.microstrategy.sandbox.chain import Chain, strikes
from ferry.vendors.microstrategy.sandbox.documents import as_held
from ferry.vendors.microstrategy.sandbox.environment import Environment
from ferry.vendors.microstrategy.sandbox.people import User
from ferry.vendors.microstrategy.sandbox.record import Migration

NO_PACKAGE = "The package file is damaged, or is not a package."


class Import(Chain):
    """`pending` -> `importing` -> `imported` or `import_failed`; after a failure the others stay `pending` [A]."""

    seconds = "import_seconds"

    def __init__(self, home: Environment, members: Sequence[Migration], user: User) -> None:
        super().__init__(home, members)
        self._user = user

    def begin(self, member: Migration) -> None:
        """The content is what the package file says, whatever the body of the request said."""
        member.importing.status, member.importing.message = "importing", ""
        member.importing.creator = self._user.short()
        found = self._home.storage.package(member.package.path)
        member.package.content = None
        if found is not None and found.asked.type == member.package.asked.type:
            member.package.asked = replace(found.asked, purpose=member.package.asked.purpose)
            member.package.content = self._kept(found.asked.content)

    def end(self, member: Migration, at: float) -> bool:
        """Objects change at the very end: all of them, or the first half if the import fails."""
        importing = member.importing
        importing.updated = self._home.stamp(at)
        if member.package.content is None:
            importing.status, importing.message = "import_failed", NO_PACKAGE
            return False
        importing.message = self._problem(member)
        content = member.package.content
        apply(self._home, member, content[: len(content) // 2] if importing.message else content)
        importing.status = "import_failed" if importing.message else "imported"
        if importing.wants_undo and self._home.switches.flag("undo_package") and not has_keep_both(member.package.asked):
            self._leave_undo(member)
        return not importing.message

    def _kept(self, content: list[Json]) -> list[Json]:
        lost = self._home.switches.integer("lose_objects")
        explicit = [item["id"] for item in content if item.get("explicitIncluded", True)]
        forgotten = set(explicit[max(0, len(explicit) - lost) :])
        return [item for item in content if item["id"] not in forgotten]

    def _problem(self, member: Migration) -> str:
        if strikes(self._home.switches.text("fail_import"), member, self._members):
            return "An object could not be imported; the import stopped there."
        verdict = self._home.storage.verdicts.get(member.id)
        # [D] a package that fails validation against a target will also fail to import there
        return verdict.message if verdict and verdict.status == "validation_failed" else ""

    def _leave_undo(self, member: Migration) -> None:
        path = f"mstr/shared/migrations/undo/{member.package.id}/{member.importing.id}.mmp"
        told = {"format": "ferry sandbox undo package", "id": member.importing.id, "before": member.importing.before}
        member.importing.undo = {"size": self._home.storage.write(path, json.dumps(told).encode()), "path": path}


class Undo(Chain):
    """`undoing` -> `undo_success` or `undo_failed`; the members do not mind each other [D]."""

    seconds = "undo_seconds"

    def begin(self, member: Migration) -> None:
        """Show it."""
        member.importing.status, member.importing.message = "undoing", ""

    def end(self, member: Migration, at: float) -> bool:
        """What was there before is there again; only the first half of it if the undo fails."""
        importing = member.importing
        importing.updated = self._home.stamp(at)
        failed = strikes(self._home.switches.text("fail_undo"), member, self._members)
        importing.message = "An object could not be restored; the undo stopped there." if failed else ""
        restore(self._home, member, half=failed)
        importing.status = "undo_failed" if failed else "undo_success"
        return True


def apply(home: Environment, member: Migration, content: list[Json]) -> None:
    """Do to the target's objects what the actions say, and remember what was there."""
    held = home.held_in(member.importing.project)
    for item in content:
        key = item["id"]
        member.importing.before.setdefault(key, held.get(key))
        if item["action"] == "delete":
            held.pop(key, None)
        elif item["action"] != "use_existing" or key not in held:
            held[key] = as_held(item)


def restore(home: Environment, member: Migration, *, half: bool = False) -> None:
    """Put the objects that an import touched back as they were."""
    held = home.held_in(member.importing.project)
    before = list(member.importing.before.items())
    for key, old in before[: len(before) // 2] if half else before:
        if old is None:
            held.pop(key, None)
        else:
            held[key] = old


def touched(members: Sequence[Migration]) -> Iterator[Migration]:
    """The members whose import an undo can concern."""
    return (member for member in members if member.importing.status in ("imported", "import_failed", "undo_failed"))
