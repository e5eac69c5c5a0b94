"""Fenergo (FenX): clients, their data groups, associations and products, through the Data Migration API.

The process: create a migration for a jurisdiction -> FenX prepares templates and schema -> add each file and upload it to a
signed link -> start -> processing, all or nothing [D] -> error file, or a records file that pairs each alternate id with its
FenX id.

What bites: `start` has no idempotency key and the status word cannot tell *started* from *preparing*; download links live
30 seconds and are credentials themselves [D]; files with more than 30000 rows come only by link [D]; a failed migration's
counters read zero [D]; record-reference ingestion overwrites silently, so the client is the only guard [D]. Nothing can be
cancelled, listed or rehearsed at the vendor.

Marks in this folder, as in the vendor's contract: [D] documented, [S] second-hand, [G] general S3 behaviour, [I] inferred,
[A-n] assumption n, always a setting or tolerated.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from ferry.vendors import NUMBER, TEXT, WHOLE, YES_NO, Vendor, form_field

FIELDS = {
    "tenant_id": form_field("Tenant id", TEXT, "The tenant's UUID, sent as X-TENANT-ID with every call."),
    "token_url": form_field(
        "Token URL", TEXT, "OAuth token endpoint, for example https://identity.fenergox.com/connect/token.", format="uri"
    ),
    "scope": form_field("Scope", TEXT, "Scopes of the token; empty for fenx.datamigration.read fenx.datamigration.write."),
    "command_api_version": form_field("Command API version", TEXT, "v2, or v1 for tenants without it.", enum=["v2", "v1", None]),
    "max_live_runs": form_field(
        "Live runs at most", WHOLE, "How many started migrations may be unfinished at once in this environment; empty for 4."
    ),
    "requests_per_second": form_field(
        "Requests per second", NUMBER, "Per process; empty for 10. The tenant's own limit is 50 (test) or 200 (production)."
    ),
    "link_hosts": form_field(
        "Hosts of signed links", TEXT, "Comma-separated patterns; empty for *.amazonaws.com. Links to other hosts are refused."
    ),
    "upload_method": form_field(
        "Upload verb", TEXT, "HTTP verb for signed upload links; empty for PUT.", enum=["PUT", "POST", None]
    ),
    "upload_content_type": form_field("Upload content type", TEXT, "Empty for text/csv; 'none' to send no header."),
    "success_words": form_field("Success words", TEXT, "Extra status words that mean success, comma-separated."),
    "failure_words": form_field("Failure words", TEXT, "Extra status words that mean failure, comma-separated."),
    "read_timeout": form_field("Read timeout (s)", NUMBER, "Seconds to wait for an answer; empty for 60."),
    "ui_url": form_field("FenX address", TEXT, "Address of the FenX user interface, for the link on each task.", format="uri"),
    "sandbox": form_field("Sandbox", YES_NO, "Allow http and loopback addresses. Only for Ferry's own sandbox."),
}


def sandbox_connections(base_url: str) -> dict[str, dict[str, Any]]:
    """The connection to Ferry's sandbox at a base URL; its credentials are public and open nothing else."""
    return {
        "fenergo_default": {
            "conn_type": "fenergo",
            "host": f"{base_url}/fenergo",
            "login": "ferry-demo",
            "password": "ferry-demo-secret",
            "extra": {
                "tenant_id": "11111111-2222-3333-4444-555555555555",
                "token_url": f"{base_url}/fenergo/connect/token",
                "link_hosts": urlsplit(base_url).hostname,
                "sandbox": True,
            },
        }
    }


CARD = Vendor(
    name="fenergo",
    title="Fenergo",
    summary="Clients, addresses, associations and products into FenX, all or nothing",
    hook="ferry.vendors.fenergo.hook.FenergoHook",
    fields=FIELDS,
    behaviour={
        "hidden-fields": ["port", "schema", "extra"],
        "relabeling": {"host": "Base URL", "login": "Client id", "password": "Client secret"},
        "placeholders": {"host": "https://api.fenergox.com", "login": "client id", "password": "client secret"},
    },
    sandbox_connections=sandbox_connections,
)
