"""Anon's side of a house: batches that are watched, people who begin migrations and act on them, and what must always hold."""

from __future__ import annotations

import csv
import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from ferry.ledger.entries import AttemptStanding, Kind, Standing, Verdict
from ferry.steps import places
from ferry.vendors.anon.telling import TELL

WATCH, DISCOVER = "watch_anon", "discover_anon"
CONNECTION = "AIRFLOW_CONN_ANON_DEFAULT"
LIST, FILES, TASKS, STORAGE = "*/api/v1/migrations", "*/files", "*/tasks", "*/s3/*"
PARTS = ["EmployeeRoster", "EmployeeDetails", "ContractorRoster", "EmployeeW2Previews"]
TEXT = "{{ migration.status }}, reminder {{ reminder }}"
"""What a notifier says in tests, unless told otherwise."""


def settle(monkeypatch: Any, **extra: Any) -> None:
    """Change the connection; None takes a field away."""
    told = json.loads(os.environ[CONNECTION])
    told["extra"] = {name: value for name, value in (told["extra"] | extra).items() if value is not None}
    monkeypatch.setenv(CONNECTION, json.dumps(told))


@dataclass
class Organisation:
    """One customer's organisation, and the batches that watch what its people do."""

    house: Any

    # People

    def begin(self, story: Any = "completes", **wish: Any) -> str:
        """Somebody opens the modal; the migration's id."""
        (made,) = self.house.control("POST", "/anon/records", json={"story": story} | wish)["ids"]
        return str(made)

    def act(self, ref: str, *deeds: str) -> None:
        for does in deeds:
            self.house.control("POST", f"/anon/people/{quote(ref, safe='')}", json={"does": does})

    def advance(self, seconds: float) -> None:
        """Anon's clock goes on; as `beside` of the driver's clock, it goes along with whoever waits."""
        self.house.control("POST", "/clock", json={"advance": seconds})

    # Batches

    def folder(self, batch_id: str) -> Path:
        return Path(self.house.home / "batches" / "anon" / batch_id)

    def batch(self, batch_id: str = "b", *, due: str = "2026-01-01", **section: Any) -> Path:
        self.folder(batch_id).mkdir(parents=True, exist_ok=True)
        text = f"vendor: anon\ndue: {due}\ndag: {WATCH}\n" + yaml.safe_dump({"anon": section}, sort_keys=False)
        (self.folder(batch_id) / "manifest.yaml").write_text(text, encoding="utf-8")
        return self.folder(batch_id)

    def manifest(self, batch_id: str) -> dict[str, Any]:
        return dict(yaml.safe_load((self.folder(batch_id) / "manifest.yaml").read_text("utf-8")))

    def watched(self, driver: Any, story: Any = "completes", *, wish: dict[str, Any] | None = None, **section: Any) -> Any:
        """The DAG run of batch `b`, which watches a new migration of this story to its end."""
        self.batch(migration=self.begin(story, **(wish or {})), **section)
        return driver.play(WATCH, batch_id="b")

    # Notifiers

    @property
    def heard(self) -> Path:
        return Path(self.house.home / "heard.txt")

    @property
    def told(self) -> list[str]:
        """What people were told, oldest first."""
        return self.heard.read_text("utf-8").splitlines() if self.heard.exists() else []

    def notify(self, monkeypatch: Any, notifier: str = "FileNotifier", *, remind_after: float | None = None, **more: Any) -> None:
        """Let the connection's notifier tell people; it is a class in `notifiers.py`."""
        arguments = {"path": str(self.heard), "text": TEXT} | more
        path = notifier if "." in notifier else f"notifiers.{notifier}"
        settle(monkeypatch, notifier=path, notifier_arguments=json.dumps(arguments), remind_after=remind_after)

    # The sandbox

    def switch(self, **values: Any) -> None:
        self.house.control("PUT", "/anon/switches", json=values)

    def fault(self, path: str, action: str, **rule: Any) -> None:
        self.house.control("POST", "/anon/faults", json={"method": "GET", "path": path, "action": action, **rule})

    def clear_weather(self) -> None:
        self.house.late_requests_are_done()
        self.house.control("DELETE", "/anon/faults")

    def requests(self, method: str = "", path: str = "*") -> list[dict[str, Any]]:
        asked = {"vendor": "anon", "method": method, "path": path}
        return list(self.house.control("GET", "/requests", params={name: value for name, value in asked.items() if value}))

    # Ledger and evidence

    def standing(self, batch_id: str = "b") -> Standing:
        return self.house.ledger.standing("anon", self.house.environment, batch_id)  # type: ignore[no-any-return]

    def last(self, batch_id: str = "b") -> AttemptStanding:
        last = self.standing(batch_id).last
        assert last is not None
        return last

    def counts(self, batch_id: str = "b") -> dict[str, int]:
        return {name: number for name, number in self.last(batch_id).counts.to_json().items() if number}

    def words(self, batch_id: str = "b") -> list[str]:
        """How the ledger saw the migration stand, one after the other."""
        seen = [one.word for one in self.last(batch_id).entries if one.step in {"find_run", "await_run"} and one.word]
        return [word for number, word in enumerate(seen) if number == 0 or seen[number - 1] != word]

    def tellings(self, batch_id: str = "b") -> list[Any]:
        """What the ledger says came of telling people."""
        return [one for one in self.last(batch_id).entries if one.step == TELL and one.kind is Kind.RESULT]

    def evidence(self, step: str, name: str, batch_id: str = "b", attempt: str = "*") -> bytes:
        (found,) = self.house.evidence.glob(f"anon/*/{batch_id}/{attempt}/{step}/{name}")
        return Path(found).read_bytes()

    def rows(self, step: str, name: str, batch_id: str = "b", attempt: str = "*") -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.evidence(step, name, batch_id, attempt).decode())))

    def holds(self, *batch_ids: str) -> None:
        """However a journey ends: Anon was only read, each migration is one batch, nobody was told twice, the chain is whole."""
        seen = self.requests()
        assert seen, "somebody asked"
        assert {one["method"] for one in seen} == {"GET"}
        assert self.house.control("GET", "/anon/state?migrations=none")["counters"]["other_methods"] == 0
        assert len(seen) < 1000, "a vendor in trouble is asked tens of times, not thousands"
        assert self.house.ledger.verify(evidence=places.evidence().check) == []
        watched = dict[str, set[str]]()
        for batch_id in batch_ids or ("b",):
            for attempt in self.standing(batch_id).attempts:
                assert attempt.counts.adds_up
                watched.setdefault(attempt.ref, set()).add(batch_id)
                if attempt.verdict is Verdict.BALANCED:
                    assert attempt.counts.accepted + attempt.counts.waived == attempt.counts.sent > 0
                meant = [one.key for one in attempt.entries if one.step == TELL and one.kind is Kind.INTENT]
                assert len(meant) == len(set(meant)), "nobody is told twice of the same"
        assert all(len(ids) == 1 for ref, ids in watched.items() if ref), watched
