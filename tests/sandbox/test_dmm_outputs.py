"""GetExecutionOutputs of the made-up environments: reports, logs, files, and zips that no client may trust."""

import base64
import bz2
import io
import json
import stat
import tracemalloc
import zipfile
from datetime import datetime

import pytest
from tests.sandbox.dmm_client import BASE, RUNTIME, unzipped, zipped

pytest_plugins = ["tests.sandbox.dmm_client"]

MIB = 1024 * 1024


@pytest.fixture
def imported(target):
    return target.started(zipped(Invoice=120))


@pytest.fixture
def exported(source):
    return source.exported("Product")


def logs(target, key):
    return target.outputs(key, IncludeLogs="true")["Logs"]


def files(source, key):
    return source.outputs(key, IncludeFiles="true")["ZipFile"]


# When there is something


def test_before_the_end_there_is_only_the_status(paced):
    key = paced.target.started(zipped(Invoice=50))
    for word in ("Queued", "InProgress"):
        assert paced.target.outputs(key) == {"Status": word, "Result": "OK", "Success": True, "ErrorMessage": ""}
        paced.advance(1)
    assert set(paced.target.outputs(key)) >= {"Logs", "ZipFile", "Report", "ErrorReport"}


def test_after_the_end_there_is_what_was_asked_for(target, imported):
    heading = {"Status": "Complete", "Result": "OK", "Success": True, "ErrorMessage": ""}
    assert target.outputs(imported, IncludeLogs="false") == heading
    for asked, told in {
        "IncludeLogs": "Logs",
        "IncludeFiles": "ZipFile",
        "IncludeReports": "Report",
        "IncludeErrorReport": "ErrorReport",
    }.items():
        assert set(target.outputs(imported, **{asked: "true"})) - set(heading) == {told}


def test_an_answer_tells_its_length(target, imported):
    params = {"MainExecutionTrackerId": imported, "IncludeLogs": True, "IncludeReports": True, "IncludeFiles": True}
    answer = target.call("GET", "GetExecutionOutputs", params=params)
    assert int(answer.headers["content-length"]) == len(answer.content)


def test_the_report_of_the_outputs_is_another_one(paced):
    key = paced.target.started(zipped(Invoice=120))
    paced.advance(60)
    report = paced.target.outputs(key)["Report"]
    assert datetime.fromisoformat(report.pop("ExecutionDate"))
    assert report.pop("DataVolume") > 0
    assert report == {
        "ConfigurationType": "Import",
        "ExecutionDuration": "00:00:01",
        "BPTDataVolume": 0,
        "NBPTRecords": 0,
        "NInstructions": 3,
        "NRecords": 120,
    }


def test_records_that_failed_are_not_in_the_report(dmm):
    dmm.switch(entity_errors="Invoice:1")
    key = dmm.target.started(zipped(Invoice=120))
    assert (dmm.target.outputs(key)["Report"]["NRecords"], len(dmm.records("Invoice"))) == (70, 70)


def test_without_errors_the_error_report_is_an_empty_list(target, imported):
    assert base64.b64decode(target.outputs(imported)["ErrorReport"]) == b"[]"


def test_an_execution_that_could_not_begin_has_outputs_too(target):
    key = target.started(zipped(Invoice=3), RUNTIME | {"DataAppendMode": False})
    told = target.outputs(key)
    assert (told["Status"], told["Result"], told["Report"]["NRecords"]) == ("InError", "ERROR", 0)
    assert unzipped(told["Logs"]).namelist() == [f"execution_{key}.log"]


# Logs


def test_the_logs_are_a_zip_with_all_lines(target, imported):
    archive = unzipped(logs(target, imported))
    assert archive.testzip() is None
    assert archive.read(f"execution_{imported}.log").decode().splitlines() == target.lines(imported, LogRecords=500)[0]


def test_logs_may_be_large_and_do_not_shrink(dmm, imported):
    dmm.switch(log_mb=5)
    encoded = logs(dmm.target, imported)
    archive = unzipped(encoded)
    small, large = archive.infolist()
    assert (small.filename, large.file_size) == (f"execution_{imported}.log", 5 * MIB)
    content = archive.read(large)
    assert archive.testzip() is None
    assert len(bz2.compress(content[:MIB])) > MIB
    assert len({content[start : start + MIB] for start in range(0, 5 * MIB, MIB)}) == 5
    assert logs(dmm.target, imported) == encoded


def test_large_logs_are_streamed_in_constant_memory(dmm, imported):
    dmm.switch(log_mb=64)
    params = {"MainExecutionTrackerId": imported, "IncludeLogs": True}
    headers = {"X-DMM-Token": dmm.target.key}
    tracemalloc.start()
    try:
        with dmm.http.stream("GET", f"/dmm/target{BASE}/GetExecutionOutputs", params=params, headers=headers) as answer:
            received = sum(len(piece) for piece in answer.iter_raw())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert received == int(answer.headers["content-length"]) > 64 * MIB * 4 / 3
    assert peak < 16 * MIB


def test_a_client_that_hangs_up_in_large_logs_does_no_harm(dmm, imported):
    dmm.switch(log_mb=64)
    params = {"MainExecutionTrackerId": imported, "IncludeLogs": True}
    headers = {"X-DMM-Token": dmm.target.key}
    with dmm.http.stream("GET", f"/dmm/target{BASE}/GetExecutionOutputs", params=params, headers=headers) as answer:
        next(answer.iter_raw())
    assert dmm.target.word(imported) == "Complete"


def test_a_log_larger_than_a_plain_zip_is_refused(dmm):
    answer = dmm.control.put("/dmm/switches", json={"log_mb": 4096})
    assert (answer.status_code, answer.json()["error"]) == (400, "Switch 'log_mb' takes no number above 3072.")


# Files


def test_an_export_has_a_zip(source, exported):
    archive = unzipped(files(source, exported))
    assert archive.testzip() is None
    assert archive.namelist() == ["Product_Data.csv", "Product_Struct.dmm", "ossys_User_Data.csv", "ossys_User_Struct.dmm"]


def test_whatever_is_no_export_has_none(target, imported):
    assert files(target, imported) == ""


def test_an_export_that_was_stopped_has_none(paced):
    key = paced.source.exported()
    paced.advance(2)
    paced.source.stop(key)
    paced.advance(60)
    assert (paced.source.word(key), files(paced.source, key)) == ("InError", "")


# Zips that no client may trust


@pytest.fixture(params=["log_zip", "data_zip"])
def spoiled(request, dmm, imported, exported):
    """The zip as a client gets it, by kind, and the end of the names in it."""

    def get(kind):
        dmm.switch(**{request.param: kind})
        if request.param == "log_zip":
            return base64.b64decode(logs(dmm.target, imported), validate=True)
        return base64.b64decode(files(dmm.source, exported), validate=True)

    get.suffix = ".log" if request.param == "log_zip" else "_Data.csv"
    return get


def opened(content):
    return zipfile.ZipFile(io.BytesIO(content))


@pytest.mark.parametrize(
    ("kind", "name"),
    [("slip", "../../escaped"), ("absolute", "/tmp/escaped"), ("nested", "folder/inner")],  # noqa: S108 (a name)
)
def test_a_name_may_lead_elsewhere(spoiled, kind, name):
    archive = opened(spoiled(kind))
    assert archive.namelist() == [f"harmless{spoiled.suffix}", f"{name}{spoiled.suffix}"]
    assert archive.testzip() is None


def test_a_member_may_be_a_symbolic_link(spoiled):
    archive = opened(spoiled("symlink"))
    link = archive.getinfo(f"link{spoiled.suffix}")
    assert stat.S_ISLNK(link.external_attr >> 16)
    assert archive.read(link) == b"/etc/hostname"


def test_a_bomb_inflates_to_more_than_ten_thousand_times_its_size(spoiled):
    content = spoiled("bomb")
    archive = opened(content)
    members = archive.infolist()
    assert sum(one.file_size for one in members) > 10_000 * len(content)
    assert all(one.filename.endswith(spoiled.suffix) for one in members)
    with archive.open(members[-1]) as inflating:
        assert sum(len(piece) for piece in iter(lambda: inflating.read(MIB), b"")) == members[-1].file_size


def test_a_zip_may_have_two_hundred_thousand_members(spoiled):
    content = spoiled("many")
    assert content.count(b"PK\x01\x02") == 200_000
    assert content.count(f"199999{spoiled.suffix}".encode()) == 2  # its header and its entry in the directory


def test_very_many_members_are_a_zip_that_can_be_opened(dmm, imported):
    dmm.switch(log_zip="many")
    archive = unzipped(logs(dmm.target, imported))
    assert len(archive.namelist()) == 200_000
    assert archive.read("199999.log") == b""


def test_a_zip_may_be_cut_off(spoiled):
    whole, cut = spoiled("good"), spoiled("truncated")
    assert whole.startswith(cut)
    assert 0 < len(cut) < len(whole)
    assert opened(whole).testzip() is None
    with pytest.raises(zipfile.BadZipFile):
        opened(cut)


def test_a_zip_may_be_none_at_all(spoiled):
    content = spoiled("not_zip")
    assert content
    with pytest.raises(zipfile.BadZipFile):
        opened(content)


def test_an_answer_that_is_cut_is_no_json(dmm, imported):
    dmm.fault(path="*/GetExecutionOutputs", action="garbage")
    answer = dmm.target.call("GET", "GetExecutionOutputs", params={"MainExecutionTrackerId": imported})
    with pytest.raises((json.JSONDecodeError, UnicodeDecodeError)):
        answer.json()
