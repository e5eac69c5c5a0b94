"""The batches of each vendor, and what the vendor itself has seen of each: read from the sandbox's state, never from Ferry."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, ClassVar

import yaml

from scripts.chaos.plan import Route
from scripts.environment import ROOT

FIRST_DAY = date(2026, 3, 2)
DAYS = 3
"""The batches are due on so many days in a row, each of which has a dispatch of its own."""


@dataclass(frozen=True, slots=True)
class Load:
    """A batch, and how it has to end."""

    vendor: str
    batch_id: str
    dag_id: str
    due: date | None
    """None for what a person begins at the vendor."""
    records: int
    verdict: str = "balanced"
    begins: Mapping[str, Any] = field(default_factory=dict)
    """What a person begins at the vendor, where that is how a batch comes to be."""


@dataclass(slots=True)
class Seen:
    """What the vendor has seen of a batch."""

    starts: int = 0
    """Starts that it took."""
    twice: int = 0
    """How many of them were too many: the same input, while an earlier one was under way or had worked."""
    held: int | None = 0
    """Records that it holds; None where it holds none."""
    refs: list[str] = field(default_factory=list)
    """Its ids of what was started."""
    newest_started: bool = False
    """Whether what was made for it last was started, too."""


class Cargo(ABC):
    """One vendor's batches."""

    vendor: ClassVar[str]
    dag_id: ClassVar[str]
    share: ClassVar[int]
    """So many of a hundred batches are this vendor's."""
    route: ClassVar[Route]
    start: ClassVar[tuple[str, str]] = ("", "")
    """Method and path of a start, as the request log has it; a path that names what is started is there once."""
    switches: ClassVar[Mapping[str, Any]] = {}
    settings: ClassVar[Mapping[str, Any]] = {}
    """Fields of the vendor's connections that are otherwise than in the demo, so that nobody waits for long."""

    @abstractmethod
    def load(self, folder: Path, number: int, later: timedelta | None) -> Load:
        """One batch; due with the others, or so much later."""

    @abstractmethod
    def witness(self, state: Any, loads: Iterable[Load]) -> dict[str, Seen]:
        """What the vendor has seen, by batch."""


class FolderCargo(Cargo):
    """Batches that are folders before Ferry comes."""

    def load(self, folder: Path, number: int, later: timedelta | None) -> Load:
        """A batch in a folder of its own, due with the others or so much later."""
        name = f"{self.vendor}-{number:04d}"
        due = FIRST_DAY + timedelta(days=number % DAYS) + (later or timedelta())
        home = folder / self.vendor / name
        home.mkdir(parents=True)
        return self.fill(home, Load(self.vendor, name, self.dag_id, due, 0), number)

    @abstractmethod
    def fill(self, home: Path, load: Load, number: int) -> Load:
        """Write the batch's files; the load, with how many records it has and how it must end."""

    def manifest(self, home: Path, load: Load, section: Mapping[str, Any], **more: Any) -> None:
        """The manifest beside the files."""
        told = {"vendor": self.vendor, "due": load.due, self.vendor: dict(section)} | more
        (home / "manifest.yaml").write_text(yaml.safe_dump(told, sort_keys=False), encoding="utf-8")


class FenergoCargo(FolderCargo):
    """Three companies each; every tenth batch has a date that the vendor refuses."""

    vendor, dag_id, share = "fenergo", "migrate_fenergo", 41
    route = Route(("open_run", "start_run"), ("await_prepared", "await_run", "await_records"))
    start = ("PUT", "*/migration/*/start")
    switches: ClassVar[Mapping[str, Any]] = {"prepare_seconds": 1, "process_seconds": 3, "rows_per_second": 0}
    settings: ClassVar[Mapping[str, Any]] = {"max_live_runs": 30}
    rows = 3
    refused_every = 10
    header = ("alternateId", "legalEntityName", "countryOfIncorporation", "dateOfIncorporation")

    def fill(self, home: Path, load: Load, number: int) -> Load:
        """Its file is named after the batch, by which the vendor's state tells whose migration is whose."""
        bad = number % self.refused_every == self.refused_every - 1
        with (home / f"{home.name}.csv").open("w", encoding="utf-8", newline="") as file:
            lines = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
            lines.writerow(self.header)
            for row in range(self.rows):
                lines.writerow((f"{home.name}.{row}", f"Company {number} of {row}", "PL", "17.03.98" if bad else "1998-03-17"))
        section = {"jurisdiction": "Migration", "checks": "report"}
        self.manifest(home, load, section, files=[{"path": f"{home.name}.csv", "table": "Company"}])
        return Load(self.vendor, home.name, self.dag_id, load.due, self.rows, "refused" if bad else "balanced")

    def witness(self, state: Any, loads: Iterable[Load]) -> dict[str, Seen]:
        """A second start of one migration, or a start while an earlier migration of the batch was not refused."""
        seen = {load.batch_id: Seen() for load in loads}
        unrefused: Counter[str] = Counter()
        for migration in state["migrations"]:
            for name in {Path(file["fileName"]).stem for file in migration["dataMigrationFilesDto"]} & set(seen):
                seen[name].starts += migration["starts"]
                seen[name].twice += max(0, migration["starts"] - 1)
                seen[name].refs += [migration["id"]] * bool(migration["starts"])
                seen[name].newest_started = bool(migration["starts"])
                unrefused[name] += bool(migration["starts"]) and migration["state"] != "failed"
        for name, number in unrefused.items():
            seen[name].twice += max(0, number - 1)
        held = Counter(str(record["alternateId"]).rpartition(".")[0] for record in state["records"].get("Company", []))
        for name, one in seen.items():
            one.held = held[name]
        return seen


class DomoCargo(FolderCargo):
    """Two datasources each, one call for each."""

    vendor, dag_id, share = "domo", "migrate_domo", 22
    route = Route(("start_run",), ())
    start = ("POST", "*/accounts/*")
    switches: ClassVar[Mapping[str, Any]] = {"migrate_seconds": 0.5}
    settings: ClassVar[Mapping[str, Any]] = {"max_live_runs": 20, "visible_delay": 8, "answer_timeout": 20}
    parts = 2

    def __init__(self) -> None:
        self.datasources: list[str] = []
        """Ids of what the instance has, in order; `learn` fills it."""
        self._ids: dict[str, list[str]] = {}

    def learn(self, state: Any) -> None:
        """Find out what there is to be migrated."""
        self.datasources = [one["id"] for one in state["datasources"] if one["name"].startswith("Bulk ")]

    def fill(self, home: Path, load: Load, number: int) -> Load:
        """The datasources that a switch of the sandbox has added, two after two."""
        first = number * self.parts
        parts = [
            {"id": self.datasources[n], "catalog": "bulk_db", "schema": "NULL", "table": f"Bulk_{n + 1:06d}"}
            for n in range(first, first + self.parts)
        ]
        self._ids[home.name] = [str(part["id"]) for part in parts]
        self.manifest(home, load, {"type": "mysql-federated", "account_id": "41", "datasources": parts, "at_once": 2})
        return Load(self.vendor, home.name, self.dag_id, load.due, self.parts)

    def witness(self, state: Any, loads: Iterable[Load]) -> dict[str, Seen]:
        """A datasource that was sent again while it was on its way or there already."""
        posts, held = {one["id"]: one for one in state["posts"]}, {one["id"] for one in state["v2"]}
        seen = {}
        for load in loads:
            mine = [posts[one] for one in self._ids[load.batch_id] if one in posts]
            twice = sum(max(0, one["starts"] - 1) for one in mine)
            there = sum(one in held for one in self._ids[load.batch_id])
            seen[load.batch_id] = Seen(sum(one["migrates"] for one in mine), twice, there, [one["id"] for one in mine])
        return seen


class DmmCargo(FolderCargo):
    """Twenty records each of an entity of the batch's own, appended: what is imported twice is there twice."""

    vendor, dag_id, share = "dmm", "migrate_dmm", 14
    route = Route(("start_run",), ("await_run",))
    switches: ClassVar[Mapping[str, Any]] = {"queue_seconds": 0.2, "chunk_seconds": 0.5, "parallel": True}
    settings: ClassVar[Mapping[str, Any]] = {"max_live_runs": 20, "start_timeout": 10, "read_timeout": 10}
    rows = 20
    configuration: ClassVar[Mapping[str, Any]] = {"DestinationDBConnection": "Runtime Connection", "DataAppendMode": True}

    def __init__(self) -> None:
        self._inputs: dict[str, str] = {}
        self._zips: dict[str, str] = {}

    def fill(self, home: Path, load: Load, number: int) -> Load:  # noqa: ARG002 (what is in it goes by the batch's name)
        """A data zip."""
        content = _zip(self._entity(home.name), self.rows)
        (home / "data.zip").write_bytes(content)
        self._zips[home.name] = hashlib.sha256(content).hexdigest()
        self._inputs[home.name] = self._fingerprint(self._zips[home.name])
        self.manifest(home, load, {"zip": "data.zip", "configuration": dict(self.configuration)})
        return Load(self.vendor, home.name, self.dag_id, load.due, self.rows)

    def witness(self, state: Any, loads: Iterable[Load]) -> dict[str, Seen]:
        """The same zip, with the same configuration, taken more than once."""
        starts = {one["id"]: one["starts"] for one in state["inputs"]}
        records = state["target"]["records"]
        seen = {}
        for load in loads:
            entity, taken = self._entity(load.batch_id), starts.get(self._inputs[load.batch_id], 0)
            refs = [one["id"] for one in state["executions"] if one["zip"]["sha256"] == self._zips[load.batch_id]]
            seen[load.batch_id] = Seen(taken, max(0, taken - 1), len(records.get(entity, [])), refs, bool(refs))
        return seen

    @staticmethod
    def _entity(batch_id: str) -> str:
        return "".join(part.title() for part in batch_id.split("-"))

    def _fingerprint(self, sha256: str) -> str:
        """As the sandbox tells inputs apart: environment, type, configuration, and the zip's hash."""
        configuration = json.dumps(self.configuration, sort_keys=True, separators=(",", ":"))
        told = f"target\nImport\n{configuration}\n{sha256}"
        return hashlib.sha256(told.encode()).hexdigest()


class MicroStrategyCargo(FolderCargo):
    """A package of one object each; a connection moves one at a time, as the vendor wants it."""

    vendor, dag_id, share = "microstrategy", "migrate_microstrategy", 5
    route = Route(("open_run", "start_run"), ("await_prepared", "await_run"))
    start = ("PUT", f"*/target/*/api/migrations/{'?' * 32}:{'?' * 32}")
    switches: ClassVar[Mapping[str, Any]] = {"package_seconds": 0.5, "import_seconds": 1, "fail_import": ""}
    settings: ClassVar[Mapping[str, Any]] = {"max_live_runs": 4}
    objects = ROOT / "include" / "batches" / "microstrategy" / "sales-release" / "objects.csv"

    def __init__(self) -> None:
        with self.objects.open(encoding="utf-8", newline="") as lines:
            self._known = list(csv.DictReader(lines))
        self._mine: dict[str, str] = {}

    def fill(self, home: Path, load: Load, number: int) -> Load:
        """Each batch has an object of its own, for as long as there are enough."""
        told = self._known[number % len(self._known)]
        self._mine[home.name] = told["id"]
        one = {"id": told["id"], "type": int(told["type"]), "action": "replace"}
        packages = [{"project": "Sales", "rules": {"default_action": "use_existing"}, "objects": [one]}]
        self.manifest(home, load, {"approval": "auto", "packages": packages}, connection="microstrategy_target")
        return Load(self.vendor, home.name, self.dag_id, load.due, 1)

    def witness(self, state: Any, loads: Iterable[Load]) -> dict[str, Seen]:
        """An import that was asked for more than once, or imports of several packages of the batch."""
        runs, there = {run["id"]: run for run in state["runs"]}, {one["id"] for one in state["target"]["objects"]["Sales"]}
        records = {one["id"]: one for end in ("source", "target") for one in state[end]["migrations"]}
        seen = {}
        for load in loads:
            mine = [one for one, told in records.items() if f"[{load.batch_id}." in told["packageInfo"]["name"]]
            starts = sum(runs[one]["starts"] + runs[one]["repeats"] for one in mine if one in runs)
            refs = [one for one in mine if one in runs]
            held, newest = int(self._mine[load.batch_id] in there), bool(mine) and mine[-1] in runs
            seen[load.batch_id] = Seen(starts, max(0, starts - 1), held, refs, newest)
        return seen


class AnonCargo(Cargo):
    """Migrations that people begin in a browser: they are found, waited for and never started."""

    vendor, dag_id, share = "anon", "watch_anon", 18
    route = Route((), ("await_run",))
    switches: ClassVar[Mapping[str, Any]] = {"story_scale": 3.0}
    settings: ClassVar[Mapping[str, Any]] = {"poll_seconds": 5, "max_live_runs": 100}
    stories: ClassVar[Mapping[str, str]] = {"completes": "balanced", "partly": "unbalanced", "abandons": "abandoned"}

    def load(self, folder: Path, number: int, later: timedelta | None) -> Load:  # noqa: ARG002 (Ferry itself makes its folder)
        """A migration that is going to be begun; what it will hold, nobody knows yet."""
        story = {7: "partly", 3: "abandons"}.get(number % 10, "completes")
        name = f"{self.vendor}-{number:04d}"
        return Load(self.vendor, name, self.dag_id, None, 0, self.stories[story], {"story": story})

    def witness(self, state: Any, loads: Iterable[Load]) -> dict[str, Seen]:
        """Whoever sends anything but GET has started something."""
        others = state["counters"]["other_methods"]
        return {load.batch_id: Seen(0, others, None, [load.batch_id]) for load in loads}


def all_cargo() -> list[Cargo]:
    """Every vendor's."""
    return [FenergoCargo(), DomoCargo(), DmmCargo(), MicroStrategyCargo(), AnonCargo()]


def shares(cargo: Iterable[Cargo], wanted: int) -> Iterator[tuple[Cargo, int]]:
    """How many of so many batches each vendor gets; every vendor at least one."""
    every = list(cargo)
    given = {one.vendor: max(1, wanted * one.share // 100) for one in every[1:]}
    given[every[0].vendor] = max(1, wanted - sum(given.values()))
    for one in every:
        yield one, given[one.vendor]


def _zip(entity: str, rows: int) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as made:
        lines = "".join(f"{n},N'{entity} {n}'\r\n" for n in range(1, rows + 1))
        made.writestr(f"{entity}_Struct.dmm", "Id;Long Integer\r\nName;Text\r\n")
        made.writestr(f"{entity}_Data.csv", f"Id,Name\r\n{lines}")
    return held.getvalue()
