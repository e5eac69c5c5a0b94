"""What DMM answers, read: only `Status` says how an execution stands, and what is absent is unknown, not nothing."""

import base64

import pytest

from ferry.core.errors import VendorNonsense
from ferry.core.model import Run, RunState
from ferry.vendors.dmm.shapes import errors_in, log_lines, message_in, one_line, status_in, time_in, whole

WHAT = "GetExecutionStatus"
ZEROS = {"CompletedRecords": 0, "CompletedInstructions": 0, "CompletedBPTRecords": 0}
REPORT = {
    "ElapsedTime": "00:01:30",
    "StartedAt": "2031-02-03 04:05:06",
    "EndedAt": "",
    "TotalDuration": 90,
    "CompletedRecords": 1200,
    "TotalRecords": 5000,
    "CompletedInstructions": 4,
    "TotalInstructions": 11,
    "CompletedBPTRecords": 0,
    "TotalBPTRecords": 0,
    "CompletedBPTVolume": 0,
    "TotalBPTVolume": 0,
    "TotalVolumeKBs": 840,
    "Message": {"MessageText": "made-up: importing Customer", "MessageType": "Info"},
}
ANSWER = {
    "Status": "InProgress",
    "Result": "OK",
    "Success": True,
    "ErrorMessage": "",
    "Logs": "bGluZSAxCmxpbmUgMgo=",
    "LogNumPages": 3,
    "Report": REPORT,
}


def status(word="InProgress", report=(), **told):
    return status_in(ANSWER | {"Status": word, "Report": dict(report)} | told, WHAT)


def encoded(text):
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


# Status


def test_the_answer_of_the_documentation_is_read():
    found = status_in(ANSWER, WHAT)
    assert found.run("90417") == Run(
        "90417",
        RunState.RUNNING,
        "InProgress",
        {
            "completed": 1200,
            "total": 5000,
            "completed_instructions": 4,
            "total_instructions": 11,
            "completed_bpt": 0,
            "total_bpt": 0,
        },
        "made-up: importing Customer",
    )
    assert (found.started_at, found.log_lines, found.log_pages) == ("2031-02-03 04:05:06", ("line 1", "line 2"), 3)


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("Queued", RunState.QUEUED),
        ("InProgress", RunState.RUNNING),
        ("Complete", RunState.SUCCEEDED),
        ("InError", RunState.FAILED_DIRTY),
    ],
)
@pytest.mark.parametrize("result", ["OK", "ERROR", None])
def test_only_the_word_says_how_it_stands(word, state, result):
    assert status(word, Result=result).state is state


@pytest.mark.parametrize("word", ["Stopped", "complete", "COMPLETE", "In Error", "Finished", "Stopping", "NotFound"])
def test_a_word_nobody_documented_is_watched_further_and_kept(word):
    assert (status(word).state, status(word).run("1").word) == (RunState.RUNNING, word)


def test_a_word_of_a_page_is_cut():
    assert len(status("x" * 9999).word) == 100


@pytest.mark.parametrize(
    "told", [{}, {"Status": None}, {"Status": ""}, {"Status": " \n"}, {"Status": 5}, {"Status": ["InError"]}]
)
def test_an_answer_without_a_word_is_nonsense(told):
    with pytest.raises(VendorNonsense, match="answer to GetExecutionStatus has no `Status`"):
        status_in({"Result": "OK", "Success": True} | told, WHAT)


# Clean or dirty


def test_an_error_is_clean_only_where_every_counter_says_nothing():
    assert status("InError", ZEROS).state is RunState.FAILED_CLEAN


@pytest.mark.parametrize("name", ZEROS)
@pytest.mark.parametrize("value", [1, "1", None, "", "none", True, 0.0])
def test_one_counter_that_is_more_or_unknown_makes_an_error_dirty(name, value):
    assert status("InError", ZEROS | {name: value}).state is RunState.FAILED_DIRTY
    assert status("InError", {key: 0 for key in ZEROS if key != name}).state is RunState.FAILED_DIRTY


@pytest.mark.parametrize("report", [None, [], "none", 7])
def test_an_error_without_a_report_is_dirty(report):
    assert status("InError", Report=report).state is RunState.FAILED_DIRTY


@pytest.mark.parametrize("word", ["Queued", "InProgress", "Complete", "Stopped"])
def test_counters_of_nothing_change_no_other_word(word):
    assert status(word, ZEROS).state is status(word, REPORT).state


# Parts of the report


def test_a_counter_that_is_absent_is_not_known_which_is_not_nothing():
    assert status(report={"TotalRecords": 5}).counters == {"total": 5}
    assert status(report={"CompletedRecords": None, "TotalRecords": "12"}).counters == {"total": 12}


@pytest.mark.parametrize(
    ("told", "number"),
    [(0, 0), (12, 12), ("12", 12), ("-1", -1), ("0012", 12), (10**18, 10**18)]
    + [(odd, None) for odd in (None, True, False, "", " 12", "12 ", "1.5", 1.5, "1e3", "٣", [], {}, "9" * 5000)],
)
def test_a_whole_number_may_come_as_text(told, number):
    assert whole(told) == number
    assert not isinstance(whole(told), bool)


@pytest.mark.parametrize("told", ["", None, "1900-01-01 00:00:00", "1900-01-01T00:00:00"])
def test_a_time_that_is_not_yet_is_none_however_it_is_written(told):
    assert time_in({"StartedAt": told}) == time_in({}) == ""


def test_a_time_is_kept_as_it_is_written():
    assert time_in(REPORT) == "2031-02-03 04:05:06"


MESSAGES = {
    "an object": ({"MessageText": "one", "MessageType": "Info"}, "one"),
    "a list": ([{"MessageText": "one"}, {"MessageText": "two"}], "one; two"),
    "a list with gaps": ([{"MessageText": "one"}, None, "x", {"MessageText": ""}, {}, {"MessageText": None}], "one"),
    "an empty list": ([], ""),
    "nothing": (None, ""),
    "an empty object": ({}, ""),
    "a text": ("one", ""),
    "lines": ({"MessageText": " one\r\n  two "}, "one two"),
    "a page": ({"MessageText": "x" * 9999}, "x" * 500),
}


@pytest.mark.parametrize(("told", "text"), MESSAGES.values(), ids=MESSAGES)
def test_a_message_is_an_object_or_a_list(told, text):
    assert message_in({"Message": told}) == text


@pytest.mark.parametrize(("told", "line"), [(None, ""), ("a\r\n b\tc", "a b c"), (7, "7"), ("", ""), (" ", "")])
def test_a_line_has_no_breaks(told, line):
    assert one_line(told) == line


# The log

LINES = {
    "none": (None, ()),
    "an empty text": ("", ()),
    "base64 of nothing": (" ", ()),
    "one": (encoded("one"), ("one",)),
    "a line's end": (encoded("one\n"), ("one",)),
    "carriage returns": (encoded("one\r\ntwo\r\n"), ("one", "two")),
    "both": (encoded("one\r\ntwo\nthree"), ("one", "two", "three")),
    "an empty line": (encoded("one\n\ntwo\n"), ("one", "", "two")),
    "one empty line": (encoded("\n"), ("",)),
    "accents": (encoded("Größe Ł"), ("Größe Ł",)),
    "no UTF-8": (encoded(b"Gr\xf6\xdfe\n"), ("Gr\ufffd\ufffde",)),
    "base64 in lines": ("b25l\r\nCnR3\nbw==\n", ("one", "two")),
    "signs that end a line elsewhere": (encoded("a\x0bb\x0cc\x1cd\x85e\u2028f\rg\n"), ("a\x0bb\x0cc\x1cd\x85e\u2028f\rg",)),
}


@pytest.mark.parametrize(("told", "lines"), LINES.values(), ids=LINES)
def test_a_page_of_the_log_is_base64_of_lines(told, lines):
    assert log_lines(told, WHAT) == lines


@pytest.mark.parametrize("told", ["line 1", "line 1: twelve", "[2031] started", "b25", "b25l*", "Größe", "b25=l", 7, {"a": 1}])
def test_a_log_that_is_not_base64_is_nonsense_and_not_quoted(told):
    with pytest.raises(VendorNonsense) as caught:
        log_lines(told, WHAT)
    assert caught.value.message == f"The log in DMM's answer to {WHAT} is not base64, which is outside its contract."


def test_a_log_is_not_shown_by_whoever_shows_a_status():
    assert "line 1" not in repr(status_in(ANSWER, WHAT))


# The error report

ERROR = {
    "FinalReportEntity": "Customer",
    "FinalReportError": "Cannot insert 'canary'",
    "FinalReportStacktrace": "at canary",
    "FinalReportTip": "Look",
    "FinalReportMoment": "2031-02-03 04:05:06",
    "Count": "12",
}


def test_an_entry_of_the_error_report_is_read_with_its_chunks():
    (one,) = errors_in([ERROR])
    assert (one.entity, one.error, one.tip, one.moment) == ("Customer", "Cannot insert 'canary'", "Look", "2031-02-03 04:05:06")
    assert (one.chunks, one.stacktrace) == (12, "at canary")
    assert "canary" not in repr(one)


@pytest.mark.parametrize(("count", "chunks"), [(12, 12), ("12", 12), (None, 0), ("many", 0), ("", 0)])
def test_the_chunks_may_be_a_number_or_a_text(count, chunks):
    assert errors_in([ERROR | {"Count": count}])[0].chunks == chunks


@pytest.mark.parametrize("dropped", ERROR)
def test_an_entry_may_lack_anything(dropped):
    (one,) = errors_in([{key: value for key, value in ERROR.items() if key != dropped}, {}][:1])
    assert one.entity in {"Customer", "(no entity named)"}
    assert errors_in([ERROR | {dropped: None, "SomethingNew": 1}])[0].entity == one.entity


@pytest.mark.parametrize("told", [None, {}, "x", 7, [1], [ERROR, "x"], [[ERROR]], [None]])
def test_what_is_no_list_of_objects_is_not_an_error_report(told):
    assert errors_in(told) is None


def test_an_empty_error_report_is_one():
    assert errors_in([]) == []
