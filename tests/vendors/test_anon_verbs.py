"""Anon's verbs: what is asked, what is believed of an answer, and that nothing but GET is ever sent to anybody."""

import ast
import asyncio
import hashlib
import inspect
import json
from datetime import UTC, datetime

import pytest
from tests.loopback import answer, loopback
from tests.playing import calls, lost, play, said
from tests.sandbox.anon_client import KEY

from ferry.core.api import Patience
from ferry.core.errors import (
    BadCredentials,
    FerryError,
    NotFound,
    TransferBroken,
    VendorError,
    VendorNonsense,
    VendorRefused,
    VendorUnavailable,
)
from ferry.core.exchange import drive
from ferry.core.model import Run, RunState
from ferry.core.wire import httpx
from ferry.vendors.anon import api as api_module
from ferry.vendors.anon.api import AnonApi
from ferry.vendors.anon.hook import AnonHook
from ferry.vendors.anon.shapes import File

COLOURS = pytest.mark.parametrize("colour", ["worker", "triggerer"])
JSON = "Content-Type: application/json"
API = AnonApi("https://anon.example", files_path="/x/{id}/files", tasks_path="/x/{id}/tasks")
READS = {
    "migrations": lambda _: lambda api: api.migrations(),
    "migration": lambda ref: lambda api: api.migration(ref),
    "look": lambda ref: lambda api: api.look(Run(ref)),
    "tasks": lambda ref: lambda api: api.tasks(ref),
    "files": lambda ref: lambda api: api.files(ref),
}
EVERY_READ = pytest.mark.parametrize("name", READS)


@pytest.fixture
def done(anon):
    """The id of a migration that came to its end, with files."""
    key = anon.one("completes")
    anon.advance(60)
    return key


# Looking


@COLOURS
def test_the_whole_list_is_read_whatever_the_page_size(anon, ask_anon, colour):
    ids = anon.make(count=23)
    found = ask_anon(lambda api: api.migrations(), colour, extra={"page_size": 5})
    assert sorted(one.id for one in found) == sorted(ids)
    assert [one["path"] for one in anon.requests()] == ["/anon/api/v1/migrations"] * 7


@COLOURS
def test_a_migration_is_looked_at_through_all_its_states(anon, ask_anon, colour):
    run, seen = Run(anon.one("stalls")), []
    for seconds in (0, 2, 2, 5, 2):
        anon.advance(seconds)
        run = ask_anon(lambda api, run=run: api.look(run), colour)
        seen.append(run.word)
    assert seen == ["NOT_STARTED", "WORKING", "PENDING_USER_INPUT", "WORKING", "COMPLETE"]
    assert (run.state, run.counters) == (RunState.SUCCEEDED, {})


@pytest.mark.parametrize("zone", ["none", "Z", "offset"])
def test_a_migration_tells_when_and_by_whom_it_was_made(anon, ask_anon, zone):
    anon.switch(zone=zone)
    key = anon.one(company_id=None, created_by_user_id="u-1", created_ago=3600)
    found = ask_anon(lambda api: api.migration(key))
    (there,) = anon.state()["migrations"]
    assert (found.id, found.user, found.company) == (key, "u-1", "")
    assert abs((found.created - datetime.fromisoformat(there["created"]).astimezone(UTC)).total_seconds()) < 0.01


@pytest.mark.parametrize("key", ["a/b", "a b", "ä%2F?#ö", "mig_1", "x://y"])
def test_an_id_may_hold_anything_and_is_one_segment_of_the_path(anon, ask_anon, key):
    anon.one("completes", id=key)
    anon.advance(60)
    assert ask_anon(lambda api: api.look(Run(key))).ref == key
    assert len(ask_anon(lambda api: api.tasks(key))) == 4
    assert len(ask_anon(lambda api: api.files(key))) == 2


def test_a_word_that_nobody_documented_is_watched_on(anon, ask_anon):
    key = anon.one("strange")
    anon.advance(4)
    assert ask_anon(lambda api: api.look(Run(key))) == Run(key, RunState.RUNNING, "VERIFYING")


@pytest.mark.parametrize("field", ["object", "created", "status", "created_by_user_id", "company_id"])
def test_a_field_that_is_missing_breaks_nothing(anon, ask_anon, done, field):
    anon.switch(drop_field=field, extra_fields=True)
    assert ask_anon(lambda api: api.migration(done)).id == done
    assert [one.id for one in ask_anon(lambda api: api.migrations())] == [done]


@EVERY_READ
def test_things_without_an_id_are_not_used(anon, ask_anon, done, name):
    anon.switch(drop_field="id")
    with pytest.raises(VendorNonsense, match="without an id"):
        ask_anon(READS[name](done))


def test_the_parts_of_a_migration_are_told_by_kind(anon, ask_anon):
    key = anon.one("partly")
    anon.advance(60)
    found = ask_anon(lambda api: api.tasks(key))
    assert {one.type: (one.category, one.is_done, one.has_failed) for one in found} == {
        "EmployeeRoster": ("EMPLOYEE", True, False),
        "EmployeeDetails": ("EMPLOYEE", True, False),
        "ContractorRoster": ("EMPLOYEE", True, False),
        "EmployeeW2Previews": ("TAX", False, True),
    }


def test_files_and_tasks_are_listed_page_by_page_too(anon, ask_anon, done):
    anon.switch(files_per_migration=23, page_cap=4)
    assert len({one.id for one in ask_anon(lambda api: api.files(done))}) == 23
    assert len({one.id for one in ask_anon(lambda api: api.tasks(done), extra={"page_size": 1})}) == 4


def test_the_paths_of_files_and_tasks_are_those_of_the_connection():
    for verb, kind in ((API.files, "files"), (API.tasks, "tasks")):
        _, asks = play(verb("a/b"), said(200, []))
        assert calls(asks) == [f"GET /x/a%2Fb/{kind}?page_size=50"]


# What goes wrong

REFUSALS = {
    400: (VendorRefused, "Correct what it names, then clear the task."),
    401: (BadCredentials, "Check credentials and permissions of the connection."),
    403: (BadCredentials, "Check credentials and permissions of the connection."),
    404: (NotFound, "If it should be there, check the connection's base URL."),
    405: (VendorRefused, "Check the connection's base URL."),
    422: (VendorRefused, "Correct what it names, then clear the task."),
    429: (VendorUnavailable, "The step may be tried again."),
    500: (VendorUnavailable, "The step may be tried again."),
    503: (VendorUnavailable, "The step may be tried again."),
}
NO = json.dumps({"error": {"code": "made_up", "message": "So it is.\n Really."}})


@EVERY_READ
@pytest.mark.parametrize("status", REFUSALS)
def test_a_refusal_is_told_with_its_reason_and_what_to_do(anon, ask_anon, done, name, status):
    kind, advice = REFUSALS[status]
    anon.fault("*", "status", status=status, body=NO, times=2)  # twice: a list is asked for once more without a page size
    with pytest.raises(kind) as caught:
        ask_anon(READS[name](done))
    assert type(caught.value) is kind
    assert f" with HTTP {status}: So it is. Really. {advice}" in caught.value.message
    assert caught.value.facts["status"] == status


SHAPES = [
    "",
    "null",
    "[]",
    "<html>No</html>",
    '"no"',
    '{"error": "no"}',
    '{"error": {"message": 7}}',
    '{"error": []}',
    "[" * 5000,
]


@pytest.mark.parametrize("body", SHAPES)
def test_the_shape_of_an_error_is_not_relied_on(anon, ask_anon, body):
    anon.fault("*", "status", status=404, body=body)
    with pytest.raises(NotFound, match=r"HTTP 404: Not Found\. If it should be there"):
        ask_anon(lambda api: api.migration("m"))


def test_a_refusal_is_not_told_without_end(anon, ask_anon):
    anon.fault("*", "status", status=404, body=json.dumps({"error": {"message": "x" * 5000}}))
    with pytest.raises(NotFound) as caught:
        ask_anon(lambda api: api.migration("m"))
    assert f": {'x' * 300}. " in caught.value.message


@EVERY_READ
@pytest.mark.parametrize(
    "fault", [{"action": "garbage"}, {"action": "garbage", "body": "7"}, {"action": "garbage", "body": "{}"}]
)
def test_garbage_is_nonsense_and_not_nothing(anon, ask_anon, done, name, fault):
    anon.fault("*", **fault)
    with pytest.raises(VendorNonsense):
        ask_anon(READS[name](done))


@EVERY_READ
@pytest.mark.parametrize("fault", [{"action": "truncate", "bytes": 20}, {"action": "drop_before"}, {"action": "drop_after"}])
def test_half_an_answer_is_none_and_may_be_asked_for_again(anon, ask_anon, done, name, fault):
    anon.fault("*", **fault)
    with pytest.raises(VendorUnavailable, match="gave no whole answer to"):
        ask_anon(READS[name](done))


QUICK = Patience(first=0.001, cap=0.002)


@EVERY_READ
@pytest.mark.parametrize(
    "fault", [{"action": "status", "status": 503}, {"action": "drop_after"}, {"action": "truncate", "bytes": 9}]
)
def test_every_call_is_repeated_because_it_only_reads(anon, connect_anon, done, name, fault):
    hook = AnonHook(connect_anon())
    calm = drive(hook._line, READS[name](done)(hook.api(QUICK)))
    anon.fault("*", times=2, **fault)
    assert drive(hook._line, READS[name](done)(hook.api(QUICK))) == calm
    hook.close()


def test_who_is_told_to_wait_waits_as_long():
    _, asks = play(API.migration("m"), said(429, headers={"Retry-After": "7"}), said(200, {"id": "m"}))
    assert asks[0].wait == 0
    assert asks[1].wait == 7


def test_who_is_told_to_wait_for_longer_than_a_call_may_take_says_how_long():
    with pytest.raises(VendorUnavailable) as caught:
        play(API.migrations(), said(429, headers={"Retry-After": "900"}))
    assert caught.value.facts["retry_after"] == 900


def test_the_limit_of_the_fake_is_kept_by_waiting(anon, connect_anon):
    anon.make(count=4)
    anon.switch(requests_per_second=1)  # so few that a slow machine exceeds it too
    hook = AnonHook(connect_anon(extra={"page_size": 1}))
    found = hook.call(lambda api: api.migrations())
    hook.close()
    assert len(found) == 4
    assert 429 in {one["status"] for one in anon.requests()}


@pytest.mark.parametrize("body", ['{"id": "another", "status": "COMPLETE"}', '{"id": "M", "status": "COMPLETE"}', '{"id": "m "}'])
def test_an_answer_about_another_migration_is_not_used(anon, ask_anon, body):
    anon.fault("*", "garbage", body=body)
    with pytest.raises(VendorNonsense, match=r"was asked for migration m and answered with .*\. Nothing of it was used\."):
        ask_anon(lambda api: api.look(Run("m")))


@pytest.mark.parametrize("body", ["[]", "null", '"m"', '[{"id": "m"}]'])
def test_an_answer_that_is_no_migration_is_not_used(anon, ask_anon, body):
    anon.fault("*", "garbage", body=body)
    with pytest.raises(VendorNonsense, match="is not a JSON object"):
        ask_anon(lambda api: api.migration("m"))


@pytest.mark.parametrize("name", ["migration", "look", "tasks", "files"])
def test_a_migration_that_is_listed_may_be_unknown_for_a_while(anon, ask_anon, name):
    anon.switch(late_get_seconds=30)
    key = anon.one()
    assert [one.id for one in ask_anon(lambda api: api.migrations())] == [key]
    with pytest.raises(NotFound):
        ask_anon(READS[name](key))
    anon.advance(30)
    ask_anon(READS[name](key))


def test_a_key_of_another_organisation_sees_nothing(anon, ask_anon, done):
    anon.switch(wrong_organisation=True)
    assert ask_anon(lambda api: api.migrations()) == []
    with pytest.raises(NotFound):
        ask_anon(lambda api: api.migration(done))


# Downloads


@pytest.fixture
def first(anon, ask_anon, done):
    """The first file of the migration, as it was listed just now, newest first."""
    return ask_anon(lambda api: api.files(done))[-1]


@pytest.fixture
def fetch(ask_anon, done, tmp_path):
    """Download a file of the migration, once."""
    return lambda file: ask_anon(lambda api: api.download(done, file, tmp_path / "f"))


def test_a_file_is_saved_whole(fetch, first, tmp_path):
    saved = fetch(first)
    content = (tmp_path / "f").read_bytes()
    assert content.startswith(b"employee_id,name,started_on\n")
    assert (saved.size, saved.sha256) == (first.size, hashlib.sha256(content).hexdigest())


def storage(anon):
    return [one for one in anon.requests() if "/s3/" in one["path"]]


def test_storage_never_sees_the_key_though_it_is_on_the_same_host(anon, fetch, first):
    """The fake's storage refuses it, as S3 does: this test proves that it would have shown."""
    with_key = anon.http.get(first.url, headers={"Authorization": f"Bearer {KEY}"})
    assert with_key.status_code == 400
    fetch(first)
    seen = storage(anon)
    assert [one["status"] for one in seen] == [400, 200]
    assert "authorization" not in seen[1]["headers"]


def test_the_key_goes_to_no_storage_elsewhere(ask_anon, tmp_path):
    with loopback() as server:
        server.will(answer(200, b"six..."))
        ask_anon(lambda api: api.download("m", File("f", "", "", "", 6, f"{server.url}/f?X-Sign=%2Fa%20b"), tmp_path / "f"))
    (asked,) = server.asked
    assert KEY not in f"{asked.target} {asked.headers}"
    assert (asked.method, asked.target, asked.header("Authorization")) == ("GET", "/f?X-Sign=%2Fa%20b", None)


def test_a_link_that_has_expired_is_asked_for_again(anon, fetch, first):
    anon.advance(61)
    assert fetch(first).size == first.size
    assert [one["status"] for one in storage(anon)] == [403, 200]


def test_the_link_of_the_same_file_is_asked_for(anon, ask_anon, done, fetch, tmp_path):
    second = ask_anon(lambda api: api.files(done))[0]
    anon.advance(61)
    fetch(second)
    assert json.loads((tmp_path / "f").read_text())["data_type"] == "EmployeeDetails"


def test_fresh_links_are_not_asked_for_without_end(anon, fetch, first, tmp_path):
    anon.fault("*/s3/*", "status", status=403, times=None)
    with pytest.raises(VendorUnavailable, match=r"Storage refused 3 fresh links in a row .* Check this machine's clock"):
        fetch(first)
    assert len(storage(anon)) == 3
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_listed_no_more_is_told(anon, fetch, done, first):
    anon.advance(61)
    anon.switch(files_per_migration=0)
    with pytest.raises(NotFound, match=rf"Anon no longer lists file {first.id} of migration {done}\. Clear the task"):
        fetch(first)


@pytest.mark.parametrize("wrong", [-1, 1])
def test_a_file_of_another_size_than_listed_is_thrown_away(fetch, first, tmp_path, wrong):
    listed = File(first.id, "", "", "", first.size + wrong, first.url)
    with pytest.raises(TransferBroken) as caught:
        fetch(listed)
    assert f"is {first.size + wrong:,} bytes by Anon's list and {first.size:,} came. It was thrown away" in caught.value.message
    assert list(tmp_path.iterdir()) == []


def test_a_file_whose_size_is_not_known_is_taken_as_it_comes(anon, ask_anon, done, fetch, tmp_path):
    anon.switch(drop_field="size")
    (listed, _) = ask_anon(lambda api: api.files(done))
    assert listed.size is None
    assert fetch(listed).size == (tmp_path / "f").stat().st_size


@pytest.mark.parametrize(
    "fault", [{"action": "truncate", "bytes": 20}, {"action": "drop_before"}, {"action": "status", "status": 503}]
)
def test_a_transfer_that_broke_off_leaves_nothing(anon, fetch, first, tmp_path, fault):
    anon.fault("*/s3/*", **fault)
    with pytest.raises(VendorUnavailable):
        fetch(first)
    assert list(tmp_path.iterdir()) == []


def test_a_transfer_that_broke_off_is_tried_again(anon, connect_anon, done, first, tmp_path):
    anon.fault("*/s3/*", "truncate", bytes=20)
    hook = AnonHook(connect_anon())
    saved = drive(hook._line, hook.api(QUICK).download(done, first, tmp_path / "f"))
    hook.close()
    assert (saved.size, len(storage(anon))) == (first.size, 2)


@pytest.mark.parametrize(
    "url", ["", "ftp://a/b", "/s3/f", "canary", "https://", "https:///f", "https://a:b/f", "https://a\n/f", "[]"]
)
def test_a_file_without_a_link_is_told_by_its_id(url, tmp_path):
    with pytest.raises(VendorNonsense) as caught:
        play(API.download("m", File("f-1", "", "", "", None, url), tmp_path / "f"))
    assert caught.value.message == ("Anon lists file f-1 without a link to it. Look at Anon's dashboard, then clear the task.")


def test_a_link_to_a_host_that_the_connection_does_not_name_is_not_used(ask_anon, tmp_path):
    file = File("f-1", "", "", "", None, "https://elsewhere.example/f?X-Sign=canary")
    with pytest.raises(VendorNonsense, match=r"leads to elsewhere\.example, which the connection does not list") as caught:
        ask_anon(lambda api: api.download("m", file, tmp_path / "f"))
    assert "canary" not in caught.value.message


@pytest.mark.parametrize("status", [400, 404, 500])
def test_the_signature_of_a_link_is_never_said(anon, fetch, first, status):
    signature = first.url.rpartition("X-Amz-Signature=")[2]
    anon.fault("*/s3/*", "status", status=status, body=f"No {first.url}")
    with pytest.raises(VendorError) as caught:
        fetch(first)
    assert len(signature) > 20
    assert signature not in f"{caught.value!r} {caught.value.to_json()} {first!r}"


# Nothing but GET

SURFACE = {
    **{name: lambda api, name=name: READS[name]("m-1")(api) for name in READS},
    "probe": lambda api: api.probe(),
    "download": lambda api: api.download("m-1", File("f", "", "", "", None, "https://files.example/f"), None),
}


def test_the_surface_of_the_client_is_known_here_whole():
    """Whoever adds a verb adds it to the test below."""
    public = {name for name, _ in inspect.getmembers(AnonApi, inspect.isfunction) if not name.startswith("_")}
    assert public - {"explain"} == set(SURFACE)


ANSWERS = {
    "good": said(200, [{"id": "m-1"}]),
    "no": said(400, {}),
    "unknown": said(404),
    "forbidden": said(403),
    "method not allowed": said(405, headers={"Allow": "POST"}),
    "see other": said(303, headers={"Location": "/x"}),
    "too many": said(429),
    "broken": said(500),
    "garbage": said(200, raw=b"<<<"),
    "lost": lost(),
    "never there": lost(httpx.ConnectError),
}


def methods_of(exchange, answer):
    """The verbs of all that an exchange asks while everything is answered in the same way, but for a while."""
    asked, ask = [], None
    try:
        ask = next(exchange)
        for _ in range(12):
            asked.append(ask.request.method)
            event = answer(ask)
            ask = exchange.throw(event) if isinstance(event, Exception) else exchange.send(event)
    except (StopIteration, FerryError, KeyError):  # KeyError: nothing was saved, since nobody played the driver
        return asked
    raise AssertionError("no end")


@pytest.mark.parametrize("reply", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("name", SURFACE)
def test_nothing_but_get_is_asked_whatever_is_answered(name, reply):
    asked = methods_of(SURFACE[name](API), reply)
    assert asked
    assert set(asked) == {"GET"}


def test_nothing_but_get_arrives_at_anon(anon, ask_anon, done, fetch, first):
    for status in (None, 401, 404, 422, 429, 500):
        if status:
            anon.fault("*", "status", status=status, times=None)
        for colour in ("worker", "triggerer"):
            for read in READS.values():
                outcome_of(lambda read=read, colour=colour: ask_anon(read(done), colour))
        outcome_of(lambda: fetch(first))
        AnonHook("anon_default").test_connection()
        anon.control.delete("/anon/faults").raise_for_status()
    seen = anon.requests()
    assert len(seen) > 60
    assert {one["method"] for one in seen} == {"GET"}
    assert anon.counters()["other_methods"] == 0


def outcome_of(call):
    try:
        return call()
    except FerryError as error:
        return error


def test_the_code_names_no_other_verb():
    """By reading: each request is made in one of two ways, and both say GET in so many letters."""
    tree = ast.parse(inspect.getsource(api_module))
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert not texts & {"POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "post", "put", "patch", "delete"}
    made = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"self._call", "httpx.Request"}
    ]
    verbs = [node.args[0 if ast.unparse(node.func) == "httpx.Request" else 1] for node in made]
    assert [ast.literal_eval(verb) for verb in verbs] == ["GET"] * 3


def test_the_loop_of_a_triggerer_is_left_clean(anon, connect_anon):
    """Both colours share every line; what differs is who closes the client."""

    async def awaiting():
        hook = await AnonHook.aopen(connect_anon())
        return await hook.acall(lambda api: api.migrations())

    assert asyncio.run(awaiting()) == []
