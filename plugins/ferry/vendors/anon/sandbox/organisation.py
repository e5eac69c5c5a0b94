"""The organisation in one life: its migrations, its storage, and who asked how often."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from ferry.vendors.anon.sandbox import stories
from ferry.vendors.anon.sandbox.answers import RefusedError, not_found
from ferry.vendors.anon.sandbox.migration import Migration
from ferry.vendors.anon.sandbox.register import Register
from ferry.vendors.anon.sandbox.tasks import DEFAULT_PLANS, Plan
from sandbox.clock import Clock
from sandbox.s3 import Store, Wire
from sandbox.switches import Switches

COUNTERS = ("list_calls", "pages", "get_calls", "file_calls", "task_calls", "other_methods")
USERS = tuple(f"{0x0A1B2C3D4E5F6071 + number * 0x1010101:016x}" for number in range(11))  # [D] 16 hex characters
COMPANIES = tuple(f"{0x71605F4E3D2C1B0A + number * 0x1010101:016x}" for number in range(7))  # [D] same


@dataclass(frozen=True, slots=True)
class Wish:
    """Migrations to be made; what is not told is made up."""

    story: stories.Story
    id: str | None = None
    given: Mapping[str, str | None] | None = None
    """`company_id` and `created_by_user_id`, as far as they are told: a company may be told to be null."""
    ago: float = 0.0
    plans: tuple[Plan, ...] = DEFAULT_PLANS


class Organisation:
    """Everything the sandbox holds of Anon."""

    def __init__(self, clock: Clock, switches: Switches, folder: Path) -> None:
        self.clock, self.switches = clock, switches
        # Nothing is ever uploaded, by whatever verb.
        self.store = Store("anon", folder, clock, Wire(upload_verb=lambda: ""))
        self.register = Register()
        self.counters = Counter(dict.fromkeys(COUNTERS, 0))
        self._window = (0, 0)

    def make(self, wish: Wish, count: int = 1) -> Sequence[Migration]:
        """So many new migrations, all created at one moment; there each story begins, however long ago it is."""
        created, before, given = self.clock.now() - wish.ago, len(self.register.by_id), wish.given or {}
        made = []
        for number in range(count):
            user = given.get("created_by_user_id") or USERS[(before + number) % len(USERS)]
            company = given["company_id"] if "company_id" in given else COMPANIES[(before + number) % len(COMPANIES)]
            made.append(Migration(wish.id or str(uuid4()), created, user, company, wish.story, wish.plans))
        self.register.add(made)
        return made

    def grow(self) -> None:
        """Let somebody else's migrations appear, as many as the switch says."""
        if count := self.switches.integer("grow_per_call"):
            self.make(Wish(stories.named("forgets", self.switches)), count)

    def visible(self, key: str) -> Migration:
        """A migration as the vendor finds it by its id, or a 404."""
        found = self.register.by_id.get(key)
        late = self.switches.number("late_get_seconds")
        if found is None or self.switches.flag("wrong_organisation") or self.clock.now() < found.created + late:
            raise not_found(f"The migration {key}")
        return found

    def throttle(self) -> None:
        """Refuse a call too many in this second: a real one, since the limit protects a server [A]."""
        allowed, second = self.switches.integer("requests_per_second"), int(time.monotonic())
        count = self._window[1] + 1 if self._window[0] == second else 1
        self._window = (second, count)
        if allowed and count > allowed:
            raise RefusedError(429, "rate_limited", "Too many requests.", {"Retry-After": "1"})

    def document(self, *, whole: bool) -> dict[str, Any]:
        """For rehearsals: what there is, as an iterator, and what was asked for."""
        now = self.clock.now()
        everyone = list(self.register.by_id.values()) if whole else []
        return {"migrations": (one.document(now) for one in everyone), "counters": dict(self.counters)}
