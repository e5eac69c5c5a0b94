"""All migrations of the organisation, kept in order as they come: a page out of many must not cost more than one out of few."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from ferry.vendors.anon.sandbox.migration import Migration

FEW = 50
"""So many are put in their places one by one; more are sorted together."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """Things in the order of a list, given backwards if told."""

    items: Sequence[Any]
    backwards: bool = False

    def __len__(self) -> int:
        return len(self.items)

    def cut(self, start: int, stop: int) -> Sequence[Any]:
        """Those at the places from start to before stop, as far as there are any."""
        if not self.backwards:
            return self.items[start:stop]
        last = len(self.items)
        return self.items[max(last - stop, 0) : max(last - start, 0)][::-1]


class Ordered:
    """Migrations by a key, sorted no earlier than somebody asks."""

    def __init__(self, key: Callable[[Migration], Any]) -> None:
        self._key = key
        self._placed: list[Migration] = []
        self._new: list[Migration] = []

    def add(self, batch: Sequence[Migration]) -> None:
        """Take in some more."""
        self._new.extend(batch)

    def all(self) -> list[Migration]:
        """Everything in order; to be read and not kept."""
        if len(self._new) > FEW:
            self._placed.extend(self._new)
            self._placed.sort(key=self._key)
        else:
            for one in self._new:
                insort(self._placed, one, key=self._key)
        self._new.clear()
        return self._placed


def anyhow(key: str) -> int:
    """A place that has nothing to do with anything, and is always the same."""
    return crc32(key.encode())


class Register:
    """The migrations by id and in each order."""

    def __init__(self) -> None:
        self.by_id: dict[str, Migration] = {}
        self._by_age = Ordered(lambda one: one.created)  # of the same moment: in the order in which they came
        self._shuffled = Ordered(lambda one: anyhow(one.id))

    def add(self, batch: Sequence[Migration]) -> None:
        """Take in new ones, whose ids nobody has."""
        self.by_id.update((one.id, one) for one in batch)
        self._by_age.add(batch)
        self._shuffled.add(batch)

    def shelf(self, order: str) -> Shelf:
        """Everything in the order of a word of the switch `order`."""
        if order == "shuffled":
            return Shelf(self._shuffled.all())
        return Shelf(self._by_age.all(), backwards=order == "newest")
