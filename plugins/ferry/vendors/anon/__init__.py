"""Anon: people move a company's data out of another web product; Ferry finds their migrations and watches them.

Marks in this folder, as in the vendor's contract: [D] documented for this very API, [D2] documented on another page of the
vendor, [A] our assumption, kept in one place or tolerated either way.
"""

from __future__ import annotations

from typing import Any

from ferry.vendors import NUMBER, YES_NO, Vendor, form_field

FIELDS = {
    "requests_per_second": form_field("Requests per second", NUMBER, "Per process; empty for 1."),
    "sandbox": form_field("Sandbox", YES_NO, "Allow http. Only for Ferry's own sandbox."),
}


def sandbox_connections(base_url: str) -> dict[str, dict[str, Any]]:
    """The connection to the organisation of Ferry's sandbox; its key is public and opens nothing else."""
    return {
        "anon_default": {
            "conn_type": "anon",
            "host": f"{base_url}/anon",
            "password": "anon_ferry_demo_key",
            "extra": {"sandbox": True, "requests_per_second": 20},
        }
    }


CARD = Vendor(
    name="anon",
    title="Anon",
    summary="Migrations that people begin in Anon's modal: found, and watched to their end",
    hook="ferry.vendors.anon.hook.AnonHook",
    fields=FIELDS,
    behaviour={
        "hidden-fields": ["port", "schema", "login", "extra"],
        "relabeling": {"host": "Address", "password": "API key"},
        "placeholders": {"host": "worker.anon.com", "password": "anon_..."},
    },
    sandbox_connections=sandbox_connections,
)
