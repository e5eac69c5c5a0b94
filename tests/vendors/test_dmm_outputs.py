"""DMM's verbs that look: status, counters and log while an execution runs, and its outputs, streamed, once it has ended."""

import hashlib
import io
import json
import zipfile
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.loopback import answer, loopback
from tests.vendors.test_dmm_connection import COLOURS, JSON

from ferry.core.errors import NotFound, TransferBroken, VendorNonsense, VendorRefused, VendorUnavailable
from ferry.core.longjson import unfold
from ferry.core.model import Run, RunState
from ferry.core.zipfiles import BadZip, open_zip
from ferry.vendors.dmm.body import StartBody
from ferry.vendors.dmm.shapes import errors_in
from ferry.vendors.dmm.triggers import DmmRunTrigger

pytest_plugins = ["tests.vendors.test_dmm_connection"]
ID, OUTPUTS = "MainExecutionTrackerId", "*/GetExecutionOutputs"
SOURCE = {"host": "/dmm/source", "password": "ferry-demo-dmm-source"}


# The status


@COLOURS
def test_an_execution_is_watched_from_queued_to_its_end(dmm, call, import_one, colour):
    dmm.switch(queue_seconds=10.0, chunk_seconds=10.0)
    ref, seen = import_one(100), []
    for _ in range(4):
        seen.append(call(lambda api: api.look(Run(ref)), colour))
        dmm.advance(10)
    assert [(one.word, one.state) for one in seen] == [
        ("Queued", RunState.QUEUED),
        ("InProgress", RunState.RUNNING),
        ("InProgress", RunState.RUNNING),
        ("Complete", RunState.SUCCEEDED),
    ]
    assert [one.counters.get("completed") for one in seen] == [0, 0, 50, 100]
    assert {one.ref for one in seen} == {ref}


@pytest.mark.parametrize("no_end", ["empty", "null", "absent", "null_date"])
@pytest.mark.parametrize("message", ["object", "list"])
def test_reports_are_read_however_they_are_written(dmm, call, import_one, no_end, message):
    dmm.switch(queue_seconds=10.0, no_end_as=no_end, message_as=message)
    ref = import_one()
    before = call(lambda api: api.status(ref))
    dmm.advance(11)
    after = call(lambda api: api.status(ref))
    assert (before.started_at, before.message) == ("", "The execution is queued.")
    assert after.started_at.startswith("20")
    assert after.message == "Import is complete."


@pytest.mark.parametrize("word", ["InError", "Complete", "Stopped"])
def test_whatever_word_follows_a_stop_is_passed_on(dmm, call, import_one, word):
    dmm.switch(queue_seconds=10.0, word_after_stop=word)
    ref = import_one()
    assert call(lambda api: api.stop(ref)) == ""
    seen = call(lambda api: api.look(Run(ref)))
    assert seen.word == word
    assert seen.state is {"InError": RunState.FAILED_CLEAN, "Complete": RunState.SUCCEEDED}.get(word, RunState.RUNNING)
    assert dmm.state["stops"] == 1


@COLOURS
def test_an_execution_that_dmm_does_not_know_is_not_found_by_name(dmm, call, colour):
    with pytest.raises(
        NotFound, match=r"DMM knows no execution 4711\. If it should be there, check that the connection"
    ) as caught:
        call(lambda api: api.look(Run("4711")), colour)
    assert "status" not in caught.value.facts


def test_an_execution_may_be_known_only_some_time_after_its_start(dmm, call, import_one):
    dmm.switch(not_found_seconds=30.0)
    ref = import_one()
    with pytest.raises(NotFound):
        call(lambda api: api.look(Run(ref)))
    dmm.advance(31)
    assert call(lambda api: api.look(Run(ref))).state is RunState.SUCCEEDED


def test_a_status_that_failed_says_why_and_is_no_state(call):
    with loopback() as server:
        server.will(answer(200, b'{"Success": false, "Status": "InError", "ErrorMessage": "No such\\n id."}', JSON))
        with pytest.raises(VendorRefused, match=r"DMM answered GetExecutionStatus with a no: No such id\. Correct"):
            call(lambda api: api.look(Run("7")), host=server.url)


@pytest.mark.parametrize("ref", ["90417", "007", "a b&c=d", "ü/?#", "7%2F"])
def test_an_id_reaches_dmm_as_it_is(call, ref):
    with loopback() as server:
        call(lambda api: api.status(ref, 3), host=server.will(answer(200, b'{"Status": "Queued"}', JSON)).url)
    asked = parse_qs(urlsplit(server.asked[0].target).query, strict_parsing=True)
    assert asked == {ID: [ref], "IncludeReports": ["true"], "IncludeLogs": ["true"], "LogRecords": ["200"], "LogPage": ["3"]}
    assert (server.asked[0].method, server.asked[0].size) == ("GET", 0)


def test_the_log_is_not_asked_for_where_no_page_is_named(call):
    with loopback() as server:
        call(lambda api: api.status("7"), host=server.will(answer(200, b'{"Status": "Queued"}', JSON)).url)
    assert "Log" not in server.asked[0].target


# The log, page by page


@pytest.mark.parametrize("newline", ["lf", "crlf"])
def test_the_log_comes_in_pages_whole_and_in_order(dmm, call, import_one, newline):
    dmm.switch(log_lines_per_chunk=150, log_newline=newline)
    ref = import_one(200)
    pages = [call(lambda api, page=page: api.status(ref, page)) for page in (1, 2, 3, 4, 5)]
    lines = [line for page in pages for line in page.log_lines]
    assert [len(page.log_lines) for page in pages] == [200, 200, 200, len(lines) - 600, 0]
    assert {page.log_pages for page in pages} == {4}
    assert [line.rpartition(" ")[2] for line in lines if "chunk 4 of 4" in line] == [str(n) for n in range(1, 151)]
    assert len(lines) == len(set(lines)) >= 600


@COLOURS
@pytest.mark.parametrize("per_chunk", [1, 99, 100, 300])
def test_a_wait_reads_every_line_once_however_the_log_grows(dmm, call, import_one, colour, per_chunk):
    dmm.switch(queue_seconds=1.0, chunk_seconds=1.0, log_lines_per_chunk=per_chunk)
    ref, wait = import_one(150), DmmRunTrigger(attempt="dmm://acme.example/b/1", step="await_run")
    seen = Run(ref)
    while not seen.state.is_final:
        seen = call(lambda api: wait.ask(api, seen), colour)  # noqa: B023 (played at once)
        dmm.advance(1)
    assert [line for line in wait._lines if ", line " not in line][-1].endswith("Complete: Import is complete.")
    numbers = [
        line.partition("chunk ")[2].partition(" of ")[0] + ":" + line.rpartition(" ")[2]
        for line in wait._lines
        if ", line " in line
    ]
    assert numbers == [f"{chunk}:{line}" for chunk in (1, 2, 3) for line in range(1, per_chunk + 1)]


# Outputs


@pytest.fixture
def fetch(call, tmp_path):
    """The outputs of an execution: what is told, and its files."""

    def fetched(ref, *, files=False, **told):
        raw = tmp_path / "outputs.json"
        saved = call(lambda api: api.outputs(ref, raw, files=files), **told)
        assert (saved.path, saved.size, saved.sha256) == (raw, raw.stat().st_size, hashlib.sha256(raw.read_bytes()).hexdigest())
        sinks = {key: tmp_path / key for key in ("Logs", "ZipFile", "ErrorReport")}
        rest = unfold(raw, sinks, "GetExecutionOutputs")
        return rest, {key: path for key, path in sinks.items() if path.exists()}

    return fetched


@pytest.fixture
def desk(tmp_path):
    """A folder where nothing lies."""
    folder = tmp_path / "desk"
    folder.mkdir()
    return folder


@pytest.fixture
def export_one(dmm, call):
    """An export of the source that has ended: its id."""

    def started(**configuration):
        told = {"DBConnection": "Runtime Connection"} | configuration
        return call(lambda api: api.start(StartBody("Export", told), dmm.otp("source")), **SOURCE).ref

    return started


def test_an_import_that_has_ended_gives_report_logs_and_errors(dmm, import_one, fetch):
    dmm.switch(entity_errors="Customer:1")
    told, files = fetch(import_one(120))
    assert (told["Status"], told["Success"], told["Report"]["NRecords"]) == ("Complete", True, 70)
    assert set(files) == {"Logs", "ErrorReport"}
    (error,) = errors_in(json.loads(files["ErrorReport"].read_bytes()))
    assert (error.entity, error.chunks) == ("Customer", 1)
    with open_zip(files["Logs"]) as opened:
        assert opened.check_contents() > 0


def test_an_export_gives_its_zip_where_it_is_asked_for(dmm, export_one, fetch):
    ref = export_one(ExportingEntities=["Customer"])
    assert "ZipFile" not in fetch(ref, **SOURCE)[1]
    content = fetch(ref, files=True, **SOURCE)[1]["ZipFile"].read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        assert {"Customer_Data.csv", "Customer_Struct.dmm"} <= set(opened.namelist())
        assert opened.testzip() is None


def test_there_are_no_outputs_before_the_end(dmm, import_one, fetch):
    dmm.switch(queue_seconds=60.0)
    assert fetch(import_one()) == ({"Status": "Queued", "Result": "OK", "Success": True, "ErrorMessage": ""}, {})


@pytest.mark.parametrize("kind", ["slip", "absolute", "symlink", "bomb", "many", "truncated", "not_zip"])
def test_a_hostile_zip_is_kept_and_not_opened(dmm, export_one, fetch, kind):
    dmm.switch(data_zip=kind, log_zip=kind)
    _, files = fetch(export_one(ExportingEntities=["Product"]), files=kind != "many", **SOURCE)  # which takes the sandbox a while
    for name in ["Logs"] if kind == "many" else ["Logs", "ZipFile"]:
        with pytest.raises(BadZip), open_zip(files[name]) as opened:
            pytest.fail(f"{name}: {opened.members[:3]}")


def test_large_logs_come_whole(dmm, import_one, fetch):
    dmm.switch(log_mb=8)
    _, files = fetch(import_one())
    with open_zip(files["Logs"]) as opened:
        assert opened.check_contents() > 8 * 1024 * 1024


def test_everything_that_an_end_has_is_asked_for(call, tmp_path):
    with loopback() as server:
        server.will(answer(200, b"{}", JSON))
        call(lambda api: api.outputs("90417", tmp_path / "o", files=True), host=server.url)
        call(lambda api: api.outputs("90417", tmp_path / "o", files=False), host=server.url)
    asked = [parse_qs(urlsplit(one.target).query) for one in server.asked]
    every = {ID: ["90417"]} | {key: ["true"] for key in ("IncludeReports", "IncludeLogs", "IncludeErrorReport")}
    assert asked == [every | {"IncludeFiles": ["true"]}, every | {"IncludeFiles": ["false"]}]


CUT = (VendorUnavailable, TransferBroken)
FAILED = {
    "truncated": ({"action": "truncate", "bytes": 50}, CUT),
    "dropped": ({"action": "drop_after"}, VendorUnavailable),
    "broken": ({"action": "status", "status": 500}, VendorUnavailable),
    "unknown": ({"action": "status", "status": 404}, NotFound),
}


@pytest.mark.parametrize("failed", FAILED.values(), ids=FAILED)
def test_outputs_that_did_not_arrive_whole_leave_nothing_behind(dmm, call, import_one, desk, failed):
    action, kind = failed
    ref = import_one()
    dmm.fault("GET", OUTPUTS, **action)
    with pytest.raises(kind):
        call(lambda api: api.outputs(ref, desk / "o", files=False))
    assert list(desk.iterdir()) == []


def test_outputs_that_are_garbage_are_nonsense(dmm, call, import_one, fetch):
    ref = import_one()
    dmm.fault("GET", OUTPUTS, "garbage")
    with pytest.raises(VendorNonsense, match="GetExecutionOutputs"):
        fetch(ref)
