"""The two ways to play an exchange, and a server that answers what a test says."""

import asyncio

import pytest
from tests.loopback import loopback

from ferry.core.exchange import AsyncLine, Line, RateGate, adrive, drive
from ferry.core.wire import httpx, trusted

HOW = {"trust_env": False, "timeout": 10, "verify": trusted()}


def as_worker(exchange, *, gate=None, **client):
    with httpx.Client(**HOW, **client) as own, httpx.Client(**HOW) as bare:
        return drive(Line(own, bare, gate or RateGate(0)), exchange)


def as_triggerer(exchange, *, gate=None, **client):
    async def played():
        async with httpx.AsyncClient(**HOW, **client) as own:
            return await adrive(AsyncLine(own, gate or RateGate(0)), exchange)

    return asyncio.run(played())


@pytest.fixture(params=[as_worker, as_triggerer], ids=["worker", "triggerer"])
def play(request):
    return request.param


@pytest.fixture
def vendor():
    with loopback() as server:
        yield server
