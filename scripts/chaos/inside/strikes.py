"""Marked points within Ferry at which a process dies, if the plan has a ticket for that batch, step and point.

A ticket is a file. Whoever comes to the point first takes it by renaming it, so that it is used once whatever is retried. The
file says which process is to die: the task itself and its worker die by their own hand; of all others the supervisor is told
(`orders`), while whoever came to the point stands still there.
"""

from __future__ import annotations

import errno
import functools
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

HOME = Path(os.environ["FERRY_CHAOS"])
TASK, WORKER, PAUSED = "task", "worker", "paused"
HELD = 30.0
"""Seconds for which whoever has given an order stands still at most."""
FULL = "disk-is-full"
HALF = 2
_sending = threading.local()
"""What is being sent with care by this thread: batch and step."""


def strike(batch_id: str, step: str, point: str) -> None:
    """Come to a point; whoever holds the ticket for it dies, or has somebody else die."""
    name = f"{batch_id}~{step}~{point}"
    taken = HOME / "taken" / name
    try:
        (HOME / "tickets" / name).rename(taken)
    except FileNotFoundError:
        return
    victim = taken.read_text(encoding="utf-8")
    _write("struck", name, json.dumps({"at": time.time(), "pid": os.getpid(), "victim": victim}))
    if victim == PAUSED:
        _pause()
        return
    if victim == WORKER:
        os.kill(os.getppid(), signal.SIGKILL)
    if victim in {TASK, WORKER}:
        os.kill(os.getpid(), signal.SIGKILL)
    _write("orders", name, victim)
    until = time.monotonic() + HELD
    while not (HOME / "done" / name).exists() and time.monotonic() < until:
        time.sleep(0.02)


def _pause() -> None:
    """Stand still, with the worker that tells Airflow of us, until Airflow has given us up; then go on as if nothing had been."""
    worker = os.getppid()
    os.kill(worker, signal.SIGSTOP)
    time.sleep(float(os.environ["FERRY_CHAOS_PAUSE"]))
    if os.getppid() == worker:
        os.kill(worker, signal.SIGCONT)


def _write(kind: str, name: str, content: str) -> None:
    """A file that is there as a whole or not at all."""
    part = HOME / kind / f".{name}.{os.getpid()}"
    part.write_text(content, encoding="utf-8")
    part.rename(HOME / kind / name)


def arm(module: ModuleType) -> None:
    """Wrap what the points are in."""
    ARMS[module.__name__](module)


def _arm_work(module: Any) -> None:
    work = module.Work
    once, call = work.once, work.call

    @functools.wraps(once)
    def sent_once(self: Any, *args: Any, **how: Any) -> Any:
        _sending.what = (self.attempt.batch_id, self.step)
        try:
            entry = once(self, *args, **how)
        finally:
            _sending.what = None
        if entry is not None:
            strike(self.attempt.batch_id, self.step, "remembered")
        return entry

    @functools.wraps(call)
    def called(self: Any, *args: Any, **how: Any) -> Any:
        answer = call(self, *args, **how)
        if what := getattr(_sending, "what", None):
            batch_id, step = what
            strike(batch_id, step, "accepted")
        return answer

    work.once, work.call = sent_once, called


def _arm_store(module: Any) -> None:
    store = module.LedgerStore
    intend, settle = store.intend, store.settle

    @functools.wraps(intend)
    def intended(self: Any, attempt: Any, step: str, *args: Any, **how: Any) -> Any:
        intent = intend(self, attempt, step, *args, **how)
        if intent.fresh:
            strike(attempt.batch_id, step, "before_send")
        return intent

    @functools.wraps(settle)
    def settled(self: Any, attempt: Any, *args: Any, **how: Any) -> Any:
        strike(attempt.batch_id, "settle_batch", "before_verdict")
        entry = settle(self, attempt, *args, **how)
        strike(attempt.batch_id, "settle_batch", "after_verdict")
        return entry

    store.intend, store.settle = intended, settled


def _arm_exchange(module: Any) -> None:
    line = module.Line
    send = line.send

    @functools.wraps(send)
    def sent(self: Any, ask: Any) -> Any:
        what = getattr(_sending, "what", None)
        if what and ask.request.method != "GET":
            ask.request.extensions = {**ask.request.extensions, "trace": _after_sending(*what)}
        return send(self, ask)

    line.send = sent


def _after_sending(batch_id: str, step: str) -> Callable[[str, Any], None]:
    def trace(event: str, _info: Any) -> None:
        if event.endswith("receive_response_headers.started"):  # all of the request is on its way
            strike(batch_id, step, "after_send")

    return trace


def _arm_triggers(module: Any) -> None:
    trigger, watch = module.VendorRunTrigger, module._Watch  # noqa: SLF001 (the points are inside)
    wait, look, record = trigger._wait, watch._look, watch._record  # noqa: SLF001

    async def waited(self: Any) -> Any:
        strike(_batch_of(self), self.step, "deferred")
        return await wait(self)

    async def looked(self: Any, hook: Any) -> Any:
        wished = await look(self, hook)
        strike(_batch_of(self.trigger), self.trigger.step, "in_trigger")
        return wished

    async def recorded(self: Any, kind: Any, **more: Any) -> None:
        await record(self, kind, **more)
        if self.seen.state.is_final:
            strike(_batch_of(self.trigger), self.trigger.step, "learnt")

    trigger._wait, watch._look, watch._record = waited, looked, recorded  # noqa: SLF001


def _batch_of(trigger: Any) -> str:
    return str(trigger.attempt.split("/")[-2])


def _arm_evidence(module: Any) -> None:
    write = module._write  # noqa: SLF001

    def written(path: Path, content: Iterable[bytes], *, durable: bool) -> Any:
        if not (HOME / FULL).exists():
            return write(path, content, durable=durable)
        with path.open("wb") as sink:  # what a full disk does: some of it is there, then an error
            chunk = next(iter(content), b"")
            sink.write(chunk[: len(chunk) // HALF])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    module._write = written  # noqa: SLF001


ARMS: dict[str, Callable[[Any], None]] = {
    "ferry.core.exchange": _arm_exchange,
    "ferry.ledger.store": _arm_store,
    "ferry.ledger.evidence": _arm_evidence,
    "ferry.steps.work": _arm_work,
    "ferry.steps.triggers": _arm_triggers,
}
