"""Fenergo's words and shapes: paths, status words, what an answer looks like, and where its message hides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ferry.core.api import json_of
from ferry.core.errors import VendorNonsense, VendorRefused
from ferry.core.model import RunState
from ferry.core.wire import httpx

QUERY = "/datamigrationquery/api"  # v1 only; the query service has no v2 [D Q]
COMMAND = {"v1": "/datamigrationcommand/api", "v2": "/datamigrationcommand/api/v2"}  # [D C1, C2]

SUCCESS_WORDS = frozenset({"completed", "complete", "succeeded"})  # only `Failed` and `Processing` are documented
FAILURE_WORDS = frozenset({"failed", "error", "cancelled", "aborted"})  # `failed` [D SEED], the others
KINDS = ("entity", "product", "association")
COUNTERS = tuple(f"{part}{kind.title() if part else kind}Count" for kind in KINDS for part in ("", "migrated", "failed"))
LIMIT_TEXT = "file size limit exceeded"  # the text decides, on any status and in any wrapper


class TooManyRows(VendorRefused):
    """A direct call refused a file of more than 30000 rows [D SEED]; the signed link has no such limit."""


@dataclass(frozen=True, slots=True)
class Words:
    """Which status words end a run; compared without case. Everything else, also null, is in progress."""

    success: frozenset[str] = SUCCESS_WORDS
    failure: frozenset[str] = FAILURE_WORDS

    def state(self, word: str) -> RunState:
        """The state a word stands for. A failed migration wrote nothing, whatever the cause [D SEED]."""
        lowered = word.strip().lower()
        if lowered in self.failure:
            return RunState.FAILED_CLEAN
        return RunState.SUCCEEDED if lowered in self.success else RunState.RUNNING


@dataclass(frozen=True, slots=True)
class UploadStyle:
    """How bytes go to a signed link: verb [A-1] and content type [A-2], which is not part of the signature."""

    method: str = "PUT"
    content_type: str | None = "text/csv"


@dataclass(frozen=True, slots=True)
class Artifact:
    """One generated file of a migration: a CSV template or the schema workbook."""

    type: str
    name: str
    format: str

    @property
    def is_template(self) -> bool:
        """True for the CSV templates, whose names are the tables' [A-25]."""
        return self.type.lower() == "template"


@dataclass(frozen=True, slots=True)
class Ingestion:
    """A record-reference ingestion: its id, and the signed link that takes the file. The link is never stored."""

    ref: str
    link: str


def wrapped(answer: httpx.Response, what: str) -> Any:
    """What the `data` wrapper holds; an answer without a body counts as an empty wrapper."""
    if not answer.content:
        return None
    body = json_of(answer, what)
    if not isinstance(body, dict):
        raise VendorNonsense(f"The answer to {what} is {type(body).__name__} where an object was due.")
    return body.get("data")


def unwrapped(answer: httpx.Response, what: str) -> dict[str, Any]:
    """An answer documented as bare, read inside a `data` wrapper too if there is one [D C2, Q]."""
    body = json_of(answer, what)
    inner = body.get("data") if isinstance(body, dict) else None
    found = inner if isinstance(inner, dict) else body
    if not isinstance(found, dict):
        raise VendorNonsense(f"The answer to {what} is {type(found).__name__} where an object was due.")
    return found


def rows_in(value: Any, what: str) -> list[dict[str, Any]]:
    """A list of objects; nothing counts as an empty one."""
    if not isinstance(value or [], list) or not all(isinstance(row, dict) for row in value or []):
        raise VendorNonsense(f"Fenergo's {what} are no list of objects.")
    return list(value or [])


def count_in(value: Any, name: str) -> int:
    """A counter; nothing counts as zero."""
    try:
        return int(value or 0)
    except (TypeError, ValueError):
        raise VendorNonsense(f"Fenergo's counter {name} is no number.") from None


def link_in(value: Any, what: str) -> str:
    """A signed link, untouched; VendorNonsense if the answer holds none."""
    if not isinstance(value, str) or "://" not in value:
        raise VendorNonsense(f"The answer to {what} holds no link.")
    return value


def is_json(answer: httpx.Response) -> bool:
    """Whether a body can be Fenergo's own at all."""
    try:
        answer.json()
    except ValueError:
        return False
    return True


def heard(answer: httpx.Response, what: str) -> None:
    """For calls whose answer says nothing: VendorNonsense if something other than Fenergo answered, as a proxy's page would."""
    if answer.content and not is_json(answer):
        raise VendorNonsense(
            f"{what} was answered by something that is not Fenergo, so it may not have heard. Look for a proxy between this "
            "machine and the vendor; then clear the task."
        )


def messages(answer: httpx.Response) -> Iterator[str]:
    """Every message of an error answer: wrapper, ProblemDetails, bare object, gateway, token endpoint, or nothing."""
    body = answer.json() if is_json(answer) else None
    if not isinstance(body, dict):
        return
    listed = body.get("messages")
    for item in listed if isinstance(listed, list) else []:
        if isinstance(item, dict):
            yield from (str(item[key]) for key in ("errorCode", "message") if item.get(key))
    yield from (
        str(body[key]) for key in ("message", "title", "detail", "ErrorCode", "error", "error_description") if body.get(key)
    )
