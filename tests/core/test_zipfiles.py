"""Zips from strangers: everything hostile is refused before it is read, quickly, in little memory, and nothing is written."""

import io
import random
import stat
import struct
import time
import tracemalloc
import zipfile
import zlib
from functools import cache

import pytest

from ferry.core.zipfiles import LONGEST_NAME, MAX_MEMBERS, MAX_RATIO, BadZip, Member, open_zip, shown

MANY = 200_000
TEXT = b"Id,Name\n1,N'Blue Van'\n"
GOOD = {"Customer_Data.csv": TEXT, "Customer_Struct.dmm": b"<made up/>"}
SOON, LITTLE = 2.0, 24 * 1024 * 1024
"""Seconds and bytes that a refusal may take: the directory itself has at most 4 MiB."""


# Zips, as they come and as nobody should make them


def zipped(members=GOOD, method=zipfile.ZIP_DEFLATED, comment=b""):
    """A zip as Python writes it; members are contents by name, or by ZipInfo."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.comment = comment
        for name, content in members.items():
            info = name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo(name)
            archive.writestr(info, content, method)
    return buffer.getvalue()


def entry(name="a.csv", packed=b"x", **told):
    """A member's own header with its content, and its entry in the directory; each may say what is not so."""
    told = {
        "flags": 0,
        "method": 0,
        "crc": zlib.crc32(packed),
        "claimed": len(packed),
        "size": len(packed),
        "attributes": 0,
    } | told
    raw, extra = name.encode() if isinstance(name, str) else name, told.get("extra", b"")
    flags = told["flags"] | (0 if raw.isascii() else 0x800)
    common = struct.pack("<3H2H3I", 20, flags, told["method"], 0, 33, told["crc"], told["claimed"], told["size"])
    header = b"PK\x03\x04" + common + struct.pack("<2H", len(raw), 0) + raw + packed
    listed = b"PK\x01\x02\x14\x03" + common + struct.pack("<5H2I", len(raw), len(extra), 0, 0, 0, told["attributes"] << 16, 0)
    return header, listed[:-4], raw + extra


def assembled(*entries, at=None):
    """The whole zip of such entries; with `at`, all of them say that their content lies there."""
    body, listed = b"", b""
    for header, before, after in entries:
        listed += before + struct.pack("<I", len(body) if at is None else at) + after
        body += header
    return body, listed


def ended(body, listed, count, *, end64=None, small=None, between=b"", where=None):
    """Body and directory with their end; `end64` and `small` are the (count, size) that the two forms of it claim."""
    size, offset, large = len(listed), len(body), b""
    if end64:
        record = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, end64[0], end64[0], end64[1], offset)
        place = offset + size + len(between) if where is None else where
        large = between + record + struct.pack("<4sIQI", b"PK\x06\x07", 0, place, 1)
    count, size = small or (count, size)
    return body + listed + large + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, size, offset, 0)


def made(*entries, at=None, **end):
    return ended(*assembled(*entries, at=at), len(entries), **end)


def many(number=MANY, **end):
    """So many empty members, written without Python's own slow way."""
    return ended(b"", list_of(number), number, **end)


@cache
def list_of(number):
    _, before, _ = entry("000000", b"")
    return b"".join(before + b"\0\0\0\0" + b"%06d" % place for place in range(number))


def large(count, size):
    return struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, 0)


def unicode_path(name, other):
    """The extra field by which Info-ZIP gives a member a second name."""
    told = struct.pack("<BL", 1, zlib.crc32(name.encode())) + other.encode()
    return struct.pack("<2H", 0x7075, len(told)) + told


def link(name="link"):
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return info


FULL = MANY * 52
HOSTILE = {
    "slip": (zipped({"../escaped.csv": b"x"}), "'../escaped.csv' leads out of the folder"),
    "slip in the middle": (zipped({"a/../../escaped.csv": b"x"}), "leads out of the folder"),
    "slip at the end": (made(entry("a/..")), "leads out of the folder"),
    "slip with backslashes": (zipped({"..\\escaped.csv": b"x"}), "leads out of the folder"),
    "slip with both": (zipped({"a\\../..\\escaped.csv": b"x"}), "leads out of the folder"),
    "slip behind a good one": (zipped(GOOD | {"../escaped.csv": b"x"}), "'../escaped.csv' leads out of the folder"),
    "absolute": (zipped({"/elsewhere/escaped.csv": b"x"}), "leads out of the folder"),
    "absolute with a backslash": (zipped({"\\escaped.csv": b"x"}), "leads out of the folder"),
    "a share": (zipped({"\\\\server\\share\\a.csv": b"x"}), "leads out of the folder"),
    "a drive": (zipped({"C:\\escaped.csv": b"x"}), "leads out of the folder"),
    "a drive without a slash": (zipped({"c:escaped.csv": b"x"}), "leads out of the folder"),
    "a stream": (zipped({"a.csv:hidden": b"x"}), "leads out of the folder"),
    "a symbolic link": (zipped({link(): b"/etc/hostname"}), "'link' is a symbolic link"),
    "encrypted": (made(entry(flags=0x1)), "is encrypted"),
    "strongly encrypted": (made(entry(flags=0x41)), "is encrypted"),
    "unknown compression": (made(entry(method=97)), "packed in a way that nobody here can read"),
    "bzip2": (zipped(method=zipfile.ZIP_BZIP2), "packed in a way that nobody here can read"),
    "lzma": (zipped(method=zipfile.ZIP_LZMA), "packed in a way that nobody here can read"),
    "one name twice": (made(entry("a.csv"), entry("a.csv")), "'a.csv' is in it twice"),
    "one name twice but for case": (made(entry("Straße.csv"), entry("STRASSE.CSV")), "'STRASSE.CSV' is in it twice"),
    "a NUL in the name": (made(entry("a.csv\0.exe")), "is no name for a file"),
    "a NUL and a slip behind it": (made(entry("a.csv\0/../../b")), "leads out of the folder"),
    "a control character": (made(entry("a\x1b[2Jb.csv")), "is no name for a file"),
    "a line's end": (made(entry("a\nb.csv")), "is no name for a file"),
    "a mark that turns the text around": (made(entry("a\u202evsc.exe")), "is no name for a file"),
    "no name": (made(entry("")), "is no name for a file"),
    "a long name": (made(entry("x" * (LONGEST_NAME + 1))), "is no name for a file"),
    "a name of 60,000": (made(entry("x" * 60_000)), "is no name for a file"),
    "10,000:1": (made(entry(packed=b"x" * 420, method=8, size=420 * 10_000)), "would grow 10,000 times"),
    "a member of nothing that grows": (made(entry(packed=b"", method=8, size=2**31)), "would grow 2,147,483,648 times"),
    "64 GiB and more": (
        made(*[entry(f"{n}", size=2**32 - 2, claimed=2**26) for n in range(17)]),
        "would be 73,014,443,998 bytes",
    ),
    "one content for all": (
        made(*[entry(f"{n}.csv", b"x" * 9999, method=8, size=9_000_000) for n in range(99)], at=0)[-9999:],
        "one over the other",
    ),
    "a content longer than the zip": (made(entry(claimed=2**30, size=2**31, method=8)), "one over the other"),
    "200,000 members": (lambda: many(end64=(MANY, FULL), small=(0xFFFF, 0xFFFFFFFF)), "it lists 200,000 files"),
    "200,000 members, said to be one in the small end": (
        lambda: many(end64=(MANY, FULL), small=(1, 52)),
        "it lists 200,000 files",
    ),
    "200,000 members, said to be one in the large end": (
        lambda: many(end64=(1, FULL), small=(1, 52)),
        "it lists 1 files in 10,400,000",
    ),
    "200,000 members behind a decoy": (
        lambda: large(1, 52) + many(end64=(MANY, FULL), small=(0xFFFF, 0xFFFFFFFF), where=0),
        "it lists 200,000 files",
    ),
    "200,000 members where the large end is said to be": (
        lambda: large(MANY, FULL) + many(1, end64=(1, 52), small=(0xFFFF, 0xFFFFFFFF), where=0),
        "it lists 200,000 files",
    ),
    "many members, said to be one": (
        lambda: many(80_000, small=(1, 80_000 * 52)),
        "it lists 80,000 files and says that they are 1",
    ),
    "one too many": (lambda: many(MAX_MEMBERS + 1), "it lists 10,001 files"),
    "a directory of 2 GiB": (made(entry(), small=(1, 2**31)), "it lists 1 files in 2,147,483,648 bytes"),
    "fewer members than it says": (made(entry(), small=(2, 51)), "it lists 1 files and says that they are 2"),
    "more members than it says": (made(entry(), entry("b.csv"), small=(1, 102)), "it lists 2 files and says that they are 1"),
    "a directory longer than the zip": (made(entry(), small=(1, 999)), "it is no readable zip (BadZipFile)"),
    "of a version from the future": (zipped().replace(b"PK\x01\x02\x14\x03\x14", b"PK\x01\x02\x14\x03\xff"), "no readable zip"),
    "a name that is no UTF-8": (made(entry(b"\xff\xfe.csv", flags=0x800)), "no readable zip (UnicodeDecodeError)"),
    "empty": (b"", "it is no zip, or its end is missing"),
    "one byte": (b"P", "it is no zip, or its end is missing"),
    "a page": (b"<html>Sign in</html>" * 9999, "it is no zip, or its end is missing"),
    "noise": (random.Random(1).randbytes(200_000), "it is no zip, or its end is missing"),
    "only an end's sign": (b"PK\x05\x06", "it is no zip, or its end is missing"),
    "nothing but directories of ends": (b"PK\x05\x06" * 20_000, "it is no "),
}


@pytest.fixture
def refusal(tmp_path, monkeypatch):
    """What is said of a zip that must not be opened, from a folder of its own that stays as it is."""
    monkeypatch.chdir(tmp_path)

    def told(content):
        path = tmp_path / "z.zip"
        path.write_bytes(content)
        begun = time.process_time()
        with pytest.raises(BadZip) as caught, open_zip(path):
            pass
        assert time.process_time() - begun < SOON
        assert [(one, one.stat().st_size) for one in tmp_path.iterdir()] == [(path, len(content))]
        return caught.value.message

    return told


@pytest.mark.parametrize(("content", "said"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_zip_is_refused_with_its_reason(refusal, content, said):
    assert said in refusal(content() if callable(content) else content)


@pytest.mark.parametrize("name", [name for name in HOSTILE if "0" in name or "nothing" in name or "content" in name])
def test_a_refusal_takes_little_memory(refusal, name):
    content = HOSTILE[name][0]
    content = content() if callable(content) else content
    tracemalloc.start()
    try:
        refusal(content)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < LITTLE


def test_a_refusal_shows_no_more_of_a_name_than_is_harmless(refusal):
    name = "\x1b]0;owned\x07" + "x" * 500
    said = refusal(made(entry(name)))
    assert "\x1b" not in said
    assert len(said) < 120
    assert shown(name) in said


def test_a_second_name_in_an_extra_field_is_no_way_around(tmp_path):
    """Newer Pythons take it for the name; whoever does so must refuse it."""
    path = tmp_path / "z.zip"
    path.write_bytes(made(entry("good.csv", extra=unicode_path("good.csv", "../../escaped.csv"))))
    try:
        with open_zip(path) as opened:
            names = [member.name for member in opened.members]
    except BadZip as bad:
        assert "leads out of the folder" in bad.message  # noqa: PT017 (which of both it is, the Python decides)
    else:
        assert names == ["good.csv"]


# Cut off, and broken

PLACES = {
    "in the first header": 10,
    "in the first content": 50,
    "in the directory": zipped().index(b"PK\x01\x02") + 20,
    "before the end": zipped().index(b"PK\x05\x06"),
    "in the end": zipped().index(b"PK\x05\x06") + 12,
    "by one byte": len(zipped()) - 1,
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_a_zip_that_was_cut_off_is_refused(refusal, place):
    assert "no zip, or its end is missing: perhaps it was cut off on its way" in refusal(zipped()[:place])


def test_a_zip_is_refused_wherever_it_was_cut_off(refusal):
    whole = zipped()
    assert all("cut off" in refusal(whole[:place]) for place in range(len(whole)))


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_a_zip_whose_beginning_was_lost_is_refused_or_cannot_be_read(tmp_path, place):
    path = tmp_path / "z.zip"
    path.write_bytes(zipped()[place:])
    with pytest.raises(BadZip), open_zip(path) as opened:
        opened.check_contents()


@pytest.fixture
def contents(tmp_path):
    def read(content):
        path = tmp_path / "z.zip"
        path.write_bytes(content)
        with open_zip(path) as opened:
            return opened.check_contents()

    return read


BROKEN = {
    "a wrong checksum": made(entry(packed=TEXT, crc=1)),
    "a changed byte, stored": zipped(method=zipfile.ZIP_STORED).replace(b"Blue", b"Glue"),
    "a stream that is no deflate": made(entry(packed=b"\xff" * 40, method=8, size=40)),
    "a stream that ends early": made(entry(packed=zlib.compress(TEXT * 99, wbits=-15)[:20], method=8, size=len(TEXT) * 99)),
    "a stream that says to be shorter": made(entry(packed=zlib.compress(TEXT * 99, wbits=-15), method=8, size=9)),
    "another name at its place": zipped().replace(b"Customer_Data", b"Robbery__Data", 1),
    "no header at its place": zipped().replace(b"PK\x03\x04", b"PK\x03\x05", 1),
    "patched data": made(entry(flags=0x20)),
    "a directory that points nowhere": made(entry())[:-6] + b"\xff\xff\xff\x7f\0\0",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_member_that_is_broken_is_told_by_name(contents, content):
    with pytest.raises(BadZip, match=r"'(a|Customer_Data)\.csv' in the zip cannot be read \(\w+\); it is broken or cut off\."):
        contents(content)


def test_no_damage_leads_anywhere_but_to_a_refusal(contents):
    """A few bytes changed at random: the same content, or BadZip, and never another exception."""
    whole, dice, ends = zipped(GOOD | {"B_Data.csv": TEXT * 50}), random.Random(7), set()
    for _ in range(250):
        content = bytearray(whole)
        for _ in range(dice.randint(1, 4)):
            content[dice.randrange(len(content))] = dice.choice([0, 255, dice.randrange(256)])
        try:
            ends.add(contents(bytes(content)))
        except BadZip:
            ends.add("refused")
    assert ends == {sum(map(len, GOOD.values())) + len(TEXT) * 50, "refused"}


# Good ones


@pytest.fixture
def opened(tmp_path):
    def read(content):
        path = tmp_path / "z.zip"
        path.write_bytes(content)
        with open_zip(path) as found:
            held = {}
            for member in found.members:
                with found.reading(member.name) as file:
                    held[member.name] = file.read()
            return found.members, held

    return read


def test_a_good_zip_is_read_without_being_unpacked(opened, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    members, held = opened(zipped())
    assert held == GOOD
    assert members[0] == Member("Customer_Data.csv", len(TEXT), len(zlib.compress(TEXT, wbits=-15)))
    assert list(tmp_path.iterdir()) == [tmp_path / "z.zip"]


LARGE = {"count": (0xFFFF, None), "size": (None, 0xFFFFFFFF), "both": (0xFFFF, 0xFFFFFFFF), "neither": (None, None)}
NAMES = {
    "plain": "Customer_Data.csv",
    "accents": "Größe_Ł_Data.csv",
    "blanks": "a b..csv",
    "dots": "..a",
    "longest": "x" * LONGEST_NAME,
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name_that_is_only_unusual_is_no_harm(opened, name):
    assert opened(zipped({name: TEXT}))[1] == {name: TEXT}


@pytest.mark.parametrize(("count", "size"), LARGE.values(), ids=LARGE)
def test_the_large_form_of_an_end_is_read_whatever_the_small_one_leaves_to_it(opened, count, size):
    """Some writers fill the small form with ones throughout, others only where a number does not fit."""
    one = entry(packed=TEXT)
    body, listed = assembled(one)
    told = (1 if count is None else count, len(listed) if size is None else size)
    assert opened(ended(body, listed, 1, end64=(1, len(listed)), small=told))[1] == {"a.csv": TEXT}


WHOLE = {
    "stored": zipped(method=zipfile.ZIP_STORED),
    "with a comment": zipped(comment=b"made up " * 8000),
    "behind something else": b"#!/bin/sh\n" * 99 + zipped(),
}


@pytest.mark.parametrize("content", WHOLE.values(), ids=WHOLE)
def test_a_zip_that_is_only_unusual_is_read(opened, content):
    assert opened(content)[1] == GOOD


def test_a_zip_without_members_is_one(opened):
    assert opened(zipped({})) == ((), {})


def test_as_many_members_as_may_be_are_read(opened):
    assert len(opened(zipped(dict.fromkeys(map(str, range(MAX_MEMBERS)), b"")))[0]) == MAX_MEMBERS


def test_a_small_file_may_grow_as_it_likes_and_a_large_one_as_real_ones_do(opened):
    members, _ = opened(zipped({"zeros": bytes(1024 * 1024), "records": TEXT * 100_000}))
    assert members[0].size // members[0].packed > MAX_RATIO - 100
    assert members[1].size > 1024 * 1024
