"""One look-up of a connection serves all who wait in the triggerer."""

import asyncio

import pytest
from airflow.sdk.exceptions import AirflowNotFoundException

from ferry.steps.connections import FRESH, aconnection
from scripts import skipping


async def host():
    return (await aconnection("somewhere")).host


def test_one_look_up_serves_all_until_it_is_no_longer_fresh(connect):
    async def main(_loop):
        connect("somewhere", conn_type="http", host="before")
        seen = await asyncio.gather(*(host() for _ in range(50)))
        connect("somewhere", conn_type="http", host="after")
        seen.append(await host())
        await asyncio.sleep(FRESH + 1)
        return seen, await host()

    assert skipping.run(main) == (["before"] * 51, "after")


def test_a_connection_that_is_missing_is_looked_for_again(connect):
    async def main():
        with pytest.raises(AirflowNotFoundException):
            await host()
        connect("somewhere", conn_type="http", host="there")
        return await host()

    assert asyncio.run(main()) == "there"


def test_who_is_cancelled_takes_the_look_up_from_nobody(connect):
    connect("somewhere", conn_type="http", host="there")

    async def main():
        first, second = asyncio.create_task(host()), asyncio.create_task(host())
        await asyncio.sleep(0)
        first.cancel()
        return await second

    assert asyncio.run(main()) == "there"
