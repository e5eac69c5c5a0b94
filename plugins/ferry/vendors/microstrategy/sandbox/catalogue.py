"""The vendor's closed lists: what kinds, rules and object types there are, and what may go into which package."""

from __future__ import annotations

TYPES = ("project", "configuration")  # [D] migrations and groups document these two only
UPLOADED_TYPES = (*TYPES, "project_security")
PURPOSES = ("object_migration", "project_merge")
UPLOADED = "migration_from_shared_file_store"
FIRST_MEMBER, OTHER_MEMBER = "migration_group", "migration_group_child"

ACTIONS = frozenset({"use_existing", "replace", "keep_both", "use_newer", "use_older", "force_replace", "delete"})
MERGE_ACTIONS = frozenset({"use_existing", "replace", "keep_both", "use_newer", "use_older"})  # [D] project merge documents five
SCHEMA_UPDATES = frozenset({"recal_table_logical_size", "recal_table_keys_fact_entry_level", "update_schema_logical_info"})
ACL_REPLACING = frozenset({"use_existing", "replace", "keep_both"})
ACL_NEW = frozenset({"keep_acl_as_source_object", "inherit_acl_as_dest_folder"})
TRANSLATIONS = frozenset({"not_merged", "use_existing", "replace", "force_replace", "existing"})

# [C] the object types that can be put into packages; content groups (77) go into both kinds [D].
CONFIGURATION_OBJECTS = frozenset({9, 29, 34, 35, 44, 45, 49, 51, 71, 77, 78, 79, 80, 81})
PROJECT_OBJECTS = frozenset(
    {1, 2, 3, 4, 7, 10, 11, 12, 13, 14, 15, 18, 26, 39, 43, 47, 48, 55, 56, 58, 61, 67, 76, 77},
)
ALLOWED = {"project": PROJECT_OBJECTS, "configuration": CONFIGURATION_OBJECTS}
LEVELS = {"project": "project_object", "configuration": "configuration_object"}

COLUMN = 26
"""What an object of a project depends on, in the invented metadata."""
