"""Work on the members of a group one after the other; a migration alone is a chain of one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import ClassVar

from ferry.vendors.microstrategy.sandbox.environment import Environment
from ferry.vendors.microstrategy.sandbox.record import Migration

FIRST = "first:"


class Chain(ABC):
    """`begin` a member, `end` it after so many simulated seconds, and go on with the next while `end` says so."""

    seconds: ClassVar[str]
    """The switch that says how long a member takes."""

    def __init__(self, home: Environment, members: Sequence[Migration]) -> None:
        self._home = home
        self._members = list(members)

    @abstractmethod
    def begin(self, member: Migration) -> None:
        """Show that work on the member has begun."""

    @abstractmethod
    def end(self, member: Migration, at: float) -> bool:
        """Show how it ended; False stops the chain."""

    def all_done(self) -> None:  # noqa: B027  # most chains have nothing to add
        """The chain went through."""

    def start(self) -> None:
        """Begin with the first member, now."""
        self._start(0, self._home.now())

    def at_once(self) -> None:
        """Do everything now, in no time: what people did long ago."""
        now = self._home.now()
        for member in self._members:
            self.begin(member)
            if not self.end(member, now):
                return
        self.all_done()

    def _start(self, place: int, at: float) -> None:
        switches, member = self._home.switches, self._members[place]
        member.span = (at, at + switches.number(self.seconds))
        self.begin(member)
        owner = member.group or member
        self._home.agenda.begin(owner, member.span[1], switches.integer("status_looks"), lambda ends: self._finish(place, ends))

    def _finish(self, place: int, at: float) -> None:
        if not self.end(self._members[place], at):
            return
        if place + 1 < len(self._members):
            self._start(place + 1, at)
        else:
            self.all_done()


def strikes(pattern: str, member: Migration, members: Sequence[Migration]) -> bool:
    """Whether a failure meant for this name strikes this member: the last one, or with `first:` before the glob the first."""
    glob = pattern.removeprefix(FIRST)
    unlucky = members[0] if pattern.startswith(FIRST) else members[-1]
    name = member.group.name if member.group else member.package.name
    return bool(glob) and member is unlucky and fnmatchcase(name, glob)
