"""Misbehaviour on demand: rules that drop, refuse, delay, cut or garble the answers to matching requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any

ACTIONS = ("drop_before", "drop_after", "status", "delay", "truncate", "garbage")
# What each action may say besides method, path, times and skip: name -> type.
SETTINGS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "drop_before": {},
    "drop_after": {},
    "status": {"status": int, "headers": dict, "body": str},
    "delay": {"seconds": (int, float)},
    "truncate": {"bytes": int},
    "garbage": {"body": str},
}
NEEDED = {"status": "status", "delay": "seconds", "truncate": "bytes"}
COMMON: dict[str, type | tuple[type, ...]] = {
    "method": str,
    "path": str,
    "times": (int, type(None)),
    "skip": int,
    "action": str,
}
HTTP_STATUSES = range(200, 600)


class BadFaultError(ValueError):
    """A fault that could not be understood; the text says what is missing or wrong."""


@dataclass(slots=True)
class Fault:
    """One rule. `times` counts down and None means for ever; the first `skip` matching requests are left alone."""

    id: int
    vendor: str
    method: str
    path: str
    action: str
    times: int | None = 1
    skip: int = 0
    settings: dict[str, Any] = field(default_factory=dict)

    def matches(self, method: str, path: str) -> bool:
        """Whether the rule means this request; the glob is tried on the full path and on the one below the vendor's prefix."""
        if self.method not in ("*", method):
            return False
        return fnmatchcase(path, self.path) or fnmatchcase(path.removeprefix(f"/{self.vendor}"), self.path)


class Faults:
    """The live rules of all vendors; the oldest matching rule wins and is used up first."""

    def __init__(self) -> None:
        self._rules: list[Fault] = []
        self._count = 0

    def add(self, vendor: str, wanted: Mapping[str, Any]) -> Fault:
        """Make a rule of what was posted, or refuse it."""
        settings = _checked(wanted)
        self._count += 1
        rule = Fault(
            id=self._count,
            vendor=vendor,
            method=str(wanted.get("method", "*")).upper(),
            path=str(wanted.get("path", "*")),
            action=str(wanted["action"]),
            times=wanted.get("times", 1),
            skip=wanted.get("skip", 0),
            settings=settings,
        )
        self._rules.append(rule)
        return rule

    def take(self, vendor: str, method: str, path: str) -> Fault | None:
        """The rule for this request, counted down; None for the normal case, which costs next to nothing."""
        if not self._rules:
            return None
        for rule in self._rules:
            if rule.vendor == vendor and rule.matches(method, path):
                if rule.skip:
                    rule.skip -= 1
                    continue
                self._count_down(rule)
                return rule
        return None

    def live(self, vendor: str) -> list[dict[str, Any]]:
        """The rules still waiting for requests."""
        return [asdict(rule) for rule in self._rules if rule.vendor == vendor]

    def remove(self, vendor: str, rule_id: int | None = None) -> int:
        """Take back one rule, or all of a vendor; answers how many there were."""
        kept = [rule for rule in self._rules if rule.vendor != vendor or rule_id not in (None, rule.id)]
        removed, self._rules = len(self._rules) - len(kept), kept
        return removed

    def clear(self) -> None:
        """Take back every rule."""
        self._rules.clear()

    def _count_down(self, rule: Fault) -> None:
        if rule.times is None:
            return
        rule.times -= 1
        if rule.times <= 0:
            self._rules.remove(rule)


def _checked(wanted: Mapping[str, Any]) -> dict[str, Any]:
    action = wanted.get("action")
    if action not in ACTIONS:
        raise BadFaultError(f"A fault needs an 'action', one of {', '.join(ACTIONS)}.")
    allowed = COMMON | SETTINGS[action]
    for name, value in wanted.items():
        if name not in allowed:
            raise BadFaultError(f"A fault with action {action!r} has no {name!r}; it has {', '.join(sorted(allowed))}.")
        if not isinstance(value, allowed[name]) or isinstance(value, bool):
            raise BadFaultError(f"{name!r} of a fault has the wrong type.")
        if isinstance(value, int | float) and value < 0:
            raise BadFaultError(f"{name!r} of a fault cannot be negative.")
    if (missing := NEEDED.get(action)) and missing not in wanted:
        raise BadFaultError(f"A fault with action {action!r} needs {missing!r}.")
    if wanted.get("times", 1) == 0:
        raise BadFaultError("'times' of a fault is at least 1; null means for ever.")
    if action == "status" and wanted["status"] not in HTTP_STATUSES:
        raise BadFaultError("'status' of a fault lies between 200 and 599.")
    return {name: wanted[name] for name in SETTINGS[action] if name in wanted}
