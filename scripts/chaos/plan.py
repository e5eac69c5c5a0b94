"""What is going to happen, drawn from a seed before anything starts: how batches are begun, and who dies where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

TASK, WORKER, PAUSED, TRIGGERER = "task", "worker", "paused", "triggerer"
SCHEDULER, HOST, API_SERVER = "scheduler", "scheduler+workers", "api-server"
BEFORE_SEND, AFTER_SEND, ACCEPTED, REMEMBERED = "before_send", "after_send", "accepted", "remembered"
DEFERRED, IN_TRIGGER, LEARNT = "deferred", "in_trigger", "learnt"
BEFORE_VERDICT, AFTER_VERDICT = "before_verdict", "after_verdict"

SENDING = (BEFORE_SEND, AFTER_SEND, ACCEPTED, REMEMBERED)
"""Around a call that must not be sent twice: intent written; request out, answer unread; answer read; answer written."""
WAITING = (DEFERRED, IN_TRIGGER, LEARNT)
"""In the triggerer: the wait has begun; a look was taken; the end is in the ledger, and Airflow does not know it yet."""
FINISHING = (BEFORE_VERDICT, AFTER_VERDICT)
"""In `settle_batch`, on either side of the verdict."""
POINTS = (*SENDING, *WAITING, *FINISHING)

ON_A_WORKER: Mapping[str, int] = {TASK: 8, WORKER: 5, PAUSED: 3, API_SERVER: 2, SCHEDULER: 1, HOST: 1}
IN_THE_TRIGGERER: Mapping[str, int] = {TRIGGERER: 7, API_SERVER: 2, SCHEDULER: 1}
"""Who dies at a point, by weight: what takes everybody down is drawn less often, or nobody would get anywhere. Who is *paused*
does not die, but stands still until Airflow has given the task up, and then goes on beside whoever has taken over."""
AT_RANDOM: Mapping[str, int] = {TRIGGERER: 3, API_SERVER: 2, SCHEDULER: 1, HOST: 2}
"""Who dies at any moment, whatever goes on."""
STRUCK, TWICE = 0.55, 0.12
"""Shares of the batches that meet one end, and another one after it."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """One end that one batch is going to meet."""

    batch_id: str
    step: str
    point: str
    victim: str

    @property
    def name(self) -> str:
        """The ticket's file."""
        return f"{self.batch_id}~{self.step}~{self.point}"


@dataclass(frozen=True, slots=True)
class Route:
    """The steps of a vendor's batch at which there are points."""

    sends: Sequence[str] = ()
    """Steps that send something which must not be sent twice; the last one is the start."""
    waits: Sequence[str] = ("await_run",)


def tickets(batches: Mapping[str, Route], random: Random) -> list[Ticket]:
    """The ends that the batches are going to meet, at most one at each point of each."""
    drawn: dict[str, Ticket] = {}
    for batch_id, route in batches.items():
        chance = random.random()
        for _ in range((chance < STRUCK) + (chance < TWICE)):
            ticket = _draw(batch_id, route, random)
            drawn[ticket.name] = ticket
    return list(drawn.values())


def _draw(batch_id: str, route: Route, random: Random) -> Ticket:
    known = [*SENDING * bool(route.sends), *WAITING * bool(route.waits), *FINISHING]
    point = random.choice(known)
    if point in SENDING:
        step = route.sends[-1] if random.random() < 0.75 else random.choice(route.sends)
    else:
        step = random.choice(route.waits) if point in WAITING else "settle_batch"
    return Ticket(batch_id, step, point, drawn_from(IN_THE_TRIGGERER if point in WAITING else ON_A_WORKER, random))


def drawn_from(weights: Mapping[str, int], random: Random) -> str:
    """One of them, by weight."""
    return random.choices(list(weights), list(weights.values()))[0]
