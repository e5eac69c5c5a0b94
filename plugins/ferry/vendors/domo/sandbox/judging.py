"""What a POST comes to: refused at once, or worked on with an outcome that is fixed when the work begins."""

from __future__ import annotations

from dataclasses import dataclass

from ferry.vendors.domo.sandbox.catalogue import Account
from ferry.vendors.domo.sandbox.datasource import Coordinates, Datasource, View
from ferry.vendors.domo.sandbox.outcomes import ABORTED, COMPLETE, INCOMPLETE, Outcomes
from sandbox.clock import iso
from sandbox.switches import Switches

FORWARD, BACK = "V1_TO_V2", "V2_TO_V1"  # [D]
CONFLICT = "409"
"""In the place of a state: the POST is answered with that status and was no operation."""

MIGRATED = "The datasource is already migrated."
NOT_MIGRATED = "The datasource is not migrated."
IN_PROGRESS = "Another operation on the datasource is already in progress."
DELETED = "The datasource was deleted."
WORDS = {
    INCOMPLETE: "The column metadata could not be refreshed. Attempt the same operation again.",
    ABORTED: "The database did not answer. Nothing was changed.",
}
OTHER_WORDS = "The operation ended in an unexpected way."


@dataclass(frozen=True, slots=True)
class Order:
    """What a POST asks for; a reversal names neither account nor table [D]."""

    direction: str
    datasource: Datasource
    account: Account | None = None
    place: Coordinates | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state and its words. What was not worked on changes nothing and takes no time."""

    state: str
    message: str | None = None
    worked: bool = True


REPEATED = {
    "aborted": Verdict(ABORTED, MIGRATED, worked=False),
    "complete": Verdict(COMPLETE, worked=False),
    "conflict": Verdict(CONFLICT, MIGRATED, worked=False),
}


def judged(order: Order, switches: Switches, outcomes: Outcomes) -> Verdict:
    """How the operation will end, seen from its beginning."""
    refused = _refused_back(order, switches) if order.direction == BACK else _refused_forward(order, switches)
    if refused is not None:
        return refused
    if order.place not in (None, order.datasource.v1) and switches.flag("check_coordinates"):
        return Verdict(ABORTED, f"Table not found: {order.place}")
    rules = switches.text("reverse_outcomes" if order.direction == BACK else "outcomes")
    state = outcomes.next_of(rules, order.datasource.id)
    if state == COMPLETE:
        return Verdict(state)
    return Verdict(state, switches.text("error_message") or WORDS.get(state, OTHER_WORDS))


def _refused_forward(order: Order, switches: Switches) -> Verdict | None:
    if order.datasource.migrated:
        return REPEATED[switches.text("repeat_post")]
    if order.account is not None and order.account.type != order.datasource.type:  # [A] for how it is said
        return Verdict(ABORTED, f"The account is of type {order.account.type}, not {order.datasource.type}.", worked=False)
    return None


def _refused_back(order: Order, switches: Switches) -> Verdict | None:
    rescued = order.datasource.broken and switches.flag("reverse_rescues")
    return None if order.datasource.migrated or rescued else Verdict(ABORTED, NOT_MIGRATED, worked=False)  # [A]


def apply(order: Order, verdict: Verdict, at: float, switches: Switches) -> None:
    """Let what was worked on have its effect. An unknown word is played like INCOMPLETE [A]."""
    if not verdict.worked or verdict.state == ABORTED:
        return
    if verdict.state != COMPLETE:
        order.datasource.broken = True
        if order.direction == FORWARD and switches.flag("incomplete_lists_migrated"):
            order.datasource.show(View(migrated=True, date=iso(at)), at + switches.number("list_delay_seconds"))
    elif order.direction == FORWARD:
        assert order.account is not None
        move(order.datasource, order.account, order.place or order.datasource.v1, at, switches)
    else:
        take_back(order.datasource, at, switches)


def move(datasource: Datasource, account: Account, place: Coordinates, at: float, switches: Switches) -> None:
    """Put a datasource on V2, and in order."""
    datasource.account, datasource.v2, datasource.date, datasource.broken = account.id, place, iso(at), False
    datasource.show(View(migrated=True, date=datasource.date), at + switches.number("list_delay_seconds"))


def take_back(datasource: Datasource, at: float, switches: Switches) -> None:
    """Put a datasource on V1, and in order."""
    datasource.account = datasource.v2 = None
    datasource.broken = False
    datasource.date = datasource.date if switches.flag("keeps_reverse_date") else None
    datasource.show(View(date=datasource.date), at + switches.number("list_delay_seconds"))
