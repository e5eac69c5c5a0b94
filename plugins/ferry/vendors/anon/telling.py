"""Telling a person that a migration waits for one: once for each time it comes to stand so, and one reminder."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ferry.core.errors import BadInput
from ferry.core.model import RunState
from ferry.ledger.chain import SEEN
from ferry.ledger.entries import Kind
from ferry.vendors.anon.hook import AnonSettings, settings_of
from ferry.vendors.anon.vocabulary import WAITS_FOR

if TYPE_CHECKING:
    from airflow.sdk import BaseNotifier, Context

    from ferry.ledger.entries import AttemptStanding
    from ferry.steps.work import Work

log = logging.getLogger(__name__)
TELL = "tell_person"
REMINDER = "reminder"
SIGHTS = ("find_run", "await_run")
"""The steps that see how a migration stands."""


@dataclass(slots=True)
class Episode:
    """One time of standing in one state: which entry saw it first, since when (epoch seconds), and who was told of it."""

    seq: int = 0
    word: str = ""
    since: float = 0.0
    told: bool = False
    reminded: bool = False

    def is_due(self, remind_after: float, now: float) -> bool:
        """Whether somebody is to be told now. 0 means that nobody is reminded."""
        return not self.told or bool(remind_after and not self.reminded and now - self.since >= remind_after)


def episode_of(standing: AttemptStanding) -> Episode:
    """How the migration stands by the ledger, and since when it has done so without a break."""
    found = Episode()
    for entry in reversed(standing.entries):
        if entry.step not in SIGHTS or entry.kind not in SEEN or not entry.word:
            continue
        if found.seq and entry.word != found.word:
            break
        found.seq, found.word, found.since = entry.seq, entry.word, entry.at.timestamp()
    keys = {entry.key for entry in standing.entries if entry.step == TELL and entry.kind is Kind.INTENT}
    found.told, found.reminded = str(found.seq) in keys, _key(found, reminder=True) in keys
    return found


def _key(episode: Episode, *, reminder: bool) -> str:
    return f"{episode.seq}.{REMINDER}" if reminder else str(episode.seq)


def tell(work: Work, context: Context) -> bool:
    """Whether a person was told. Never twice of the same: the wish is in the ledger before anything is sent.

    Where a worker died in between, nobody knows whether the message went out; the reminder makes up for it.
    """
    standing = work.standing
    episode = episode_of(standing)
    if standing.run_state is not RunState.WAITING_FOR_PERSON:
        return False
    reminder = episode.told
    key, facts = _key(episode, reminder=reminder), {"word": episode.word, REMINDER: reminder}
    if not work.ledger.intend(work.attempt, TELL, key=key, ref=standing.ref, origin=work.origin, data=facts).fresh:
        return False
    settings = settings_of(work)
    about = _about(standing, episode, reminder=reminder)
    try:
        _send(settings, context, about)
    except Exception as error:  # noqa: BLE001 (a notifier may raise anything, and its text may hold whatever it was given)
        why = error.message if isinstance(error, BadInput) else f"It raised {type(error).__name__}."  # BadInput is our own
        note = f"{settings.notifier.rpartition('.')[2]} could not tell anybody. {why} The wait goes on."
        log.warning("%s", note)
        work.record(Kind.RESULT, step=TELL, key=key, state=RunState.FAILED_CLEAN, note=note)
        return False
    note = f"{'Reminded' if reminder else 'Told'} by {settings.notifier.rpartition('.')[2]}: {about['why']}."
    log.info("%s", note)
    work.record(Kind.RESULT, step=TELL, key=key, note=note)
    return True


def _about(standing: AttemptStanding, episode: Episode, *, reminder: bool) -> dict[str, Any]:
    adopted = standing.latest("find_run", Kind.ADOPTED)
    told = adopted.data if adopted else {}
    return {
        "id": standing.ref,
        "status": episode.word,
        "company_id": told.get("company", ""),
        "created_by_user_id": told.get("user", ""),
        "why": WAITS_FOR.get(episode.word, "it waits for a person"),
        "batch_id": standing.attempt.batch_id,
        "reminder": reminder,
    }


def _send(settings: AnonSettings, context: Context, about: dict[str, Any]) -> None:
    """Let the connection's notifier tell. Its arguments may use `migration` and `reminder` beside what Airflow offers."""
    notifier = notifier_of(settings)
    told: Any = {**context, "migration": about, REMINDER: about[REMINDER]}
    notifier.render_template_fields(told)
    notifier.notify(told)


def notifier_of(settings: AnonSettings) -> BaseNotifier:
    """The connection's notifier; BadInput if its path or its arguments are not those of one."""
    from airflow.sdk import BaseNotifier
    from airflow.sdk._shared.module_loading import import_string

    try:
        found = import_string(settings.notifier)
    except ImportError:
        raise BadInput(f"There is no {settings.notifier}. Correct `notifier` in the connection.") from None
    if not (isinstance(found, type) and issubclass(found, BaseNotifier)):
        raise BadInput(f"{settings.notifier} is no notifier of Airflow's. Correct `notifier` in the connection.")
    try:
        return found(**json.loads(settings.notifier_arguments))
    except TypeError:
        raise BadInput(f"{settings.notifier} does not take the arguments in the connection's `notifier_arguments`.") from None
