"""Executions of the made-up environments over simulated time: queue, chunks, counters, errors, stops, and the log."""

import base64
from datetime import datetime, timedelta

import pytest
from tests.sandbox.dmm_client import invoices, zipped

pytest_plugins = ["tests.sandbox.dmm_client"]


def words(dmm, environment, key, *seconds):
    """The status after each of some spans."""
    seen = []
    for span in seconds:
        dmm.advance(span)
        seen.append(environment.word(key))
    return seen


# Queue


def test_an_execution_waits_runs_and_ends(paced):
    key = paced.target.started(zipped(Invoice=120))
    assert words(paced, paced.target, key, 0, 0.875, 0.125, 1.375, 0.125) == [
        "Queued",
        "Queued",
        "InProgress",
        "InProgress",
        "Complete",
    ]


def test_result_and_success_say_nothing_of_the_import(paced):
    key = paced.target.started(zipped(Invoice=120))
    for _ in range(4):
        seen = paced.target.look(key)
        assert (seen["Result"], seen["Success"], seen["ErrorMessage"]) == ("OK", True, "")
        paced.advance(1)


def test_one_execution_of_an_environment_runs_at_a_time(paced):
    first, second = (paced.target.started(zipped(Invoice=50)) for _ in range(2))
    elsewhere = paced.source.exported("Product")
    paced.advance(1.25)
    assert [paced.target.word(key) for key in (first, second)] == ["InProgress", "Queued"]
    assert paced.source.word(elsewhere) == "InProgress"
    paced.advance(0.25)
    assert [paced.target.word(key) for key in (first, second)] == ["Complete", "InProgress"]


def test_the_next_one_begins_when_the_one_before_has_ended_however_late_somebody_looks(paced):
    first, second = (paced.target.started(zipped(Invoice=50)) for _ in range(2))
    paced.advance(600)
    assert paced.target.look(first)["Report"]["EndedAt"] <= paced.target.look(second)["Report"]["StartedAt"]
    assert paced.target.look(second)["Report"]["TotalDuration"] == 0


def test_they_may_run_at_once(paced):
    paced.switch(parallel=True)
    keys = [paced.target.started(zipped(Invoice=50)) for _ in range(3)]
    paced.advance(1.25)
    assert [paced.target.word(key) for key in keys] == ["InProgress"] * 3
    paced.advance(1)
    assert len(paced.records("Invoice")) == 150


def test_an_execution_may_be_unknown_at_first(paced):
    paced.switch(not_found_seconds=5.0)
    key = paced.target.started(zipped(Invoice=50))
    unknown = {"Status": "NotFound", "Result": "OK", "Success": True, "ErrorMessage": ""}
    paced.advance(4.75)
    assert (paced.target.look(key), paced.target.outputs(key)) == (unknown, unknown)
    paced.advance(0.25)
    assert paced.target.word(key) == "Complete"


@pytest.mark.parametrize("key", [1, "nothing", "90402", "../x"])
def test_an_execution_nobody_started_is_not_found(dmm, key):
    dmm.target.started(zipped(Invoice=1))
    assert dmm.target.look(key) == {"Status": "NotFound", "Result": "OK", "Success": True, "ErrorMessage": ""}


def test_an_execution_is_known_in_its_own_environment_only(dmm):
    key = dmm.target.started(zipped(Invoice=1))
    assert dmm.source.word(key) == "NotFound"


# Chunks and counters


def test_records_come_in_chunks(paced):
    key = paced.target.started(zipped(Invoice=120))
    paced.advance(1)
    seen = []
    for _ in range(4):
        seen.append((paced.target.counters(key), len(paced.records("Invoice"))))
        paced.advance(0.5)
    assert seen == [((0, 120, 0, 3), 0), ((50, 120, 1, 3), 50), ((100, 120, 2, 3), 100), ((120, 120, 3, 3), 120)]


def test_before_it_begins_nothing_is_counted(paced):
    key = paced.target.started(zipped(Invoice=120))
    assert paced.target.counters(key) == (0, 0, 0, 0)


def test_the_size_of_a_chunk_is_a_switch(paced):
    paced.switch(chunk_records=7, chunk_seconds=2.0)
    key = paced.target.started(zipped(Invoice=20))
    paced.advance(3)
    assert paced.target.counters(key) == (7, 20, 1, 3)


def test_what_is_under_way_keeps_its_chunks(paced):
    key = paced.target.started(zipped(Invoice=20))
    paced.advance(1)
    paced.target.look(key)
    paced.switch(chunk_records=5)
    paced.advance(10)
    assert paced.target.counters(key) == (20, 20, 1, 1)


@pytest.mark.parametrize(("grow", "totals"), [(True, [10, 10 + 60, 70, 70]), (False, [70] * 4)])
def test_totals_may_grow(paced, grow, totals):
    paced.switch(totals_grow=grow)
    key = paced.target.started(zipped(Address=10, Invoice=60))
    paced.advance(1)
    seen = []
    for _ in range(4):
        seen.append(paced.target.counters(key)[1])
        paced.advance(0.5)
    assert seen == totals


@pytest.mark.parametrize(("counts", "records"), [(True, (14, 14)), (False, (10, 10))])
def test_records_of_system_tables_count_or_not(dmm, counts, records):
    dmm.switch(counts_system=counts)
    key = dmm.target.started(zipped(ossys_User=4, Invoice=10))
    assert dmm.target.counters(key) == (*records, 2, 2)
    assert dmm.target.outputs(key)["Report"]["NRecords"] == records[0]
    assert len(dmm.records("ossys_User")) == 7


def test_a_zip_without_records_is_complete_at_once(dmm):
    key = dmm.target.started(zipped(Invoice=0))
    assert (dmm.target.word(key), dmm.target.counters(key)) == ("Complete", (0, 0, 0, 0))


def test_the_report_tells_times(paced):
    key = paced.target.started(zipped(Invoice=120))
    paced.advance(2)
    under_way = paced.target.look(key)["Report"]
    assert (under_way["EndedAt"], under_way["ElapsedTime"], under_way["TotalDuration"]) == ("", "00:00:01", 1)
    paced.advance(3600)
    ended = paced.target.look(key)["Report"]
    assert (ended["StartedAt"], ended["ElapsedTime"]) == (under_way["StartedAt"], "00:00:01")
    assert ended["EndedAt"] > ended["StartedAt"]
    assert len(ended["EndedAt"]) == len("2031-02-03 04:05:06")


@pytest.mark.parametrize(
    ("how", "told"), [("empty", ""), ("null", None), ("absent", "absent"), ("null_date", "1900-01-01 00:00:00")]
)
def test_an_end_that_is_not_yet_is_told_in_one_of_four_ways(paced, how, told):
    paced.switch(no_end_as=how)
    key = paced.target.started(zipped(Invoice=50))
    queued = paced.target.look(key)["Report"]
    assert (queued.get("StartedAt", "absent"), queued.get("EndedAt", "absent")) == (told, told)
    paced.advance(1)
    assert paced.target.look(key)["Report"].get("EndedAt", "absent") == told
    paced.advance(1)
    assert paced.target.look(key)["Report"]["EndedAt"] > "2000"


@pytest.mark.parametrize("shape", ["object", "list"])
def test_the_message_may_be_an_object_or_a_list(dmm, shape):
    dmm.switch(message_as=shape)
    key = dmm.target.started(zipped(Invoice=1))
    told = {"MessageText": "Import is complete.", "MessageType": "Success"}
    assert dmm.target.message(key) == (told if shape == "object" else [told])


def test_the_message_follows_the_chunks(paced):
    key = paced.target.started(zipped(Invoice=120))
    seen = []
    for _ in range(3):
        seen.append(paced.target.message(key))
        paced.advance(1)
    assert [one["MessageType"] for one in seen] == ["Info"] * 3
    assert [one["MessageText"] for one in seen][1:] == ["Import: Invoice, chunk 1 of 3", "Import: Invoice, chunk 3 of 3"]


def test_a_report_is_told_only_to_those_who_ask(target):
    key = target.started(zipped(Invoice=1))
    answer = target.call("GET", "GetExecutionStatus", params={"MainExecutionTrackerId": key})
    assert answer.json() == {"Status": "Complete", "Result": "OK", "Success": True, "ErrorMessage": ""}


# Errors


def test_chunks_of_an_entity_that_fail_are_skipped(dmm):
    dmm.switch(entity_errors="Order:5 Inv*:2")
    key = dmm.target.started(zipped(Invoice=120, Other=10))
    assert (dmm.target.word(key), dmm.target.look(key)["Result"]) == ("Complete", "OK")
    assert dmm.target.counters(key) == (30, 130, 2, 4)
    assert [one["Name"] for one in dmm.records("Invoice")] == [f"no {n}" for n in range(101, 121)]
    (error,) = dmm.target.errors(key)
    assert (error.pop("FinalReportEntity"), error.pop("Count")) == ("Invoice", "2")
    assert set(error) == {"FinalReportError", "FinalReportStacktrace", "FinalReportTip", "FinalReportMoment"}
    assert all(error.values())


def test_a_fatal_error_ends_it_and_leaves_what_got_in(dmm):
    dmm.switch(fatal_errors="Invoice:2")
    key = dmm.target.started(zipped(Address=10, Invoice=120, Zebra=10))
    assert (dmm.target.word(key), dmm.target.message(key)["MessageType"]) == ("InError", "Danger")
    assert dmm.target.counters(key) == (60, 140, 2, 5)
    assert [len(dmm.records(name)) for name in ("Address", "Invoice", "Zebra")] == [10, 50, 0]
    assert [(one["FinalReportEntity"], one["Count"]) for one in dmm.target.errors(key)] == [("Invoice", "1")]


def test_a_fatal_error_at_the_first_chunk_leaves_nothing(dmm):
    dmm.switch(fatal_errors="*:1")
    key = dmm.target.started(zipped(Invoice=120))
    assert dmm.target.counters(key) == (0, 120, 0, 3)
    assert dmm.records("Invoice") == []


def test_a_system_table_that_got_in_shows_in_the_instructions_even_if_it_does_not_count(dmm):
    dmm.switch(fatal_errors="Invoice:1", counts_system=False)
    key = dmm.target.started(zipped(ossys_User=10, Invoice=10))
    assert dmm.target.counters(key) == (0, 10, 1, 2)


def test_the_moment_of_an_error_is_its_first(paced):
    paced.switch(entity_errors="Invoice:3")
    key = paced.target.started(zipped(Invoice=150))
    paced.advance(1)
    begun = paced.target.look(key)["Report"]["StartedAt"]
    paced.advance(3600)
    (error,) = paced.target.errors(key)
    after = datetime.fromisoformat(error["FinalReportMoment"]) - datetime.fromisoformat(begun)
    assert (error["Count"], after <= timedelta(seconds=1)) == ("3", True)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("1,Blue Van,,\n", "Incorrect syntax: text values are written N'...'."),
        ("1,N'x',,31.12.2031\n", "Incorrect syntax: text values are written N'...'."),
        ("1,N'x',,2031-02-31T00:00:00\n", "Conversion failed when converting date and/or time from character string."),
        (f"1,N'x',{'1' * 5000},\n", "Incorrect syntax: text values are written N'...'."),
        ("1,N'x',\n", "The row has 3 values, but the header names 4."),
    ],
)
def test_a_record_that_the_database_cannot_take_spoils_its_chunk(dmm, rows, words):
    dmm.switch(chunk_records=2)
    key = dmm.target.started(zipped(Invoice=invoices(3) + rows, Other=1))
    assert dmm.target.word(key) == "Complete"
    assert [(one["FinalReportError"], one["Count"]) for one in dmm.target.errors(key)] == [(words, "1")]
    assert (len(dmm.records("Invoice")), dmm.target.counters(key)) == (2, (3, 5, 2, 3))


@pytest.mark.parametrize("text", ["Invoice", "Invoice:0", "Invoice:x", ":2", "a:1,b:2"])
def test_rules_that_make_no_sense_are_refused(dmm, text):
    answer = dmm.control.put("/dmm/switches", json={"entity_errors": text})
    assert (answer.status_code, "'Invoice:2 Foo*:1'" in answer.json()["error"]) == (400, True)


# Stops


def test_a_stop_takes_effect_at_the_end_of_the_chunk(paced):
    key = paced.target.started(zipped(Invoice=120))
    paced.advance(1.75)
    assert paced.target.stop(key).json() == {"Success": True, "ErrorMessage": ""}
    assert (paced.target.word(key), len(paced.records("Invoice"))) == ("InProgress", 50)
    paced.advance(0.25)
    assert (paced.target.word(key), paced.target.counters(key)) == ("InError", (100, 120, 2, 3))
    words = "The execution was stopped by the API. What was done is not reverted."
    assert paced.target.message(key) == {"MessageText": words, "MessageType": "Danger"}
    paced.advance(60)
    assert (len(paced.records("Invoice")), paced.state()["stops"]) == (100, 1)


def test_what_is_only_queued_is_stopped_at_once(paced):
    first, second = (paced.target.started(zipped(Invoice=50)) for _ in range(2))
    assert paced.target.stop(second).json()["Success"]
    assert (paced.target.word(second), paced.target.counters(second)) == ("InError", (0, 0, 0, 0))
    paced.advance(60)
    assert (paced.target.word(first), len(paced.records("Invoice"))) == ("Complete", 50)


@pytest.mark.parametrize(("word", "result"), [("InError", "ERROR"), ("Complete", "OK"), ("Stopped", "OK")])
def test_the_word_after_a_stop_is_a_switch(paced, word, result):
    paced.switch(word_after_stop=word)
    key = paced.target.started(zipped(Invoice=120))
    paced.target.stop(key)
    seen = paced.target.look(key)
    assert (seen["Status"], seen["Result"]) == (word, result)
    assert "stopped" in seen["Report"]["Message"]["MessageText"]


def test_a_stop_may_be_repeated_while_it_takes_effect(paced):
    key = paced.target.started(zipped(Invoice=120))
    paced.advance(1)
    assert [paced.target.stop(key).json()["Success"] for _ in range(2)] == [True, True]


@pytest.mark.parametrize(("how", "success"), [("refused", False), ("accepted", True)])
def test_what_has_ended_cannot_be_stopped(dmm, how, success):
    dmm.switch(stop_ended=how)
    key = dmm.target.started(zipped(Invoice=1))
    answer = dmm.target.stop(key)
    assert (answer.status_code, answer.json()["Success"], bool(answer.json()["ErrorMessage"])) == (200, success, not success)
    assert (dmm.target.word(key), dmm.state()["stops"]) == ("Complete", int(success))


def test_what_is_not_there_cannot_be_stopped(dmm):
    key = dmm.target.started(zipped(Invoice=1))
    for told in (dmm.source.stop(key), dmm.target.stop(1)):
        assert (told.status_code, told.json()["Success"]) == (200, False)
        assert told.json()["ErrorMessage"].startswith("There is no execution")


# The log


def test_the_log_comes_in_pages_of_ten_lines_oldest_first(dmm):
    key = dmm.target.started(zipped(Invoice=120))
    pages = [dmm.target.lines(key, LogPage=page) for page in (1, 2, 3)]
    assert [(len(lines), number) for lines, number in pages] == [(10, 2), (3, 2), (0, 2)]
    lines = pages[0][0] + pages[1][0]
    assert [line[20:] for line in lines[:4]] == [
        "INFO  Import 90401 was accepted.",
        "INFO  Import 90401 has begun.",
        "INFO  Invoice: 120 records in 3 chunks.",
        "INFO  Invoice: chunk 1 of 3, 50 records, line 1",
    ]
    assert lines[-1][20:] == "INFO  Complete: Import is complete."
    assert dmm.target.lines(key) == pages[0]
    assert dmm.target.lines(key, LogRecords=200) == (lines, 1)


def test_the_log_grows(paced):
    key = paced.target.started(zipped(Invoice=100))
    seen = []
    for _ in range(4):
        seen.append(len(paced.target.lines(key, LogRecords=100)[0]))
        paced.advance(0.75)
    assert seen == [1, 1, 6, 10]


def test_the_first_page_may_be_zero(dmm):
    dmm.switch(first_log_page=0)
    key = dmm.target.started(zipped(Invoice=120))
    pages = [dmm.target.lines(key, LogPage=page)[0] for page in (0, 1)]
    assert [len(page) for page in pages] == [10, 3]


@pytest.mark.parametrize(("how", "newline"), [("lf", "\n"), ("crlf", "\r\n")])
def test_the_end_of_a_line_is_a_switch(dmm, how, newline):
    dmm.switch(log_newline=how)
    key = dmm.target.started(zipped(Invoice=1))
    text = base64.b64decode(dmm.target.look(key, IncludeLogs="true")["Logs"]).decode()
    assert (text.count(newline), text.count("\n"), text.endswith(newline)) == (7, 7, True)


def test_how_much_is_logged_is_a_switch(dmm):
    dmm.switch(log_lines_per_chunk=0)
    key = dmm.target.started(zipped(Invoice=120))
    assert len(dmm.target.lines(key)[0]) == 4
