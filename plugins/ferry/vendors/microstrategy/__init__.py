"""MicroStrategy (Strategy One): objects of projects and of the server, moved between two Library servers as migrations or groups.

The process: build a package on the source -> perhaps validate it against the target -> a person approves -> request and approve,
which locks the package [D] -> import the whole record on the target -> compare what the target reports with what was asked for.
If an import fails, or is regretted, the undo package that it left behind takes it back.

What bites: each server keeps its own record of a migration and nothing is copied between them [D]: package status is read on
the source, import status on the target. One verb and path edits a group or imports it, depending on the body [A4]. `keep_both`
anywhere in a package means that there will be no undo [D]. A locked package stays locked, so another try is another package
[A7]. The token comes in a header, and only with its cookies [D]; logging out may end more sessions than one's own. Nothing can be
cancelled.

Marks in this folder, as in the vendor's contract: [D] documented by the vendor, [C] seen in or with the vendor's own client,
[T] third-party, [A] or [A-n] our assumption, kept in one place or tolerated either way.
"""

from __future__ import annotations

from typing import Any

from ferry.vendors import NUMBER, TEXT, WHOLE, YES_NO, Vendor, form_field

SOURCE, TARGET = "microstrategy_source", "microstrategy_target"
"""The usual ids of the two connections; a manifest may name others."""

FIELDS = {
    "login_mode": form_field(
        "Login mode",
        WHOLE,
        "1 standard, 16 LDAP, 4096 API token: then the token is the password, and the user stays empty. Empty for 1.",
        enum=[1, 16, 4096, None],
    ),
    "environment_id": form_field(
        "Environment id", TEXT, "What the vendor calls this environment; empty for the base URL with one slash at its end."
    ),
    "environment_name": form_field("Environment name", TEXT, "Name shown beside the id; empty for the id."),
    "max_live_runs": form_field(
        "Live imports at most", WHOLE, "How many imports may be unfinished at once in this environment; empty for 1."
    ),
    "requests_per_second": form_field("Requests per second", NUMBER, "Per process; empty for 10."),
    "read_timeout": form_field("Read timeout (s)", NUMBER, "Seconds to wait for an answer; empty for 60."),
    "ui_url": form_field("Library address", TEXT, "Address people open in a browser, for the link on each task.", format="uri"),
    "sandbox": form_field("Sandbox", YES_NO, "Only for Ferry's own sandbox."),
}


def sandbox_connections(base_url: str) -> dict[str, dict[str, Any]]:
    """The connections to the two Libraries of Ferry's sandbox; their credentials are public and open nothing else."""
    return {
        name: {
            "conn_type": "microstrategy",
            "host": f"{base_url}/microstrategy/{name.removeprefix('microstrategy_')}/MicroStrategyLibrary",
            "login": "administrator",
            "password": "ferry-demo-administrator",
            "extra": {"environment_name": name.removeprefix("microstrategy_"), "sandbox": True},
        }
        for name in (SOURCE, TARGET)
    }


CARD = Vendor(
    name="microstrategy",
    title="MicroStrategy",
    summary="Objects of projects and of the server, from one Library server to another, with approval and undo",
    hook="ferry.vendors.microstrategy.hook.MicroStrategyHook",
    fields=FIELDS,
    behaviour={
        "hidden-fields": ["port", "schema", "extra"],
        "relabeling": {"host": "Base URL", "login": "User", "password": "Password or API token"},
        "placeholders": {"host": "https://library.example.com/MicroStrategyLibrary", "login": "user", "password": "password"},
    },
    sandbox_connections=sandbox_connections,
    pool_slots=1,  # one edit, package or import at a time [D recommends it]; waiting is done in the triggerer and needs none
)
