"""StartExecution of the made-up environments: answers, bodies, configurations, and zips that are not imported."""

import base64
import hashlib
import io
import json
import stat
import struct
import zipfile

import httpx  # noqa: TID251 (the fake vendor is tested with a plain client, not with ours)
import pytest
from tests.sandbox.dmm_client import RUNTIME, invoices, zipped

pytest_plugins = ["tests.sandbox.dmm_client"]

MIB = 1024 * 1024


def sent_raw(target, body):
    headers = {"X-DMM-Token-OTP": target.otp(), "content-type": "application/json"}
    return target.call("POST", "StartExecution", content=body, headers=headers)


def packed(*members, method=zipfile.ZIP_DEFLATED):
    """A zip of names, or ZipInfos, and contents."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def link(name):
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return info


def encrypted(content):
    """The same zip with the bit set that says so."""
    local, central = content.index(b"PK\x03\x04") + 6, content.index(b"PK\x01\x02") + 8
    changed = bytearray(content)
    for place in (local, central):
        struct.pack_into("<H", changed, place, 1)
    return bytes(changed)


# Answers


def test_a_start_answers_with_an_id(target):
    assert target.start(zipped(Invoice=1)).json() == {"MainExecutionTrackerId": 90401, "Success": True, "ErrorMessage": ""}


def test_an_id_may_be_a_text_and_is_taken_back_as_either(dmm):
    dmm.switch(id_type="string")
    key = dmm.target.started(zipped(Invoice=1))
    assert key == "90401"
    for told in (90401, "90401"):
        answer = dmm.target.call("POST", "GetExecutionStatus", json={"MainExecutionTrackerId": told})
        assert answer.json()["Status"] == "Complete"


@pytest.mark.parametrize(("how", "runs"), [("missing", 0), ("missing_started", 1)])
@pytest.mark.parametrize(("kind", "told"), [("number", {}), ("string", {"MainExecutionTrackerId": ""})])
def test_an_answer_without_an_id_says_nothing_of_what_happened(dmm, how, runs, kind, told):
    dmm.switch(start_id=how, id_type=kind)
    otp = dmm.target.otp()
    assert dmm.target.start(zipped(Invoice=1), otp=otp).json() == {**told, "Success": True, "ErrorMessage": ""}
    state = dmm.state()
    assert ([one["status"] for one in state["executions"]], len(state["inputs"])) == (["Complete"] * runs, runs)
    assert dmm.target.otp() != otp


def test_an_environment_that_is_not_activated_starts_nothing(dmm):
    dmm.switch(activated=False)
    told = {"Success": False, "ErrorMessage": "DMM is not activated in this environment."}
    assert dmm.target.start(zipped(Invoice=1)).json() == told
    assert dmm.state()["executions"] == []


def test_a_type_nobody_knows_is_refused(target):
    answer = target.start(zipped(Invoice=1), kind="import").json()
    assert answer["ErrorMessage"] == "Type is one of Migration, Export, Import, Delete, Scramble."


@pytest.mark.parametrize("configuration", [None, "{}", [], 5])
def test_a_configuration_is_an_object(target, configuration):
    assert target.start(zipped(Invoice=1), configuration).status_code == 400


def test_a_start_whose_answer_is_lost_has_started(dmm):
    dmm.fault(method="POST", path="*/StartExecution", action="drop_after")
    with pytest.raises(httpx.RemoteProtocolError):
        dmm.target.start(zipped(Invoice=3))
    assert len(dmm.records("Invoice")) == 3


def test_a_start_that_never_arrived_has_not(dmm):
    dmm.fault(method="POST", path="*/StartExecution", action="drop_before")
    otp = dmm.target.otp()
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        dmm.target.start(zipped(Invoice=3), otp=otp)
    assert dmm.state()["executions"] == []
    assert dmm.target.start(zipped(Invoice=3), otp=otp).json()["Success"]


# Bodies


@pytest.mark.parametrize("text", ["no base64!", "QUJ", "QUJD\\", 5, ["QUJD"]])
def test_a_zip_that_is_not_base64_is_a_400(target, text):
    assert target.start(ZipFile=text).status_code == 400


def test_a_large_zip_arrives_as_it_was_sent(dmm):
    noise = bytes(range(256)) * 4096 * 5
    content = packed(("Invoice_Data.csv", invoices(2)), ("noise.bin", noise), method=zipfile.ZIP_STORED)
    dmm.target.started(content)
    (seen,) = dmm.control.get("/dmm/executions").json()
    assert seen["zip"] == {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


@pytest.mark.parametrize("escaped", [{"/": "\\/"}, {"+": "\\u002B", "/": "\\u002f"}, {"A": "A\\r\\n"}])
def test_base64_may_be_escaped_as_json_writers_do(dmm, escaped):
    noise = hashlib.shake_256(b"made-up").digest(3 * MIB)
    content = packed(("Invoice_Data.csv", invoices(2)), ("noise.bin", noise), method=zipfile.ZIP_STORED)
    text = base64.b64encode(content).decode()
    for plain, writes in escaped.items():
        text = text.replace(plain, writes)
    body = f'{{"Configuration": {json.dumps(RUNTIME)}, "ZipFile": "{text}", "Type": "Import"}}'
    assert sent_raw(dmm.target, body.encode()).json()["Success"]
    assert dmm.state()["executions"][0]["zip"]["sha256"] == hashlib.sha256(content).hexdigest()


def test_a_configuration_may_hold_long_texts_and_quotes(dmm):
    content = zipped(Invoice=1)
    long = 'say "x" \\ ' * 20_000
    told = RUNTIME | {"Note": long, "Deep": [{"more": long}]}
    dmm.target.started(content, told)
    shown = f"target\nImport\n{json.dumps(told, sort_keys=True, separators=(',', ':'))}\n"
    expected = hashlib.sha256(f"{shown}{hashlib.sha256(content).hexdigest()}".encode()).hexdigest()
    assert dmm.state()["inputs"] == [{"id": expected, "starts": 1}]


def test_a_body_that_is_too_large_is_a_413_and_leaves_the_password_alone(dmm):
    dmm.switch(max_body_mb=1)
    otp = dmm.target.otp()
    answer = dmm.target.start(bytes(MIB), otp=otp)
    assert (answer.status_code, answer.json()) == (413, {"Errors": ["The request body is too large."], "StatusCode": 413})
    assert dmm.target.start(zipped(Invoice=1), otp=otp).json()["Success"]


def test_a_large_body_with_a_bad_key_gets_its_answer(target):
    told = {"Type": "Import", "ZipFile": "A" * 8 * MIB}
    assert target.call("POST", "StartExecution", "wrong", json=told).status_code == 401


def test_nothing_of_a_body_is_left_on_disk(dmm_folder, dmm):
    dmm.target.started(zipped(Invoice=5))
    dmm.target.start(b"no zip")
    dmm.target.start(ZipFile="!")
    dmm.target.start(zipped(Invoice=5), otp="wrong")
    dmm.state()
    (folder,) = (path for path in (dmm_folder / "dmm").iterdir() if path.is_dir())
    assert list(folder.iterdir()) == []


# Configurations


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"DestinationDBConnection": "nowhere"}, "DestinationDBConnection: there is no connection 'nowhere'."),
        ({"DestinationDBConnection": None}, "DestinationDBConnection: there is no connection None."),
        (
            {"DataAppendMode": False},
            "Records can only be appended to the Runtime Connection: DataAppendMode must be true.",
        ),
        ({"DataAppendMode": "true"}, "Records can only be appended to the Runtime Connection: DataAppendMode must be true."),
    ],
)
def test_a_configuration_that_is_wrong_shows_when_it_begins(dmm, told, words):
    key = dmm.target.started(zipped(Invoice=3), RUNTIME | told)
    seen = dmm.target.look(key)
    assert (seen["Status"], seen["Result"], seen["Success"]) == ("InError", "ERROR", True)
    assert seen["Report"]["Message"] == {"MessageText": words, "MessageType": "Danger"}
    assert dmm.target.counters(key) == (0, 0, 0, 0)
    assert (dmm.target.errors(key), dmm.records("Invoice")) == ([], [])


# Zips

OUTSIDE = "The files of the zip are not directly in its root."
TOO_MUCH = "The zip file inflates to more than this environment takes."
DAMAGED = "The zip file is damaged, or is no zip file."
NO_CSV = "The zip file holds no *_Data.csv."


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no zip at all", DAMAGED),
        (zipped(Invoice=500)[:-30], DAMAGED),
        (zipped(Invoice=500).replace(b"no 77'", b"no 78'"), DAMAGED),
        (encrypted(packed(("Invoice_Data.csv", "Id\n1\n"))), DAMAGED),
        (packed(("notes.txt", "x")), NO_CSV),
        (packed(("../Invoice_Data.csv", "Id\n1\n")), OUTSIDE),
        (packed(("/var/Invoice_Data.csv", "Id\n1\n")), OUTSIDE),
        (packed(("export/Invoice_Data.csv", "Id\n1\n")), OUTSIDE),
        (packed(("C:\\Invoice_Data.csv", "Id\n1\n")), OUTSIDE),
        (packed((link("Invoice_Data.csv"), "/etc/hostname")), "The zip file holds a link."),
        (packed(("_Data.csv", "Id\n1\n")), "The zip file holds a *_Data.csv without the name of an entity."),
        (packed(("Invoice_Data.csv", "")), "The first line of Invoice_Data.csv is no header."),
        (packed(("Invoice_Data.csv", "Id,Id\n1,2\n")), "The first line of Invoice_Data.csv is no header."),
        (packed(("Invoice_Data.csv", bytes(17 * MIB))), "The zip file holds a line of more than 16 MiB."),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_a_zip_that_is_not_to_be_trusted_ends_in_error_with_nothing_imported(dmm, content, words):
    key = dmm.target.started(content)
    assert (dmm.target.word(key), dmm.target.message(key)["MessageText"]) == ("InError", words)
    assert dmm.target.counters(key) == (0, 0, 0, 0)
    assert list(dmm.state()["target"]["records"]) == ["ossys_User"]


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_is_inflated_up_to_a_limit(dmm, method):
    dmm.switch(max_inflated_mb=1)
    key = dmm.target.started(packed(("Invoice_Data.csv", "Name\n" + f"N'{'x' * 1024}'\n" * 1024), method=method))
    assert (dmm.target.word(key), dmm.target.message(key)["MessageText"]) == ("InError", TOO_MUCH)


@pytest.mark.parametrize("content", [b"Id,Name\n1,N'\xff'\n", b"Id,Name\n1,\"N'x\n", b'Id,Name\n1,"a"b\n'])
def test_a_file_that_is_no_csv_ends_in_error(dmm, content):
    key = dmm.target.started(packed(("Invoice_Data.csv", content)))
    assert dmm.target.word(key) == "InError"
    assert dmm.target.message(key)["MessageText"].startswith("The zip holds a file that is no CSV in UTF-8")
    assert dmm.records("Invoice") == []


def test_a_zip_of_very_many_files_ends_in_error(target):
    key = target.started(packed(*((f"{n}.txt", "") for n in range(10_001))))
    assert target.message(key)["MessageText"] == "The zip file holds more than 10000 files."
