"""A vendor's quirks by name: typed, described, with defaults; unknown names and wrong types are refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Value = bool | int | float | str
TRUE, FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})


class BadSwitchError(ValueError):
    """A switch nobody knows, or a value of the wrong type; the text names what would have been right."""


@dataclass(frozen=True, slots=True)
class Switch:
    """One quirk. Its type is that of its default; numbers are never below `least`; `choices`, if any, is closed."""

    name: str
    default: Value
    description: str
    choices: tuple[str, ...] = ()
    least: int = 0

    def checked(self, value: object) -> Value:
        """The value in this switch's type, or an error that says what is allowed."""
        wanted = type(self.default)
        if wanted is float and type(value) is int:
            value = float(value)
        if type(value) is not wanted or (self.choices and value not in self.choices):
            raise BadSwitchError(f"Switch {self.name!r} takes {self._allowed()}.")
        if isinstance(value, int | float) and value < self.least:
            raise BadSwitchError(f"Switch {self.name!r} takes no number below {self.least}.")
        assert isinstance(value, bool | int | float | str)
        return value

    def parsed(self, text: str) -> Value:
        """The same, from the text of a command line."""
        kind = type(self.default)
        if kind is bool and text.lower() in TRUE | FALSE:
            return text.lower() in TRUE
        try:
            return self.checked(text if kind in (str, bool) else kind(text))
        except ValueError as error:
            raise BadSwitchError(f"Switch {self.name!r} takes {self._allowed()}.") from error

    def _allowed(self) -> str:
        if self.choices:
            return "one of " + ", ".join(repr(choice) for choice in self.choices)
        return {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}[type(self.default)]


class Switches:
    """The switches of one vendor and how they are set now. Every setting takes effect for what happens after it."""

    def __init__(self, known: Sequence[Switch], initial: Mapping[str, Value] | None = None) -> None:
        self.known = {switch.name: switch for switch in known}
        self._initial = dict(initial or {})
        self._values: dict[str, Value] = {}
        self._check_names(self._initial)
        self.reset()

    def reset(self) -> None:
        """Back to the defaults, or to what the sandbox was started with."""
        self._values = {name: switch.default for name, switch in self.known.items()} | self._initial

    def set(self, wanted: Mapping[str, object]) -> None:
        """Set several at once, all or none."""
        self._check_names(wanted)
        self._values |= {name: self.known[name].checked(value) for name, value in wanted.items()}

    def flag(self, name: str) -> bool:
        """The value of a yes-or-no switch."""
        return bool(self._values[name])

    def integer(self, name: str) -> int:
        """The value of a whole-number switch."""
        return int(self._values[name])

    def number(self, name: str) -> float:
        """The value of a switch that holds seconds or a rate."""
        return float(self._values[name])

    def text(self, name: str) -> str:
        """The value of a switch that holds a word."""
        return str(self._values[name])

    def to_json(self) -> list[dict[str, Any]]:
        """All switches for people: name, value, default, description, choices."""
        return [
            {
                "name": switch.name,
                "value": self._values[switch.name],
                "default": switch.default,
                "description": switch.description,
                "choices": list(switch.choices),
            }
            for switch in self.known.values()
        ]

    def _check_names(self, wanted: Mapping[str, object]) -> None:
        if unknown := sorted(set(wanted) - set(self.known)):
            raise BadSwitchError(f"Unknown switches: {', '.join(unknown)}. Known are: {', '.join(sorted(self.known))}.")
