"""The switches of Anon's sandbox. None is a vendor feature: each chooses one reading of what the vendor left open."""

from __future__ import annotations

from sandbox.switches import BadSwitchError, Switch, Value

API_KEY = "anon_ferry_demo_key"
MIGRATION_FIELDS = ("object", "id", "created", "status", "created_by_user_id", "company_id")  # [D]
FILE_FIELDS = ("name", "type", "content_type", "url", "size", "migration_id")  # [D2], beside the first three
TASK_FIELDS = ("data_category", "data_type", "completed_at")  # [D2], same
FIELDS = (*MIGRATION_FIELDS, *FILE_FIELDS, *TASK_FIELDS)


class FieldSwitch(Switch):
    """The name of a field of the vendor's objects, or nothing."""

    __slots__ = ()

    def checked(self, value: object) -> Value:
        """The name, or an error that tells the names there are."""
        name = super().checked(value)
        if name and name not in FIELDS:
            raise BadSwitchError(f"Switch {self.name!r} takes nothing or one of {', '.join(FIELDS)}.")
        return name


class PageSwitch(Switch):
    """The number of a first page."""

    __slots__ = ()

    def checked(self, value: object) -> Value:
        """0 or 1."""
        number = super().checked(value)
        if number not in (0, 1):
            raise BadSwitchError(f"Switch {self.name!r} takes 0 or 1.")
        return number


SWITCHES = (
    # Access
    Switch("api_key", API_KEY, "the API key that opens the organisation [D2]; empty = revoked, and nothing opens it"),
    Switch("wrong_organisation", default=False, description="the key is another organisation's: empty lists and 404s [A]"),
    Switch("requests_per_second", 0, "calls allowed per real second, then 429 with Retry-After [A]; 0 = off"),
    # Pages
    Switch(
        "envelope",
        "data",
        "where a page holds its things: under this name, or it is a bare array [A]",
        ("data", "migrations", "items", "results", "bare"),
    ),
    PageSwitch("first_page", 1, "number of the first page [A]: 1 or 0"),
    Switch(
        "order",
        "newest",
        "order of the lists [A]; shuffled is no order at all, always the same",
        ("newest", "oldest", "shuffled"),
    ),
    Switch("default_page_size", 10, "things on a page when page_size is not told [D]", least=1),
    Switch("page_cap", 100, "things on a page at most, whatever is asked for [A]", least=1),
    Switch("page_size_answer", "accept", "answer to a page_size that is told [A]", ("accept", "400", "422")),
    Switch("short_pages", default=False, description="pages hold fewer than asked for although more follow; none is empty [A]"),
    Switch("repeat_pages", default=False, description="every page is given under two numbers, one after the other [A]"),
    Switch("past_end", "empty", "a page past the end [A]: empty, 404, or the last one again", ("empty", "404", "last")),
    Switch("ignore_page", default=False, description="page is not looked at: one answer holds everything [A]"),
    Switch(
        "hints",
        "true",
        "total and has_more [A]: true, true and with a link next, absent, or wrong, all three",
        ("true", "linked", "absent", "wrong"),
    ),
    Switch("grow_per_call", 0, "so many more migrations (forgets) appear before each call of their list"),
    # Objects
    Switch("zone", "none", "created [D] has no zone, [D2] ends in Z, [A] has an offset, +02:00", ("none", "Z", "offset")),
    Switch("null_company", default=False, description="company_id is null everywhere [D2]"),
    Switch("extra_word", "VERIFYING", "the undocumented status in the story strange, of migrations made from now on"),
    Switch("extra_fields", default=False, description="objects have fields that nobody documented"),
    FieldSwitch("drop_field", "", "a field left out of all objects; empty = none"),
    # Time and files
    Switch("story_scale", 1.0, "factor for the seconds of named stories, of migrations made from now on"),
    Switch(
        "late_get_seconds", 0.0, "simulated seconds after its creation that a migration is a 404 by its id, though listed [A]"
    ),
    Switch("files_per_migration", 2, "files of a migration that ended well [D2]"),
    Switch("file_url_seconds", 60, "simulated life of a file's link [A]"),
)
