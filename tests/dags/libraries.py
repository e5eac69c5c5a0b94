"""MicroStrategy's side of a house: batches of objects, the two Libraries of the sandbox, and what must hold whatever happens."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx  # noqa: TID251  # the person in Workstation is no client of ours
import yaml

from ferry.ledger.entries import AttemptStanding, Standing, Verdict

ATTRIBUTE, METRIC = "A1" * 16, "B2" * 16
USERS = "C3" * 16
RULES = {"default_action": "use_existing"}
SALES = {
    "project": "Sales",
    "rules": RULES,
    "objects": [
        {"id": ATTRIBUTE, "type": 12, "action": "replace", "name": "Region"},
        {"id": METRIC, "type": "metric", "action": "force_replace", "name": "Revenue"},
    ],
}
FINANCE = {"project": "Finance", "rules": RULES, "objects": [{"id": "D4" * 16, "type": "report", "action": "replace"}]}
CONFIGURATION = {"type": "configuration", "rules": RULES, "objects": [{"id": USERS, "type": "user group", "action": "replace"}]}
MIGRATE, UNDO = "migrate_microstrategy", "undo_microstrategy"
AUTO = {"approval": "auto"}


@dataclass
class Libraries:
    """The two Libraries and the batches that go from one to the other."""

    house: Any

    def batch(self, batch_id: str, section: dict[str, Any], files: dict[str, str | bytes] | None = None, **top: Any) -> Path:
        folder = self.house.home / "batches" / "microstrategy" / batch_id
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in (files or {}).items():
            (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        told = {"vendor": "microstrategy", "due": "2026-01-01", "connection": "microstrategy_target", **top}
        text = yaml.safe_dump(told | {"microstrategy": section}, sort_keys=False).replace("'2026-01-01'", "2026-01-01")
        (folder / "manifest.yaml").write_text(text, encoding="utf-8")
        return folder

    def migration(self, batch_id: str = "b", **more: Any) -> Path:
        """A batch of one package that needs no person."""
        return self.batch(batch_id, {"packages": [SALES]} | AUTO | more)

    def group(self, batch_id: str = "b", **more: Any) -> Path:
        """A batch of three packages."""
        return self.batch(batch_id, {"packages": [CONFIGURATION, FINANCE, SALES]} | AUTO | more)

    def begin_anew(self) -> None:
        """A vendor on its first day, and an empty ledger."""
        self.house.control("POST", "/reset")
        self.house.forget()

    def switch(self, **values: Any) -> None:
        self.house.control("PUT", "/microstrategy/switches", json=values)

    def fault(self, method: str, path: str, action: str, **rule: Any) -> None:
        self.house.control("POST", "/microstrategy/faults", json={"method": method, "path": path, "action": action, **rule})

    def made_by_hand(self, **record: Any) -> str:
        """A record that people made in Workstation; its id."""
        return str(self.house.control("POST", "/microstrategy/records", json={"environment": "source", **record})["id"])

    def as_user(self, monkeypatch: Any, connection: str, user: str) -> None:
        """Let a connection log in as somebody else."""
        name = f"AIRFLOW_CONN_{connection.upper()}"
        told = json.loads(os.environ[name]) | {"login": user, "password": f"ferry-demo-{user}"}
        monkeypatch.setenv(name, json.dumps(told))

    def undo_by_hand(self, ref: str) -> None:
        """What a person does in Workstation, in the target's own calls."""
        base = f"{self.house.sandbox}/microstrategy/target/MicroStrategyLibrary/api"
        with httpx.Client() as person:
            who = {"username": "administrator", "password": "ferry-demo-administrator"}
            token = person.post(f"{base}/auth/login", json=who).headers["X-MSTR-AuthToken"]
            headers = {"X-MSTR-AuthToken": token, "X-MSTR-ProjectID": "A" + "1" * 31}
            for word in ("requested", "approved"):
                change = {"importInfo": {"undoRequestStatus": word}}
                person.patch(f"{base}/migrations/{ref}", json=change, headers=headers).raise_for_status()

    @property
    def state(self) -> dict[str, Any]:
        return dict(self.house.control("GET", "/microstrategy/state"))

    def requests(self, method: str = "", path: str = "*") -> list[dict[str, Any]]:
        asked = {"vendor": "microstrategy", "method": method, "path": path}
        return list(self.house.control("GET", "/requests", params={name: value for name, value in asked.items() if value}))

    def sent(self) -> list[str]:
        """What was sent that changes something, in order, without ids; logins and logouts aside."""
        log = [f"{seen['method']} {seen['path']}" for seen in self.requests() if seen["method"] != "GET"]
        return [line for line in log if "/auth/" not in line]

    def standing(self, batch_id: str = "b") -> Standing:
        return self.house.ledger.standing("microstrategy", self.house.environment, batch_id)  # type: ignore[no-any-return]

    def last(self, batch_id: str = "b") -> AttemptStanding:
        last = self.standing(batch_id).last
        assert last is not None
        return last

    def objects(self, project: str = "Sales") -> dict[str, str]:
        """What the target holds of a project: action by id."""
        return {one["id"]: one["action"] for one in self.state["target"]["objects"].get(project, [])}

    def evidence(self, batch_id: str, step: str, name: str) -> str:
        (found,) = self.house.evidence.glob(f"microstrategy/*/{batch_id}/*/{step}/{name}")
        return str(found.read_text("utf-8"))

    def record(self, ref: str, side: str = "target") -> dict[str, Any]:
        kind, _, plain = ref.rpartition("/")
        found = self.state[side]["groups" if kind else "migrations"]
        return next(one for one in found if one["id"] == plain)

    def holds(self, batch_id: str = "b") -> None:
        """However a journey ends: no import or undo begun twice, none without an approval, no package made twice, no lost row."""
        state = self.state
        assert all(run["starts"] <= 1 and run["undos"] <= 1 for run in state["runs"]), state["runs"]
        assert all(package["creates"] <= 1 for package in state["packages"]), state["packages"]
        marks = [package["name"].rpartition(" ")[0] for package in state["packages"]]
        assert len(marks) == len(set(marks)), f"a package was made twice for one attempt: {marks}"
        assert self.house.ledger.verify() == []
        # A day of waiting out a session that never lasts: a look every five minutes, each with a login of its own.
        assert len(self.requests()) < 1000, "a vendor in trouble is asked tens of times, not thousands"
        for attempt in self.standing(batch_id).attempts:
            if attempt.started:
                assert attempt.results[("approve", "")].state == "succeeded"
                assert attempt.results[("approve", "")].seq < attempt.starts[0].seq
            assert attempt.counts.adds_up
            if attempt.verdict is Verdict.BALANCED:
                assert attempt.counts.accepted == attempt.counts.sent > 0
