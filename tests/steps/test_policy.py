"""Retries by kind of error: what a person must correct fails at once, the rest waits, spread out, as long as it was asked to."""

from datetime import timedelta

import pytest
from airflow.sdk import RetryAction
from airflow.sdk.exceptions import ParamValidationError

from ferry.core import errors
from ferry.core.errors import AnswerLost, FerryError, LedgerError, TransferBroken, VendorRefused, VendorUnavailable
from ferry.core.zipfiles import BadZip
from ferry.ledger.entries import InputChanged, LedgerFull, NotHolder
from ferry.steps.policy import DEFAULT_ARGS, FIRST_DELAY, LONGEST_DELAY, FerryRetryPolicy, batch_params, tags
from ferry.steps.work import InputMoved, LedgerOutdated, Overtaken

AT_ONCE = [
    FerryError,
    errors.BadInput,
    errors.BatchRefused,
    BadZip,
    errors.NotBalanced,
    AnswerLost,
    VendorRefused,
    errors.BadCredentials,
    errors.NotFound,
    errors.StorageRefused,
    errors.VendorNonsense,
    InputChanged,
    InputMoved,
    LedgerOutdated,
    NotHolder,
    Overtaken,
]
LATER = [LedgerError, errors.LedgerConflict, LedgerFull, errors.StorageUnavailable, VendorUnavailable, TransferBroken]


def decide(error, try_number=1):
    return FerryRetryPolicy().evaluate(error, try_number, 5)


@pytest.mark.parametrize("kind", AT_ONCE)
def test_what_needs_a_person_fails_at_once(kind):
    decision = decide(kind("no"))
    assert decision.action is RetryAction.FAIL
    assert decision.reason == f"{kind.__name__}: needs a person, not another try"


@pytest.mark.parametrize("kind", [*LATER, RuntimeError, OSError, MemoryError])
def test_what_may_pass_is_tried_again(kind):
    assert decide(kind("away")).action is RetryAction.RETRY


def test_every_kind_of_error_is_in_one_of_the_lists():
    def family(kind):
        yield kind
        for child in kind.__subclasses__():
            yield from family(child)

    shared = {kind for kind in family(FerryError) if kind.__module__.startswith(("ferry.core", "ferry.ledger", "ferry.steps"))}
    assert shared - {errors.VendorError, errors.StorageError} == set(AT_ONCE + LATER)


@pytest.mark.parametrize(("number", "ceiling"), [(1, 15), (2, 30), (3, 60), (4, 120), (7, 600), (40, 600)])
def test_delays_grow_and_are_capped(number, ceiling):
    for _ in range(20):
        delay = decide(VendorUnavailable("away"), number).retry_delay
        assert timedelta(seconds=ceiling / 2) <= delay <= timedelta(seconds=ceiling)


def test_the_retries_of_many_tasks_are_spread():
    assert len({decide(VendorUnavailable("away")).retry_delay for _ in range(50)}) > 40


@pytest.mark.parametrize("wish", [None, 0.0, 5.0, 900.0, 86400.0])
def test_the_vendors_wish_is_the_least(wish):
    delay = decide(VendorUnavailable("busy", retry_after=wish)).retry_delay
    assert delay >= timedelta(seconds=wish or 0.0)
    assert wish is None or wish < FIRST_DELAY or delay == timedelta(seconds=wish)


def test_the_retries_outlast_a_short_outage():
    assert DEFAULT_ARGS["retries"] * FIRST_DELAY >= 60
    assert isinstance(DEFAULT_ARGS["retry_policy"], FerryRetryPolicy)
    assert LONGEST_DELAY <= 600


def test_the_trigger_form_is_strict():
    batch_id = batch_params()["batch_id"]
    assert batch_id.resolve("clients-1") == "clients-1"
    for wrong in ("../other", "Clients", "a b", "a" * 101, "{{ x }}", 5):
        with pytest.raises(ParamValidationError):
            batch_id.resolve(wrong)
    assert all(param.schema.get("title") and param.description for param in batch_params().values())


def test_one_dag_runs_values_are_not_the_next_dags_defaults():
    """Airflow writes a DAG run's values into the DAG's own parameters; nothing of that may reach another DAG in the process."""
    batch_params()["force_new_attempt"].resolve(value=True)
    assert batch_params()["force_new_attempt"].value is False


def test_tags_are_the_houses_and_the_vendors():
    assert tags("six") == ["ferry", "vendor:six"]
