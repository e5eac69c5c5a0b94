"""Building packages on the source: one alone, or the members of a group one after the other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from ferry.vendors.microstrategy.sandbox import catalogue as lists
from ferry.vendors.microstrategy.sandbox.asking import Json
from ferry.vendors.microstrategy.sandbox.chain import Chain, strikes
from ferry.vendors.microstrategy.sandbox.environment import Environment
from ferry.vendors.microstrategy.sandbox.people import ADMINISTRATOR
from ferry.vendors.microstrategy.sandbox.record import Migration
from ferry.vendors.microstrategy.sandbox.storage import FORMAT


class Building(Chain):
    """`empty` -> `creating` -> `created` or `create_failed`; after a failure the others stay `empty` [A]."""

    seconds = "package_seconds"

    def __init__(self, home: Environment, members: Sequence[Migration]) -> None:
        super().__init__(home, members)
        for member in members:
            member.package.status, member.package.message, member.package.content = "empty", "", None

    def begin(self, member: Migration) -> None:
        """The server begins with a package."""
        member.package.status = "creating"

    def end(self, member: Migration, at: float) -> bool:
        """The package is there, or is not."""
        problem = self._problem(member) or write_package(self._home, member)
        member.package.status = "create_failed" if problem else "created"
        member.package.message = problem
        member.package.updated = self._home.stamp(at)
        return not problem

    def all_done(self) -> None:
        """A rejected request is pending again once the edit has succeeded [A6]."""
        owner = self._members[0].group or self._members[0]
        if owner.requests.importing == "rejected":
            owner.requests.importing = "pending"

    def _problem(self, member: Migration) -> str:
        if strikes(self._home.switches.text("fail_package"), member, self._members):
            return "The package could not be created."
        lacking = {name.strip().upper() for name in self._home.switches.text("missing_objects").split(",")}
        absent = next((item["id"] for item in member.package.asked.content if item["id"] in lacking), None)
        return f"The object {absent} does not exist in {place_of(member)}." if absent else ""


def write_package(home: Environment, member: Migration) -> str:
    """Put the package into the shared storage; the reason if it is too large."""
    package = member.package
    content = built(home, member)
    told = {
        "format": FORMAT,
        "id": package.id,
        "name": package.name,
        "type": package.asked.type,
        "purpose": package.asked.purpose,
        "project": package.project,
        "settings": package.asked.settings,
        "content": content,
    }
    written = json.dumps(told, ensure_ascii=False).encode()
    limit = home.switches.integer("max_package_bytes")
    if len(written) > limit:
        return f"The package has {len(written)} bytes, more than the {limit} bytes that are allowed."  # [D] 2 GB
    package.path = home.package_path()
    home.storage.write(package.path, written)
    package.content = content
    return ""


def built(home: Environment, member: Migration) -> list[Json]:
    """What really is in the package: what was asked for, with the server's additions and the dependents it pulled in."""
    asked = member.package.asked
    wanted = asked.content[: max(0, len(asked.content) - home.switches.integer("drop_objects"))]
    content = [_completed(home, asked.type, item, explicit=True) for item in wanted]
    seen = {item["id"] for item in content}
    for item in wanted if asked.content else ():
        for dependent in _dependents(home, asked.type, item, asked.settings.get("defaultAction") or "use_existing"):
            if dependent["id"] not in seen:
                seen.add(dependent["id"])
                content.append(dependent)
    return content


def place_of(member: Migration) -> str:
    """Where the objects of a package come from, in words."""
    name = member.package.project.get("name")
    return f"the project {name}" if name else "the configuration"


def _dependents(home: Environment, kind: str, item: Json, action: str) -> list[Json]:
    number = home.switches.integer("dependents") if item["includeDependents"] and item["action"] != "delete" else 0
    return [
        _completed(
            home,
            kind,
            {
                "id": digest(f"{item['id']}/{place}"),
                "name": f"Dependent {place} of {item.get('name') or item['id']}",
                "type": lists.COLUMN if kind == "project" else item["type"],
                "action": action,
                "includeDependents": False,
            },
            explicit=False,
        )
        for place in range(1, number + 1)
    ]


def _completed(home: Environment, kind: str, item: Json, *, explicit: bool) -> Json:
    swapped: dict[str, Any] = {"action": "use_existing"} if item["id"] == home.switches.text("swap_action").upper() else {}
    return {
        "name": f"Object {item['id'][:8]}",
        **item,
        **swapped,
        "version": digest(f"{item['id']}/version"),
        "owner": {"id": ADMINISTRATOR.id},
        "dateCreated": "2024-01-15T09:00:00.000+0000",
        "dateModified": "2024-05-06T07:08:09.123+0000",
        "explicitIncluded": explicit,
        "level": lists.LEVELS[kind],  # whatever the request said [D]
    }


def digest(text: str) -> str:
    """An id or a version that follows from a text, the same every time."""
    return hashlib.sha256(text.encode()).hexdigest()[:32].upper()
