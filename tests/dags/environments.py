"""DMM's side of a house: batches with zips, the sandbox's two environments, and what must hold whatever happens."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

from ferry.ledger.entries import AttemptStanding, Standing, Verdict
from ferry.vendors.dmm.operators import ONE_TIME_PASSWORD, START_IT
from ferry.vendors.dmm.triggers import DmmRunTrigger

MIGRATE, EXPORT, STOP = "migrate_dmm", "export_dmm", "stop_dmm"
RUNTIME = {"DestinationDBConnection": "Runtime Connection", "DataAppendMode": True}
TWO = {"Customer": 120, "Invoice": 60}
START, STATUS, OUTPUTS, STOPPING = "*/StartExecution", "*/GetExecutionStatus", "*/GetExecutionOutputs", "*/StopExecution"


def zipped(entities: dict[str, int] | None = None, **files: str | bytes) -> bytes:
    """A data zip of so many made-up records by entity, and further files."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as made:
        for entity, number in (TWO if entities is None else entities).items():
            rows = "".join(f"{n},N'{entity} {n}',2031-02-03T04:05:06\r\n" for n in range(1, number + 1))
            made.writestr(f"{entity}_Struct.dmm", "Id;Long Integer\r\nName;Text\r\nCreatedOn;Date Time\r\n")
            made.writestr(f"{entity}_Data.csv", f"Id,Name,CreatedOn\r\n{rows}")
        for name, content in files.items():
            made.writestr(name, content)
    return held.getvalue()


@dataclass
class Environments:
    """The two environments, and the batches that go into and come out of them."""

    house: Any
    passwords: list[str] = field(default_factory=list)
    """Those that a person has read so far."""

    def begin_anew(self) -> None:
        """Environments on their first day, an empty ledger, and no evidence."""
        self.house.control("POST", "/reset")
        self.house.forget()
        shutil.rmtree(self.house.evidence, ignore_errors=True)

    def batch(
        self, batch_id: str = "b", content: bytes | None = None, *, dag: str = "", due: str = "2026-01-01", **section: Any
    ) -> Path:
        folder = Path(self.house.home / "batches" / "dmm" / batch_id)
        folder.mkdir(parents=True, exist_ok=True)
        told: dict[str, Any] = {"configuration": RUNTIME} | section
        if told.get("type", "Import") == "Import":
            told.setdefault("zip", "data.zip")
            (folder / "data.zip").write_bytes(zipped() if content is None else content)
        head = f"vendor: dmm\ndue: {due}\n" + (f"dag: {dag}\n" if dag else "")
        connection = told.pop("connection", "")
        head += f"connection: {connection}\n" if connection else ""
        (folder / "manifest.yaml").write_text(head + yaml.safe_dump({"dmm": told}, sort_keys=False), encoding="utf-8")
        return folder

    def password(self, environment: str = "target") -> str:
        """What a person reads on the environment's Authentication Token page."""
        self.passwords.append(str(self.house.control("GET", f"/dmm/otp?environment={environment}")["value"]))
        return self.passwords[-1]

    def executions(self, environment: str = "target") -> list[dict[str, Any]]:
        """What a person sees on the environment's page of executions."""
        return list(self.house.control("GET", f"/dmm/executions?environment={environment}"))

    def start(self, driver: Any, batch_id: str = "b", *, environment: str = "target", dag: str = MIGRATE, **conf: Any) -> Any:
        """A DAG run whose question for the password is answered with the right one."""
        run = driver.play(dag, batch_id=batch_id, **conf)
        return self.give(driver, run, batch_id, environment=environment, **conf)

    def give(
        self, driver: Any, run: Any, batch_id: str = "b", *, environment: str = "target", password: str = "", **conf: Any
    ) -> Any:
        """A person types in a password; the right one unless another is named."""
        if run.states.get("start_run") == "awaiting_input":
            form = {ONE_TIME_PASSWORD: password or self.password(environment)}
            driver.answer(run, START_IT, form, batch_id=batch_id, **conf)
        return run

    def ended_by_hand(self, driver: Any, monkeypatch: Any, batch_id: str = "b") -> None:
        """A person ends the task that waits for the execution; how that goes on is waited for by the driver's clock."""
        told = driver.dags[MIGRATE].get_task("await_run").start_trigger_args.trigger_kwargs
        waiting, clock = DmmRunTrigger(**told | {"attempt": self.last(batch_id).attempt.key}), driver.clock
        with monkeypatch.context() as simulated:
            awaiting = SimpleNamespace(sleep=clock.asleep, to_thread=asyncio.to_thread)
            simulated.setattr("ferry.vendors.dmm.triggers.asyncio", awaiting)
            simulated.setattr("ferry.vendors.dmm.triggers.time", SimpleNamespace(time=clock.time))
            driver.loop.run_until_complete(waiting.cancel())

    def switch(self, **values: Any) -> None:
        self.house.control("PUT", "/dmm/switches", json=values)

    def fault(self, method: str, path: str, action: str, **rule: Any) -> None:
        self.house.control("POST", "/dmm/faults", json={"method": method, "path": path, "action": action, **rule})

    @property
    def state(self) -> dict[str, Any]:
        return dict(self.house.control("GET", "/dmm/state"))

    def records(self, entity: str, environment: str = "target") -> list[dict[str, Any]]:
        return list(self.state[environment]["records"].get(entity, []))

    def requests(self, method: str = "", path: str = "*") -> list[dict[str, Any]]:
        asked = {"vendor": "dmm", "method": method, "path": path}
        return list(self.house.control("GET", "/requests", params={name: value for name, value in asked.items() if value}))

    def starts(self) -> int:
        """How many starts were sent, whether or not DMM handled them."""
        return len(self.requests("POST", START))

    def standing(self, batch_id: str = "b") -> Standing:
        return self.house.ledger.standing("dmm", self.house.environment, batch_id)  # type: ignore[no-any-return]

    def last(self, batch_id: str = "b") -> AttemptStanding:
        last = self.standing(batch_id).last
        assert last is not None
        return last

    def counts(self, batch_id: str = "b") -> dict[str, int]:
        return {name: number for name, number in self.last(batch_id).counts.to_json().items() if number}

    def evidence(self, batch_id: str, step: str, name: str) -> bytes:
        (found,) = self.house.evidence.glob(f"dmm/*/{batch_id}/*/{step}/{name}")
        return Path(found).read_bytes()

    def evidence_json(self, batch_id: str, step: str, name: str) -> Any:
        return json.loads(self.evidence(batch_id, step, name))

    def holds(self, batch_id: str = "b") -> None:
        """However a journey ends: nothing runs twice, the chain is whole, DMM is not flooded."""
        state = self.state
        assert all(one["starts"] <= 1 for one in state["inputs"]), state["inputs"]
        assert self.house.ledger.verify() == []
        assert len(self.requests()) < 1000, "a vendor in trouble is asked tens of times, not thousands"
        for attempt in self.standing(batch_id).attempts:
            assert attempt.counts.adds_up
            if attempt.verdict is Verdict.BALANCED:
                assert attempt.counts.accepted + attempt.counts.waived == attempt.counts.sent > 0
