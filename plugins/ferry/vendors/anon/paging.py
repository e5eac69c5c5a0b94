"""Walking a list of Anon's to its end, whatever shape its pages have.

The vendor documents `page`, `page_size` and a default of 10 [D], and nothing else: not the envelope, nor the number of the first
page, the order, the largest page, or how the end is told. These rules hold for every likely server [A].
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any, Protocol, TypeVar

from ferry.core.errors import NotFound, VendorNonsense, VendorRefused
from ferry.core.exchange import Ask, Exchange
from ferry.core.wire import httpx
from ferry.vendors.anon.vocabulary import PAGE, PAGE_SIZE

STALE = 2
"""Pages in a row, from the second on, that show nothing new: then the list has ended. One such page may be an echo."""
REFUSALS = frozenset({400, 422})
"""How a server may say that it does not know `page_size` [A]."""


class Identified(Protocol):
    """Whatever has an id."""

    @property
    def id(self) -> str:
        """By which it is known again."""
        ...


T = TypeVar("T", bound=Identified)
Fetch = Callable[[Mapping[str, str]], Generator[Ask, httpx.Response, list[Mapping[str, Any]]]]
"""Asks for one page with these parameters and returns what is on it."""


def walk(fetch: Fetch, read: Callable[[Mapping[str, Any]], T], *, page_size: int, most_pages: int) -> Exchange[list[T]]:
    """Everything in a list, each thing once, in the order in which it was first seen.

    Pages may be counted from 0 or 1, be shorter than asked for, come twice, and shift while more is added. VendorNonsense if the
    list has more pages than `most_pages`: part of a list is never taken for the whole.
    """
    found: dict[str, T] = {}
    asked = {PAGE_SIZE: str(page_size)} if page_size else {}
    items, asked = yield from _first(fetch, asked)
    stale, page, full = 0, 0, 0
    while items:
        fresh = _take(items, read, found)
        stale = 0 if fresh or page < 2 else stale + 1  # page 1 repeats the first answer where pages start at 1
        full += fresh  # an echo does not count: a list is as long for those who count from 1 as for those who count from 0
        if full > most_pages:
            raise VendorNonsense(
                f"Anon's list does not end after {most_pages} pages; {len(found):,} things were in it until then. Raise page "
                "size or the limit of pages in the connection; part of a list is not used."
            )
        if stale == STALE:
            break
        page += 1
        try:
            items = yield from fetch(asked | {PAGE: str(page)})
        except NotFound:
            break  # past the end
    return list(found.values())


def _first(fetch: Fetch, asked: dict[str, str]) -> Exchange[tuple[list[Mapping[str, Any]], dict[str, str]]]:
    """The first page, asked for without a number, and the parameters that the server takes."""
    try:
        return (yield from fetch(asked)), asked
    except VendorRefused as refused:
        if not asked or refused.facts.get("status") not in REFUSALS:
            raise
        return (yield from fetch({})), {}


def _take(items: list[Mapping[str, Any]], read: Callable[[Mapping[str, Any]], T], found: dict[str, T]) -> bool:
    """Whether anything on the page is new. What is seen again is taken as it is now: it may have moved on meanwhile."""
    before = len(found)
    for item in items:
        thing = read(item)
        found[thing.id] = thing
    return len(found) > before
