"""New records: created on the source, reused, uploaded, or made on the target from the body of an import (contract 3.1, 3.2)."""

from __future__ import annotations

from collections.abc import Mapping

from ferry.vendors.microstrategy.sandbox import catalogue as lists
from ferry.vendors.microstrategy.sandbox.answers import FILE_UNREADABLE, broken, missing, storage_fault, unknown
from ferry.vendors.microstrategy.sandbox.asking import Asked, Json, asked_package, asked_toc, optional_part, part, text, tree_of
from ferry.vendors.microstrategy.sandbox.environment import Environment, new_id
from ferry.vendors.microstrategy.sandbox.people import Project, User
from ferry.vendors.microstrategy.sandbox.record import Importing, Migration, Package, Requests
from ferry.vendors.microstrategy.sandbox.requesting import born_certification


def created(home: Environment, user: User, body: Json, project: Project | None, key: str = "") -> Migration:
    """The record of a CreateMigration; its package still has to be built."""
    told = part(body, "packageInfo")
    asked = asked_package(told)
    if asked.purpose not in lists.PURPOSES:
        raise broken(f"The purpose {asked.purpose} belongs to groups.")
    package = fresh_package(home, user, told, asked, text(told, "name"))
    package.project = project.short() if project else {}
    package.certification = born_certification(home, user)
    record = Migration(package, fresh_import(home, part(body, "importInfo")))  # [C] importInfo may be {}, not absent
    if key:
        package.id, record.importing.id = key.split(":")
    return record


def fresh_package(home: Environment, user: User, told: Json, asked: Asked, name: str) -> Package:
    """The first half, as a body asks for it; `project` is the caller's to set."""
    stamp = home.stamp()
    environment = optional_part(told, "environment") or {"id": f"{home.web}/", "name": home.name}
    package = Package(new_id(), name, asked, {}, environment, user.short(), stamp, stamp)
    package.tree = tree_of(told, {})
    return package


def fresh_import(home: Environment, told: Json) -> Importing:
    """The second half; its target may be named later [C]."""
    stamp = home.stamp()
    return Importing(new_id(), optional_part(told, "environment"), optional_part(told, "project"), stamp, stamp)


def reused(home: Environment, package_id: str, body: Json) -> Migration:
    """Another import of a package that is there: the same package id, a new import id [C, T]."""
    original = next((record for record in home.migrations.values() if record.package.id == package_id), None)
    if original is None:
        raise unknown(f"The package {package_id}")
    old = original.package
    if old.status not in ("created", "locked") or not home.storage.has(old.path):
        raise broken(f"A package that is {old.status} cannot be reused.")
    born = home.switches.text("reused_born")  # [A8]
    package = Package(old.id, old.name, old.asked, old.project, old.environment, old.creator, old.created, old.updated)
    package.status, package.path, package.tree = born, old.path, old.tree
    package.certification, package.content = old.certification, old.content
    requests = Requests("approved" if born == "locked" else "pending")
    return Migration(package, fresh_import(home, part(body, "importInfo")), requests)


def uploaded(home: Environment, user: User, body: Json) -> Migration:
    """The record of an uploaded package: locked and approved from birth [D]."""
    store = part(part(part(body, "packageInfo"), "storage"), "sharedFileStore")
    file_id = text(optional_part(store, "files") or part(store, "file"), "id")  # the prose says `file`, the sample `files` [D]
    file = home.files.get(file_id)
    if file is None:
        raise unknown(f"The file {file_id}")
    if not home.storage.has(file["path"]):
        raise broken("The file has not been uploaded.")
    extra = file["extraInfo"]
    asked = Asked(extra["packageType"], lists.UPLOADED)
    stamp = home.stamp()
    package = Package(extra["packageId"], file["name"], asked, {}, None, user.short(), stamp, stamp)
    package.status, package.path = "locked", file["path"]
    return Migration(package, fresh_import(home, part(body, "importInfo")), Requests("approved"))


def replica(home: Environment, body: Json, key: str) -> Migration:
    """The target's record of a migration it has never seen: the body is all it has [D]."""
    told, importing = part(body, "packageInfo"), part(body, "importInfo")
    if body.get("id", key) != key or key != f"{told.get('id')}:{importing.get('id')}":
        raise broken("The ids of the body are not those of the path.")
    if importing.get("importRequestStatus") != "approved":
        raise broken("The import request is not approved.")
    record = copied(home, told, importing)
    record.package.name = text(told, "name")
    record.package.tree = tree_of(told, {})
    record.requests = Requests("approved")
    return record


def copied(home: Environment, told: Json, importing: Json) -> Migration:
    """The target's copy of a record or of a group's member: locked, replicated, its package found in the shared storage [D]."""
    if told.get("replicated") is not True:
        raise broken("packageInfo.replicated is not true.")
    if told.get("status") != "locked":
        raise broken("The package is not locked.")
    path = text(part(told, "storage"), "path")
    if not home.storage.has(path):
        raise storage_fault(FILE_UNREADABLE)
    kind, purpose = text(told, "type"), told.get("purpose") or "object_migration"
    found = home.storage.package(path)
    if found is not None and (found.id, found.asked.type) != (told.get("id"), kind):
        raise broken("The file in the storage is another package.")
    asked = found.asked if found else Asked(kind, purpose)
    asked.purpose = purpose
    stamp = home.stamp()
    creator, environment = optional_part(told, "creator"), optional_part(told, "environment")
    made = [str(told.get(name) or stamp) for name in ("creationDate", "lastUpdatedDate")]
    package = Package(text(told, "id"), "", asked, optional_part(told, "project"), environment, creator, made[0], made[1])
    package.replicated, package.status, package.path = True, "locked", path
    package.certification = told.get("certification")
    half = fresh_import(home, importing)
    half.id = text(importing, "id")
    return Migration(package, half)


def edited(record: Migration, body: Json) -> Asked:
    """What an edit asks for; type, purpose and project stay as they are [D]."""
    old = record.package.asked
    if text(body, "type") != old.type or body.get("purpose") not in (None, old.purpose):
        raise broken("Type and purpose of a migration cannot be changed.")
    if optional_part(body, "project").get("id") not in (None, record.package.project.get("id")):
        raise broken("The project of a migration cannot be changed.")
    return asked_toc(old.type, old.purpose, part(body, "tocView")) if body.get("tocView") is not None else old


def paged(query: Mapping[str, str], rows: list[Json]) -> Json:
    """A page of a list, with total, offset and limit [C, A14]."""
    try:
        offset, limit = int(query.get("offset") or 0), int(query.get("limit") or 100)
    except ValueError as error:
        raise broken("offset and limit are numbers.") from error
    if offset < 0 or not 1 <= limit <= 1000:
        raise broken("offset is not below 0, limit lies between 1 and 1000.")
    return {"total": len(rows), "offset": offset, "limit": limit, "data": rows[offset : offset + limit]}


def need_project(told: Json) -> str:
    """The project id that a body names."""
    key = optional_part(told, "project").get("id")
    if not key:
        raise missing("project.id")
    return str(key)
