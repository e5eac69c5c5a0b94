"""Batches and evidence on S3: what others write is seen at once, names are taken once, and every no is said in words."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from fastapi.testclient import TestClient
from tests.loopback import answer, loopback
from tests.s3 import AS_PATH, KEY, SECRET, environment

from ferry.core.batch import MANIFEST, Section, batch_ids, read_batch
from ferry.core.errors import BadInput, StorageError, StorageRefused, StorageUnavailable
from ferry.core.model import Attempt
from ferry.ledger.command import verify
from ferry.ledger.entries import Draft, Kind, Origin, Verdict
from ferry.ledger.page import ledger_page
from ferry.steps import places
from ferry.steps.policy import FerryRetryPolicy

B, B1 = Attempt("six", "h:1", "b", 1), Attempt("six", "h:1", "b1", 1)
ANNA = Origin("migrate_six", "b.1", "reconcile", 1, "anna")
TEXT = "vendor: six\ndue: 2026-11-01\nfiles: [{path: data/a.csv, table: A}]\n"
FOLDER = "evidence/six/h_1/b/1/look"


@pytest.fixture
def bucket(s3, monkeypatch):
    """Batches and evidence lie in a bucket of their own."""
    name = s3.bucket()
    environment(monkeypatch, s3.url, name)
    return name


def xml(code, status):
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code}</Message></Error>"
    return answer(status, body.encode(), "Content-Type: application/xml")


NONE_THERE = answer(404), answer(200, b"<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>")
"""What S3 says of a name that is free: nothing of that name, and nothing below it."""


@pytest.fixture
def scripted(monkeypatch):
    """A store whose answers are up to the test."""
    with loopback() as server:
        environment(monkeypatch, server.url, "bucket")
        yield server


# What others write


def test_a_listing_shows_at_once_what_another_process_has_filed(s3, bucket):
    mine = places.evidence()
    first = mine.file_text(B, "look", "one.txt", "1").path
    assert mine.files_of("six", "h:1", "b") == [first]
    s3.put(bucket, f"{FOLDER}/two.txt", "2")
    assert mine.files_of("six", "h:1", "b") == [first, "six/h_1/b/1/look/two.txt"]


def test_a_batch_is_listed_and_read_as_it_lies_there_now(s3, bucket):
    s3.put(bucket, f"batches/six/b/{MANIFEST}", TEXT)
    assert batch_ids(places.batches(), "six") == ["b"]
    s3.put(bucket, f"batches/six/b1/{MANIFEST}", TEXT)
    s3.put(bucket, "batches/six/no-manifest/a.csv", "x")
    s3.put(bucket, "batches/six/", "")  # what a web console makes for an empty folder
    assert batch_ids(places.batches(), "six") == ["b", "b1"]
    with pytest.raises(BadInput, match=r"names data/a\.csv, which is not in the batch's folder"):
        read_batch(places.batches(), "six", "b", Section)
    s3.put(bucket, "batches/six/b/data/a.csv", "id\n1\n")
    first = read_batch(places.batches(), "six", "b", Section).input_hash
    s3.put(bucket, "batches/six/b/data/a.csv", "id\n1\n2\n")
    again = read_batch(places.batches(), "six", "b", Section)
    assert again.input_hash != first
    with again.local("data/a.csv") as copy:
        assert copy.read_text() == "id\n1\n2\n"
    assert not copy.exists()


def test_the_input_hash_is_the_same_as_on_a_disk(s3, bucket, tmp_path):
    for name, content in {MANIFEST: TEXT, "data/a.csv": "id\n1\n"}.items():
        s3.put(bucket, f"batches/six/b/{name}", content)
        (tmp_path / "six" / "b" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "six" / "b" / name).write_text(content)
    assert read_batch(places.batches(), "six", "b", Section).input_hash == read_batch(tmp_path, "six", "b", Section).input_hash


def test_a_batch_that_is_unknown_is_told_with_those_that_are_known(s3, bucket):
    s3.put(bucket, f"batches/six/b/{MANIFEST}", TEXT)
    with pytest.raises(BadInput, match=rf"@{bucket}/batches/six/c/manifest.yaml does not exist. Known batches: b\."):
        read_batch(places.batches(), "six", "c", Section)


def test_batches_whose_ids_begin_alike_have_their_own_files(bucket):
    store = places.evidence()
    paths = [store.file_text(one, "look", "a.txt", one.batch_id).path for one in (B, B1)]
    assert [store.files_of("six", "h:1", batch_id) for batch_id in ("b", "b1", "c")] == [[paths[0]], [paths[1]], []]


def test_more_files_than_one_answer_lists_are_all_listed(s3, bucket):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: s3.put(bucket, f"{FOLDER}/{n:04}.txt", "x"), range(1001)))
    assert len(places.evidence().files_of("six", "h:1", "b")) == 1001


# Names


def test_a_name_is_claimed_under_a_condition_and_the_loser_takes_the_next(scripted):
    ok = answer(200, b"", 'ETag: "1"')
    theirs = answer(200, b"", 'ETag: "2"', "Accept-Ranges: bytes", length=0)
    scripted.will(*NONE_THERE, xml("PreconditionFailed", 412), theirs, *NONE_THERE, ok)
    filed = places.evidence().file_text(B, "look", "a.txt", "mine")
    puts = [asked for asked in scripted.asked if asked.method == "PUT"]
    assert [asked.header("If-None-Match") for asked in puts] == ["*", "*"]
    assert filed.path == "six/h_1/b/1/look/a-2.txt"


@pytest.mark.parametrize("size", [0, 3, 40 * 1024 * 1024])
def test_nothing_is_ever_written_over_whatever_its_size(s3, bucket, tmp_path, size):
    """Empty files, files of one request and files of several parts take different ways through the client."""
    target = places.evidence().root / "a"
    s3.put(bucket, "evidence/a", "theirs")
    (tmp_path / "mine").write_bytes(b"x" * size)
    with pytest.raises(FileExistsError):
        target.fs.put_file(str(tmp_path / "mine"), target.path, mode="create")
    assert s3.get(bucket, "evidence/a") == b"theirs"
    assert s3.uploads(bucket) == []


def test_an_answer_that_was_lost_is_found_to_have_been_ours(s3, bucket):
    """The client asks again by itself; the second time the name is taken, by what the first has brought."""
    store = places.evidence()
    assert store.file_text(B, "look", "a.txt", "same") == store.file_text(B, "look", "a.txt", "same")
    assert s3.keys(bucket, FOLDER) == [f"{FOLDER}/a.txt"]


KILLED = """
import sys
from pathlib import Path
from ferry.core.model import Attempt
from ferry.steps import places
places.evidence().file_from(Attempt("six", "h:1", "b", 1), "look", "large.bin", Path(sys.argv[1]))
"""


def test_a_writer_that_is_killed_midway_leaves_nothing_under_the_name(s3, bucket, tmp_path):
    with (tmp_path / "large").open("wb") as file:
        file.truncate(256 * 1024 * 1024)
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "large")], env={**os.environ, "TMPDIR": str(tmp_path)}
    ) as one:
        wait_for(lambda: parts(s3, bucket), one)
        one.send_signal(signal.SIGKILL)
    assert s3.keys(bucket) == []
    store = places.evidence()
    assert store.files_of("six", "h:1", "b") == []
    assert store.file_text(B, "look", "large.bin", "another").path == "six/h_1/b/1/look/large.bin"


class Late(Exception):
    """What Airflow raises in the middle of whatever a task does when its time is up."""


def test_an_upload_that_is_broken_off_leaves_no_half_file(s3, bucket, tmp_path):
    with (tmp_path / "large").open("wb") as file:
        file.truncate(128 * 1024 * 1024)

    def late(*_):
        raise Late

    def ring():
        while not parts(s3, bucket):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, late)
    try:
        with ThreadPoolExecutor(1) as bell:
            bell.submit(ring)
            with pytest.raises(Late):
                places.evidence().file_from(B, "look", "large.bin", tmp_path / "large")
    finally:
        signal.signal(signal.SIGUSR1, before)
    until = time.monotonic() + 120
    while s3.uploads(bucket):  # the client's own thread goes on
        assert time.monotonic() < until
        time.sleep(0.1)
    sizes = [one["Size"] for one in s3.client.list_objects_v2(Bucket=bucket).get("Contents", [])]
    assert set(sizes) <= {128 * 1024 * 1024}


def parts(s3, bucket):
    """Parts of the upload that has begun there."""
    for upload in s3.client.list_multipart_uploads(Bucket=bucket).get("Uploads", []):
        told = s3.client.list_parts(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        return told.get("Parts", [])
    return []


def wait_for(condition, process):
    until = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < until
        time.sleep(0.02)


# Large files

MEASURED = """
import resource, sys
from pathlib import Path
from ferry.core.model import Attempt
from ferry.steps import places

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

def there_and_back(path):
    store, to = places.evidence(), Path(f"{path}.back")
    filed = store.file_from(Attempt("six", "h:1", "b", 1), "look", Path(path).name, Path(path))
    store.fetch(filed.path, to)
    assert to.stat().st_size == filed.size == Path(path).stat().st_size
    assert store.hash_of(filed.path) == filed.sha256
    to.unlink()
    return peak()

print(there_and_back(sys.argv[1]), there_and_back(sys.argv[2]))
"""
SIZES = [320 * 1024**2] + ([int(float(os.environ["FERRY_LARGE_GIB"]) * 1024**3)] if "FERRY_LARGE_GIB" in os.environ else [])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.timeout(1800)
def test_memory_does_not_grow_with_the_size_of_a_file(bucket, tmp_path, size):
    """Five parts first, which is all that is ever held at once, and then as many as there are."""
    for name, length in (("small", 80 * 1024**2), ("large", size)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(length)
    command = [sys.executable, "-c", MEASURED, str(tmp_path / "small"), str(tmp_path / "large")]
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    told = subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout
    small, large = (int(mib) for mib in told.split()[-2:])
    assert large - small < 48, f"{small} MiB at its peak with a small file, {large} MiB with a large one"


def test_a_file_of_more_than_ten_thousand_parts_gets_larger_parts():
    from ferry.steps.storage import part_size

    assert part_size(1) == part_size(156 * 1024**3) == 16 * 1024**2
    for size in (157 * 1024**3, 5 * 1024**4):
        assert part_size(size) * 10_000 >= size
        assert part_size(size) < 600 * 1024**2


# Noes


def complaint(work):
    with pytest.raises(StorageError) as caught:
        work()
    shown = "".join(traceback.format_exception(caught.value)) + json.dumps(caught.value.to_json())
    assert SECRET not in shown
    assert KEY not in shown
    assert "Signature" not in shown
    return caught.value


def every_way():
    """What a step may ask of the two places."""
    store, root = places.evidence(), places.batches()
    return {
        "file": lambda: store.file_text(B, "look", "a.txt", "x"),
        "list": lambda: store.files_of("six", "h:1", "b"),
        "hash": lambda: store.hash_of("six/h_1/b/1/look/a.txt"),
        "batches": lambda: batch_ids(root, "six"),
        "batch": lambda: read_batch(root, "six", "b", Section),
        "new batch": lambda: (root / "six" / "b" / MANIFEST).write_text(TEXT),
        "new folder": lambda: (root / "six" / "b").mkdir(parents=True, exist_ok=True),
    }


@pytest.mark.parametrize("way", sorted({"file", "list", "hash", "batches", "batch", "new batch"}))
def test_a_bucket_that_is_missing_is_named_and_never_made(s3, monkeypatch, way):
    environment(monkeypatch, s3.url, "misspelt")
    every_way()["new folder"]()
    error = complaint(every_way()[way])
    assert isinstance(error, StorageRefused)
    assert re.search(
        r"has no such bucket; \w+ in bucket 'misspelt'.*correct the URL in FERRY_BATCHES or FERRY_EVIDENCE", error.message
    )
    assert "misspelt" not in s3.buckets()


@pytest.mark.parametrize("way", ["file", "list", "hash", "batches", "batch", "new batch"])
def test_credentials_that_are_refused_are_told_by_their_connection(s3, monkeypatch, way):
    name = environment(monkeypatch, s3.url, s3.bucket())
    s3.ask_for_rights()
    try:
        error = complaint(every_way()[way])
    finally:
        s3.let_all_in()
    assert isinstance(error, StorageRefused)
    assert f"(connection '{name}') does not let us; " in error.message
    assert re.search(r" in bucket '\w+': 403 .*Correct access key and secret in the connection", error.message)


def test_a_store_that_is_away_is_asked_again_later(monkeypatch):
    environment(monkeypatch, "http://127.0.0.1:1", "bucket")
    error = complaint(every_way()["file"])
    assert isinstance(error, StorageUnavailable)
    assert "head_object in bucket 'bucket': EndpointConnectionError. A file is whole there or not there at all" in error.message
    assert FerryRetryPolicy().evaluate(error, 1, 4).action.value == "retry"


def test_a_store_that_is_busy_for_a_moment_is_asked_again_at_once(scripted):
    scripted.will(answer(503), *NONE_THERE, xml("SlowDown", 503), xml("InternalError", 500), answer(200, b"", 'ETag: "1"'))
    assert places.evidence().file_text(B, "look", "a.txt", "x").path.endswith("/a.txt")


def test_a_store_that_stays_busy_is_told_with_its_status(scripted):
    scripted.will(*NONE_THERE, xml("ServiceUnavailable", 503))
    error = complaint(every_way()["file"])
    assert isinstance(error, StorageUnavailable)
    assert "put_object in bucket 'bucket': 503 ServiceUnavailable." in error.message


def test_a_store_that_speaks_of_something_else_is_told_what_to_check(scripted):
    scripted.will(xml("InvalidRequest", 400))
    error = complaint(every_way()["list"])
    assert isinstance(error, StorageRefused)
    assert "400 InvalidRequest. Check endpoint, region and addressing style of the connection" in error.message


def test_a_body_that_breaks_off_again_and_again_is_told_in_words(scripted):
    there = answer(200, b"", 'ETag: "1"', "Accept-Ranges: bytes")
    scripted.will(there.replace(b"Content-Length: 0", b"Content-Length: 10"), answer(206, b"abc", 'ETag: "1"', length=10))
    error = complaint(lambda: places.evidence().hash_of("six/h_1/b/1/look/a.txt"))
    assert isinstance(error, StorageUnavailable)


def test_a_connection_that_does_not_exist_is_no_way_to_a_store(monkeypatch):
    monkeypatch.setenv("FERRY_EVIDENCE", "s3://nobody@bucket/evidence")
    error = complaint(places.evidence)
    assert "Airflow has no connection 'nobody', which FERRY_EVIDENCE names. Nothing was read or written" in error.message
    assert isinstance(error, StorageRefused)


def test_a_connection_of_another_kind_is_refused(connect, monkeypatch):
    connect("of_http", conn_type="http", host="127.0.0.1", login=KEY, password=SECRET)
    monkeypatch.setenv("FERRY_BATCHES", "s3://of_http@bucket/batches")
    assert "'of_http', which FERRY_BATCHES names, is of type 'http'; a store at s3:// needs" in complaint(places.batches).message


def test_nobody_is_asked_without_credentials(connect, monkeypatch):
    for name in [name for name in os.environ if name.startswith("AWS_") and name != "AWS_CA_BUNDLE"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    connect("empty", conn_type="aws", extra={"endpoint_url": "http://127.0.0.1:1"})
    monkeypatch.setenv("FERRY_BATCHES", "s3://empty@bucket/batches")
    assert "connection 'empty' holds no login and password" in complaint(places.batches).message


def test_a_url_without_a_connection_takes_the_machines_own_credentials(s3, monkeypatch):
    name = s3.bucket()
    for key, value in {"ACCESS_KEY_ID": KEY, "SECRET_ACCESS_KEY": SECRET, "ENDPOINT_URL": s3.url}.items():
        monkeypatch.setenv(f"AWS_{key}", value)
    monkeypatch.setenv("FERRY_EVIDENCE", f"s3://{name}/evidence")
    places.evidence().file_text(B, "look", "a.txt", "x")
    assert s3.keys(name) == [f"{FOLDER}/a.txt"]


def test_a_store_is_addressed_by_path_where_the_connection_says_so(monkeypatch):
    environment(monkeypatch, "http://store.example:9000", "bucket")
    root = places.evidence().root
    assert root.fs.url(root.path).startswith("http://store.example:9000/bucket/evidence?")
    environment(monkeypatch, "http://store.example:9000", "bucket", config_kwargs={"s3": {"addressing_style": "virtual"}})
    root = places.evidence().root
    assert root.fs.url(root.path).startswith("http://bucket.store.example:9000/evidence?")
    assert AS_PATH == {"s3": {"addressing_style": "path"}}  # as README says


def test_no_key_is_logged_by_default(s3, caplog, said, monkeypatch):
    caplog.set_level(logging.INFO)
    environment(monkeypatch, s3.url, s3.bucket())
    for way in every_way().values():
        with suppress(OSError, BadInput):  # nothing lies there
            way()
    s3.ask_for_rights()
    try:
        complaint(every_way()["file"])
    finally:
        s3.let_all_in()
    text = said() + caplog.text
    assert "credentials retrieved from login and password" in text  # the search would find something
    assert KEY not in text
    assert SECRET not in text
    assert "AWS4-HMAC-SHA256" not in text


# Ledger, page and pack


@pytest.fixture
def told(ledger, s3, monkeypatch):
    """A settled batch with two files of evidence on S3."""
    bucket = s3.bucket()
    environment(monkeypatch, s3.url, bucket)
    for name in ("one", "two"):
        filed = places.evidence().file_text(ledger.attempt, "look", f"{name}.txt", name)
        facts = {"evidence_path": filed.path, "evidence_hash": filed.sha256, "key": name}
        ledger.store.append(Draft(attempt=ledger.attempt, step="look", kind=Kind.RESULT, origin=ANNA, **facts))
    ledger.store.settle(ledger.attempt, Verdict.REFUSED, ANNA, counts={"sent": 1, "rejected": 1})
    return bucket


def test_verify_reads_the_files_where_they_are(told, s3, capsys):
    assert verify([], lambda: (places.ledger(), places.evidence())) == 0
    key = next(key for key in s3.keys(told) if key.endswith("one.txt"))
    s3.put(told, key, "altered")
    assert verify([], lambda: (places.ledger(), places.evidence())) == 1
    s3.client.delete_object(Bucket=told, Key=key)
    assert verify([], lambda: (places.ledger(), places.evidence())) == 1
    said = capsys.readouterr().out
    assert "one.txt was altered after it was filed" in said
    assert "one.txt is missing" in said


def test_verify_calls_nothing_missing_because_the_store_is_away(told, monkeypatch, capsys):
    environment(monkeypatch, "http://127.0.0.1:1", told)
    assert verify([], lambda: (places.ledger(), places.evidence())) == 2
    said = capsys.readouterr()
    assert "gave no usable answer" in said.err
    assert "missing" not in said.out + said.err


@pytest.fixture
def page(ledger):
    app = ledger_page(lambda: None, places.ledger, places.evidence, lambda: ([], []))
    return TestClient(app, raise_server_exceptions=False)


def pack_of(page, ledger):
    return page.get("/pack", params={"vendor": "six", "environment": ledger.attempt.environment, "batch_id": "b-1"})


def test_the_page_hands_out_a_pack_of_what_lies_there(told, ledger, page, tmp_path):
    answered = pack_of(page, ledger)
    assert answered.status_code == 200
    (tmp_path / "pack.zip").write_bytes(answered.content)
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(tmp_path / "pack.zip"), str(tmp_path)], check=True)
    said = subprocess.run(
        ["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=tmp_path / "six-b-1", check=True, capture_output=True
    )
    assert said.stdout.count(b": OK") == 6  # two files of evidence, and what a pack has of itself


def test_the_page_says_in_words_that_the_store_is_away(told, ledger, page, monkeypatch):
    environment(monkeypatch, "http://127.0.0.1:1", told)
    answered = pack_of(page, ledger)
    assert answered.status_code == 503
    assert "gave no usable answer" in answered.text
    assert SECRET not in answered.text
