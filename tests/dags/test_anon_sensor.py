"""AnonFindRunSensor, as other people's DAGs use it: put aside, woken by the list, and done on a worker."""

import asyncio
import time
from datetime import timedelta

import pytest
from airflow.sdk.exceptions import TaskDeferred

from ferry.core.errors import BadInput, VendorUnavailable
from ferry.vendors.anon.sensors import AnonFindRunSensor

EARLY, LATE, ENDED = "early", "late", "ended"


@pytest.fixture
def people(house, monkeypatch):
    monkeypatch.setattr("ferry.vendors.anon.operators.SOON", 0.0)

    def begin(ref, story="forgets", **more):
        house.control("POST", "/anon/records", json={"id": ref, "story": story, **more})

    begin(EARLY, created_ago=86400, company_id="c-1", created_by_user_id="u-1")
    begin(LATE, company_id="c-2", created_by_user_id="u-1")
    begin(ENDED, story=[[0, "COMPLETE"]], company_id="c-2", created_by_user_id="u-2")
    return begin


async def first(events):
    async for event in events:
        return event.payload
    raise AssertionError("the trigger ended without an event")


def found(**wanted):
    """What the sensor comes back with; its trigger goes through the database on the way, as plain JSON."""
    sensor = AnonFindRunSensor(task_id="find", **wanted)
    with pytest.raises(TaskDeferred) as aside:
        sensor.execute({})
    path, kwargs = aside.value.trigger.serialize()
    assert path == "ferry.vendors.anon.triggers.AnonFindTrigger"
    again = type(aside.value.trigger)(**kwargs)
    return getattr(sensor, aside.value.method_name)({}, asyncio.run(first(again.run())))


@pytest.mark.parametrize(
    ("wanted", "refs"),
    [
        ({"migration_id": LATE}, [LATE]),
        ({"company_id": "c-2"}, [ENDED, LATE]),
        ({"user_id": "u-1"}, [EARLY, LATE]),
        ({"user_id": "u-1", "company_id": "c-2"}, [LATE]),
        ({"status": ["COMPLETE"]}, [ENDED]),
        ({"migration_id": ENDED, "status": ["COMPLETE", "FAILED"]}, [ENDED]),
    ],
)
def test_everything_that_is_given_must_fit(people, wanted, refs):
    assert sorted(found(**wanted)) == refs


def test_the_oldest_comes_first_and_times_have_a_margin(people):
    assert found(user_id="u-1")[0] == EARLY
    hour_ago = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3600))
    assert found(user_id="u-1", created_after=hour_ago) == [LATE]
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60))
    assert found(user_id="u-1", created_after=soon) == [LATE], "within five minutes of the vendor's clock"


def test_it_waits_until_one_fits(people, house):
    async def begun_later():
        sensor = AnonFindRunSensor(task_id="find", company_id="c-3")
        with pytest.raises(TaskDeferred) as aside:
            sensor.execute({})
        waiting = asyncio.create_task(first(aside.value.trigger.run()))
        await asyncio.sleep(0.5)
        assert not waiting.done()
        await asyncio.to_thread(people, "third", company_id="c-3")
        return await asyncio.wait_for(waiting, 60)

    assert asyncio.run(begun_later()) == {"found": ["third"]}


def test_time_runs_out_with_a_sentence(people):
    with pytest.raises(
        VendorUnavailable, match=r"No migration that fits was there within 0\.0 days.*clear the sensor to wait on"
    ):
        found(company_id="nobody", timeout=timedelta(seconds=0))


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({}, "names nothing to look for"),
        ({"status": ["DONE"]}, "status DONE is none of Anon's"),
        ({"created_after": "yesterday"}, "created_after"),
    ],
)
def test_what_cannot_be_looked_for_is_told_before_anything_is_asked(people, house, wanted, said):
    with pytest.raises(BadInput, match=said):
        AnonFindRunSensor(task_id="find", **wanted).execute({})
    assert house.control("GET", "/anon/state", params={"migrations": "none"})["counters"]["list_calls"] == 0


def test_nothing_secret_and_nothing_but_json_is_kept_while_it_waits(people):
    with pytest.raises(TaskDeferred) as aside:
        AnonFindRunSensor(task_id="find", company_id="c-1", status=["FAILED"]).execute({})
    _, kwargs = aside.value.trigger.serialize()
    deadline = kwargs.pop("deadline")
    assert deadline == pytest.approx(time.time() + 14 * 86400, abs=60)
    wanted = {"migration_id": None, "company_id": "c-1", "user_id": None, "created_after": None, "status": ["FAILED"]}
    assert kwargs == {"connection": "anon_default", "wanted": wanted, "first_look": 0.0}


def test_all_sensors_of_a_connection_share_one_walk(people):
    asides = []
    for wanted in ({"company_id": "c-1"}, {"status": ["FAILED"]}):
        with pytest.raises(TaskDeferred) as aside:
            AnonFindRunSensor(task_id="find", **wanted).execute({})
        asides.append(aside.value.trigger)
    assert {trigger.shared_stream_key() for trigger in asides} == {("anon", "anon_default")}
