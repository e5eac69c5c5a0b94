"""What every vendor's wait may send while that vendor is in trouble for ten minutes; `make bench` prints the same."""

import asyncio
import socket
import time
from datetime import UTC, datetime

import pytest

from ferry.core import api as dated
from scripts import skipping
from scripts.bench_trouble import TROUBLES, WAITERS, WHOLE, spent_by_the_sensor, spent_on, vendors

LIMITS = {"429": 60, "429, Retry-After 30": 21, "401": 30, "403": 15, "503": 60, "no answer": 12}
"""Requests in ten minutes, logins included. Who is told to come back in 30 s may do so twenty times, and log in once."""
FEWEST = 4
"""Looks that ten minutes must see, or a wait would find the end of the trouble too late."""
NEVER_SLEEPS = ("429", "429, Retry-After 30", "401", "403", "503")
"""Troubles that Airflow's sensor does not wait out; where there is no answer, it gives up."""


@pytest.fixture(scope="module")
def played():
    with vendors() as found:
        yield found


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("waiter", WAITERS, ids=lambda waiter: waiter.name)
def test_ten_minutes_of_trouble_stay_within_the_budget(played, waiter, trouble):
    spent = spent_on(played, waiter, trouble)
    assert FEWEST <= spent.requests <= LIMITS[trouble]
    assert spent.connections <= spent.requests
    assert spent.is_over or spent.seconds == pytest.approx(WHOLE, abs=2)


@pytest.mark.filterwarnings("ignore:The `airflow.utils.operator_helpers.determine_kwargs`")  # the provider is behind Airflow
@pytest.mark.parametrize("trouble", NEVER_SLEEPS)
def test_airflows_own_sensor_breaks_that_budget(played, trouble):
    spent = spent_by_the_sensor(played, trouble, at_most=1.0)
    assert spent.scaled().requests > 2 * LIMITS[trouble]


# The clock of these measurements


def skipped(main):
    """What it returned, and how many real seconds that took."""
    begun = time.monotonic()
    return skipping.run(main), time.monotonic() - begun


def test_idle_time_is_skipped_and_every_clock_shows_it():
    async def main(_loop):
        before = time.time(), time.monotonic(), dated.datetime.now(UTC)
        await asyncio.sleep(3600)
        return [time.time() - before[0], time.monotonic() - before[1], (dated.datetime.now(UTC) - before[2]).total_seconds()]

    shown, took = skipped(main)
    assert shown == [pytest.approx(3600, abs=5)] * 3
    assert took < 60
    assert dated.datetime is datetime
    assert abs(time.time() - datetime.now(UTC).timestamp()) < 60


def test_an_answer_that_comes_is_not_skipped_and_one_that_never_comes_costs_the_readers_timeout():
    async def main(loop):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            there, _ = listener.accept()
            with there:
                loop.call_soon(there.sendall, b"here")
                heard = await asyncio.wait_for(reader.read(4), 60)
                begun = loop.time()
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(reader.read(4), 60)
                writer.close()
                return heard, loop.time() - begun, loop.connections

    (heard, waited, connections), took = skipped(main)
    assert (heard, connections) == (b"here", 1)
    assert waited == pytest.approx(60, abs=2)
    assert took < 30


def test_time_does_not_run_on_while_a_thread_is_at_work():
    async def main(loop):
        begun = loop.time()
        work = asyncio.ensure_future(asyncio.to_thread(sum, range(20_000_000)))
        done, _ = await asyncio.wait({work}, timeout=3600)
        return bool(done), loop.time() - begun

    (done, waited), _ = skipped(main)
    assert done
    assert waited < 1800
