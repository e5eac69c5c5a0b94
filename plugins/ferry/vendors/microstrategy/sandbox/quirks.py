"""The switches of MicroStrategy's sandbox. None is a vendor feature: each chooses one reading of what the vendor left open."""

from __future__ import annotations

from sandbox.switches import Switch

ADMINISTRATOR_PASSWORD = "ferry-demo-administrator"  # noqa: S105  # the made-up password of a made-up person
ARCHITECT_PASSWORD = "ferry-demo-architect"  # noqa: S105  # same
ADMINISTRATOR_API_TOKEN, ARCHITECT_API_TOKEN = "ferry-demo-administrator-token", "ferry-demo-architect-token"

SWITCHES = (
    # Time
    Switch("package_seconds", 3.0, "simulated seconds one package takes to be built, also by an edit; per member of a group"),
    Switch("validate_seconds", 2.0, "simulated seconds a validation takes on the target"),
    Switch("import_seconds", 5.0, "simulated seconds one import takes; per member of a group"),
    Switch("undo_seconds", 3.0, "simulated seconds one undo takes; per member of a group"),
    Switch("status_looks", 0, "GETs of the record that still see the busy status after the work is done; per member of a group"),
    # Access
    Switch("session_seconds", 1800, "simulated seconds without a call until a session has expired [D]"),
    Switch("session_calls", 0, "calls a session is good for before it answers 401, to expire one in mid-poll; 0 = no limit"),
    Switch(
        "cookies", "required", "a token needs its JSESSIONID [A9]; all: every cookie of the login", ("required", "ignored", "all")
    ),
    Switch("logout_ends", "session", "what a logout ends: this session, or all of the user's [C]", ("session", "user")),
    Switch("administrator_password", ADMINISTRATOR_PASSWORD, "password of the user administrator, on both sides"),
    Switch("architect_password", ARCHITECT_PASSWORD, "password of the user architect, on both sides"),
    Switch("administrator_api_token", ADMINISTRATOR_API_TOKEN, "the same user's token for login mode 4096 [C]"),
    Switch("architect_api_token", ARCHITECT_API_TOKEN, "the same of the user architect"),
    Switch("project_header", "strict", "lenient: X-MSTR-ProjectID is never demanded and never refused", ("strict", "lenient")),
    Switch(
        "prefer_header",
        "optional",
        "required: import, edit and validation need Prefer: respond-async [T]",
        ("optional", "required"),
    ),
    # Failures
    Switch("fail_package", "", "glob on names whose package ends in create_failed; empty = none"),
    Switch("fail_validation", "", "glob on names whose validation fails, and then their import too [D]; empty = none"),
    Switch("fail_import", "", "glob on names whose import fails half-way; empty = none"),
    Switch("fail_undo", "", "glob on names whose undo fails half-way; empty = none"),
    Switch("missing_objects", "", "comma list of object ids that the source does not have: their packages fail, naming them"),
    Switch("storage", "ok", "the Storage Service: every call, or every write, is a 500", ("ok", "unreachable", "not_configured")),
    Switch("clock_skew_seconds", 0.0, "how far the target's clock is ahead; above 300 nothing can be validated [D]"),
    Switch("clock_skew_answer", "refused", "how that is said: a 400, or a failed validation", ("refused", "validation_failed")),
    # Content
    Switch("dependents", 1, "objects pulled in by each object with includeDependents"),
    Switch("explicit_flag", default=True, description="tell explicitIncluded of each object in a package [A]"),
    Switch("drop_objects", 0, "so many last objects of what was asked are silently not in the package"),
    Switch("swap_action", "", "id of an object whose action becomes use_existing in the package; empty = none"),
    Switch("lose_objects", 0, "so many last explicit objects are not imported, yet imported is said"),
    # Rules
    Switch("undo_package", default=True, description="an import leaves an undo package, unless a rule is keep_both"),
    Switch("repeat_import", "harmless", "an import PUT while importing [A12]", ("harmless", "refuse")),
    Switch("edit_keeps_ids", default=True, description="false: an edit gives the package a new id [A3]"),
    Switch("edit_resets_certification", default=False, description="an edit takes the certification back [A6]"),
    Switch("reused_born", "locked", "status of the package of a reused migration [A8]", ("locked", "created")),
    Switch("certification_born", "absent", "certification of a new record [A11]", ("absent", "uncertified")),
    Switch("max_members", 100, "migrations in a group at most [D]"),
    Switch("max_uploaded", 1000, "uploaded packages at most [D]"),
    Switch("max_package_bytes", 2_147_483_648, "bytes of a package at most [D]"),
    # Words and shapes
    Switch(
        "failed_word",
        "create_failed",
        "how a failed package is spelt; the other is a misprint",
        ("create_failed", "created_failed"),
    ),
    Switch("error_shape", "plain", "one error, or a list with one [C]", ("plain", "errors_list")),
    Switch("code_zeros", "ERR006", "digits of an error code: the pages disagree [D]", ("ERR006", "ERR0006")),
    Switch("rule_status", 400, "HTTP status of a broken rule [A1]", least=400),
    Switch("bare_5xx", default=False, description="5xx come without a JSON body [D]"),
    Switch("progress", "float", "how progress is written: samples print both [D]", ("float", "int")),
    Switch("group_status", "202", "HTTP status of PATCH and PUT of a group [A5]", ("202", "201", "200")),
    Switch("undo_status", "202", "HTTP status of the PATCH that starts an undo [C]", ("202", "200")),
)
