import time

import httpx  # noqa: TID251  # the fake vendor is tested with a plain client, not with ours
import pytest

from sandbox.server import running

LOST = (httpx.RemoteProtocolError, httpx.ReadError)


@pytest.fixture(scope="module", params=["h11", "httptools"])
def base(request, tmp_path_factory):
    with running(tmp_path_factory.mktemp("faults"), http=request.param) as url:
        yield url


@pytest.fixture
def fault(base):
    httpx.post(f"{base}/_sandbox/reset").raise_for_status()

    def add(**rule):
        answer = httpx.post(f"{base}/_sandbox/fenergo/faults", json=rule)
        answer.raise_for_status()
        return answer.json()["id"]

    return add


def token(base, **how):
    data = {"grant_type": "client_credentials", "client_id": "ferry-demo", "client_secret": "ferry-demo-secret"}
    return httpx.post(f"{base}/fenergo/connect/token", data=data, timeout=10, **how)


def tokens_given(base):
    return httpx.get(f"{base}/_sandbox/fenergo/state").json()["counters"]["tokens"]


def last_entry(base):
    return httpx.get(f"{base}/_sandbox/requests?vendor=fenergo").json()[-1]


def test_drop_before_closes_without_handling(base, fault):
    fault(action="drop_before", path="/connect/token")
    with pytest.raises(LOST):
        token(base)
    assert tokens_given(base) == 0
    assert (last_entry(base)["status"], last_entry(base)["fault"]) == (None, "drop_before")
    assert token(base).status_code == 200


def test_drop_after_handles_and_never_answers(base, fault):
    fault(action="drop_after", method="POST", path="/fenergo/connect/*")
    with pytest.raises(LOST):
        token(base)
    assert tokens_given(base) == 1
    assert last_entry(base)["status"] is None
    assert last_entry(base)["bytes"] > 0


def test_status_answers_with_headers_and_body(base, fault):
    fault(action="status", status=429, headers={"Retry-After": "7"}, body="slow down", times=2)
    for _ in range(2):
        answer = token(base)
        assert (answer.status_code, answer.headers["retry-after"], answer.text) == (429, "7", "slow down")
    assert token(base).status_code == 200


def test_delay_takes_real_seconds_and_then_handles(base, fault):
    fault(action="delay", seconds=0.2)
    began = time.monotonic()
    assert token(base).status_code == 200
    assert time.monotonic() - began >= 0.2


@pytest.mark.parametrize("size", [0, 10])
def test_truncate_promises_more_than_it_sends(base, fault, size):
    fault(action="truncate", bytes=size)
    got: list[bytes] = []
    data = {"grant_type": "client_credentials", "client_id": "ferry-demo", "client_secret": "ferry-demo-secret"}
    with httpx.stream("POST", f"{base}/fenergo/connect/token", data=data) as answer:
        assert int(answer.headers["content-length"]) > 100
        with pytest.raises(LOST):
            got.extend(answer.iter_raw())
    assert len(b"".join(got)) == size


def test_garbage_is_a_200_that_is_not_what_was_promised(base, fault):
    fault(action="garbage")
    answer = token(base)
    assert answer.status_code == 200
    with pytest.raises(ValueError, match=r"."):
        answer.json()


def test_skip_leaves_the_first_requests_alone(base, fault):
    fault(action="status", status=503, skip=2)
    assert [token(base).status_code for _ in range(4)] == [200, 200, 503, 200]


def test_faults_are_listed_and_taken_back(base, fault):
    kept, gone = fault(action="drop_before", path="/nowhere"), fault(action="drop_before", times=None)
    assert httpx.delete(f"{base}/_sandbox/fenergo/faults/{gone}").json() == {"removed": 1}
    assert httpx.delete(f"{base}/_sandbox/fenergo/faults/{gone}").status_code == 404
    assert [rule["id"] for rule in httpx.get(f"{base}/_sandbox/fenergo/faults").json()] == [kept]
    assert token(base).status_code == 200


def test_an_upload_can_be_cut_off_in_the_middle(base, fault):
    fault(action="drop_before", method="PUT", path="/s3/*")
    with pytest.raises((*LOST, httpx.WriteError)):
        httpx.put(f"{base}/fenergo/s3/bucket/key", content=b"x" * 5_000_000)
