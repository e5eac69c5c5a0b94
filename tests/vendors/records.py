"""Records of MicroStrategy's as GET shows them."""

import copy

A, B = "A1" * 16, "B2" * 16
SOURCE, TARGET = {"id": "https://src/L/", "name": "src"}, {"id": "https://tgt/L/", "name": "tgt"}
SALES, OTHER = {"id": "S1", "name": "Sales"}, {"id": "O9", "name": "Sales"}
THING = {"id": A, "type": 12, "action": "replace", "includeDependents": True}


def record():
    """A migration as GET shows it."""
    return {
        "id": f"{A}:{B}",
        "packageInfo": {
            "id": A,
            "name": "spring",
            "replicated": False,
            "type": "project",
            "purpose": "object_migration",
            "environment": SOURCE,
            "storage": {"size": 9, "path": "mstr/x.mmp"},
            "project": SALES,
            "status": "created",
            "lastUpdatedDate": "2026-11-01T00:00:00.000+0000",
            "tocView": {"settings": {"defaultAction": "replace", "updateSchema": []}, "content": [THING, THING | {"id": B}]},
            "treeView": '{"treeViewType":"project"}',
        },
        "importInfo": {"id": B, "environment": TARGET, "project": OTHER, "importRequestStatus": "pending", "status": "pending"},
        "version": "2",
    }


def group(*more):
    """A group as GET shows it."""
    member = {half: record()[half] for half in ("packageInfo", "importInfo")}
    member["packageInfo"] |= {"purpose": "migration_group", "groupId": "g"}
    return {"id": "g:h", "name": "quarter", "treeView": "{}", "importRequestStatus": "pending", "migrations": [member, *more]}


def changed(there, **paths):
    """A copy with some values, named by their path, replaced."""
    made = copy.deepcopy(there)
    for path, value in paths.items():
        *way, last = path.split("__")
        found = made
        for step in way:
            found = found[int(step) if step.isdigit() else step]
        found[int(last) if last.isdigit() else last] = value
    return made
