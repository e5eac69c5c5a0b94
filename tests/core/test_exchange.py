"""Exchanges, played by hand and over real sockets: both drivers must do the same thing."""

import asyncio
import gzip
import hashlib
import threading
import time
import tracemalloc
from types import SimpleNamespace

import pytest
from tests.core.conftest import as_triggerer, as_worker
from tests.loopback import answer

from ferry.core import exchange as subject
from ferry.core.errors import TransferBroken, VendorUnavailable
from ferry.core.exchange import MAX_BODY, SAVED, Ask, AsyncLine, RateGate, Saved, adrive
from ferry.core.wire import httpx

MIB = 1024 * 1024


def ask_once(url, **how):
    return (yield Ask(httpx.Request("GET", url), **how))


def test_an_exchange_is_played_to_its_end_and_its_value_returned(play, vendor):
    vendor.will(answer(200, b"one"), answer(404, b"two"))

    def verb():
        first = yield Ask(httpx.Request("GET", f"{vendor.url}/1"))
        second = yield Ask(httpx.Request("PUT", f"{vendor.url}/2", content=b"x"))
        return first.text, second.status_code, second.text

    assert play(verb()) == ("one", 404, "two")
    assert [(asked.method, asked.target) for asked in vendor.asked] == [("GET", "/1"), ("PUT", "/2")]


def test_an_exchange_that_asks_nothing_sends_nothing(play, vendor):
    def verb():
        return 7
        yield

    assert play(verb()) == 7
    assert vendor.asked == []


def test_a_lost_answer_is_thrown_into_the_exchange_which_may_go_on(play, vendor):
    vendor.will(None, answer(200, b"again"))

    def verb():
        try:
            yield Ask(httpx.Request("GET", vendor.url))
        except httpx.RemoteProtocolError:
            return (yield Ask(httpx.Request("GET", vendor.url))).text

    assert play(verb()) == "again"


def test_what_the_exchange_does_not_catch_comes_out(play, vendor):
    vendor.will(None)
    with pytest.raises(httpx.RemoteProtocolError):
        play(ask_once(vendor.url))


def test_an_error_of_ours_while_sending_is_thrown_in_too(play, vendor):
    class Refusing(httpx.Auth):
        def auth_flow(self, _request):
            raise VendorUnavailable("no token")
            yield

    def verb():
        try:
            yield Ask(httpx.Request("GET", vendor.url))
        except VendorUnavailable as error:
            return error.message

    assert play(verb(), auth=Refusing()) == "no token"
    assert vendor.asked == []


def test_a_bug_is_not_thrown_in(play, vendor):
    class Broken(httpx.Auth):
        def auth_flow(self, _request):
            raise ZeroDivisionError
            yield

    def verb():
        try:
            yield Ask(httpx.Request("GET", vendor.url))
        except Exception:  # noqa: BLE001 (what this test shows: a bug never gets here)
            return "swallowed"

    with pytest.raises(ZeroDivisionError):
        play(verb(), auth=Broken())


def test_pauses_and_the_gate_are_waited_out_before_sending(play, vendor, monkeypatch):
    vendor.will(answer())
    slept = []

    async def asleep(seconds):
        slept.append(seconds)

    # In the names of that one module only: other threads of this process sleep too.
    monkeypatch.setattr(subject, "time", SimpleNamespace(sleep=slept.append, monotonic=time.monotonic))
    monkeypatch.setattr(subject, "asyncio", SimpleNamespace(sleep=asleep))
    gate = RateGate(0.01)
    gate.reserve()
    play(ask_once(vendor.url, wait=30.0), gate=gate)
    assert sum(slept) == pytest.approx(130, abs=20)


# Downloads


@pytest.mark.parametrize("size", [0, 1, 3 * MIB + 17])
def test_a_download_arrives_whole_with_size_and_hash(play, vendor, tmp_path, size):
    content = bytes(range(256)) * (size // 256 + 1)
    content, to = content[:size], tmp_path / "file.csv"
    vendor.will(answer(200, content))
    got = play(ask_once(vendor.url, save_to=to))
    assert got.extensions[SAVED] == Saved(to, size, hashlib.sha256(content).hexdigest())
    assert got.content == b""
    assert to.read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["file.csv"]


def test_a_download_has_its_name_only_when_it_is_whole(vendor, tmp_path):
    to, half_sent, checked = tmp_path / "file.csv", threading.Event(), threading.Event()

    def in_two_halves(connection):
        connection.sendall(answer(200, b"x" * MIB, length=2 * MIB))
        half_sent.set()
        assert checked.wait(10)
        connection.sendall(b"y" * MIB)

    vendor.will(in_two_halves)
    download = threading.Thread(target=as_worker, args=(ask_once(vendor.url, save_to=to),))
    download.start()
    assert half_sent.wait(10)
    part = to.with_name("file.csv.part")
    deadline = time.monotonic() + 10
    while not part.exists():
        assert time.monotonic() < deadline
    assert not to.exists()
    checked.set()
    download.join(10)
    assert to.stat().st_size == 2 * MIB
    assert not part.exists()


def test_a_body_that_ends_early_leaves_nothing_and_keeps_what_was_there(play, vendor, tmp_path):
    to = tmp_path / "file.csv"
    to.write_text("the good one")
    vendor.will(answer(200, b"short", length=500))
    with pytest.raises(httpx.RemoteProtocolError):
        play(ask_once(vendor.url, save_to=to))
    assert to.read_text() == "the good one"
    assert [path.name for path in tmp_path.iterdir()] == ["file.csv"]


@pytest.mark.parametrize("told", [3, 500])
def test_a_body_of_another_length_than_promised_is_thrown_away(play, tmp_path, told):
    """Over a socket the HTTP library cuts or refuses these itself; a transport that does not must not get one past us."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, headers={"content-length": str(told)}, content=b"four"))
    to = tmp_path / "file.csv"
    with pytest.raises(TransferBroken, match=f"promised {told} bytes and sent 4") as caught:
        play(ask_once("http://vendor/file?X-Amz-Signature=abc", save_to=to), transport=transport)
    assert "abc" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_compressed_download_is_stored_unpacked_and_its_packed_length_is_not_held_against_it(play, vendor, tmp_path):
    to, content = tmp_path / "file.csv", b"name\n" * 1000
    vendor.will(answer(200, gzip.compress(content), "Content-Encoding: gzip"))
    saved = play(ask_once(vendor.url, save_to=to)).extensions[SAVED]
    assert (saved.size, to.read_bytes()) == (len(content), content)


def test_a_compressed_answer_is_read_once(play, vendor):
    vendor.will(answer(200, gzip.compress(b'{"a": 1}'), "Content-Encoding: gzip"))
    assert play(ask_once(vendor.url)).json() == {"a": 1}


@pytest.mark.parametrize("status", [302, 403, 500])
def test_an_error_instead_of_a_file_is_read_and_no_file_is_made(play, vendor, tmp_path, status):
    vendor.will(answer(status, b"<Error>"))
    got = play(ask_once(vendor.url, save_to=tmp_path / "file.csv"))
    assert (got.status_code, got.content) == (status, b"<Error>")
    assert SAVED not in got.extensions
    assert list(tmp_path.iterdir()) == []


def test_an_endless_answer_is_not_read_into_memory(play, vendor):
    vendor.will(answer(200, b"x" * (MAX_BODY + 1)))
    with pytest.raises(TransferBroken, match=f"more than {MAX_BODY} bytes"):
        play(ask_once(f"{vendor.url}/status"))


def test_an_answer_of_exactly_the_limit_is_read(vendor):
    vendor.will(answer(200, b"x" * MAX_BODY))
    assert len(as_worker(ask_once(vendor.url)).content) == MAX_BODY


# Memory


def test_a_big_file_comes_and_goes_in_constant_memory(vendor, tmp_path):
    size, to = 48 * MIB, tmp_path / "big"

    def send(connection):
        connection.sendall(answer(200, length=size))
        for _ in range(size // MIB):
            connection.sendall(b"x" * MIB)

    def pieces():
        for _ in range(size // MIB):
            yield b"y" * MIB

    def verb():
        yield Ask(httpx.Request("GET", vendor.url), save_to=to)
        yield Ask(httpx.Request("PUT", vendor.url, headers={"Content-Length": str(size)}, content=pieces()))

    vendor.will(send, answer())
    tracemalloc.start()
    try:
        as_worker(verb())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert to.stat().st_size == vendor.asked[1].size == size
    assert vendor.asked[1].header("Transfer-Encoding") is None  # storage does not take chunked uploads
    assert peak < 12 * MIB


# Signed links


def test_an_anonymous_ask_carries_no_credentials(vendor):
    vendor.will(answer())
    as_worker(ask_once(vendor.url, anonymous=True), auth=("user", "secret"))
    as_worker(ask_once(vendor.url), auth=("user", "secret"))
    assert [asked.header("Authorization") is None for asked in vendor.asked] == [True, False]


def test_a_trigger_never_uses_a_signed_link(vendor):
    with pytest.raises(RuntimeError, match="workers only"):
        as_triggerer(ask_once(vendor.url, anonymous=True))
    assert vendor.asked == []


# The gate


@pytest.fixture
def clock(monkeypatch):
    """Time that stands still until a test moves it."""

    class Clock:
        now = 1000.0

    monkeypatch.setattr(subject.time, "monotonic", lambda: Clock.now)
    return Clock


def test_requests_are_spread_evenly(clock):
    gate = RateGate(10)
    assert [gate.reserve() for _ in range(4)] == pytest.approx([0.0, 0.1, 0.2, 0.3])


def test_a_quiet_time_is_not_saved_up_for_a_burst(clock):
    gate = RateGate(10)
    gate.reserve()
    clock.now += 100
    assert [gate.reserve() for _ in range(3)] == pytest.approx([0.0, 0.1, 0.2])


@pytest.mark.parametrize("per_second", [0, -1])
def test_no_rate_is_no_gate(per_second):
    gate = RateGate(per_second)
    assert [gate.reserve() for _ in range(100)] == [0.0] * 100


def test_an_event_loop_that_was_held_up_does_not_make_up_for_it_in_a_burst(vendor):
    vendor.will(answer())
    sent = []

    async def note(_request):
        sent.append(time.monotonic())

    async def crowd():
        async with httpx.AsyncClient(event_hooks={"request": [note]}, trust_env=False) as client:
            line = AsyncLine(client, RateGate(100))
            asking = [asyncio.create_task(adrive(line, ask_once(vendor.url))) for _ in range(80)]
            while len(sent) < 10:  # noqa: ASYNC110 (a hook of the client fills it)
                await asyncio.sleep(0.01)
            time.sleep(0.4)  # noqa: ASYNC251 (holding the loop up is the point: forty are due meanwhile)
            await asyncio.gather(*asking)

    asyncio.run(crowd())
    assert min(later - before for before, later in zip(sent, sent[20:], strict=False)) > 0.1


def test_threads_never_get_the_same_place(clock):
    gate, places = RateGate(100), []
    threads = [threading.Thread(target=lambda: places.append(gate.reserve())) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(places) == pytest.approx([number / 100 for number in range(50)])
