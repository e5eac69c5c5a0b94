"""One migration: who began it, its story, and where it stands at a moment. Nothing runs in the background."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ferry.vendors.anon.sandbox.stories import NOT_STARTED, Story
from ferry.vendors.anon.sandbox.tasks import DEFAULT_PLANS, Plan
from sandbox.clock import iso

SLACK = 1e-6
"""Seconds by which sums of floats may disagree about a moment."""


@dataclass(slots=True, eq=False)
class Migration:
    """A migration, of which a hundred thousand must cost next to nothing: stories and plans are shared."""

    id: str
    created: float
    user: str
    company: str | None
    story: Story
    plans: tuple[Plan, ...] = DEFAULT_PLANS

    def status(self, now: float) -> str:
        """The status at a moment. Before the first step of the story the record exists, and that is all [D2]."""
        word, past = NOT_STARTED, now + SLACK
        for seconds, step in self.story:
            if self.created + seconds > past:
                break
            word = step
        return word

    def history(self, now: float) -> list[tuple[float, str]]:
        """The statuses so far, each with the moment at which it began."""
        past = [(self.created + seconds, word) for seconds, word in self.story if self.created + seconds <= now + SLACK]
        return past or [(self.created, NOT_STARTED)]

    def enter(self, word: str, now: float) -> None:
        """A person acts: what was so far stays, what the story still held does not come."""
        so_far = tuple(step for step in self.story if self.created + step[0] <= now + SLACK)
        self.story = (*so_far, (now - self.created, word))

    def document(self, now: float) -> dict[str, Any]:
        """As it really is, for rehearsals: with everything that was and will be."""
        return {
            "id": self.id,
            "created": iso(self.created),
            "status": self.status(now),
            "created_by_user_id": self.user,
            "company_id": self.company,
            "story": [[iso(self.created + seconds), word] for seconds, word in self.story],
        }
