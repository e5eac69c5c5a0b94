"""Anon: people move a company's data out of another web product; Ferry finds their migrations and watches them to the end.

The process: a person opens the modal in the customer's own web site, logs in to the old product and begins [D] -> Ferry finds the
migration in the organisation's list and adopts it as a batch -> waits, perhaps for days, while people think, log in and are asked
for more -> collects the files, where the connection says how -> says what arrived and what did not.

What bites: nothing can be started, ended, repeated or taken back through the API, it only lists and looks [D]; a failed migration
is begun again by a person, as another one. The list takes no filter [D], and how it is paged is documented no further than the
names of two parameters. A migration waits for ever where nobody logs in, and an expired modal does not change that [A]. It tells
no reason for a failure [D, by absence]. One status word means that a part has failed, and is easily taken for success. `created`
comes with and without a zone [D, D2]. `company_id` may be null [D2], and user ids are not those that you know people by [D2].

Marks in this folder, as in the vendor's contract: [D] documented for this very API, [D2] documented on another page of the
vendor, [A] our assumption, kept in one place or tolerated either way.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from ferry.vendors import NUMBER, TEXT, WHOLE, YES_NO, Vendor, form_field

FIELDS = {
    "poll_seconds": form_field(
        "List every (s)", NUMBER, "Seconds between two walks through the list, which serve all who wait; empty for 60."
    ),
    "watch_since": form_field(
        "Watch since", TEXT, "Only migrations made at or after this moment (2026-11-01T00:00:00Z) are adopted; empty for all."
    ),
    "files_path": form_field(
        "Path of files",
        TEXT,
        "Where the files of a migration are listed, such as /api/v1/migrations/{id}/files; empty to collect none.",
    ),
    "tasks_path": form_field(
        "Path of tasks",
        TEXT,
        "Where the parts of a migration are listed, such as /api/v1/migrations/{id}/tasks; empty to count the migration as one.",
    ),
    "link_hosts": form_field("Storage hosts", TEXT, "Hosts that links to files may lead to, separated by commas."),
    "accept_partial": form_field(
        "Accept partial", YES_NO, "Take COMPLETED_WITH_FAILURES for good in batches that are adopted from now on; empty for no."
    ),
    "notifier": form_field(
        "Notifier",
        TEXT,
        "Class that tells a person that a migration waits for one: airflow.providers.smtp.notifications.smtp.SmtpNotifier, say.",
    ),
    "notifier_arguments": form_field(
        "Its arguments", TEXT, 'JSON, rendered by Jinja with `migration` and `reminder`: {"to": "...", "subject": "..."}.'
    ),
    "remind_after": form_field(
        "Remind after (s)",
        NUMBER,
        "Seconds in one and the same state before a person is told once more; empty for a day, 0 never.",
    ),
    "page_size": form_field("Page size", WHOLE, "Migrations asked for at once; empty for 50, 0 to leave it to Anon."),
    "most_pages": form_field("Pages at most", WHOLE, "A longer list is an error, never cut short; empty for 1000."),
    "requests_per_second": form_field("Requests per second", NUMBER, "Per process; empty for 5."),
    "read_timeout": form_field("Read timeout (s)", NUMBER, "Seconds to wait for an answer; empty for 60."),
    "ui_url": form_field("Dashboard", TEXT, "Address people open in a browser, for the link on each task.", format="uri"),
    "sandbox": form_field("Sandbox", YES_NO, "Allow http, and links to this machine. Only for Ferry's own sandbox."),
}


def sandbox_connections(base_url: str) -> dict[str, dict[str, Any]]:
    """The connection to the organisation of Ferry's sandbox; its key is public and opens nothing else."""
    paths = {f"{kind}_path": f"/api/v1/migrations/{{id}}/{kind}" for kind in ("files", "tasks")}
    return {
        "anon_default": {
            "conn_type": "anon",
            "host": f"{base_url}/anon",
            "password": "anon_ferry_demo_key",
            "extra": {
                "link_hosts": urlsplit(base_url).hostname,
                "sandbox": True,
                "requests_per_second": 20,
                "poll_seconds": 3,
                **paths,
            },
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
    dag="watch_anon",
    dispatched=False,
)
