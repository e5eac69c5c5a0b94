"""VendorRunTrigger: the only polling loop in the house."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeVar

from airflow.triggers.base import BaseTrigger, TaskFailedEvent, TaskSuccessEvent, TriggerEvent
from asgiref.sync import sync_to_async

from ferry.core.errors import FerryError, LedgerError, NotFound, VendorError, VendorUnavailable
from ferry.core.exchange import Exchange
from ferry.core.model import Attempt, Run, RunState
from ferry.ledger.entries import START, UNDO, AttemptStanding, Draft, Kind, Origin
from ferry.ledger.store import LedgerStore
from ferry.steps import places
from ferry.steps.hook import VendorHook
from ferry.steps.work import connection_of

T = TypeVar("T")
GRACE = 60.0
"""Seconds for which a run that was just opened may be unknown to the vendor's reading side."""
SHORTEST = 1.0
"""Shortest pause in seconds between two looks; the first look may come at once."""
GROWTH = 1.5
"""By how much the pause between two looks grows."""
BEGINS = (Kind.INTENT, Kind.ADOPTED)
BEGUN_BY = {"await_run": START, "await_undo": UNDO}
"""What begins that whose end is waited for: an end that is older is not it."""
ENDED = frozenset({"failed", "upstream_failed", "skipped"})
"""States of a task by which a person has ended it; one that was marked a success has what it waited for."""
_KILLED: set[asyncio.Future[None]] = set()
"""What goes on after a trigger was cancelled; held here, because an event loop holds no task by itself."""
OUTAGE_PAUSE = 300.0
"""Longest pause in seconds while the vendor gives no usable answer."""


class VendorRunTrigger(BaseTrigger):
    """Looks at one vendor run, soon at first and then less and less often, until it ends or patience does.

    It holds nothing but the attempt's key: ref, connection and last known state come from the ledger, and what it learns goes
    there before the task ends. So any triggerer can take over at any moment, and a newer Ferry can read an older one's row.
    """

    hook_class: ClassVar[type[VendorHook[Any]]]

    def __init__(
        self,
        *,
        attempt: str,
        step: str = "await_run",
        verb: str = "look",
        ref_of: Sequence[str] = ("", ""),
        at: str = "",
        patience: float = 43200.0,
        first_look: float = 5.0,
        longest_pause: float = 60.0,
        tolerance: float = 600.0,
        **_newer: Any,
    ) -> None:
        super().__init__()
        self.attempt, self.step, self.verb, self.ref_of, self.at = attempt, step, verb, list(ref_of), at
        self.patience, self.first_look, self.longest_pause, self.tolerance = patience, first_look, longest_pause, tolerance

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and plain JSON, without anything secret: trigger rows are stored in the clear."""
        names = ("attempt", "step", "verb", "ref_of", "at", "patience", "first_look", "longest_pause", "tolerance")
        return f"{type(self).__module__}.{type(self).__qualname__}", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """One event: success when the run's end is in the ledger, failure when it could not be learnt."""
        try:
            seen = await self._wait()
        except FerryError as error:
            self.log.error("%s", error.message)  # noqa: TRY400 (a vendor's no is no bug: the sentence is what helps)
            yield self.gave_up()
        else:
            yield self.found(seen)

    def is_over(self, seen: Run) -> bool:
        """Whether what was seen ends the wait."""
        return seen.state.is_final

    def kind(self) -> Kind:
        """What sort of fact the end of the wait is."""
        return Kind.RESULT

    def found(self, seen: Run) -> TriggerEvent:  # noqa: ARG002 (the ledger has it)
        """The event once the ledger knows what the wait was for."""
        return TaskSuccessEvent()

    def gave_up(self) -> TriggerEvent:
        """The event when it could not be learnt."""
        return TaskFailedEvent()

    def in_vain(self) -> tuple[str, str]:
        """What did not happen in all the time there was, and how it goes on."""
        way_on = f"The vendor's run goes on. Look at it there; clear {self.step} to wait on."
        return f"did not end within {self.patience / 3600:.1f} h", way_on

    async def _wait(self) -> Run:
        ledger = await patiently(self, places.ledger_at, await places.aledger_url())
        attempt = Attempt.parse(self.attempt)
        standing = await patiently(self, ledger.attempt, attempt)
        known, begun = standing.results.get((self.step, "")), standing.latest(BEGUN_BY.get(self.step, ""), *BEGINS)
        if known is not None and known.state is not None and known.state.is_final and not (begun and begun.seq > known.seq):
            self.log.info("%s: the ledger already knows the end of %s: %s", attempt, self.step, known.state)
            return Run(known.ref, known.state, known.word, known.counts)
        if not self.ref_in(standing):
            raise LedgerError(f"The ledger knows no run of {attempt}; clear the step that opens it.")
        hook = await self.hook_class.aopen(connection_of(standing, self.at))
        return await _Watch(self, ledger, standing).until_over(hook)

    def ask(self, api: Any, seen: Run) -> Exchange[Run]:
        """One look, as an exchange; `seen` is the run as it was seen last."""
        looked: Exchange[Run] = getattr(api, self.verb)(seen)
        return looked

    async def look(self, hook: VendorHook[Any], seen: Run) -> Run:
        """The run as it is now; for vendors whose runs are not asked about one by one."""
        return await hook.acall(lambda api: self.ask(api, seen))

    def since(self, standing: AttemptStanding) -> float:
        """When the wait began, in epoch seconds."""
        return since_when(standing, self.step)

    def ref_in(self, standing: AttemptStanding) -> str:
        """The ref that is looked at."""
        step, key = self.ref_of
        return standing.ref_of(step, key) if step else standing.ref

    def word_in(self, standing: AttemptStanding) -> str:
        """The word that the next one is compared with."""
        return standing.word

    def begin(self, standing: AttemptStanding) -> None:
        """Called once before the first look, for triggers that go on where an earlier one left off."""

    def is_news(self, before: Run, seen: Run) -> bool:
        """Whether a look that ends nothing is worth an entry in the ledger."""
        return seen.word != before.word

    async def weigh(self, ledger: LedgerStore, seen: Run) -> Run:  # noqa: ARG002 (for subclasses)
        """What a look comes to, where the ledger knows more about the run than the vendor does."""
        return seen

    async def facts(self, seen: Run) -> dict[str, Any]:  # noqa: ARG002 (for subclasses)
        """More fields for the entry about what was seen: evidence that was gathered on the way, further data."""
        return {}

    async def more_time(self, hook: VendorHook[Any], ledger: LedgerStore) -> float:  # noqa: ARG002 (for subclasses)
        """Seconds to go on waiting once patience has run out; 0 to give up. A vendor that can cancel does so here."""
        return 0.0

    def origin(self) -> Origin:
        """The task this trigger works for, as the ledger names it."""
        ti = self.task_instance
        if ti is None:
            return Origin("", "", self.step)
        return Origin(ti.dag_id, ti.run_id, ti.task_id, int(ti.try_number or 0))

    async def on_kill(self) -> None:
        """A person ended the task. The vendor's run is cancelled only if that is really so and the vendor can cancel.

        Airflow 3.3.2 cancels the trigger again at its next look, a second later, and what is awaited here with it; so the work
        goes on beside it.
        """
        work = asyncio.ensure_future(self._end_if_killed())
        _KILLED.add(work)
        work.add_done_callback(_KILLED.discard)
        await asyncio.shield(work)

    async def _end_if_killed(self) -> None:
        if await self._was_ended():
            await self.cancel()

    async def cancel(self) -> None:
        """Cancel the vendor's run, for vendors that can; the others' runs go on, and the log says so."""
        self.log.warning(
            "Waiting for %s was ended by a person. The vendor offers no way to cancel: its run goes on.", self.attempt
        )

    async def _was_ended(self) -> bool:
        """Whether the task is really over; only Airflow knows.

        A triggerer that stalled wakes up and is told to kill what another one has taken over, and a task that is cleared is to
        wait anew: in neither case has anybody ended it, and a run that is cancelled by mistake does not come back.
        """
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

        ti = self.task_instance
        if ti is None:
            return False
        states = await sync_to_async(RuntimeTaskInstance.get_task_states)(
            dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], map_index=ti.map_index
        )
        found = {str(getattr(state, "value", state)) for state in (states.get(ti.run_id) or {}).values()}
        return bool(found) and found <= ENDED


class VendorProofTrigger(VendorRunTrigger):
    """Looks for proof that a run was started whose start's answer was lost. It resumes its task with what it found."""

    def is_over(self, seen: Run) -> bool:
        """Anything but QUEUED is proof: the verb says QUEUED while there is none."""
        return seen.state is not RunState.QUEUED

    def word_in(self, standing: AttemptStanding) -> str:
        """The word just before the start: another one proves it."""
        return standing.word_before_start

    def kind(self) -> Kind:
        """Proof of a start is a look at the run, not its end."""
        return Kind.LOOK

    def found(self, seen: Run) -> TriggerEvent:
        """Proof: the run was started, and this is its word."""
        return TriggerEvent({"proved": True, "word": seen.word, "ref": seen.ref})

    def gave_up(self) -> TriggerEvent:
        """No proof either way; the log says what was seen."""
        return TriggerEvent({"proved": False, "word": ""})

    def in_vain(self) -> tuple[str, str]:
        """No proof is an answer of its own: the task that waits for it asks a person."""
        return f"shows no proof of a start after {self.patience:.0f} s", "A person is asked now."


class LivePlaceTrigger(BaseTrigger):
    """Waits until there is room for another live run in the environment, or for another part of the attempt.

    It asks the ledger only, never the vendor. `max_parts` is 0 where an attempt has no parts. Airflow 3.3.2 may fail a task that
    is resumed before the scheduler has noticed that its worker let go, some seconds later: where room is likely soon,
    `first_look` waits that out.
    """

    def __init__(
        self,
        attempt: str,
        max_live: int,
        *,
        max_parts: int = 0,
        part_seconds: int | None = None,
        first_look: float = 0.0,
        pause: float = 10.0,
        tolerance: float = 600.0,
        **_newer: Any,
    ) -> None:
        super().__init__()
        self.attempt, self.max_live, self.max_parts, self.part_seconds = attempt, max_live, max_parts, part_seconds
        self.first_look, self.pause, self.tolerance = first_look, pause, tolerance

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and plain JSON."""
        names = ("attempt", "max_live", "max_parts", "part_seconds", "first_look", "pause", "tolerance")
        kwargs = {name: getattr(self, name) for name in names}
        return f"{type(self).__module__}.{type(self).__qualname__}", kwargs

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """One event when there is room; whoever resumes first takes it, the others wait on."""
        await asyncio.sleep(_jittered(self.first_look))
        ledger = await patiently(self, places.ledger_at, await places.aledger_url())
        while not await patiently(self, self._is_room, ledger):  # noqa: ASYNC110 (the ledger is no event)
            await asyncio.sleep(_jittered(self.pause))
        yield TriggerEvent({"room": True})

    def _is_room(self, ledger: LedgerStore) -> bool:
        attempt = Attempt.parse(self.attempt)
        if self.max_parts and ledger.live_parts(attempt, self.part_seconds) >= self.max_parts:
            return False
        live = ledger.live(attempt.vendor, attempt.environment)
        if not self.max_parts:
            return len(live) < self.max_live
        others = [one for one in live if one.attempt != attempt]  # an attempt whose first part was sent has its place
        return len(others) < self.max_live


class _Watch:
    """One wait: what was last seen, when to look next, and when to give up."""

    def __init__(self, trigger: VendorRunTrigger, ledger: LedgerStore, standing: AttemptStanding) -> None:
        self.trigger, self.ledger, self.attempt = trigger, ledger, standing.attempt
        self.seen = Run(trigger.ref_in(standing), RunState.QUEUED, trigger.word_in(standing))
        self.since = trigger.since(standing)
        self.deadline = self.since + trigger.patience
        self.pause, self.wished, self.looks, self.failed = trigger.first_look, 0.0, 0, 0
        self.trouble, self.trouble_since = "", 0.0
        trigger.begin(standing)

    async def until_over(self, hook: VendorHook[Any]) -> Run:
        while True:
            await asyncio.sleep(min(self._spread(), max(0.0, self.deadline - time.time())))
            self.wished = await self._look(hook)
            if self.trigger.is_over(self.seen):
                await self._record(self.trigger.kind())
                return self.seen
            if time.time() >= self.deadline:
                await self._extend_or_give_up(hook)
            self._grow()

    async def _extend_or_give_up(self, hook: VendorHook[Any]) -> None:
        more = await self.trigger.more_time(hook, self.ledger)
        if not more:
            await self._record(Kind.LOOK, gave_up=True)
            raise VendorUnavailable(self._given_up())
        self.deadline, self.pause = time.time() + more, self.trigger.first_look

    async def _look(self, hook: VendorHook[Any]) -> float:
        """One look; returns the seconds for which the vendor asked to be left alone."""
        before = self.seen
        try:
            looked = await self.trigger.look(hook, before)
        except VendorError as error:
            return self._tolerate(error)
        self.seen = await self.trigger.weigh(self.ledger, looked)
        self.looks, self.failed, self.trouble = self.looks + 1, 0, ""
        if self.trigger.is_over(self.seen):
            return 0.0
        if self.seen.word != before.word:
            self.trigger.log.info("%s: the vendor's word for run %s is now '%s'", self.attempt, self.seen.ref, self.seen.word)
        if self.trigger.is_news(before, self.seen):
            await self._record(Kind.LOOK)
        return 0.0

    def _tolerate(self, error: VendorError) -> float:
        """An outage is waited out until the deadline; a no or nonsense only for a while, in case it passes."""
        now = time.time()
        self.trouble_since = self.trouble_since if self.failed else now
        grace = GRACE - (now - self.since) if isinstance(error, NotFound) else self.trigger.tolerance - (now - self.trouble_since)
        if not error.retry_later and grace <= 0:
            raise error
        if error.message != self.trouble:
            self.trigger.log.warning("%s", error.message)
        self.failed, self.trouble = self.failed + 1, error.message
        return float(error.facts.get("retry_after") or 0.0)

    def _spread(self) -> float:
        """The pause, so that many waiters do not come at the same moment; never sooner than the vendor asked for."""
        return max(_jittered(self.pause), self.wished * random.uniform(1.0, 1.2))  # noqa: S311 (jitter, not a secret)

    def _grow(self) -> None:
        """Look less often as time goes by, and much less often while the vendor gives no answer."""
        longest = OUTAGE_PAUSE if self.failed else self.trigger.longest_pause
        self.pause = max(self.wished, min(longest, max(SHORTEST, self.pause * (2.0 if self.failed else GROWTH))))

    async def _record(self, kind: Kind, **more: Any) -> None:
        facts = await self.trigger.facts(self.seen)
        more |= facts.pop("data", {})
        draft = Draft(
            attempt=self.attempt,
            step=self.trigger.step,
            kind=kind,
            origin=self.trigger.origin(),
            ref=self.seen.ref,
            word=self.seen.word,
            state=self.seen.state,
            counts=self.seen.counters,
            note=self.seen.detail,
            data={"looks": self.looks} | more,
            **facts,
        )
        await patiently(self.trigger, self.ledger.append, draft)

    def _given_up(self) -> str:
        said = f"its last word was '{self.seen.word}'" if self.seen.word else "it has said nothing yet"
        trouble = f" The last trouble: {self.trouble}" if self.trouble else ""
        vain, way_on = self.trigger.in_vain()
        return f"{self.attempt}: run {self.seen.ref} {vain}; {said}.{trouble} {way_on} Nothing is started again."


async def patiently(trigger: VendorRunTrigger | LivePlaceTrigger, ask: Callable[..., T], *args: Any) -> T:
    """A ledger call in a thread, tried again while the ledger's database is away: a restart of it must not end a wait."""
    until, pause = time.time() + trigger.tolerance, 1.0
    while True:
        try:
            return await asyncio.to_thread(ask, *args)
        except LedgerError as error:
            if not error.retry_later or time.time() > until:
                raise
            trigger.log.warning("%s", error.message)
        await asyncio.sleep(_jittered(pause))
        pause = min(30.0, pause * 2)


def _jittered(pause: float) -> float:
    return pause * random.uniform(0.8, 1.2)  # noqa: S311 (so that many waiters do not come at the same moment)


def since_when(standing: AttemptStanding, step: str) -> float:
    """When the wait began, in epoch seconds: the last thing that was sent or found, or the last time this wait was given up.

    It survives restarts of triggerers, and a task that is cleared after its patience ran out waits as long again.
    """
    sent = [e.at for e in standing.entries if e.ref and e.kind in {Kind.RESULT, Kind.INTENT, Kind.ADOPTED}]
    sent += [e.at for e in standing.entries if e.step == step and e.data.get("gave_up")]
    return (max(sent) if sent else datetime.now(UTC)).timestamp()
