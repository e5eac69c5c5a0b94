"""Long texts of an answer go to their files, and all the rest is what the standard parser makes of it, however it is written."""

import base64
import binascii
import json
import random
import subprocess
import sys
import time
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ferry.core import longjson
from ferry.core.errors import VendorNonsense
from ferry.core.longjson import MOST_REST, unfold

SINKS = ("Logs", "ZipFile", "ErrorReport")
CHUNKS = (1, 2, 3, 5, 7, 64, 1024 * 1024)
CANARY = "canary-of-a-record"
SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "/": "\\/", "\b": "\\b", "\f": "\\f"}


@pytest.fixture
def play(tmp_path, monkeypatch):
    """What is left of an answer, and what came to the files, read in pieces of some size."""

    def played(content, chunk=longjson.CHUNK):
        monkeypatch.setattr(longjson, "CHUNK", chunk)
        return unfolded(tmp_path, content)

    return played


def unfolded(folder, content):
    source, sinks = folder / "answer.json", {key: folder / f"{key}.bin" for key in SINKS}
    source.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    for path in sinks.values():
        path.unlink(missing_ok=True)
    rest = unfold(source, sinks, "GetExecutionOutputs")
    return rest, {key: path.read_bytes() for key, path in sinks.items() if path.exists()}


# Any answer


def text(value, dice):
    """A JSON text, each of its signs written in one of the ways that JSON has."""
    return f'"{"".join(sign(one, dice) for one in value)}"'


def sign(one, dice):
    units = [int.from_bytes(pair, "big") for pair in _pairs(one.encode("utf-16-be", "surrogatepass"))]
    numbered = "".join(f"\\u{unit:04{dice.choice('xX')}}" for unit in units)
    must = one in '"\\' or ord(one) < 32
    return dice.choice([SHORT.get(one, numbered if must else one), numbered if dice.random() < 0.3 or must else one])


def _pairs(raw):
    return (raw[at : at + 2] for at in range(0, len(raw), 2))


def written(value, dice):
    """JSON of a value, with white space where it may be."""
    blank = lambda: dice.choice(["", "", " ", "\n", "\r\n\t "])  # noqa: E731
    if isinstance(value, str):
        return text(value, dice)
    if isinstance(value, dict):
        members = [f"{blank()}{text(key, dice)}{blank()}:{blank()}{written(one, dice)}{blank()}" for key, one in value.items()]
        return f"{{{','.join(members) or blank()}}}"
    if isinstance(value, list):
        return f"[{','.join(f'{blank()}{written(one, dice)}{blank()}' for one in value) or blank()}]"
    return json.dumps(value)


def file_text(content, dice):
    """Base64, perhaps in lines, as some writers have it."""
    often, encoded = dice.choice([0, 0.1]), base64.b64encode(content).decode()
    return "".join(one + (dice.choice("\r\n\t ") if dice.random() < often else "") for one in encoded)


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | st.sampled_from(SINKS), inner, max_size=4),
    max_leaves=12,
)
files = st.dictionaries(st.sampled_from(SINKS), st.binary(max_size=200) | st.none() | st.integers() | st.lists(st.text()))


@settings(max_examples=100, deadline=None)
@given(
    others=st.dictionaries(st.text().filter(lambda key: key not in SINKS), anything, max_size=4),
    held=files,
    chunk=st.integers(1, 80) | st.just(longjson.CHUNK),
    seed=st.integers(0, 2**32),
)
@example(others={"\\": '\\"', '"': "}]{["}, held={"Logs": b"\xfb\xef\xbe\xff"}, chunk=1, seed=1)
@example(others={"Report": {"Logs": "AAAA", "ZipFile": {}}}, held={"Logs": b"x"}, chunk=2, seed=2)
def test_files_and_rest_are_what_the_standard_parser_makes_of_it(tmp_path_factory, others, held, chunk, seed):
    dice = random.Random(seed)
    told = {key: file_text(one, dice) if isinstance(one, bytes) else one for key, one in held.items()}
    members = list((others | told).items())
    dice.shuffle(members)
    content = written(dict(members), dice)
    parsed = json.loads(content)
    assert parsed == dict(members)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(longjson, "CHUNK", chunk)
        rest, came = unfolded(folder_of(tmp_path_factory), content)
    texts = {key for key in SINKS if isinstance(parsed.get(key), str)}
    assert came == {key: base64.b64decode(parsed[key]) for key in texts if parsed[key].strip()}
    assert rest == parsed | dict.fromkeys(texts, "")
    assert list(rest) == list(parsed)


def folder_of(factory, held=[]):  # noqa: B006 (one folder for all examples: to make one takes longer than an example)
    if not held:
        held.append(factory.mktemp("unfolded"))
    return held[0]


@pytest.mark.parametrize("chunk", CHUNKS[:6])
def test_no_escape_is_cut_in_two(play, chunk):
    """Each escape at every distance from the end of a piece."""
    for before in range(8):
        for escape in ("\\\\", '\\"', "\\u005c", "\\u0022", "\\\\\\u0041", "\\ud83d\\ude00", "\\/"):
            content = f'{{"a": "{"x" * before}{escape}", "Logs": "{"A" * 4 * before}\\/\\u002b\\u0041\\u003D", "b": "{escape}"}}'
            rest, came = play(content, chunk)
            parsed = json.loads(content)
            assert (rest["a"], rest["b"]) == (parsed["a"], parsed["b"])
            assert came == {"Logs": base64.b64decode(parsed["Logs"])}


# Files that are not there

NO_FILE = {"absent": "{}", "null": '{"Logs": null}', "empty": '{"Logs": ""}', "blank": '{"Logs": " \\r\\n"}'}


@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize("content", NO_FILE.values(), ids=NO_FILE)
def test_a_text_that_is_not_there_makes_no_file(play, content, chunk):
    rest, came = play(content, chunk)
    assert came == {}
    assert not rest.get("Logs")


@pytest.mark.parametrize("value", ['["AAAA"]', '{"Logs": "AAAA"}', "7", "true", '[{"Logs": "AAAA"}]'])
def test_what_is_no_text_is_left_where_it_is(play, value):
    assert play(f'{{"Logs": {value}, "Report": {{"Logs": "AAAA"}}}}') == (
        {"Logs": json.loads(value), "Report": {"Logs": "AAAA"}},
        {},
    )


def test_a_text_that_is_the_name_of_a_file_is_not_one(play):
    rest = {"Status": "Logs", "Report": ["Logs", "ZipFile"], "Logs ": "AAAA", "logs": "AAAA"}
    assert play(json.dumps(rest)) == (rest, {})


def test_a_file_of_the_last_of_two_texts_is_kept_as_the_standard_parser_has_it(play):
    assert play('{"Logs": "AAAA", "Logs": "/////w=="}')[1] == {"Logs": b"\xff" * 4}


def test_base64_without_its_padding_is_understood(play):
    assert play('{"Logs": "/w"}', 1)[1] == {"Logs": b"\xff"}


def test_an_answer_with_a_byte_order_mark_is_one(play):
    assert play(b"\xef\xbb\xbf" + b'{"Logs": "AAAA"}') == ({"Logs": ""}, {"Logs": b"\0\0\0"})


# Broken ones

WHOLE = json.dumps({"Status": CANARY, "Logs": "QUJD" * 5, "Report": {"a": [1, 2.5, None, "x\n"]}, "ZipFile": "", "é": "\\"})
NOT_JSON = "The answer to GetExecutionOutputs is not JSON, which is outside the contract. Nothing of it was used."


def no(play, content, chunk=longjson.CHUNK):
    with pytest.raises(VendorNonsense) as caught:
        play(content, chunk)
    assert caught.value.message.startswith("The answer to GetExecutionOutputs ")
    assert caught.value.message.endswith(", which is outside the contract. Nothing of it was used.")
    assert CANARY not in f"{caught.value!r} {caught.value.facts} {caught.value.__cause__}"
    return caught.value.message


@pytest.mark.parametrize("chunk", [1, 7, longjson.CHUNK])
def test_an_answer_that_was_cut_off_anywhere_is_refused(play, chunk):
    said = {no(play, WHOLE[:place], chunk) for place in range(len(WHOLE))}
    assert said == {NOT_JSON, NOT_JSON.replace("is not JSON", "ends in the middle")}


BROKEN = {
    "nothing": "",
    "blanks": " \n",
    "a page": f"<html>{CANARY}</html>",
    "something behind it": '{"Logs": "AAAA"} x',
    "two of them": "{}{}",
    "a comma too many": '{"a": 1,}',
    "a brace too many": '{"a": 1}}',
    "a bracket for a brace": '{"Logs": "AAAA"]',
    "no colon": '{"Logs" "AAAA"}',
    "quotes of another kind": "{'Logs': 'AAAA'}",
    "an escape that is none": f'{{"a": "\\q{CANARY}"}}',
    "an escape that is none in a key": f'{{"\\q{CANARY}": 1}}',
    "a raw line's end": f'{{"a": "x\n{CANARY}"}}',
    "no UTF-8": b'{"a": "\xff"}',
    "a key that is no UTF-8": b'{"\xff": 1}',
    "nested without end": '{"a": ' + "[" * 20_000,
    "nested as deep as nobody reads": '{"a": ' + "[" * 20_000 + "]" * 20_000 + "}",
    "a number of 5,000 digits": '{"a": ' + "9" * 5_000 + "}",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_what_is_no_json_is_refused_and_not_quoted(play, content):
    assert no(play, content) == NOT_JSON


@pytest.mark.parametrize("content", ["[]", '"Logs"', "7", "null", '["Logs", "AAAA"]', '[{"Logs": "AAAA"}]'])
def test_what_is_no_object_is_refused(play, content):
    assert "is not a JSON object" in no(play, content)


NOT_BASE64 = ["*", "AAA*", "A", "AAAAA", "=", "AA=A", "A===", "AA==AAAA", "AA==AA==", "AAA=\\nAAAA", "AAA=A", "ÄÄÄÄ"]
NOT_BASE64 += ["AAAA\\u00e9", "AAAA\\ud83d\\ude00", "AAAA\\q", 'AAAA\\"', "AAAA\\\\", "AAAA\\u0022", "AAAA\\u000", "AA-_", CANARY]


@pytest.mark.parametrize("value", NOT_BASE64)
def test_a_file_that_is_not_base64_is_refused_however_it_is_cut(play, value):
    said = {no(play, f'{{"Logs": "{value}"}}', chunk) for chunk in CHUNKS}
    assert said == {NOT_JSON.replace("is not JSON", "holds a file that is not base64")}


# Size

LARGE = "x" * (MOST_REST + 1)
TOO_LARGE = {
    "a text": f'{{"a": "{LARGE}"}}',
    "a text in the depth": f'{{"a": [{{"Logs": "{LARGE}"}}]}}',
    "a key": f'{{"{LARGE}": 1}}',
    "a number": f'{{"a": {"1" * len(LARGE)}}}',
    "blanks": "{" + " " * len(LARGE) + "}",
    "many texts": '{"a": [' + ",".join(['"' + "x" * 999_999 + '"'] * 17) + "]}",
}


@pytest.mark.parametrize("content", TOO_LARGE.values(), ids=TOO_LARGE)
def test_an_answer_that_is_too_large_outside_its_files_is_refused(play, content):
    assert "is too large outside its files" in no(play, content)


def test_as_much_as_may_be_outside_the_files_is_read(play):
    content = f'{{"a": "{"x" * (MOST_REST - 9)}"}}'
    assert len(content) == MOST_REST
    assert len(play(content)[0]["a"]) == MOST_REST - 9


@pytest.mark.parametrize("escape", ['\\"', "\\\\", "\\u0022", '\\\\\\"'])
def test_a_text_of_nothing_but_escapes_is_read_in_no_more_time_than_another(play, escape):
    took = []
    for times in (1, 6):
        content = f'{{"a": "{escape * (times * 200_000 // len(escape))}"}}'
        begun = time.process_time()
        play(content)
        took.append(time.process_time() - begun)
    assert all(later < 16 * earlier + 0.5 for earlier, later in pairwise(took))


MEASURE = """
import resource, sys
from pathlib import Path
from ferry.core.longjson import unfold
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rest = unfold(Path(sys.argv[1]), {"ZipFile": Path(sys.argv[2])}, "it")
print(len(rest), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_a_file_of_hundreds_of_megabytes_never_is_in_memory(tmp_path):
    source, sink, piece = tmp_path / "answer.json", tmp_path / "data.zip", b"Q" * (1024 * 1024)
    with source.open("wb") as file:
        file.write(b'{"Status": "Complete", "ZipFile": "')
        for _ in range(200):
            file.write(piece)
        file.write(b'", "Success": true}')
    told = subprocess.run([sys.executable, "-c", MEASURE, source, sink], capture_output=True, text=True, check=True, timeout=60)
    members, grown = map(int, told.stdout.split())
    assert (members, sink.stat().st_size) == (3, 150 * 1024 * 1024)
    assert grown < 24, f"{grown} MiB"
    with sink.open("rb") as file:
        assert binascii.b2a_base64(file.read(3 * 1000), newline=False) == b"Q" * 4000
    sink.unlink()
