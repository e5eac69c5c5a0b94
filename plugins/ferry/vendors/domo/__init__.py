"""Domo: federated datasources moved from the old plumbing (V1) to accounts of the new one (V2), one call for each, and back.

The process: read which integration types, V2 accounts and candidates there are -> hold the batch's mapping of datasource to
catalog, schema and table against them -> one POST for each datasource, a few at a time, whose answer is final [D] -> compare
with the candidates list. What moves is the pointer to a table; the rows stay in the customer's database [A].

What bites: HTTP 200 is no success, `state` is [D]. ABORTED has changed nothing; INCOMPLETE leaves the datasource perhaps broken
until the same call is repeated and completes [D]. There is no idempotency key, no status call, no look-up by the request's id,
and no cancel: closing the connection does not stop Domo [A]. The candidates list is the only witness of an answer that was lost,
and nothing says how late it is [A]. It does not tell catalog, schema and table [D]: people must bring them. `schema` is the
literal text NULL where the database has none [D].

Marks in this folder, as in the vendor's contract: [D] documented for this very API, [N] documented for a neighbouring one or
seen in public code, [A] our assumption, kept in one place or tolerated either way.
"""

from __future__ import annotations

from typing import Any

from ferry.vendors import NUMBER, TEXT, WHOLE, YES_NO, Vendor, form_field

FIELDS = {
    "answer_timeout": form_field(
        "Migration timeout (s)",
        NUMBER,
        "Seconds to wait for the answer to a migration or reversal, which comes when Domo is done with it; empty for 900.",
    ),
    "visible_delay": form_field(
        "Visible delay (s)",
        NUMBER,
        "How late the candidates list may be. So long it is watched after an answer was lost, before a person is asked; "
        "empty for 300.",
    ),
    "max_live_runs": form_field(
        "Live batches at most",
        WHOLE,
        "How many batches may be under way at once in this instance, each with as many calls at once as its manifest says; "
        "empty for 2.",
    ),
    "requests_per_second": form_field("Requests per second", NUMBER, "Per process; empty for 1."),
    "read_timeout": form_field("Read timeout (s)", NUMBER, "Seconds to wait for a list; empty for 60."),
    "ui_url": form_field("Domo address", TEXT, "Address people open in a browser, for the link on each task.", format="uri"),
    "sandbox": form_field("Sandbox", YES_NO, "Allow http. Only for Ferry's own sandbox."),
}


def sandbox_connections(base_url: str) -> dict[str, dict[str, Any]]:
    """The connection to the instance of Ferry's sandbox; its token is public and opens nothing else."""
    return {
        "domo_default": {
            "conn_type": "domo",
            "host": f"{base_url}/domo",
            "password": "ferry-demo-domo-token",
            "extra": {"sandbox": True, "requests_per_second": 20, "visible_delay": 20},
        }
    }


CARD = Vendor(
    name="domo",
    title="Domo",
    summary="Federated datasources from V1 to accounts of V2, one call for each, and back",
    hook="ferry.vendors.domo.hook.DomoHook",
    fields=FIELDS,
    behaviour={
        "hidden-fields": ["port", "schema", "login", "extra"],
        "relabeling": {"host": "Instance", "password": "Developer token"},
        "placeholders": {"host": "acme.domo.com", "password": "access token"},
    },
    sandbox_connections=sandbox_connections,
)
