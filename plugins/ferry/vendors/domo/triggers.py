"""Waiting for Domo, in the triggerer: there is no status to ask for, so the candidates list is watched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ferry.core.exchange import Exchange
from ferry.core.model import Run
from ferry.ledger.entries import AttemptStanding
from ferry.steps.triggers import VendorProofTrigger
from ferry.vendors.domo.hook import DomoHook
from ferry.vendors.domo.vocabulary import Direction


class DomoListTrigger(VendorProofTrigger):
    """Watches the candidates list until it proves that datasources were moved, or the deadline (epoch seconds) has passed.

    One list serves all that are waited for. `wanted` says how the list showed each before, by id.
    """

    hook_class = DomoHook

    def __init__(
        self,
        *,
        account_id: str = "",
        wanted: Mapping[str, Mapping[str, Any]] | None = None,
        direction: str = Direction.FORWARD,
        deadline: float = 0.0,
        **shared: Any,
    ) -> None:
        super().__init__(**{"longest_pause": 15.0} | shared)
        self.account_id, self.wanted, self.direction = account_id, dict(wanted or {}), Direction(direction)
        self.deadline, self.patience = deadline, 0.0

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and plain JSON."""
        path, shared = super().serialize()
        mine = {"account_id": self.account_id, "wanted": self.wanted, "direction": str(self.direction), "deadline": self.deadline}
        return path, shared | mine

    def ask(self, api: Any, seen: Run) -> Exchange[Run]:
        """One look at the list."""
        looked: Exchange[Run] = api.look_listed(seen, self.wanted, self.direction)
        return looked

    def since(self, standing: AttemptStanding) -> float:  # noqa: ARG002 (the deadline was decided when the wait began)
        """The deadline, from which no patience is left."""
        return self.deadline

    def ref_in(self, standing: AttemptStanding) -> str:  # noqa: ARG002 (a wait of its own)
        """The account whose list is watched."""
        return self.account_id

    def word_in(self, standing: AttemptStanding) -> str:  # noqa: ARG002 (a wait of its own)
        """Nothing was seen before the first look."""
        return ""

    def in_vain(self) -> tuple[str, str]:
        """No proof is an answer of its own: the task that waits for it decides what that means."""
        return f"shows no proof of the {self.direction.noun} until the visible delay has passed", "A person decides now."
