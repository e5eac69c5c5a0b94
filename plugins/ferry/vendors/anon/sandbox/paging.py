"""Pages of a list. The vendor documents `page`, `page_size` and its default of 10 [D]; everything else is a switch [A]."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request

from ferry.vendors.anon.sandbox.answers import RefusedError, bad_parameter, bent, not_found
from ferry.vendors.anon.sandbox.register import Shelf
from sandbox.switches import Switches

NUMBER = re.compile(r"[0-9]{1,9}")
BEYOND = 100
"""So many more things than there are, says a wrong total at the end of a list."""


@dataclass(frozen=True, slots=True)
class Page:
    """What is asked for: the page's number in the vendor's counting, its place in ours from 0, and its size."""

    number: int
    place: int
    size: int


@dataclass(frozen=True, slots=True)
class Cut:
    """The places that a page gets, and whether anything follows."""

    start: int
    stop: int
    more: bool


def answer(request: Request, shelf: Shelf, switches: Switches, render: Callable[[Any], dict[str, Any]]) -> Any:
    """A page in its envelope; only what is on it is rendered."""
    page = _asked(request.query_params, len(shelf), switches)
    cut = _cut(page, len(shelf), switches)
    things = [bent(render(one), switches) for one in shelf.cut(cut.start, cut.stop)]
    kind = switches.text("envelope")
    if kind == "bare":
        return things
    head = {"object": "list", kind: things, "page": page.number, "page_size": page.size}
    return head | _hints(request, page, cut, len(shelf), switches.text("hints"))


def _asked(query: QueryParams, total: int, switches: Switches) -> Page:
    size = _size(query.get("page_size"), switches)
    first = switches.integer("first_page")
    if switches.flag("ignore_page"):
        return Page(first, 0, max(total, 1))
    number = _number("page", query.get("page", str(first)), first)
    return Page(number, number - first, size)


def _size(told: str | None, switches: Switches) -> int:
    refusal = switches.text("page_size_answer")
    if told is not None and refusal != "accept":
        raise RefusedError(int(refusal), "invalid_parameter", "page_size is not supported.")
    size = switches.integer("default_page_size") if told is None else _number("page_size", told, 1)
    return min(size, switches.integer("page_cap"))


def _number(name: str, text: str, least: int) -> int:
    if not NUMBER.fullmatch(text) or int(text) < least:
        raise bad_parameter(name, least)
    return int(text)


def _cut(page: Page, total: int, switches: Switches) -> Cut:
    place = page.place // 2 if switches.flag("repeat_pages") else page.place
    widths = _widths(page.size, short=switches.flag("short_pages") and not switches.flag("ignore_page"))
    past = switches.text("past_end")
    if place and _start(place, widths) >= total and past != "empty":
        if past == "404":
            raise not_found(f"Page {page.number}")
        place = _last(total, widths)
    start = _start(place, widths)
    stop = start + widths[place % 2]
    return Cut(start, stop, more=stop < total)


def _widths(size: int, *, short: bool) -> tuple[int, int]:
    """How much the pages of even and of odd places hold. Short ones still hold something, so that a walk moves on."""
    return (max(size // 2, 1), max(size - 1, 1)) if short else (size, size)


def _start(place: int, widths: tuple[int, int]) -> int:
    return place // 2 * sum(widths) + place % 2 * widths[0]


def _last(total: int, widths: tuple[int, int]) -> int:
    pairs, left = divmod(max(total - 1, 0), sum(widths))
    return pairs * 2 + int(left >= widths[0])


def _hints(request: Request, page: Page, cut: Cut, total: int, kind: str) -> dict[str, Any]:
    if kind == "absent":
        return {}
    if kind == "true":
        return {"total": total, "has_more": cut.more}
    more, following = cut.more, str(request.url.include_query_params(page=page.number + 1))
    if kind == "wrong":  # the end is told in the middle, and no end at the end
        total, more = (cut.stop if more else total + BEYOND), not more
    return {"total": total, "has_more": more, "next": following if more else None}
