"""How an environment shows its records: the shapes of contract 3.4."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ferry.vendors.microstrategy.sandbox.asking import Json
from ferry.vendors.microstrategy.sandbox.record import BUSY, Group, Migration

if TYPE_CHECKING:
    from ferry.vendors.microstrategy.sandbox.environment import Environment

VERSION = "2"
DONE = frozenset({"created", "locked", "imported", "undo_success"})


class Documents:
    """How an environment shows its records."""

    def __init__(self, home: Environment) -> None:
        self._home = home

    def brief(self, record: Migration) -> Json:
        """The answer of POST, PATCH and import PUT [D]."""
        package, importing = self._halves(record)
        if record.group is None:
            importing |= {"importRequestStatus": record.requests.importing, "undoRequestStatus": record.requests.undoing}
        shown: Json = {"id": record.id, "packageInfo": package, "importInfo": importing}
        if record.validation is not None and record.group is None:
            shown["validation"] = {"status": record.validation["status"], "progress": self._number(record.validation["progress"])}
        return shown

    def full(self, record: Migration, content: str) -> Json:
        """The record; `content` is what showContent asked for: default, tocview, treeview or all [C]."""
        package, importing = self._halves(record)
        package |= self._package(record)
        importing |= self._importing(record)
        if record.group is not None or content in ("tocview", "all"):  # [A] members show it always
            package["tocView"] = self._toc(record)
        if record.group is not None:
            return {"id": record.id, "packageInfo": package, "importInfo": importing}
        if content in ("treeview", "all"):
            package["treeView"] = json.dumps(record.package.tree)  # [D] a text in answers, an object in requests
        if not record.uploaded:
            package["environment"] = record.package.environment
        requests = {"importRequestStatus": record.requests.importing, "undoRequestStatus": record.requests.undoing}
        importing |= {"environment": record.importing.environment, **requests}
        shown: Json = {"id": record.id, "packageInfo": package, "importInfo": importing, "version": VERSION}
        if record.validation is not None:
            shown["validation"] = record.validation | {"progress": self._number(record.validation["progress"])}
        return shown

    def certification(self, record: Migration | Group) -> dict[str, str]:
        """Who certified a record, as texts."""
        told = (record.package.certification if isinstance(record, Migration) else record.certification) or {}
        who = told.get("operator", {}).get("name", "")
        return {
            "id": record.id,
            "status": told.get("status", "uncertified"),
            "operator": who,
            "at": told.get("lastUpdatedDate", ""),
        }

    def brief_group(self, group: Group) -> Json:
        """The answer of POST, PATCH and PUT, members in the order in which they are handled [D]."""
        return {
            "id": group.id,
            "name": group.name,
            "importRequestStatus": group.requests.importing,
            "undoRequestStatus": group.requests.undoing,
            "migrations": [self.brief(member) for member in group.members],
        }

    def full_group(self, group: Group, content: str) -> Json:
        """The group, members sorted by project name [D]: a configuration package has none and comes first."""
        members = sorted(group.members, key=lambda member: str(member.package.project.get("name", "")))
        shown = self.brief_group(group) | {
            "sourceEnvironment": group.source,
            "targetEnvironment": group.target,
            "creationDate": group.created,
            "lastUpdatedDate": group.updated,
            "migrations": [self.full(member, "all") for member in members],
            "version": VERSION,
        }
        if content in ("treeview", "all"):
            shown["treeView"] = json.dumps(group.tree)
        if group.certification is not None:
            shown["certification"] = group.certification  # [A] its place in a group
        return shown

    def _halves(self, record: Migration) -> tuple[Json, Json]:
        package = {"id": record.package.id, "status": self._word(record.package.status)}
        importing = {"id": record.importing.id, "status": record.importing.status}
        if record.group is not None:
            package["groupId"], importing["groupId"] = record.group.package_id, record.group.import_id
        return (
            package | {"progress": self._progress(record, record.package.status)},
            importing | {"progress": self._progress(record, record.importing.status)},
        )

    def _package(self, record: Migration) -> Json:
        package = record.package
        there = self._home.storage.has(package.path)
        shown = {
            "name": package.name if record.group is None else record.group.name,
            "replicated": package.replicated,
            "type": package.asked.type,
            "purpose": package.asked.purpose,
            "creator": package.creator,
            "creationDate": package.created,
            "lastUpdatedDate": package.updated,
            "storage": {"size": self._home.storage.size(package.path), "path": package.path} if there else {},
            "project": package.project,
            "message": package.message,
            "deleted": False,
            "existing": there,
        }
        return shown if package.certification is None else shown | {"certification": package.certification}

    def _importing(self, record: Migration) -> Json:
        importing = record.importing
        return {
            "creator": importing.creator,
            "creationDate": importing.created,
            "lastUpdatedDate": importing.updated,
            "message": importing.message,
            "undoStorage": importing.undo,
            "project": importing.project,
            "deleted": False,
        }

    def _toc(self, record: Migration) -> Json:
        toc = record.toc()
        if "content" in toc and not self._home.switches.flag("explicit_flag"):
            toc["content"] = [{k: v for k, v in item.items() if k != "explicitIncluded"} for item in toc["content"]]
        return toc

    def _word(self, status: str) -> str:
        return self._home.switches.text("failed_word") if status == "create_failed" else status

    def _progress(self, record: Migration, status: str) -> int | float:
        if status not in BUSY:
            return self._number(100.0 if status in DONE else 0.0)
        starts, ends = record.span
        passed = (self._home.clock.now() - starts) / (ends - starts) if ends > starts else 0.0
        return self._number(round(min(99.0, max(0.0, 100.0 * passed)), 1))

    def _number(self, value: Any) -> int | float:
        return int(value) if self._home.switches.text("progress") == "int" else float(value)


def as_held(item: Json) -> dict[str, str]:
    """An object as the target holds it; texts throughout, so that it can be compared with a table."""
    return {
        "id": item["id"],
        "type": str(item["type"]),
        "action": item["action"],
        "include_dependents": str(bool(item.get("includeDependents"))).lower(),
        "name": str(item.get("name") or ""),
        "explicit": str(bool(item.get("explicitIncluded", True))).lower(),
    }
