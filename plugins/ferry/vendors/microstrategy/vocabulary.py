"""MicroStrategy's closed words: object types, actions, settings, statuses. One table each, with where it is from."""

from __future__ import annotations

import re

from ferry.core.model import RunState

PROJECT, CONFIGURATION = "project", "configuration"
MIGRATION, GROUP = "migration", "group"
OBJECTS, MERGE, UPLOADED = "object_migration", "project_merge", "migration_from_shared_file_store"
PURPOSES = (OBJECTS, MERGE, "migration_group", "migration_group_child", UPLOADED)  # [D], the last [C]

KEEP_BOTH, USE_EXISTING, DELETE = "keep_both", "use_existing", "delete"
MERGE_ACTIONS = (USE_EXISTING, "replace", KEEP_BOTH, "use_newer", "use_older")  # [D] project merge knows only these
ACTIONS = (*MERGE_ACTIONS, "force_replace", DELETE)  # [D]
TRANSLATIONS = ("not_merged", USE_EXISTING, "existing", "replace", "force_replace")  # [C], the third as a page prints it [D]
UPDATE_SCHEMA = ("recal_table_logical_size", "recal_table_keys_fact_entry_level", "update_schema_logical_info")  # [D]
ACL_ON_REPLACING = (USE_EXISTING, "replace", KEEP_BOTH)  # [D], the last [C]
ACL_ON_NEW = ("keep_acl_as_source_object", "inherit_acl_as_dest_folder")  # [D]

PROJECT_TYPES = {  # [C] what may be put in a project package
    1: "filter",
    2: "template",
    3: "report",
    4: "metric",
    7: "base formula",
    10: "prompt",
    11: "function",
    12: "attribute",
    13: "fact",
    14: "hierarchy",
    15: "table",
    18: "shortcut",
    26: "column",
    39: "search",
    43: "transformation",
    47: "consolidation",
    48: "consolidation element",
    55: "document",
    56: "drill map",
    58: "security filter",
    61: "auto style",
    67: "external shortcut",
    76: "script",
    77: "content group",  # [D] brings that project's content of the group
}
CONFIGURATION_TYPES = {  # [C] what may be put in a configuration package
    9: "device",
    29: "data source",
    34: "user or user group",
    35: "transmitter",
    44: "security role",
    45: "locale",
    49: "event",
    51: "schedule",
    71: "palette",
    77: "content group",
    78: "application",
    79: "time zone",
    80: "runtime",
    81: "calendar",
}
CONTAINERS = frozenset({8, 32})  # [C] folder and project
TYPES = {PROJECT: PROJECT_TYPES, CONFIGURATION: CONFIGURATION_TYPES}
TYPE_NAMES = PROJECT_TYPES | CONFIGURATION_TYPES
_NUMBERS = {name: number for number, name in TYPE_NAMES.items()} | {"user": 34, "user group": 34, "dashboard": 55, "cube": 3}


def type_number(told: str) -> int | None:
    """The number of an object type given by number or by name; None for neither."""
    told = told.strip().lower().replace("_", " ")
    return int(told) if re.fullmatch(r"[0-9]{1,5}", told) else _NUMBERS.get(told)


def type_name(number: int) -> str:
    """The type as people call it."""
    return TYPE_NAMES.get(number, f"type {number}")


FAILED = frozenset({"create_failed", "created_failed"})  # [D]; the second a misprint of the pages, tolerated
EDITABLE = frozenset({"created"}) | FAILED  # [D]
OPEN_REQUESTS = frozenset({"", "pending", "rejected"})  # [D] an edit is allowed while the import request is one of these
UNDOABLE = frozenset({"imported", "import_failed", "undo_failed"})  # [D], the last [T]

PACKAGE_STATES = {  # [D]; a word that is not here means *still at work*: an unknown word must end nothing
    "created": RunState.SUCCEEDED,
    "locked": RunState.SUCCEEDED,
    "create_failed": RunState.FAILED_CLEAN,
    "created_failed": RunState.FAILED_CLEAN,
}
IMPORT_STATES = {  # [D]
    "pending": RunState.QUEUED,
    "imported": RunState.SUCCEEDED,
    "import_failed": RunState.FAILED_DIRTY,  # nothing promises that a failed import changed nothing
    "undo_success": RunState.CANCELLED,
    "undo_failed": RunState.FAILED_DIRTY,
}
VALIDATION_STATES = {"validated": RunState.SUCCEEDED, "validation_failed": RunState.FAILED_CLEAN}  # [D] a dry run commits nothing
CERTIFICATIONS = {  # [D] what a person asks for, and the status that is sent
    "request": "requested",
    "revert": "uncertified",
    "approve": "certified",
    "reject": "rejected",
    "decertify": "uncertified",
}
