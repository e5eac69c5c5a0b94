"""The instance in one life: its datasources, what is being done to them, and who asked how often."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from typing import Any

from ferry.vendors.domo.sandbox.answers import RefusedError, too_many
from ferry.vendors.domo.sandbox.catalogue import Account, extra, first_day
from ferry.vendors.domo.sandbox.datasource import Datasource
from ferry.vendors.domo.sandbox.operations import Operations
from sandbox.clock import Clock
from sandbox.switches import Switches

MINUTE = 60.0


class Instance:
    """Everything the sandbox holds of Domo."""

    def __init__(self, clock: Clock, switches: Switches) -> None:
        self.clock, self.switches = clock, switches
        self.datasources = {datasource.id: datasource for datasource in first_day()}
        self.operations = Operations(clock, switches)
        self._extras: list[Datasource] = []
        self._calls: Counter[str] = Counter()
        self._recent: deque[float] = deque()

    def catch_up(self) -> None:
        """Let everything happen that is due, and have as many datasources as the switch says."""
        wanted = self.switches.integer("extra_datasources")
        while len(self._extras) < wanted:
            added = extra(len(self._extras) + 1)
            self._extras.append(added)
            self.datasources[added.id] = added
        while len(self._extras) > wanted:
            self.delete(self._extras.pop())
        self.operations.catch_up()

    def candidates(self, account: Account) -> list[dict[str, Any]]:
        """Every datasource of the account's type, migrated ones too [D, implied]."""
        now, kind = self.clock.now(), account.type
        return [datasource.candidate(now) for datasource in self.datasources.values() if datasource.type == kind]

    def datasource(self, key: str) -> Datasource:
        """The datasource of an id, or a 404."""
        if key not in self.datasources:
            raise RefusedError(404, f"The datasource {key} was not found.")
        return self.datasources[key]

    def delete(self, datasource: Datasource) -> None:
        """A datasource that is no more, even for those who are at work on it."""
        datasource.gone = True
        self.datasources.pop(datasource.id, None)

    def admit(self, token: str) -> None:
        """Count a call, and refuse it if the token has expired by now, or if there were too many in a minute."""
        self._calls[token] += 1
        limit = self.switches.integer("token_calls")
        if limit and self._calls[token] > limit:
            raise unauthorized()
        self._throttle(self.switches.integer("rate_per_minute"))

    def _throttle(self, limit: int) -> None:
        now = time.monotonic()
        while self._recent and self._recent[0] <= now - MINUTE:
            self._recent.popleft()
        if limit and len(self._recent) >= limit:
            raise too_many(math.ceil(self._recent[0] + MINUTE - now))
        self._recent.append(now)

    def document(self) -> dict[str, Any]:
        """For rehearsals: what there is, and what was really asked for."""
        self.catch_up()
        everyone, tally = list(self.datasources.values()), self.operations.tally
        return {
            "datasources": [one.document() for one in everyone],
            "v2": [{"id": one.id, **one.v2.document(), "accountId": one.account} for one in everyone if one.v2 is not None],
            "posts": list(tally.posts.values()),
            "most_at_once": tally.most_at_once,
            "operations": self.operations.documents(),
        }


def unauthorized() -> RefusedError:
    """401 for a token that is missing, unknown, expired or revoked."""
    return RefusedError(401, "Full authentication is required to access this resource")  # [N] the words
