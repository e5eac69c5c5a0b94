"""How a POST ends: as a script says that a switch holds, one state after the other for each datasource."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

from sandbox.switches import BadSwitchError, Switch, Value

COMPLETE, INCOMPLETE, ABORTED = "COMPLETE", "INCOMPLETE", "ABORTED"  # [D]
STAYS = "*"
RULE = re.compile(r"[^\s:]+:\w+\*?(,\w+\*?)*")


class OutcomesSwitch(Switch):
    """Sequences of states by globs on datasource ids."""

    __slots__ = ()

    def checked(self, value: object) -> Value:
        """The text, or an error that says how such a text looks."""
        text = super().checked(value)
        if not all(RULE.fullmatch(rule) for rule in str(text).split()):
            raise BadSwitchError(f"Switch {self.name!r} takes texts like 'F3a*:INCOMPLETE,COMPLETE 9c*:ABORTED*'.")
        return text


class Outcomes:
    """How far each datasource has come in its sequence. A rule that is written anew begins anew."""

    def __init__(self) -> None:
        self._used: dict[tuple[str, str], int] = {}

    def next_of(self, rules: str, datasource: str) -> str:
        """The state of this POST, by the first rule that means the datasource; without one it is COMPLETE."""
        for rule in rules.split():
            glob, _, states = rule.partition(":")
            if fnmatchcase(datasource, glob):
                used = self._used.get((rule, datasource), 0)
                self._used[rule, datasource] = used + 1
                return _at(states.split(","), used)
        return COMPLETE


def _at(states: list[str], used: int) -> str:
    for place, state in enumerate(states):
        if place == used or (state.endswith(STAYS) and place < used):
            return state.removesuffix(STAYS)
    return COMPLETE
