"""Steps that act only while the attempt is theirs, and an undo that is looked up and never guessed: with a real ledger."""

import pytest
from tests.vendors.records import A, B

from ferry.core.errors import BatchRefused
from ferry.core.model import RunState
from ferry.ledger.entries import START, UNDO, Kind, NotHolder, Origin
from ferry.steps.undoing import TAKEN_UP, undo_part
from ferry.steps.work import Work
from ferry.vendors.microstrategy import TARGET
from ferry.vendors.microstrategy.certifying import certify_package, sync_certification
from ferry.vendors.microstrategy.hook import MicroStrategyHook
from ferry.vendors.microstrategy.planning import check_batch
from ferry.vendors.microstrategy.undoing import check_undo, undo_run

REF = f"{A}:{B}"
SALES = {"project": "Sales", "rules": {"default_action": "replace"}, "objects": [{"id": A, "type": 12}]}
UNDOER, STRANGER = Origin("undo_microstrategy", "u-1", "undo_run", 1), Origin("migrate_microstrategy", "r-2", "x", 1)


def step(work, name, origin=None):
    return Work(work.attempt, name, origin or work.origin, MicroStrategyHook)


def took_up(work):
    """The attempt belongs to the undo's DAG run."""
    work.ledger.take_up(work.attempt, UNDOER, is_live=lambda _: False, data={"connection": TARGET, TAKEN_UP: True})
    return step(work, UNDO, UNDOER)


@pytest.fixture
def imported(admitted):
    """An import that the ledger knows of and the sandbox does not: whoever asks the target is told so."""
    work = admitted({"packages": [SALES]})
    check_batch(work)
    work.ledger.intend(work.attempt, START, origin=work.origin, ref=REF)
    work.record(Kind.RESULT, step=START, ref=REF, state=RunState.QUEUED)
    work.record(Kind.RESULT, step="await_run", ref=REF, state=RunState.FAILED_DIRTY, word="import_failed")
    return work


def tried(work, key="", state=None):
    """An undo that was meant, and what came of it."""
    work.ledger.intend(work.attempt, UNDO, key=key, origin=work.standing.holder, ref=REF)
    if state:
        work.record(Kind.RESULT, step=UNDO, key=key, ref=REF, state=state)


def test_an_import_of_which_the_target_keeps_no_record_cannot_be_undone(imported):
    work = took_up(imported)
    with pytest.raises(
        BatchRefused, match=r"keeps no record of run .* any more, and with it went its undo package\. Nothing was"
    ):
        check_undo(step(work, "check_undo", UNDOER))
    assert not work.standing.undoing


@pytest.mark.parametrize("state", [None, RunState.RUNNING], ids=["not known", "under way"])
@pytest.mark.parametrize("failed_before", [False, True], ids=["the first", "after one that failed"])
def test_an_undo_that_may_be_under_way_is_not_judged_by_the_record(imported, libraries, state, failed_before):
    """While it is under way the record shows no undo package, which is no reason to call it impossible."""
    if failed_before:
        tried(imported, "", RunState.RUNNING)
        imported.record(Kind.RESULT, step="await_undo", ref=REF, state=RunState.FAILED_DIRTY, word="undo_failed")
        took_up(imported)
    tried(imported, "30" if failed_before else "", state)
    before = libraries.seen("*/migrations/*")
    assert check_undo(step(took_up(imported), "check_undo", UNDOER)) == REF
    assert libraries.seen("*/migrations/*") == before


def test_an_undo_that_failed_is_looked_at_before_another(imported):
    tried(imported, "", RunState.RUNNING)
    imported.record(Kind.RESULT, step="await_undo", ref=REF, state=RunState.FAILED_DIRTY, word="undo_failed")
    with pytest.raises(BatchRefused, match="keeps no record"):
        check_undo(step(took_up(imported), "check_undo", UNDOER))


def test_nothing_is_undone_that_nobody_approved(imported, libraries):
    work = took_up(imported)
    with pytest.raises(BatchRefused, match=r"Nobody has approved the undo of .* Clear approve_undo to ask again"):
        undo_run(work)
    assert libraries.seen("*/migrations/*", "PATCH") == []
    assert not work.standing.undoing


def test_an_approval_is_for_one_undo_and_not_for_the_next(imported):
    work = took_up(imported)
    work.record(Kind.RESULT, step="approve_undo", key="", state=RunState.SUCCEEDED)
    assert undo_part(work)
    with pytest.raises(BatchRefused, match="Nobody has approved"):
        undo_run(work)


def test_whoever_lost_the_attempt_undoes_nothing(imported, libraries):
    took_up(imported)
    with pytest.raises(
        NotHolder, match=r"may not do `undo_run`, because the attempt is held by DAG run u-1 of undo_microstrategy"
    ):
        undo_run(step(imported, UNDO))
    assert libraries.seen("*/migrations/*", "PATCH") == []


@pytest.mark.parametrize("act", [certify_package, sync_certification])
def test_whoever_lost_the_attempt_certifies_nothing(admitted, libraries, act):
    work = admitted({"certification": {"migration": REF, "action": "approve", "replay_on": TARGET}})
    data = {"connection": TARGET, "connections": {"target": TARGET}}
    vendor, environment, batch_id = (getattr(work.attempt, name) for name in ("vendor", "environment", "batch_id"))
    work.ledger.admit(vendor, environment, batch_id, work.standing.input_hash, STRANGER, is_live=lambda _: False, data=data)
    work.record(Kind.ADOPTED, step="find_run", ref=REF)
    with pytest.raises(NotHolder, match="held by DAG run r-2"):
        act(work)
    assert libraries.seen("*/migrations/*") == []
