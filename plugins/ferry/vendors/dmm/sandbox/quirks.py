"""The switches of DMM's sandbox. None is a vendor feature: each chooses one reading of what the vendor left open."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

from sandbox.switches import BadSwitchError, Switch, Value

RULE = re.compile(r"[^\s:]+:[1-9]\d*")
MOST_LOG_MB = 3072
"""Beyond 4 GiB a zip needs other headers than this sandbox writes."""
ZIPS = ("good", "slip", "absolute", "symlink", "bomb", "many", "truncated", "not_zip", "nested")


class RulesSwitch(Switch):
    """Numbers of chunks by globs on entity names."""

    __slots__ = ()

    def checked(self, value: object) -> Value:
        """The text, or an error that says how such a text looks."""
        text = super().checked(value)
        if not all(RULE.fullmatch(rule) for rule in str(text).split()):
            raise BadSwitchError(f"Switch {self.name!r} takes texts like 'Invoice:2 Foo*:1'.")
        return text


class LogSwitch(Switch):
    """A size that still fits into a plain zip."""

    __slots__ = ()

    def checked(self, value: object) -> Value:
        """The number, or an error that names the largest."""
        number = super().checked(value)
        if int(number) > MOST_LOG_MB:
            raise BadSwitchError(f"Switch {self.name!r} takes no number above {MOST_LOG_MB}.")
        return number


def chunks_of(rules: str, entity: str) -> int:
    """The number of the first rule that means the entity; 0 without one."""
    for rule in rules.split():
        glob, _, number = rule.rpartition(":")
        if fnmatchcase(entity, glob):
            return int(number)
    return 0


SWITCHES = (
    # Access
    Switch("base_path", "/DMMAPI/rest/v1", "path of the REST API below the environment [A]"),
    Switch("source_key", "ferry-demo-dmm-source", "REST API key of the environment source"),
    Switch("target_key", "ferry-demo-dmm-target", "REST API key of the environment target"),
    Switch("bad_token", "401", "how a bad or missing X-DMM-Token is told [A]", ("401", "success_false", "html")),
    Switch("otp_seconds", 300.0, "simulated life of a one-time password [A]"),
    Switch("otp_used_by_failure", default=True, description="a start that is refused uses its good password up too [A]"),
    Switch("activated", default=True, description="false: every start is refused, the environment is not activated [A]"),
    Switch("max_body_mb", 700, "MiB of a request body at most, then 413 [A]", least=1),
    # Starts
    Switch(
        "start_id",
        "given",
        "id in the answer of a start: given; missing, nothing started; missing, and it runs all the same",
        ("given", "missing", "missing_started"),
    ),
    Switch("id_type", "number", "JSON type of MainExecutionTrackerId [A]", ("number", "string")),
    Switch("max_inflated_mb", 2048, "MiB that an imported zip may hold; more is unreadable", least=1),
    # Time
    Switch("queue_seconds", 1.0, "simulated seconds an execution is Queued at least"),
    Switch("chunk_records", 50, "records in a chunk; what is under way keeps its own", least=1),
    Switch("chunk_seconds", 0.5, "simulated seconds a chunk takes"),
    Switch("parallel", default=False, description="executions of one environment run at once; else one after the other [A]"),
    Switch("not_found_seconds", 0.0, "simulated seconds after its start that an execution is NotFound [A]"),
    # Errors
    RulesSwitch("entity_errors", "", "`ENTITY-GLOB:N ...`: the first N chunks of the entity fail and are skipped"),
    RulesSwitch("fatal_errors", "", "`ENTITY-GLOB:N ...`: the execution ends InError at chunk N of the entity"),
    # Reports
    Switch("totals_grow", default=False, description="totals grow as entities are begun [A]; else they are right at once"),
    Switch("counts_system", default=True, description="records of ossys_* tables count [A]"),
    Switch("no_end_as", "empty", "a time that is not yet [A]", ("empty", "null", "absent", "null_date")),
    Switch("message_as", "object", "Report.Message: an object, or a list with one [A]", ("object", "list")),
    # Logs
    Switch("log_lines_per_chunk", 3, "log lines for each chunk, beside those for each event"),
    Switch("first_log_page", 1, "number of the first page of the log [A]: 1 or 0"),
    Switch("log_newline", "lf", "end of a log line [A]", ("lf", "crlf")),
    LogSwitch("log_mb", 0, "so many MiB of noise in the output Logs, in a file for each GiB; 3072 at most"),
    # Files
    Switch("log_zip", "good", "what the output Logs hold", ZIPS),
    Switch("data_zip", "good", "what the ZipFile of an export holds", ZIPS),
    # Stops
    Switch("word_after_stop", "InError", "Status after a stop: undocumented", ("InError", "Complete", "Stopped")),
    Switch("stop_ended", "refused", "stopping what has ended [A]", ("refused", "accepted")),
    # Connections
    Switch("connectivity", "good", "connectivity test of a new connection [D2]", ("good", "failed_saved")),
    Switch("echo_secrets", default=False, description="ErrorMessage of CreateConnection repeats the password"),
)
