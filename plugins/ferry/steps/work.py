"""What a step has at hand while it runs: attempt, batch, vendor, ledger, evidence, and the one way to send something once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any, Self, TypeVar

from airflow.sdk import Context

from ferry.core.batch import MANIFEST, Batch, parse_manifest, read_batch
from ferry.core.errors import AnswerLost, LedgerError, StorageError, VendorError, VendorNonsense
from ferry.core.exchange import Exchange
from ferry.core.model import Attempt, Run, RunState
from ferry.ledger.entries import AGAIN, SETTLE, AttemptStanding, Draft, Entry, Intent, Kind, NotHolder, Origin, Verdict, part_of
from ferry.ledger.evidence import EvidenceStore, Filed, Sent
from ferry.ledger.store import LedgerStore
from ferry.steps import places
from ferry.steps.hook import VendorHook

T = TypeVar("T")
CONNECTION = "connection"
"""Key in an admission's data: the connection the attempt works with, also for the trigger, which reads no manifest."""
CONNECTIONS = "connections"
"""Key in an admission's data: further connections, by the role they play."""


def origin_of(context: Context) -> Origin:
    """Which task and try of which DAG run writes to the ledger, and the user who triggered it where Airflow knows one."""
    ti, dag_run = context["ti"], context["dag_run"]
    who = str(getattr(dag_run, "triggering_user_name", None) or "")
    return Origin(ti.dag_id, ti.run_id, ti.task_id, ti.try_number, who)


@dataclass
class Work:
    """One step's view of one attempt."""

    attempt: Attempt
    step: str
    origin: Origin
    hook_class: type[VendorHook[Any]]
    focus: tuple[str, ...] = ()
    """The parts that the step is about, where an attempt may have thousands; empty for all of it."""
    _is_current: bool = field(default=False, init=False, repr=False)
    _opening: Lock = field(default_factory=Lock, init=False, repr=False)
    _hooks: dict[str, VendorHook[Any]] = field(default_factory=dict, init=False, repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the vendor in good order: sessions are ended, connections closed."""
        for hook in self._hooks.values():
            hook.close()

    @cached_property
    def ledger(self) -> LedgerStore:
        """The ledger."""
        return places.ledger()

    @cached_property
    def evidence(self) -> EvidenceStore:
        """The evidence store."""
        return places.evidence()

    @property
    def standing(self) -> AttemptStanding:
        """How the attempt stands now, as far as the step is concerned; read anew at each use."""
        return self.ledger.attempt(self.attempt, self.focus)

    @property
    def batch_key(self) -> tuple[str, str, str]:
        """By which the ledger knows the batch: vendor, environment, batch id."""
        return self.attempt.vendor, self.attempt.environment, self.attempt.batch_id

    @property
    def hook(self) -> VendorHook[Any]:
        """The vendor, by the connection the attempt was admitted with; one for all threads of the step."""
        return self.hook_at("")

    def hook_at(self, role: str) -> VendorHook[Any]:
        """The vendor's other end, by the role that the manifest's section gives it."""
        with self._opening:
            if role not in self._hooks:
                self._hooks[role] = self.hook_class(connection_of(self.standing, role))
            return self._hooks[role]

    @cached_property
    def batch(self) -> Batch:
        """The batch as it lies there; LedgerError if it is no longer what was admitted."""
        found = read_batch(places.batches(), self.attempt.vendor, self.attempt.batch_id, self.hook_class.section_class)
        if found.input_hash != self.standing.input_hash:
            raise InputMoved(
                f"The files of {self.attempt} changed after it was admitted; nothing more is sent for it. "
                "Trigger the batch again: the new files are a new attempt."
            )
        return found

    @cached_property
    def section(self) -> Any:
        """The vendor's part of the manifest as it lies there, also where the files have been corrected since they were sent."""
        root, attempt = places.batches(), self.attempt
        text = (root / attempt.vendor / attempt.batch_id / MANIFEST).read_text(encoding="utf-8")
        return parse_manifest(text, attempt.vendor, attempt.batch_id, self.hook_class.section_class)[1]

    @property
    def run(self) -> Run:
        """The vendor's run as the ledger last knew it; LedgerError if the attempt has none yet."""
        standing = self.standing
        if not standing.ref:
            raise LedgerError(f"The ledger knows no run of {self.attempt} yet; let the earlier steps run first.")
        state = standing.run_state or RunState.QUEUED
        return Run(standing.ref, state, standing.word, standing.counters)

    def draft(self, kind: Kind, **facts: Any) -> Draft:
        """An entry about this attempt and step, not yet in the ledger."""
        facts.setdefault("step", self.step)
        return Draft(attempt=self.attempt, kind=kind, origin=self.origin, **facts)

    def record(self, kind: Kind, filed: Filed | None = None, **facts: Any) -> Entry:
        """Append a fact about this step; `filed` names the evidence for it."""
        if filed is not None:
            facts |= {"evidence_path": filed.path, "evidence_hash": filed.sha256}
        return self.ledger.append(self.draft(kind, **facts))

    def record_run(self, kind: Kind, run: Run, **facts: Any) -> Entry:
        """Append how the vendor's run was seen."""
        return self.record(kind, ref=run.ref, word=run.word, state=run.state, counts=run.counters, note=run.detail, **facts)

    def result(self, key: str = "") -> Entry | None:
        """What an earlier try of this step (or part of it) came to; None if it has not ended, or came to nothing."""
        found = self.standing.results.get((self.step, key))
        return None if found is None or found.state is RunState.FAILED_CLEAN else found

    def call(self, verb: Callable[[Any], Exchange[T]], at: str = "", guard: Callable[[], None] | None = None) -> T:
        """Play one repeatable exchange, or a guarded one, with the end of that role where the vendor has two."""
        return self.hook_at(at).call(verb, guard)

    def once(
        self,
        verb: Callable[[Any], Exchange[Run]],
        *,
        part: str = "",
        ref: str = "",
        at: str = "",
        data: dict[str, Any] | None = None,
        weighed: int = 0,
        evidence: Callable[[], Filed | None] = lambda: None,
        **limits: int | None,
    ) -> Entry | None:
        """Send what must not be sent twice, or learn what became of it. None: it was sent and its fate is unknown.

        The intent is in the ledger before anything is sent, and looked at again in the last moment; word of it is in the evidence
        store, for a ledger that may one day be restored from a backup. Whoever finds an intent without a result never sends. Only
        a certain no of the vendor (or a connection that was never made) frees the step for another intent, with another key.
        `data` goes into the intent: what must be known to tell later whether it took effect. An answer whose
        number in the ledger is no higher than `weighed` frees the step as well, whatever it was: the caller has weighed it.
        `evidence` names the file that the verb made of the answer. `limits` are the ledger's: `max_live`, `max_parts`.
        """
        self._must_know_all()
        key = self._free_key(part, weighed)
        intent: Intent = self.ledger.intend(self.attempt, self.step, key=key, ref=ref, origin=self.origin, data=data, **limits)
        if not intent.fresh:
            return intent.result
        self._leave_word(intent.entry)
        try:
            run = self.call(verb, at, lambda: self._must_stand(intent.entry))
        except AnswerLost as lost:
            self.record(Kind.LOOK, key=key, ref=ref, note=lost.message)
            return None
        except VendorNonsense as odd:  # needs eyes, and is no certain no: the vendor may have acted
            self.record(Kind.LOOK, key=key, ref=ref, note=odd.message)
            raise
        except VendorError as no:
            self.record(
                Kind.RESULT, key=key, ref=ref, state=RunState.FAILED_CLEAN, note=no.message, data={"trouble": no.to_json()}
            )
            raise
        return self.record_run(Kind.RESULT, run, key=key, filed=evidence())

    def _must_know_all(self) -> None:
        """LedgerOutdated if something was sent for this batch that the ledger knows nothing of, and nobody forced the attempt."""
        if self._is_current:  # looked at once: no ledger is restored while a step runs
            return
        lost = self.ledger.forgotten(self.evidence, *self.batch_key)
        if lost and not any(entry.data.get("forced") for entry in self.standing.openings):
            raise _outdated(self.attempt, lost)
        self._is_current = True

    def _leave_word(self, intent: Entry) -> None:
        """Word of the intent outside the ledger; where none can be left, nothing is sent, and the step is free again."""
        try:
            self.evidence.file_intent(intent)
        except (StorageError, OSError) as error:
            note = f"Nothing was sent: the evidence store did not take word of it ({type(error).__name__})."
            self.record(Kind.RESULT, key=intent.key, ref=intent.ref, state=RunState.FAILED_CLEAN, note=note)
            raise

    def _must_stand(self, intent: Entry) -> None:
        """Overtaken if others have drawn conclusions from an intent without a result, while its own process was held up.

        A machine that is paused, or a worker that Airflow gave up, may come back at any moment; the vendor knows no fence.
        """
        standing = self.standing
        later = (entry for entry in standing.entries if entry.seq > intent.seq)
        if not standing.holder.same_run(self.origin) or any(_concludes(entry, intent) for entry in later):
            raise Overtaken(
                f"{self.attempt}: `{self.step}` was held up between its intent and the call, and meanwhile somebody else has "
                "looked after it. Nothing was sent. The ledger says how it went on."
            )

    def may_send(self, part: str = "") -> bool:
        """Whether `once` would send: nothing was meant yet, or all that was came to a certain no."""
        return (self.step, self._free_key(part)) not in self.standing.intents

    def last_intent(self, part: str = "") -> Entry:
        """The newest intent of this step; its hash is a mark by which what was sent can be found again at the vendor."""
        return self.standing.intents[self.step, self._last_key(part)]

    def adopt(self, run: Run, note: str, part: str = "") -> Entry:
        """What a lost call was found to have done becomes this step's result."""
        facts: dict[str, Any] = {"word": run.word, "state": run.state, "counts": run.counters, "note": note}
        return self.record(Kind.ADOPTED, key=self._last_key(part), ref=run.ref, **facts)

    def forget(self, note: str, part: str = "") -> None:
        """Declare an intent without a result harmless, so that it may be repeated; only where the vendor's contract says so."""
        self.must_hold("It may be waiting for the answer right now.")
        self.record(Kind.RESULT, key=self._last_key(part), state=RunState.FAILED_CLEAN, note=note)

    def must_hold(self, why: str = "") -> None:
        """NotHolder unless the attempt is this DAG run's: what it holds no more, it must not act on."""
        holder = self.standing.holder
        if not holder.same_run(self.origin):
            raise NotHolder(
                f"{self.attempt}: {self.origin} may not do `{self.step}`, because the attempt is held by {holder}. {why} "
                "Nothing was sent."
            )

    def _last_key(self, part: str = "", standing: AttemptStanding | None = None) -> str:
        intents = (standing or self.standing).intents
        keys = [key for step, key in intents if step == self.step and part_of(key) == part]
        return keys[-1] if keys else part

    def _free_key(self, part: str = "", weighed: int = 0) -> str:
        """The key of the last intent, or a new one where that intent is known to have come to nothing, or was weighed."""
        standing = self.standing
        last = self._last_key(part, standing)
        done = standing.answers.get((self.step, last))
        if done is None or (done.state is not RunState.FAILED_CLEAN and done.seq > weighed):
            return last
        number = int(last.partition(AGAIN)[2] or 1) + 1
        return f"{part}{AGAIN}{number}"

    def judge(self, verdict: Verdict, counts: dict[str, int], note: str) -> Entry:
        """Append the verdict, unless the same one already stands."""
        last = self.standing.latest(SETTLE, Kind.VERDICT)
        if last is not None and (last.verdict, last.counts, last.note) == (verdict, counts, note):
            return last
        return self.ledger.settle(self.attempt, verdict, self.origin, counts=counts, note=note)

    @contextmanager
    def desk(self) -> Iterator[Path]:
        """A local folder for the time of a block; what is worth keeping is filed as evidence."""
        with TemporaryDirectory(prefix=f"ferry-{self.attempt.batch_id}-") as folder:
            yield Path(folder)


class Overtaken(LedgerError):
    """What was about to be sent is somebody else's to decide by now."""

    retry_later = False


class LedgerOutdated(LedgerError):
    """The evidence store has word of calls that the ledger knows nothing of: it is an older copy of itself, or another."""

    retry_later = False


def _outdated(attempt: Attempt, lost: Sequence[Sent]) -> LedgerOutdated:
    told = ", ".join(f"`{one.step}` of attempt {one.attempt}" for one in lost[:3]) + (", …" if len(lost) > 3 else "")
    return LedgerOutdated(
        f"{attempt}: the evidence store has word of calls that the ledger knows nothing of ({told}). The ledger is older than "
        "they are, as one that was restored from a backup is. Nothing was sent. Look at the vendor for what came of them: if "
        "they took effect, take the batch's folder out of FERRY_BATCHES; if not, trigger the batch with force_new_attempt.",
        attempt=attempt.key,
    )


def _concludes(entry: Entry, intent: Entry) -> bool:
    """Whether an entry says, or asks a person, what became of the intent: after that it must not be sent any more."""
    same = (entry.step, entry.key) == (intent.step, intent.key)
    return same or entry.kind is Kind.VERDICT or (entry.kind is Kind.ASKED and entry.key in {"", intent.key})


class InputMoved(LedgerError):
    """The files changed under an open attempt: a retry cannot help."""

    retry_later = False


def connection_of(standing: AttemptStanding, role: str = "") -> str:
    """The connection an attempt was admitted with; the one that plays a role, where one is named."""
    for entry in reversed(standing.openings):
        if told := entry.data.get(CONNECTIONS, {}).get(role) if role else entry.data.get(CONNECTION):
            return str(told)
    which = f"which connection is the {role} of" if role else "the connection of"
    raise LedgerError(f"The ledger does not say {which} {standing.attempt}; trigger the batch again.")
