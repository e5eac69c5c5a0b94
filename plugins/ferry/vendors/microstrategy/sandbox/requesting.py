"""What may follow what: import and undo requests (contract 4.2), and certifications (4.5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ferry.vendors.microstrategy.sandbox.answers import broken, forbidden, missing
from ferry.vendors.microstrategy.sandbox.asking import Json, optional_part
from ferry.vendors.microstrategy.sandbox.environment import Environment
from ferry.vendors.microstrategy.sandbox.importing import touched
from ferry.vendors.microstrategy.sandbox.people import User
from ferry.vendors.microstrategy.sandbox.record import Group, Migration, Requests

# [D] requested must have succeeded before approved; the others are [A] or implied.
STEPS = {
    "pending": {"requested"},
    "requested": {"approved", "rejected", "pending"},
    "rejected": {"requested"},
    "approved": set[str](),
}
DECISIONS = frozenset({"approved", "rejected"})
UNDOABLE = frozenset({"imported", "import_failed", "undo_failed"})

CERTIFICATIONS = frozenset({"uncertified", "requested", "certified", "rejected"})
CERTIFICATION_STEPS = {
    "uncertified": {"requested", "certified"},
    "rejected": {"requested"},
    "requested": {"uncertified", "certified", "rejected"},
    "certified": {"uncertified"},
}


def check_import_request(user: User, requests: Requests, members: Sequence[Migration], word: Any) -> bool:
    """Whether there is something to do; refuses what may not follow. Approving needs every package `created` [D]."""
    if word == requests.importing:
        return False  # callers may echo a whole record [C]
    _check_step(requests.importing, word, "importRequestStatus")
    _check_decision(user, word)
    if word == "approved" and any(member.package.status != "created" for member in members):
        raise broken("The import request can only be approved when the package is created.")
    return True


def check_undo_request(user: User, requests: Requests, members: Sequence[Migration], word: Any) -> bool:
    """Whether there is something to do. An undo needs an import that ended, and its undo package [D]."""
    again = requests.undoing == "approved" and any(member.importing.status == "undo_failed" for member in members)
    if word == requests.undoing:
        return False
    if not (again and word == "requested"):  # [T] a failed undo may be tried again
        _check_step(requests.undoing, word, "undoRequestStatus")
    _check_decision(user, word)
    concerned = list(touched(members))
    if not concerned or any(member.importing.status in ("importing", "undoing") for member in members):
        raise broken("There is no finished import that could be undone.")
    lacking = next((member.id for member in concerned if not member.importing.undo), None)
    if word == "approved" and lacking:
        raise broken(f"There is no undo package for {lacking}.")
    return True


def lock(members: Sequence[Migration]) -> None:
    """Approval locks the packages [D]."""
    for member in members:
        member.package.status = "locked"


def editable(requests: Requests, members: Sequence[Migration]) -> None:
    """Refuse an edit that comes too late, or on the wrong side (contract 4.1) [D]."""
    failed = any(member.package.status == "create_failed" for member in members)
    for member in members:
        if member.uploaded:
            raise broken("An uploaded migration cannot be edited.")
        if member.package.replicated:
            raise broken("A migration can only be edited in its source environment.")
        # Members behind a failed one stay `empty` [A]; the group has to be editable all the same [D].
        if member.package.status not in ("created", "create_failed", "empty" if failed else ""):
            raise broken(f"A package that is {member.package.status} cannot be edited.")
    if requests.importing not in ("pending", "rejected"):
        raise broken(f"A migration whose import request is {requests.importing} cannot be edited.")


def certify(home: Environment, user: User, record: Migration | Group, told: Json) -> None:
    """Change a certification. A replay on the target names who did it and when, and fits any state [A]."""
    members = [record] if isinstance(record, Migration) else record.members
    word = told.get("status")
    if word is None:
        raise missing("status")
    if not isinstance(word, str) or word not in CERTIFICATIONS:
        raise broken(f"{word} is not a certification status.")
    before = (_certification(record) or {}).get("status", "uncertified")
    _check_certifier(user, before, word)
    replay = all(member.package.replicated for member in members) and told.get("operator") and told.get("lastUpdatedDate")
    if not replay and any(member.package.status != "created" for member in members):
        raise broken("Only a package that is created can be certified.")
    if not replay and word not in CERTIFICATION_STEPS[before]:
        raise broken(f"A certification that is {before} cannot become {word}.")
    who: dict[str, Any] = {"operator": user.operator(), "lastUpdatedDate": home.stamp()}
    if replay:
        who = {"operator": optional_part(told, "operator"), "lastUpdatedDate": told["lastUpdatedDate"]}
    set_certification(record, {"status": word, **who})
    home.storage.certifications[_shared_key(record)] = {"status": word, **who}
    home.tally.counters["certifications"] += 1


def certify_by_hand(home: Environment, user: User, record: Migration | Group) -> None:
    """What somebody did in Workstation, whatever the state; for rehearsals."""
    value: Json = {"status": "certified", "operator": user.operator(), "lastUpdatedDate": home.stamp()}
    set_certification(record, value)
    home.storage.certifications[_shared_key(record)] = dict(value)


def synchronise(home: Environment, record: Migration | Group) -> None:
    """autoSync: take over what the other side left in the shared storage [D]."""
    known = home.storage.certifications.get(_shared_key(record))
    if known is not None:
        set_certification(record, dict(known))
        home.tally.counters["certifications"] += 1


def set_certification(record: Migration | Group, value: Json | None) -> None:
    """Where it is kept: in the package, or at the top of a group [A]."""
    if isinstance(record, Migration):
        record.package.certification = value
    else:
        record.certification = value


def born_certification(home: Environment, user: User) -> Json | None:
    """The certification of a new record [A11]."""
    if home.switches.text("certification_born") == "absent":
        return None
    return {"status": "uncertified", "operator": user.operator(), "lastUpdatedDate": home.stamp()}


def _certification(record: Migration | Group) -> Json | None:
    return record.package.certification if isinstance(record, Migration) else record.certification


def _check_step(before: str, word: Any, name: str) -> None:
    if not isinstance(word, str) or word not in STEPS:
        raise broken(f"{word} is not a valid {name}.")
    if word not in STEPS[before]:
        raise broken(f"{name} cannot go from {before} to {word}.")


def _check_decision(user: User, word: str) -> None:
    if word in DECISIONS and not user.administrator:  # [A] approvals are the Administrator's
        raise forbidden()


def _check_certifier(user: User, before: str, word: str) -> None:
    taking_back = word == "uncertified" and before in ("requested", "uncertified")
    if not user.administrator and word != "requested" and not taking_back:
        raise forbidden()


def _shared_key(record: Migration | Group) -> str:
    return record.package.id if isinstance(record, Migration) else record.package_id
