"""Sending once: whoever finds an intent without a result never sends, and only a certain no frees the step."""

import sqlite3
import time
from contextlib import closing, suppress
from types import SimpleNamespace

import pytest
from tests.loopback import answer, loopback
from tests.steps.conftest import ORIGIN
from tests.steps.six import SixHook

from ferry.core.errors import BadInput, LedgerError, StorageError, VendorError, VendorNonsense, VendorRefused, VendorUnavailable
from ferry.core.model import Run, RunState
from ferry.ledger.entries import Kind, LedgerFull, NotHolder, Origin, Verdict
from ferry.steps import places
from ferry.steps.operators import parse_attempt
from ferry.steps.work import LedgerOutdated, Overtaken, Work, connection_of

OTHER = Origin("migrate_six", "b-1.2", "start_run", 1, "anna")


@pytest.fixture
def work(ledger):
    ledger.open_run()
    return Work(ledger.attempt, "start_run", ORIGIN, SixHook)


def start(work, **how):
    return work.once(lambda api: api.start(work.run), ref="r-1", **how)


def test_what_was_answered_is_known_and_never_sent_again(work, six):
    six.will(answer(202))
    first = start(work)
    assert (first.kind, first.ref) == (Kind.RESULT, "r-1")
    assert start(work) == first
    assert len(six.asked) == 1


def test_the_intent_is_in_the_ledger_before_anything_is_sent(work, six):
    seen = []

    def look_into_the_ledger(connection):
        seen.extend(work.standing.starts)
        connection.sendall(answer(202))

    six.will(look_into_the_ledger)
    start(work)
    assert [(intent.step, intent.ref) for intent in seen] == [("start_run", "r-1")]


@pytest.mark.parametrize("reply", [None, answer(500), answer(504), answer(524), answer(202, b"{}", length=100)])
def test_a_lost_answer_is_unknown_for_ever_and_nothing_is_sent_again(work, six, reply):
    six.will(reply, answer(202))
    assert start(work) is None
    assert start(work) is None
    assert start(Work(work.attempt, "start_run", ORIGIN, SixHook)) is None
    assert len(six.asked) == 1
    assert work.standing.started
    assert not work.standing.start_known


@pytest.mark.parametrize("reply", [answer(302), answer(307)])
def test_nonsense_is_no_certain_no(work, six, reply):
    """A redirect to a login page may come before or after the vendor acted: it is shown, and the start stays unknown."""
    six.will(reply, answer(202))
    with pytest.raises(VendorNonsense):
        start(work)
    assert start(work) is None
    assert len(six.asked) == 1
    assert not work.standing.start_known


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 412, 422])
def test_a_certain_no_frees_the_step_for_another_intent(work, six, status):
    six.will(answer(status), answer(202))
    with pytest.raises(VendorRefused):
        start(work)
    assert not work.standing.holds_place
    assert start(work).state is not RunState.FAILED_CLEAN
    assert [intent.key for intent in work.standing.starts] == ["", "~2"]
    assert len(six.asked) == 2


def test_a_vendor_that_was_never_reached_frees_the_step(work, connect, six, monkeypatch):
    monkeypatch.setattr("ferry.core.exchange.time", SimpleNamespace(sleep=lambda _: None, monotonic=time.monotonic))
    connect("six_default", conn_type="http", host="http://127.0.0.1:1", extra={"connect_timeout": 0.2})
    with pytest.raises(VendorUnavailable, match="nothing was sent"):
        start(work)
    connect("six_default", conn_type="http", host=six.url)
    six.will(answer(202))
    assert start(Work(work.attempt, "start_run", ORIGIN, SixHook)) is not None
    assert len(six.asked) == 1


def test_a_refusal_leaves_what_the_vendor_said(work, six):
    six.will(answer(400))
    with pytest.raises(VendorError) as caught:
        start(work)
    entry = work.standing.entries[-1]
    assert (entry.state, entry.data["trouble"]) == (RunState.FAILED_CLEAN, caught.value.to_json())


def test_parts_are_sent_once_each(work, six):
    six.will(answer(202), None, answer(202))
    assert [start(work, part=part) is not None for part in ("a", "b", "c")] == [True, False, True]
    assert [start(work, part=part) is not None for part in ("a", "b", "c")] == [True, False, True]
    assert len(six.asked) == 3


def ended(state):
    """A verb whose run ends at once."""

    def verb(api):
        yield from api._call("start", "PUT", "/run/r-1/start", repeatable=False)
        return Run("r-1", state, "Word")

    return verb


def held_up(work, meanwhile):
    """A start whose process stands still after its intent is written, as that of a machine that is paused does."""

    run = work.run

    def verb(api):
        meanwhile()
        return (yield from api.start(run))

    return verb


def a_person_is_asked(work):
    work.record(Kind.ASKED, step="confirm_start")


def it_is_declared_harmless(work):
    work.forget("The answer was lost.")


def it_is_adopted(work):
    work.adopt(Run("r-1", RunState.QUEUED, "Processing"), "The list shows it.")


def it_is_settled(work):
    work.judge(Verdict.ABANDONED, {}, "A person says that it was not started.")


@pytest.mark.parametrize("conclude", [a_person_is_asked, it_is_declared_harmless, it_is_adopted, it_is_settled])
def test_what_others_have_drawn_a_conclusion_about_is_not_sent_any_more(work, six, conclude):
    six.will(answer(202))
    with pytest.raises(Overtaken, match="Nothing was sent"):
        work.once(held_up(work, lambda: conclude(Work(work.attempt, "start_run", ORIGIN, SixHook))), ref="r-1")
    assert six.asked == []


def test_what_was_held_up_and_nobody_has_touched_is_sent(work, six):
    six.will(answer(202))
    looks = work.once(held_up(work, lambda: work.record(Kind.LOOK, step="await_run", ref="r-1")), ref="r-1")
    assert (looks.kind, len(six.asked)) == (Kind.RESULT, 1)


def test_a_ledger_that_is_away_in_the_last_moment_keeps_the_start_here_and_nobody_sends_it_later(work, ledger, six):
    six.will(answer(202))
    with pytest.raises(LedgerError):
        work.once(held_up(work, ledger.take_away), ref="r-1")
    ledger.bring_back()
    assert start(Work(work.attempt, "start_run", ORIGIN, SixHook)) is None
    assert six.asked == []


def test_what_becomes_of_one_part_keeps_no_other_part_from_being_sent(work, six):
    six.will(answer(202))
    other = Work(work.attempt, "start_run", ORIGIN, SixHook)
    sent = work.once(held_up(work, lambda: other.record(Kind.ASKED, step="start_run", key="b")), part="a")
    assert (sent.kind, len(six.asked)) == (Kind.RESULT, 1)


def test_the_last_look_is_taken_after_a_connection_could_not_be_made_and_before_it_is_tried_again(
    work, connect, six, monkeypatch
):
    """The pauses between such tries are minutes, in which others may have drawn their conclusions."""
    pauses = iter([lambda: None, lambda: a_person_is_asked(Work(work.attempt, "start_run", ORIGIN, SixHook))])
    monkeypatch.setattr("ferry.core.exchange.time", SimpleNamespace(sleep=lambda _: next(pauses)(), monotonic=time.monotonic))
    connect("six_default", conn_type="http", host="http://127.0.0.1:1", extra={"connect_timeout": 0.2})
    with pytest.raises(Overtaken):
        start(work)


def test_an_answer_that_was_weighed_frees_the_step_and_a_newer_one_does_not(work, six):
    six.will(answer(202), answer(202), answer(202))
    first = work.once(ended(RunState.FAILED_DIRTY), part="a")
    assert work.once(ended(RunState.SUCCEEDED), part="a") == first
    second = work.once(ended(RunState.FAILED_DIRTY), part="a", weighed=first.seq)
    assert second.key == "a~2"
    assert work.once(ended(RunState.SUCCEEDED), part="a", weighed=first.seq) == second, "another try was first: weigh again"
    assert work.once(ended(RunState.SUCCEEDED), part="a", weighed=second.seq).key == "a~3"
    assert len(six.asked) == 3


def test_a_lost_answer_frees_nothing_whatever_was_weighed(work, six):
    six.will(None, answer(202))
    assert work.once(ended(RunState.SUCCEEDED), part="a", weighed=99) is None
    assert work.once(ended(RunState.SUCCEEDED), part="a", weighed=99) is None
    assert len(six.asked) == 1


def test_the_file_that_was_made_of_the_answer_stands_in_the_result(work, six):
    six.will(answer(202))
    filed = work.evidence.file_json(work.attempt, "start_run", "a.json", {"state": "done"})
    entry = work.once(ended(RunState.SUCCEEDED), part="a", evidence=lambda: filed)
    assert (entry.evidence_path, entry.evidence_hash) == (filed.path, filed.sha256)


def test_with_its_parts_under_way_an_attempt_sends_no_more(work, six):
    six.will(None)
    start(work, part="a", max_parts=1)
    with pytest.raises(LedgerFull):
        start(work, part="b", max_parts=1)
    assert len(six.asked) == 1


def test_what_a_contract_calls_harmless_may_be_forgotten_and_sent_again(work, six):
    six.will(None, answer(202))
    assert start(work) is None
    work.forget("An unstarted run does no harm.")
    assert start(work) is not None
    assert len(six.asked) == 2


def test_what_is_forgotten_is_one_part_only(work, six):
    six.will(None, None, answer(202))
    assert [start(work, part=part) for part in ("a", "b")] == [None, None]
    work.forget("An unstarted part does no harm.", "b")
    assert start(work, part="a") is None
    assert start(work, part="b") is not None
    assert [intent.key for intent in work.standing.starts] == ["a", "b", "b~2"]
    assert len(six.asked) == 3


def test_what_must_be_known_later_goes_into_the_intent_before_anything_is_sent(work, six):
    six.will(None)
    start(work, data={"before": "abc"})
    assert start(work, data={"before": "another"}) is None
    assert work.last_intent().data == {"before": "abc"}
    assert work.last_intent().kind is Kind.INTENT


def test_what_would_be_sent_is_known_beforehand(work, six):
    six.will(answer(400), None, answer(202))
    assert work.may_send()
    with pytest.raises(VendorRefused):
        start(work)
    assert work.may_send(), "it came to a certain no"
    start(work)
    assert not work.may_send(), "nobody knows what came of it"
    assert work.may_send("other part")
    work.forget("It does no harm.")
    assert work.may_send()
    start(work)
    assert not work.may_send(), "it is done"


def test_the_last_intent_of_a_part_is_the_newest(work, six):
    six.will(answer(400), None)
    with pytest.raises(VendorRefused):
        start(work, part="a")
    first = work.last_intent("a")
    start(work, part="a")
    assert (first.key, work.last_intent("a").key) == ("a", "a~2")
    assert first.entry_hash != work.last_intent("a").entry_hash
    with pytest.raises(KeyError):
        work.last_intent()


def test_what_is_adopted_is_the_answer_to_the_last_intent_of_its_part(work, six):
    six.will(answer(400), None)
    with pytest.raises(VendorRefused):
        start(work, part="a")
    assert start(work, part="a") is None
    adopted = work.adopt(Run("r-9", RunState.RUNNING, "Busy", {"n": 1}), "It was found.", "a")
    assert (adopted.kind, adopted.key, adopted.ref, adopted.word, adopted.counts) == (
        Kind.ADOPTED,
        "a~2",
        "r-9",
        "Busy",
        {"n": 1},
    )
    assert start(work, part="a") == adopted
    assert work.standing.start_known
    assert len(six.asked) == 2


def test_a_stranger_may_neither_forget_nor_act(work, six):
    six.will(None)
    start(work)
    stranger = Work(work.attempt, "start_run", Origin("migrate_six", "other.1", "start_run", 1), SixHook)
    with pytest.raises(
        NotHolder, match=r"may not do `start_run`, because the attempt is held by DAG run b-1\.1 of migrate_six\."
    ):
        stranger.must_hold()
    with pytest.raises(NotHolder, match=r"It may be waiting for the answer right now\. Nothing was sent\.") as caught:
        stranger.forget("It does no harm.")
    assert not caught.value.retry_later
    assert not work.may_send()
    work.must_hold()


def test_a_stranger_sends_nothing(work, six):
    stranger = Work(work.attempt, "start_run", Origin("migrate_six", "other.1", "start_run", 1), SixHook)
    with pytest.raises(NotHolder):
        start(stranger)
    assert six.asked == []


def test_without_a_place_nothing_is_sent(work, six):
    with pytest.raises(LedgerFull):
        start(work, max_live=0)
    assert six.asked == []
    assert not work.standing.started


def test_without_a_ledger_nothing_is_sent(work, ledger, six):
    run = work.run
    ledger.take_away()
    with pytest.raises(LedgerError, match="could not be"):
        work.once(lambda api: api.start(run))
    ledger.bring_back()
    assert six.asked == []


def test_the_run_comes_from_the_ledger(ledger):
    work = Work(ledger.attempt, "await_run", ORIGIN, SixHook)
    with pytest.raises(LedgerError, match="knows no run of six batch b-1, attempt 1 yet"):
        _ = work.run
    ledger.open_run()
    ledger.write("await_run", Kind.LOOK, ref="r-1", state=RunState.RUNNING, word="Busy", counts={"n": 2})
    assert (work.run.ref, work.run.state, work.run.word, work.run.counters) == ("r-1", RunState.RUNNING, "Busy", {"n": 2})


def test_the_connection_is_the_one_the_attempt_was_admitted_with(ledger):
    assert connection_of(ledger.standing) == "six_default"


@pytest.fixture
def two_ends(ledger):
    """An attempt at a batch that works with two connections, admitted the usual way."""
    told = {"connection": "six_default", "connections": {"source": "six_source"}}
    opened = ledger.store.admit("six", "six.example", "b-2", "b" * 64, ORIGIN, is_live=lambda _: False, data=told)
    return Work(opened.attempt, "check_batch", ORIGIN, SixHook)


def test_a_vendor_with_two_ends_is_asked_at_the_one_that_is_named(two_ends, six, connect):
    with loopback() as other:
        connect("six_source", conn_type="http", host=other.url, extra={"sandbox": True})
        other.will(answer(200))
        assert two_ends.call(two_ends.hook.probe, at="source") == "six is there"
        assert (len(other.asked), len(six.asked)) == (1, 0)
    assert connection_of(two_ends.standing) == "six_default"
    with pytest.raises(LedgerError, match=r"which connection is the target of six batch b-2, attempt 1; trigger"):
        connection_of(two_ends.standing, "target")


def test_the_end_of_a_step_ends_its_sessions(two_ends, six, connect):
    connect("six_source", conn_type="http", host=six.url, extra={"sandbox": True})
    six.will(answer(200), answer(200))
    with two_ends as work:
        clients = [work.hook_at(role)._line.client for role in ("", "source")]
        assert not any(client.is_closed for client in clients)
    assert all(client.is_closed for client in clients)


@pytest.mark.parametrize("key", ["", "None", "{{ ti.xcom_pull() }}"])
def test_a_task_without_an_attempt_says_where_to_look(key):
    with pytest.raises(BadInput, match=r"This DAG run has no attempt: admit_batch failed or was skipped\..*clear admit_batch"):
        parse_attempt(key)


# A ledger that was restored from a backup


@pytest.fixture
def restore(ledger, connect, tmp_path):
    """Keep the ledger as it is now; what comes back puts that copy in its place."""
    copy = tmp_path / "backup.db"
    with closing(sqlite3.connect(ledger.folder / "ledger.db")) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return lambda: connect("ferry_ledger", conn_type="sqlite", host=str(copy))


def again(work, step="start_run"):
    return Work(work.attempt, step, ORIGIN, SixHook)


def admit(*, force):
    told = {"connection": "six_default"}
    batch = ("six", "six.example", "b-1")
    admitted = places.ledger().admit(*batch, "a" * 64, OTHER, is_live=lambda _: False, force=force, data=told)
    work = Work(admitted.attempt, "start_run", OTHER, SixHook)
    work.record(Kind.RESULT, step="open_run", ref="r-1", word="Created")
    return work


@pytest.mark.parametrize("reply", [answer(202), answer(400), None])
def test_what_a_restored_ledger_has_forgotten_is_not_sent_again(work, six, restore, reply):
    six.will(reply, answer(202))
    with suppress(VendorRefused):
        start(work)
    restore()
    with pytest.raises(LedgerOutdated, match=r"\(`start_run` of attempt 1\).*Nothing was sent.*force_new_attempt"):
        start(again(work))
    assert len(six.asked) == 1
    assert not again(work).standing.started, "no intent either: nothing was about to be sent"


def test_nor_is_anything_else_of_that_batch(work, six, restore):
    six.will(answer(202))
    start(work)
    restore()
    with pytest.raises(LedgerOutdated):
        again(work, "open_run").once(lambda api: api.start(work.run), part="a")
    assert len(six.asked) == 1


def test_a_ledger_that_knows_all_that_was_sent_goes_on(work, six, restore):
    six.will(answer(202), answer(202))
    restore()
    start(again(work), part="a")
    assert start(again(work), part="b") is not None
    assert len(six.asked) == 2


def test_who_forces_an_attempt_has_decided_that_it_may_be_sent(work, six, restore):
    six.will(answer(202), answer(202))
    start(work)
    restore()
    assert start(admit(force=True)) is not None
    assert len(six.asked) == 2


def test_a_first_attempt_can_be_forced_where_the_ledger_knows_nothing_of_the_batch(work, six, connect, tmp_path):
    six.will(answer(202), answer(202))
    start(work)
    connect("ferry_ledger", conn_type="sqlite", host=str(tmp_path / "new.db"))
    with pytest.raises(LedgerOutdated):
        start(admit(force=False))
    connect("ferry_ledger", conn_type="sqlite", host=str(tmp_path / "newer.db"))
    assert start(admit(force=True)) is not None
    assert len(six.asked) == 2


def test_an_evidence_store_that_takes_no_word_of_it_keeps_the_start_here_and_the_step_free(work, six, tmp_path):
    six.will(answer(202))
    sent = tmp_path / "evidence" / "sent" / "six" / "six.example"
    sent.mkdir(parents=True)
    (sent / "b-1").touch()  # where a folder should be
    with pytest.raises(OSError, match="b-1"):
        start(work)
    assert six.asked == []
    assert not work.standing.holds_place
    (sent / "b-1").unlink()
    assert start(again(work)) is not None
    assert [intent.key for intent in work.standing.starts] == ["", "~2"]


def test_an_evidence_store_that_cannot_be_read_keeps_the_start_here_and_leaves_no_intent(work, six, monkeypatch):
    monkeypatch.setenv("FERRY_EVIDENCE", "s3://no-such-connection@bucket/evidence")
    with pytest.raises(StorageError):
        start(work)
    assert six.asked == []
    assert not work.standing.started
