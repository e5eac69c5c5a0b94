"""One Library server: its people, sessions, projects, records and files, and the metadata objects it holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

from ferry.vendors.microstrategy.sandbox.agenda import Agenda
from ferry.vendors.microstrategy.sandbox.asking import Json
from ferry.vendors.microstrategy.sandbox.documents import Documents, as_held
from ferry.vendors.microstrategy.sandbox.people import PROJECTS, Project, User
from ferry.vendors.microstrategy.sandbox.record import Group, Migration
from ferry.vendors.microstrategy.sandbox.storage import Storage
from ferry.vendors.microstrategy.sandbox.tally import Tally
from sandbox.clock import Clock
from sandbox.switches import Switches

CONFIGURATION = "configuration"
NAMES = ("source", "target")

Held = dict[str, str]


@dataclass(slots=True)
class Session:
    """One login: its token, its JSESSIONID, when it was last used and how often."""

    token: str
    cookies: dict[str, str]
    user: User
    last: float
    calls: int = 0


@dataclass(slots=True)
class Common:
    """What both environments are given: clock, switches, agenda, shared storage, and the count of what happened."""

    clock: Clock
    switches: Switches
    agenda: Agenda
    storage: Storage
    tally: Tally


class Environment:
    """A Library server; of the other one it knows nothing but the shared storage [A16]."""

    def __init__(self, name: str, common: Common) -> None:
        self.name = name
        self.clock, self.switches = common.clock, common.switches
        self.agenda, self.storage, self.tally = common.agenda, common.storage, common.tally
        self.projects: dict[str, Project] = PROJECTS[name]
        self.sessions: dict[str, Session] = {}
        self.logins = 0
        self.migrations: dict[str, Migration] = {}
        self.groups: dict[str, Group] = {}
        self.files: dict[str, Json] = {}
        places = [*(project.name for project in self.projects.values()), CONFIGURATION]
        self.objects: dict[str, dict[str, Held]] = {place: {} for place in places}
        self.documents = Documents(self)

    @property
    def web(self) -> str:
        """The path of the web application: also that of its cookies [D]."""
        return f"/microstrategy/{self.name}/MicroStrategyLibrary"

    def now(self) -> float:
        """The simulated time; which hour this server believes it to be is told by `stamp`."""
        return self.clock.now()

    def stamp(self, at: float | None = None) -> str:
        """A moment as this server writes it: milliseconds, an offset without a colon. The target's clock may be ahead."""
        skew = self.switches.number("clock_skew_seconds") if self.name == "target" else 0.0
        moment = datetime.fromtimestamp((self.now() if at is None else at) + skew, UTC)
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}+0000"

    def project_named(self, name: str) -> Project | None:
        """A project by its id or name."""
        return self.projects.get(name) or next((one for one in self.projects.values() if one.name == name), None)

    def held_in(self, project: Json) -> dict[str, Held]:
        """The objects of a project of this environment, or those of the server itself."""
        known = self.projects.get(str(project.get("id")))
        return self.objects[known.name if known else CONFIGURATION]

    def records(self) -> Iterator[Migration]:
        """Every migration, alone or in a group."""
        yield from self.migrations.values()
        for group in self.groups.values():
            yield from group.members

    def package_path(self) -> str:
        """A new place for a package; its base name is no id of anything [D]."""
        return f"mstr/shared/migrations/packages/{self.stamp()[:10]}/{new_id()}.mmp"

    def live_sessions(self) -> int:
        """How many sessions have not expired."""
        limit = self.switches.integer("session_seconds")
        return sum(self.now() - session.last <= limit for session in self.sessions.values())

    def file(self, key: str) -> Json:
        """An entry of the shared file store, and whether its bytes are there."""
        return self.files[key] | {"existing": self.storage.has(self.files[key]["path"])}

    def to_json(self) -> dict[str, Any]:
        """Everything for the control endpoint."""
        records: list[Migration | Group] = [*self.migrations.values(), *self.groups.values()]
        return {
            "migrations": [self.documents.full(record, "all") for record in self.migrations.values()],
            "groups": [self.documents.full_group(group, "all") for group in self.groups.values()],
            "files": [self.file(key) for key in self.files],
            "sessions": self.live_sessions(),
            "logins": self.logins,
            "objects": {name: [held[key] for key in sorted(held)] for name, held in self.objects.items()},
            "contents": {name: list(rows) for name, rows in self._contents()},
            "certifications": [self.documents.certification(record) for record in records],
        }

    def _contents(self) -> Iterator[tuple[str, Iterator[Held]]]:
        """What every package holds, by its name, in the words of `objects`."""
        for record in self.migrations.values():
            yield record.package.name, map(as_held, record.toc().get("content", []))
        for group in self.groups.values():
            yield group.name, (as_held(item) for member in group.members for item in member.toc().get("content", []))


def new_id() -> str:
    """32 upper-case hex digits."""
    return token_hex(16).upper()
