"""What became of it all: the vendors' own state against what Ferry says, batch by batch."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from ferry.ledger.entries import START, AttemptStanding, Kind, Standing
from scripts.chaos.cargo import Cargo, Load, Seen
from scripts.chaos.plan import WAITING, Ticket
from scripts.chaos.play import Story
from scripts.chaos.stage import Stage
from scripts.chaos.supervisor import STRUCK, Kill


@dataclass(frozen=True, slots=True)
class BatchEnd:
    """How one batch ended."""

    vendor: str
    batch_id: str
    verdict: str
    expected: str
    attempts: int
    starts: int
    """Starts that the vendor took."""
    twice: int
    unaccounted: int
    """Records whose fate the ledger does not tell, or tells otherwise than the vendor."""
    ambiguous: list[str] = field(default_factory=list)
    """How each start whose answer was lost was resolved."""

    @property
    def is_settled(self) -> bool:
        """Whether it ended as its files deserve."""
        return self.verdict == self.expected


@dataclass(slots=True)
class Findings:
    """All that is told at the end, and written as JSON."""

    batches: list[BatchEnd]
    kills: Mapping[str, Mapping[str, int]]
    """By point (or `random`): who was killed how often."""
    recovery: Mapping[str, Mapping[str, float]]
    """By who was killed: seconds until the batch went on, once Airflow had noticed."""
    by_themselves: list[str]
    """Processes that died without anybody having killed them."""
    ledger: list[str]
    """Faults of the ledger's chains and evidence."""
    again: list[str]
    """Starts that were on the wire more than once, by the request log, whether or not the vendor took them."""

    @property
    def duplicates(self) -> int:
        """Starts sent twice."""
        return max(sum(batch.twice for batch in self.batches), len(self.again))

    @property
    def unaccounted(self) -> int:
        """Records unaccounted for."""
        return sum(batch.unaccounted for batch in self.batches)

    @property
    def unsettled(self) -> list[str]:
        """Batches that did not end as they should."""
        return [f"{one.batch_id} is {one.verdict}, not {one.expected}" for one in self.batches if not one.is_settled]

    @property
    def resolved(self) -> dict[str, int]:
        """How the starts whose answers were lost were resolved."""
        return dict(Counter(way for batch in self.batches for way in batch.ambiguous))

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "starts": sum(batch.starts for batch in self.batches),
            "duplicates": self.duplicates,
            "sent_again": self.again,
            "unaccounted": self.unaccounted,
            "unsettled": self.unsettled,
            "ambiguous_starts": self.resolved,
            "kills": self.kills,
            "seconds_to_recover": self.recovery,
            "died_by_themselves": self.by_themselves,
            "ledger": self.ledger,
            "batches": [asdict(batch) for batch in self.batches],
        }


def find(stage: Stage, story: Story, tickets: Iterable[Ticket], kills: list[Kill]) -> Findings:
    """Judge every batch by what the vendor has seen."""
    loads, cargo, seen = story.loads, story.cargo, story.witness()
    standings = _standings(stage, loads)
    struck = _struck(stage, tickets)
    return Findings(
        [_end(load, seen[name], standings.get(name)) for name, load in loads.items()],
        _by_point(struck, kills),
        _recovery(stage, loads, struck, kills, standings),
        [kill.victim for kill in kills if kill.why == "by itself"],
        [str(fault) for fault in stage.ledger.verify()],
        [path for one in cargo for path in _again(stage, one)],
    )


def _again(stage: Stage, cargo: Cargo) -> list[str]:
    method, path = cargo.start
    if not path:
        return []
    asked = stage.stack.sandbox("GET", f"/requests?{urlencode({'vendor': cargo.vendor, 'method': method, 'path': path})}")
    return [one for one, number in Counter(told["path"] for told in asked).items() if number > 1]


def _standings(stage: Stage, loads: Mapping[str, Load]) -> dict[str, Standing]:
    rows = {row.batch_id: row for row in stage.ledger.batches(limit=len(loads) + 500)}
    return {name: stage.ledger.standing(row.vendor, row.environment, name) for name, row in rows.items() if name in loads}


def _end(load: Load, seen: Seen, standing: Standing | None) -> BatchEnd:
    last = standing.last if standing else None
    if standing is None or last is None:
        return BatchEnd(load.vendor, load.batch_id, "never admitted", load.verdict, 0, seen.starts, seen.twice, load.records)
    counts = last.counts
    lost = abs(counts.sent - counts.accepted - counts.rejected - counts.unprocessed - counts.waived)
    if seen.held is not None and last.verdict is not None:
        lost += abs(counts.accepted - seen.held) + abs(counts.sent - load.records)
    ways = [way for attempt in standing.attempts for way in _ways(attempt)]
    verdict, number = str(last.verdict), len(standing.attempts)
    return BatchEnd(load.vendor, load.batch_id, verdict, load.verdict, number, seen.starts, seen.twice, lost, ways)


def _ways(attempt: AttemptStanding) -> list[str]:
    """How each start of an attempt that had no answer was resolved; nothing where the answer came."""
    ways = []
    for intent in attempt.starts:
        later = [entry for entry in attempt.entries if entry.seq > intent.seq]
        if any(entry.step == START and entry.key == intent.key and entry.kind is Kind.RESULT for entry in later):
            continue
        adopted = any(entry.step == START and entry.key == intent.key and entry.kind is Kind.ADOPTED for entry in later)
        asked = any(entry.kind is Kind.ASKED and "start" in entry.step for entry in later)
        ways.append(
            {(True, False): "adopted", (True, True): "asked and adopted", (False, True): "asked and closed"}.get(
                (adopted, asked), "closed"
            )
        )
    return ways


def _struck(stage: Stage, tickets: Iterable[Ticket]) -> dict[Ticket, float]:
    """The tickets that were used, with the moment."""
    found = {}
    for ticket in tickets:
        path = stage.folder / STRUCK / ticket.name
        if path.exists():
            found[ticket] = float(json.loads(path.read_text(encoding="utf-8"))["at"])
    return found


def _by_point(struck: Mapping[Ticket, float], kills: list[Kill]) -> dict[str, dict[str, int]]:
    counted: dict[str, Counter[str]] = {}
    for ticket in struck:
        counted.setdefault(ticket.point, Counter())[ticket.victim] += 1
    for kill in kills:
        if kill.why == "random":
            counted.setdefault("random", Counter())[kill.victim] += 1
    return {point: dict(victims) for point, victims in counted.items()}


def _recovery(
    stage: Stage,
    loads: Mapping[str, Load],
    struck: Mapping[Ticket, float],
    kills: list[Kill],
    standings: Mapping[str, Standing],
) -> dict[str, dict[str, float]]:
    """How long it took beyond Airflow's own time: from the next try of the task, or from the restart of what had died."""
    back = {kill.why: kill.back_at for kill in kills}
    seconds: dict[str, list[float]] = {}
    for ticket, at in struck.items():
        standing = standings.get(ticket.batch_id)
        if standing is None:
            continue
        tries = _tries(stage, loads[ticket.batch_id], standing, ticket.step) if ticket.point not in WAITING else []
        noticed, ended = next(((one, end) for one, end in tries if one > at), (back.get(ticket.name, 0.0), 0.0))
        moments = [entry.at.timestamp() for entry in standing.entries if entry.at.timestamp() > noticed] + [ended] * bool(ended)
        if noticed and moments:
            seconds.setdefault(ticket.victim, []).append(min(moments) - noticed)
    return {
        victim: {"times": len(found), "median": round(statistics.median(found), 1), "most": round(max(found), 1)}
        for victim, found in seconds.items()
    }


def _tries(stage: Stage, load: Load, standing: Standing, task: str) -> list[tuple[float, float]]:
    """When each try of a step's tasks began and ended, in epoch seconds, over all DAG runs that held the batch."""
    found = []
    for run_id in {attempt.holder.run_id for attempt in standing.attempts}:
        path = f"/dags/{load.dag_id}/dagRuns/{run_id}/taskInstances"
        for ti in stage.api("GET", path, task_id=task, limit=100)["task_instances"]:
            index = f"/{ti['map_index']}" if ti["map_index"] >= 0 else ""
            tries = stage.api("GET", f"{path}/{task}{index}/tries")["task_instances"]
            found += [(_seconds(one["start_date"]), _seconds(one["end_date"])) for one in tries if one["start_date"]]
    return sorted(found)


def _seconds(told: str | None) -> float:
    return datetime.fromisoformat(told).timestamp() if told else 0.0
