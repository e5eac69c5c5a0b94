"""The switches of Domo's sandbox. None is a vendor feature: each chooses one reading of what the vendor left open."""

from __future__ import annotations

from ferry.vendors.domo.sandbox.outcomes import OutcomesSwitch
from sandbox.switches import BadSwitchError, Switch, Value

ADMIN_TOKEN = "ferry-demo-domo-token"  # noqa: S105  # the made-up token of a made-up person
ANALYST_TOKEN = "ferry-demo-domo-analyst"  # noqa: S105  # same
RESULT_KEYS = ("toe", "datasourceId", "direction", "startTime", "state", "errorMessage", "endTime")  # [D]


class KeysSwitch(Switch):
    """A comma list of keys of the vendor's result."""

    __slots__ = ()

    def checked(self, value: object) -> Value:
        """The text, or an error that names the keys there are."""
        text = super().checked(value)
        if unknown := sorted(set(listed(str(text))) - set(RESULT_KEYS)):
            raise BadSwitchError(f"Switch {self.name!r} knows no {', '.join(unknown)}; it takes {', '.join(RESULT_KEYS)}.")
        return text


def listed(text: str) -> list[str]:
    """The names in a comma list."""
    return [name.strip() for name in text.split(",") if name.strip()]


SWITCHES = (
    # Time
    Switch("migrate_seconds", 2.0, "simulated seconds a migration takes; its POST is open so long [D in effect]"),
    Switch("reverse_seconds", 1.5, "simulated seconds a reversal takes"),
    Switch("list_delay_seconds", 0.0, "simulated seconds after a change that the candidate list still shows the old state"),
    # Access
    Switch("admin_token", ADMIN_TOKEN, "access token of the person who sees every account and may migrate"),
    Switch("analyst_token", ANALYST_TOKEN, "access token of the person who sees accounts 41 and 58 and may only read"),
    Switch("token_calls", 0, "calls each token is good for before it has expired: 401; 0 = no limit"),
    Switch("per_instance", 0, "POSTs under way in the instance at most, then 429 with Retry-After; 0 = no limit [A]"),
    Switch("rate_per_minute", 0, "calls in one real minute at most, then 429 with Retry-After; 0 = no limit [A]"),
    # Outcomes
    OutcomesSwitch(
        "outcomes",
        "",
        "how migrations end: `ID-GLOB:STATE,STATE ...`, a state per POST, then COMPLETE; `STATE*` stays; any word is a state",
    ),
    OutcomesSwitch("reverse_outcomes", "", "the same for reversals"),
    Switch("error_message", "", "errorMessage of whatever a script of outcomes lets fail; empty = words of the sandbox"),
    Switch("check_coordinates", default=True, description="other coordinates than the datasource's own end in ABORTED"),
    # Rules
    Switch(
        "repeat_post",
        "aborted",
        "a migration of what is migrated: ABORTED [A], COMPLETE, 409",
        ("aborted", "complete", "conflict"),
    ),
    Switch(
        "parallel_post",
        "aborted",
        "a POST while another is under way for the datasource: ABORTED [A], after it, or the same answer",
        ("aborted", "queued", "joined"),
    ),
    Switch("reverse_rescues", default=False, description="a reversal takes back a half-done migration; else ABORTED [A]"),
    # Words and shapes
    Switch("null_error_message", "present", "errorMessage of a success: null, or no such key [N]", ("present", "absent")),
    Switch("null_end_time", default=False, description="endTime is null unless COMPLETE [A]"),
    KeysSwitch("answer_drops", "", "comma list of keys left out of every result of a POST"),
    Switch("status_reason", "right", "wrong: statusReason of every error is Internal Server Error [N]", ("right", "wrong")),
    Switch("html_errors", default=False, description="every error is an HTML page [N]"),
    # The candidate list
    Switch(
        "incomplete_lists_migrated", default=False, description="an INCOMPLETE migration is listed as migrated [A: it is not]"
    ),
    Switch("keeps_reverse_date", default=False, description="a reversed datasource keeps its migrationDate [A: it does not]"),
    Switch("extra_datasources", 0, "so many more MySQL datasources, at once; fewer again take the last ones away"),
)
