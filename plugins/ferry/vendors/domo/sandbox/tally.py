"""What really happened, for rehearsals to compare with what a client believes."""

from __future__ import annotations

from typing import Any

from ferry.vendors.domo.sandbox.judging import FORWARD, Order


class Tally:
    """POSTs by datasource, and how many were ever under way together; what people do by hand is not counted."""

    def __init__(self) -> None:
        self.posts: dict[str, dict[str, Any]] = {}
        self.most_at_once = 0
        self._since: dict[str, int] = {}

    def count(self, order: Order) -> None:
        """Count a POST that was not refused with a status.

        `starts` is the largest number of migrations ever asked for since a state that permits one, so that a double start
        cannot hide behind a later reversal.
        """
        key = order.datasource.id
        entry = self.posts.setdefault(key, {"id": key, "migrates": 0, "reverses": 0, "starts": 0})
        if order.direction != FORWARD:
            entry["reverses"] += 1
            return
        entry["migrates"] += 1
        self._since[key] = self._since.get(key, 0) + 1
        entry["starts"] = max(entry["starts"], self._since[key])

    def permit(self, datasource: str) -> None:
        """The datasource came into a state that permits a migration."""
        self._since.pop(datasource, None)

    def together(self, number: int) -> int:
        """Note how many are under way now."""
        self.most_at_once = max(self.most_at_once, number)
        return number
