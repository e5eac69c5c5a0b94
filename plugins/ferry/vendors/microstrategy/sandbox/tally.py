"""What really happened, for rehearsals to compare with what a client believes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

COUNTERS = ("creates", "imports", "undos", "edits", "validations", "certifications")


@dataclass(slots=True)
class Tally:
    """Counts by run and by package; what people made by hand is not counted."""

    runs: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    packages: dict[str, dict[str, Any]] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTERS, 0))

    def run(self, environment: str, record: str, what: str) -> None:
        """Count a start, a repeat or an undo of an import; the record of a group goes by `migrationGroups/` and its id."""
        fresh = {"id": record, "environment": environment, "starts": 0, "repeats": 0, "undos": 0}
        self.runs.setdefault((environment, record), fresh)[what] += 1
        if what != "repeats":
            self.counters["imports" if what == "starts" else "undos"] += 1

    def package(self, environment: str, key: str, name: str, what: str) -> None:
        """Count a creation or an edit of a package, or of a whole group."""
        fresh = {"id": key, "name": name, "environment": environment, "creates": 0, "edits": 0}
        entry = self.packages.setdefault(key, fresh)
        entry["name"] = name
        entry[what] += 1
        self.counters[what] += 1

    def to_json(self) -> dict[str, Any]:
        """The three lists of the control endpoint."""
        return {"runs": list(self.runs.values()), "packages": list(self.packages.values()), "counters": self.counters}
