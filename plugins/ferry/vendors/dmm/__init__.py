"""Infosistema DMM for OutSystems: executions that import, export, migrate, delete or scramble an environment's records.

The process of an import: look into the batch's zip -> a person reads a one-time password in the environment and types it in ->
StartExecution, once, with the zip in its body -> watch the execution's counters and log -> fetch report, errors and logs when it
has ended -> compare the counters with the records of the zip.

What bites: every start needs a one-time password that only a person can read, and uses it up [D/A]. There is no idempotency key
and no list of executions, so an answer to a start that was lost can only be cleared up by a person [D, by absence]. An import
works in chunks and is no transaction: InError and a stop leave in place what got in [D]. In append mode, which is forced for the
Runtime Connection, doing it again duplicates records [D2]. `Result` OK and `Success` true say nothing of the import, only
`Status` does [D2].

Marks in this folder, as in the vendor's contract: [D] documented on the import page, [D2] on another page of the vendor, [P] of
the OutSystems platform, [A] our assumption; the names on the wire are all in `vocabulary.py`.
"""

from __future__ import annotations

from typing import Any

from ferry.vendors import NUMBER, TEXT, WHOLE, YES_NO, Vendor, form_field

FIELDS = {
    "base_path": form_field("Base path", TEXT, "Path of the REST API below the host; empty for /DMMAPI/rest/v1."),
    "max_zip_mb": form_field(
        "Largest zip (MB)", NUMBER, "A larger zip is refused before a password is asked for; empty for 512."
    ),
    "start_timeout": form_field(
        "Start timeout (s)", NUMBER, "Seconds to wait for the answer to a start, whose body holds the zip; empty for 900."
    ),
    "counts_system_records": form_field(
        "Counters include system tables", YES_NO, "Whether DMM's counters include the records of ossys_* tables; empty for yes."
    ),
    "stop_on_kill": form_field(
        "Stop on kill", YES_NO, "Stop the execution when a person ends the task that waits for it; empty for yes."
    ),
    "max_live_runs": form_field("Live executions at most", WHOLE, "How many may run at once in this environment; empty for 1."),
    "requests_per_second": form_field("Requests per second", NUMBER, "Per process; empty for 2."),
    "read_timeout": form_field("Read timeout (s)", NUMBER, "Seconds to wait for any other answer; empty for 120."),
    "ui_url": form_field(
        "DMM address",
        TEXT,
        "Address of DMM's pages, for the link on each task and in the question for the one-time password.",
        format="uri",
    ),
    "sandbox": form_field("Sandbox", YES_NO, "Allow http. Only for Ferry's own sandbox."),
}


def sandbox_connections(base_url: str) -> dict[str, dict[str, Any]]:
    """The two environments of Ferry's sandbox; their keys are public and open nothing else."""

    def environment(name: str) -> dict[str, Any]:
        return {
            "conn_type": "dmm",
            "host": f"{base_url}/dmm/{name}",
            "password": f"ferry-demo-dmm-{name}",
            "extra": {"sandbox": True, "requests_per_second": 20, "max_live_runs": 4, "start_timeout": 30},
        }

    return {"dmm_default": environment("target"), "dmm_source": environment("source")}


CARD = Vendor(
    name="dmm",
    title="Infosistema DMM",
    summary="Imports, exports and other executions in an OutSystems environment, each started with a one-time password",
    hook="ferry.vendors.dmm.hook.DmmHook",
    fields=FIELDS,
    behaviour={
        "hidden-fields": ["port", "schema", "login", "extra"],
        "relabeling": {"host": "Environment", "password": "REST API key"},
        "placeholders": {"host": "acme-tst.outsystemsenterprise.com", "password": "key from DMM's settings"},
    },
    sandbox_connections=sandbox_connections,
)
