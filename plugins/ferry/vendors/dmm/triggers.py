"""Waiting for DMM, in the triggerer: counters as they grow, log lines as they appear, and the stop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from ferry.core.errors import FerryError, VendorError
from ferry.core.exchange import Exchange
from ferry.core.model import Attempt, Run
from ferry.ledger.entries import AttemptStanding, Draft, Kind
from ferry.ledger.evidence import Filed
from ferry.ledger.store import LedgerStore
from ferry.steps import places
from ferry.steps.hook import VendorHook
from ferry.steps.triggers import VendorRunTrigger, patiently
from ferry.steps.work import connection_of
from ferry.vendors.dmm.hook import DmmHook
from ferry.vendors.dmm.planning import plan_in
from ferry.vendors.dmm.shapes import Status
from ferry.vendors.dmm.stopping import STOP, as_stopped, astop, is_stopped, is_told
from ferry.vendors.dmm.vocabulary import FIRST_LOG_PAGE

LOG = "log_lines"
"""Key in an entry's data: how many lines of the execution's log are in the evidence by then."""
PLACE = "log_place"
"""Key beside it: the page of the log up to which they are, and how many lines of that page."""
MOST_LINES = 20_000
"""Lines of the log that are kept while it runs; the whole of it comes with the outputs."""
MOST_PAGES = 20
"""Pages of the log that one look reads at most."""
RARELY = 15.0
"""Seconds between two entries about progress, at least; later on a tenth of the time that has passed, so that they stay few."""
STOPPING = 1800.0
"""Seconds to wait for the end of an execution that was told to stop: it finishes the chunk it is at."""
STOPS = 10
"""How often a stop at the deadline is asked for, a minute apart, while DMM is away."""
KILL_PAUSE, LONGEST_PAUSE = 2.0, 30.0
"""Seconds between two looks at an execution whose task was ended by hand, at first and at most."""


class DmmRunTrigger(VendorRunTrigger):
    """Waits for an execution. What it has seen of counters and log goes to ledger and evidence on the way, in bounds."""

    hook_class = DmmHook

    def __init__(self, **shared: Any) -> None:
        super().__init__(**shared)
        self._lines: list[str] = []
        self._kept, self._begun, self._told_at = 0, 0.0, 0.0
        self._page, self._in_page = FIRST_LOG_PAGE, 0
        self._stops_in_vain, self._no_stop = 0, ""
        self._told: Mapping[str, int] = {}
        self._on_deadline, self._was_stopped = "leave", False

    def begin(self, standing: AttemptStanding) -> None:
        """Go on reading the log where an earlier triggerer left off."""
        told = [entry.data for entry in standing.entries if entry.step == self.step and entry.data.get(LOG)]
        if told:
            self._kept, (self._page, self._in_page) = int(told[-1][LOG]), told[-1].get(PLACE) or (FIRST_LOG_PAGE, 0)
        self._begun = self.since(standing)
        plan = plan_in(standing)
        self._on_deadline = plan.on_deadline if plan and not is_told(standing) else "leave"

    def ask(self, api: Any, seen: Run) -> Exchange[Run]:
        """The status with its counters, and the log lines that are new."""
        enough = self._kept + len(self._lines) >= MOST_LINES
        status: Status = yield from api.status(seen.ref, None if enough else self._page)
        for _ in range(0 if enough else MOST_PAGES):
            self._lines += status.log_lines[self._in_page :]
            self._in_page = max(self._in_page, len(status.log_lines))
            if self._page >= status.log_pages or not status.log_lines:
                break
            self._page, self._in_page = self._page + 1, 0  # a page that has a next one is full, however many lines that is
            status = yield from api.status(seen.ref, self._page)
        return status.run(seen.ref)

    def since(self, standing: AttemptStanding) -> float:
        """When the wait began. Of an execution that was told to stop, so that its patience ends half an hour later."""
        told = [entry.at.timestamp() for entry in standing.entries if entry.step == STOP and entry.kind is Kind.RESULT]
        return max(told) + STOPPING - self.patience if told and is_told(standing) else super().since(standing)

    def is_news(self, before: Run, seen: Run) -> bool:
        """A new word at once; counters and lines from time to time."""
        now = time.time()
        due = now - self._told_at >= max(RARELY, (now - self._begun) / 10)
        return seen.word != before.word or (due and (bool(self._lines) or seen.counters != self._told))

    async def facts(self, seen: Run) -> dict[str, Any]:
        """The lines of the log that are new, as a file of evidence of their own."""
        self._told, self._told_at = dict(seen.counters), time.time()
        done, total = seen.counters.get("completed", 0), seen.counters.get("total", 0)
        self.log.info("%s: %d of %d records so far, execution %s", self.attempt, done, total, seen.ref)
        if not self._lines:
            return {"data": {LOG: self._kept, PLACE: [self._page, self._in_page]}} if self._kept else {}
        text, first = "\n".join(self._lines) + "\n", self._kept + 1
        try:
            filed = await asyncio.to_thread(self._file, f"log-{first:06}.txt", text)
        except Exception as error:  # noqa: BLE001 (a store has errors of its own; the log is not worth losing the wait for)
            self.log.warning("Lines of the execution's log could not be filed (%s); it is tried again", type(error).__name__)
            return {}
        self._kept, self._lines = self._kept + len(self._lines), []
        return {
            "evidence_path": filed.path,
            "evidence_hash": filed.sha256,
            "data": {LOG: self._kept, PLACE: [self._page, self._in_page]},
        }

    def _file(self, name: str, text: str) -> Filed:
        return places.evidence().file_text(Attempt.parse(self.attempt), self.step, name, text)

    async def weigh(self, ledger: LedgerStore, seen: Run) -> Run:
        """An end after a stop of ours is a cancellation, whatever DMM calls it."""
        if not seen.state.is_final:
            return seen
        standing = await patiently(self, ledger.attempt, Attempt.parse(self.attempt))
        return as_stopped(seen) if is_stopped(standing) else seen

    async def more_time(self, hook: VendorHook[Any], ledger: LedgerStore) -> float:
        """At the deadline the execution is stopped, as the manifest says, and its end is waited for."""
        if self._on_deadline != "stop":
            return 0.0
        self._on_deadline = "leave"
        why = f"It did not end within {self.patience / 3600:.1f} h, and the manifest says to stop it then."
        try:
            told = await self._stop(hook, ledger, why)
        except VendorError as error:
            self.log.warning("The stop could not be asked for: %s", error.message)
            self._stops_in_vain, self._no_stop = self._stops_in_vain + 1, error.message
            if not error.retry_later or self._stops_in_vain >= STOPS:
                return 0.0
            self._on_deadline = "stop"
            return 60.0
        self._was_stopped = told
        return STOPPING if told else 60.0  # a no means that it has ended: the next look tells

    def in_vain(self) -> tuple[str, str]:
        """What did not happen in all the time there was, and how it goes on."""
        if not self._was_stopped:
            vain, way_on = super().in_vain()
            return vain, f"It could not be stopped: {self._no_stop} {way_on}" if self._no_stop else way_on
        way_on = f"It imports nothing after the chunk it is at. Clear {self.step} to see its end."
        return f"was told to stop and did not end within {STOPPING / 60:.0f} min", way_on

    async def cancel(self) -> None:
        """A person ended the task: stop the execution, unless the connection says not to, and see how it ends."""
        hook = await self.hook_class.aopen(await self._connection())
        if not hook.settings.stop_on_kill:
            self.log.warning("Waiting for %s was ended by a person; the connection says to let it run on.", self.attempt)
            return
        ledger = await patiently(self, places.ledger_at, await places.aledger_url())
        try:
            await self._stop_for_sure(hook, ledger, "A person ended the task that waited for it.")
            await self._see_the_end(hook, ledger)
        except FerryError as error:
            self.log.error("%s", error.message)  # noqa: TRY400 (a vendor's no is no bug: the sentence is what helps)

    async def _stop_for_sure(self, hook: VendorHook[Any], ledger: LedgerStore, why: str) -> None:
        """Ask for as long as DMM cannot be reached, but not for ever: nobody waits for this task any more."""
        until, pause = time.time() + STOPPING, KILL_PAUSE
        while True:
            try:
                await self._stop(hook, ledger, why)
            except VendorError as error:
                if not error.retry_later or time.time() > until:
                    raise
                self.log.warning("%s", error.message)
                await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE, pause * 1.5)
            else:
                return

    async def _see_the_end(self, hook: VendorHook[Any], ledger: LedgerStore) -> None:
        until, pause, attempt = time.time() + STOPPING, KILL_PAUSE, Attempt.parse(self.attempt)
        standing = await patiently(self, ledger.attempt, attempt)
        while time.time() < until:
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 1.5)
            try:
                seen = await self.weigh(ledger, await hook.acall(lambda api: api.look(Run(standing.ref))))
            except VendorError as error:
                self.log.warning("%s", error.message)
                continue
            if seen.state.is_final:
                await patiently(self, ledger.append, self._end(attempt, seen))
                self.log.warning("%s", seen.detail)
                return
        self.log.warning("Execution %s was told to stop and has not ended yet; clear await_run to see its end.", standing.ref)

    def _end(self, attempt: Attempt, seen: Run) -> Draft:
        return Draft(
            attempt=attempt,
            step=self.step,
            kind=Kind.RESULT,
            origin=self.origin(),
            ref=seen.ref,
            word=seen.word,
            state=seen.state,
            counts=seen.counters,
            note=seen.detail,
        )

    async def _stop(self, hook: VendorHook[Any], ledger: LedgerStore, why: str) -> bool:
        standing = await patiently(self, ledger.attempt, Attempt.parse(self.attempt))
        return await astop(hook, ledger, standing, self.origin(), why)

    async def _connection(self) -> str:
        ledger = await patiently(self, places.ledger_at, await places.aledger_url())
        return connection_of(await patiently(self, ledger.attempt, Attempt.parse(self.attempt)), self.at)
