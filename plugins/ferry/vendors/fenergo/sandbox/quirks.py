"""The switches of Fenergo's sandbox. None of them is a vendor feature: each chooses one reading of what the vendor left open."""

from __future__ import annotations

from sandbox.switches import Switch

DEFAULT_LIMIT = 30_000  # [D] above so many rows the two direct downloads are refused

CLIENT_ID = "ferry-demo"
CLIENT_SECRET = "ferry-demo-secret"  # noqa: S105  # the made-up credentials of a made-up tenant
TENANT = "11111111-2222-3333-4444-555555555555"

FILE_LAYOUTS = ("standard", "spaced", "snake", "alias", "unquoted", "bom", "extra", "no_key")

SWITCHES = (
    # Time
    Switch("prepare_seconds", 2.0, "simulated seconds from creation until schema and templates are built"),
    Switch("process_seconds", 5.0, "simulated seconds a started migration takes at least"),
    Switch("rows_per_second", 0.0, "rows processed per simulated second, on top of process_seconds; 0 = at once"),
    Switch("process_looks", 0, "looks at the status that still see Processing after the work is done"),
    Switch("ingestion_seconds", 1.0, "simulated seconds an alternate-ID ingestion takes"),
    Switch("read_lag_seconds", 0.0, "simulated seconds the query service lags behind the commands [S]"),
    Switch("upload_url_seconds", 30, "simulated life of an upload link [A-32]"),
    Switch("download_url_seconds", 30, "simulated life of a download link [D]"),
    # Access
    Switch("client_id", CLIENT_ID, "the client id that gets tokens"),
    Switch("client_secret", CLIENT_SECRET, "its secret"),
    Switch("tenant", TENANT, "the tenant id that X-TENANT-ID must carry [D]"),
    Switch("token_seconds", 900, "simulated life of a token [D]; also told as expires_in"),
    Switch("token_calls", 0, "calls a token is good for before it answers 401, to expire one in mid-poll; 0 = no limit"),
    Switch("token_throttle", 0, "token requests allowed per client address in 5 real minutes (the vendor: 100 [S]); 0 = off"),
    Switch("requests_per_second", 0, "API calls allowed per real second, then 429 [D]; 0 = off"),
    Switch("inject_status", 500, "what every n-th API call answers, see inject_every: 429, 500, 401...", least=200),
    Switch("inject_every", 0, "answer every n-th API call with inject_status instead of handling it; 0 = off"),
    Switch(
        "storage_refuses_tenant",
        default=True,
        description="X-TENANT-ID on a signed link is a 400 (S3 would ignore it; it shows a leak)",
    ),
    Switch("upload_verb", "PUT", "the verb upload links are signed for [A-1]", ("PUT", "POST")),
    # Versions and shapes
    Switch("gone_version", "none", "command version whose paths answer 410", ("none", "v1", "v2")),
    Switch("sunset_headers", default=False, description="send sunset and deprecation headers on API answers [D]"),
    Switch("strict_fields", default=True, description="unknown members of a request body are a 400 [A-12]"),
    Switch("not_found", "404", "how the status call says it knows no such migration", ("404", "null")),
    Switch("unstarted_word", "Created", "status before start, prepared or not [A-16]", ("Created", "Processing")),
    Switch("artifacts_early", "empty", "get-artifacts before preparation is done", ("empty", "404")),
    Switch("extra_word", "", "an undocumented status shown after Processing, for example Finalising; empty = none"),
    Switch("extra_word_looks", 1, "looks at the status that see extra_word"),
    Switch("failed_counters", "zero", "counters of a Failed migration; zero is the documented sample [D]", ("zero", "real")),
    Switch("completed_with_failed", 0, "so many last rows (associations, products, entities) are not written, yet Completed"),
    # The records and error files
    Switch("limit_rows", DEFAULT_LIMIT, "rows above which the direct downloads answer the size error [D]"),
    Switch("limit_shape", "bare", "shape of the size error", ("bare", "wrapped")),
    Switch("limit_status", 400, "HTTP status of the size error [A-6]: 400, 413, 200", least=200),
    Switch("records_url_method", "both", "verb of the records link: the pages disagree", ("both", "put", "get")),
    Switch("records_file_polls", 0, "calls for the records link that are told the file is not there yet [A-8]"),
    Switch("records_not_ready", "412", "how they are told", ("412", "null", "empty")),
    Switch("records_layout", "standard", "header variant of the records file [A-29]", FILE_LAYOUTS),
    Switch("records_include_data_groups", default=False, description="data-group rows are listed in the records file too"),
    Switch("error_layout", "standard", "header variant of the error file [A-28]", FILE_LAYOUTS),
    Switch("require_quotes", default=True, description="unquoted values are errors [D for v1]"),
    # Alternate-ID ingestion
    Switch("ingestion_wrapped", default=False, description="answer the ingestion calls inside data/messages"),
    Switch("ingestion_word", "Failed", "status after an ingestion with rows in error [A-17]", ("Failed", "Completed")),
)
