"""Which text is a date. [A-23] Fenergo is assumed to take ISO 8601 only; the manifest may say otherwise."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, time
from functools import lru_cache

from ferry.vendors.fenergo.manifest import ISO_8601

_ISO = re.compile(r"(\d{4}-\d{2}-\d{2})(?:T(\d{2}:\d{2}(?::\d{2})?)(?:\.\d{1,9})?(?:Z|[+-]\d{2}:?\d{2})?)?")
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def is_iso_date(text: str) -> bool:
    """True for `1998-03-17`, and with a time as in `1998-03-17T00:00:00.0000000`, if that day and time exist."""
    found = _ISO.fullmatch(text)
    if not found or not text.isascii():
        return False
    try:
        date.fromisoformat(found[1])
        time.fromisoformat(found[2] or "00:00")
    except ValueError:
        return False
    return True


def date_test(date_format: str) -> Callable[[str], bool]:
    """A test for dates as the manifest's `date_format` has them; remembered per text, because days repeat in a file."""
    if date_format == ISO_8601:
        return lru_cache(maxsize=50_000)(is_iso_date)

    def fits(text: str) -> bool:
        try:
            datetime.strptime(text, date_format)  # noqa: DTZ007 (only whether it fits, no instant is made of it)
        except ValueError:
            return False
        return True

    return lru_cache(maxsize=50_000)(fits)


def named_like_a_date(column: str) -> bool:
    """True if one of the words of the column's name is "date": dateOfBirth, valid_from_date; not update or mandate."""
    return "date" in {word.lower() for word in _WORDS.findall(column)}
