"""One-time passwords: what an environment's Authentication Token page shows, and what becomes of each value (contract 2)."""

from __future__ import annotations

import secrets

from sandbox.clock import Clock
from sandbox.switches import Switches

MISSING = "The one-time password is missing."
WRONG = "The one-time password is not valid."
USED = "The one-time password was already used."
EXPIRED = "The one-time password has expired."


class Passwords:
    """The values of one environment. Single use and a short life are assumed [A]."""

    def __init__(self, clock: Clock, switches: Switches) -> None:
        self._clock, self._switches = clock, switches
        self._made: dict[str, float] = {}
        self._used: set[str] = set()
        self._current = ""

    def shown(self) -> str:
        """What the page shows now: the value of before for as long as it is good."""
        if not self._current or self.why_bad(self._current):
            self._current = secrets.token_hex(4).upper()
            self._made[self._current] = self._clock.now()
        return self._current

    def why_bad(self, value: str) -> str:
        """Why a value opens nothing; empty if it is good."""
        if not value:
            return MISSING
        if value not in self._made:
            return WRONG
        if value in self._used:
            return USED
        expired = self._clock.now() >= self._made[value] + self._switches.number("otp_seconds")
        return EXPIRED if expired else ""

    def use(self, value: str) -> None:
        """The value has done its duty."""
        self._used.add(value)
