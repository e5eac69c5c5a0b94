"""Reconciliation against an oracle of plain Python counting, and against files as vendors and people write them."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferry.core.errors import BadInput
from ferry.core.model import Counts
from ferry.ledger.csvdb import workbench
from ferry.ledger.reconciliation import KeyFile, Reconciliation, SentFile, reconcile

BENCH = Path(__file__).parents[2] / "scripts" / "bench_reconcile.py"

KEYS = st.text(alphabet="abZ0 ,\"'\n|=é", min_size=1, max_size=4)
PAIRS = st.lists(st.tuples(st.sampled_from(["Company", "Individual"]), KEYS), max_size=12)


def write(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]], **style) -> Path:
    with path.open("w", encoding=style.pop("encoding", "utf-8"), newline="") as file:
        writer = csv.writer(file, **({"quoting": csv.QUOTE_ALL, "lineterminator": "\n"} | style))
        writer.writerow(header)
        writer.writerows(rows)
    return path


def companies(folder: Path, *keys: str, **style) -> SentFile:
    path = write(folder / "company.csv", ["alternateId", "name"], [[key, "x"] for key in keys], **style)
    return SentFile("Company", path, "alternateId")


def reported(folder: Path, name: str, *rows: tuple[str, str], **style) -> KeyFile:
    return KeyFile(write(folder / f"{name}.csv", ["tableName", "alternateId"], rows, **style), "alternateId", "tableName")


def lines(found: Reconciliation, name: str) -> list[list[str]]:
    with found.files[name].open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]


def oracle(sent: Counter, accepted: Counter, rejected: set, waived: set) -> Counts:
    """The fates again, one key at a time."""
    fates: Counter[str] = Counter()
    for pair, n in sent.items():
        taken = 0 if pair in rejected else min(n, accepted[pair])
        fates["accepted"] += taken
        fates["waived" if pair in waived else "rejected" if pair in rejected else "unprocessed"] += n - taken
    return Counts(sent.total(), fates["accepted"], fates["rejected"], fates["unprocessed"], fates["waived"])


@settings(max_examples=60, deadline=None)
@given(sent=PAIRS, accepted=PAIRS, rejected=PAIRS, waived=PAIRS, all_arrive=st.booleans())
def test_every_record_gets_exactly_one_fate_whatever_was_sent_and_reported(sent, accepted, rejected, waived, all_arrive):
    if all_arrive:
        accepted, rejected = sent, []
    with TemporaryDirectory() as name:
        folder = Path(name)
        files = [
            SentFile(t, write(folder / f"{t}.csv", ["name", "alternateId"], [["n", k] for u, k in sent if u == t]), "alternateId")
            for t in ("Company", "Individual")
        ]
        found = reconcile(
            files,
            accepted=[reported(folder, "accepted", *accepted)],
            rejected=[reported(folder, "rejected", *rejected)],
            waived=[reported(folder, "waived", *waived)],
            out=folder / "out",
        )
        mine, theirs = Counter(sent), Counter(accepted)
        assert found.counts == oracle(mine, theirs, set(rejected), set(waived))
        assert found.counts.adds_up
        assert sum((Counter(c.to_json()) for c in found.per_table.values()), Counter()) == +Counter(found.counts.to_json())
        assert found.extra == len(set(accepted) - set(sent))
        assert found.surplus == sum(1 for pair in mine if theirs[pair] > mine[pair])
        assert found.duplicates == sum(1 for pair in mine if mine[pair] > 1 or theirs[pair] > 1)
        missing = {(t, k): int(n) for t, k, n in lines(found, "missing")}
        assert sum(missing.values()) == found.counts.unprocessed
        assert set(missing) <= set(sent)
        if all_arrive:
            assert found.balanced


def test_a_batch_balances_only_if_the_vendor_reports_nothing_else(tmp_path):
    sent = [companies(tmp_path, "a", "b")]
    found = reconcile(sent, accepted=[reported(tmp_path, "r", ("Company", "a"), ("Company", "b"))], out=tmp_path / "1")
    assert found.balanced
    more = reported(tmp_path, "more", ("Company", "a"), ("Company", "b"), ("Company", "c"))
    found = reconcile(sent, accepted=[more], out=tmp_path / "2")
    assert found.counts.all_arrived
    assert not found.balanced
    assert lines(found, "extra") == [["Company", "c", "1", "accepted"]]


def test_a_record_reported_twice_is_not_balanced(tmp_path):
    twice = reported(tmp_path, "r", ("Company", "a"), ("Company", "a"))
    found = reconcile([companies(tmp_path, "a")], accepted=[twice], out=tmp_path / "out")
    assert (found.surplus, found.balanced) == (1, False)
    assert lines(found, "duplicate") == [["Company", "a", "1", "2"]]


def test_the_same_key_sent_twice_and_reported_once_leaves_one_missing(tmp_path):
    found = reconcile([companies(tmp_path, "a", "a")], accepted=[reported(tmp_path, "r", ("Company", "a"))], out=tmp_path / "out")
    assert found.counts == Counts(sent=2, accepted=1, unprocessed=1)


def test_a_key_both_accepted_and_rejected_counts_as_rejected_and_is_said(tmp_path):
    both = reported(tmp_path, "r", ("Company", "a"))
    found = reconcile([companies(tmp_path, "a")], accepted=[both], rejected=[both], out=tmp_path / "out")
    assert (found.counts.rejected, found.contradictions, found.balanced) == (1, 1, False)


def test_a_refused_run_leaves_what_the_vendor_does_not_name_unprocessed(tmp_path):
    rejected = reported(tmp_path, "errors", ("Company", "b"), ("Company", "b"), ("Company", ""))
    found = reconcile([companies(tmp_path, "a", "b", "c")], rejected=[rejected], out=tmp_path / "out")
    assert found.counts == Counts(sent=3, rejected=1, unprocessed=2)
    assert lines(found, "missing") == [["Company", "a", "1"], ["Company", "c", "1"]]
    assert lines(found, "rejected") == [["Company", "b", "1"]]
    assert lines(found, "extra") == []


def test_the_table_a_vendor_names_may_be_spelled_otherwise(tmp_path):
    sent = SentFile("Entity Group", companies(tmp_path, "g").path, "alternateId")
    found = reconcile([sent], accepted=[reported(tmp_path, "r", ("entity_group", "g"))], out=tmp_path / "out")
    assert found.balanced


def test_keys_reported_without_a_table_belong_to_the_one_table_that_sent_them(tmp_path):
    people = SentFile("Individual", write(tmp_path / "p.csv", ["id"], [["p"], ["both"]]), "id")
    keys = write(tmp_path / "keys.csv", ["id"], [["a"], ["p"], ["both"]])
    found = reconcile([companies(tmp_path, "a", "both"), people], accepted=[KeyFile(keys, "id")], out=tmp_path / "out")
    assert found.counts == Counts(sent=4, accepted=2, unprocessed=2)
    assert found.extra == 1


class TestRowsTheVendorDoesNotList:
    def addresses(self, folder: Path, *owners: str) -> SentFile:
        rows = [[f"A-{owner}", owner] for owner in owners]
        path = write(folder / "addresses.csv", ["alternateId", "parentAlternateId"], rows)
        return SentFile("Addresses", path, "alternateId", "parentAlternateId")

    def test_arrive_with_their_owner(self, tmp_path):
        sent = [companies(tmp_path, "a", "b"), self.addresses(tmp_path, "a", "b")]
        found = reconcile(sent, accepted=[reported(tmp_path, "r", ("Company", "a"))], out=tmp_path / "out")
        assert found.accounted_by == {"Company": "key", "Addresses": "parent"}
        assert found.per_table["Addresses"] == Counts(sent=2, accepted=1, unprocessed=1)

    def test_are_rejected_only_by_their_own_name(self, tmp_path):
        sent = [companies(tmp_path, "a", "b"), self.addresses(tmp_path, "a", "b", "b")]
        rejected = reported(tmp_path, "e", ("Company", "b"), ("Addresses", "A-a"))
        found = reconcile(sent, rejected=[rejected], out=tmp_path / "out")
        assert found.per_table["Addresses"] == Counts(sent=3, rejected=1, unprocessed=2)

    def test_of_an_owner_outside_the_batch_need_the_runs_own_word(self, tmp_path):
        sent = [companies(tmp_path, "a"), self.addresses(tmp_path, "a", "elsewhere")]
        accepted = [reported(tmp_path, "r", ("Company", "a"))]
        assert not reconcile(sent, accepted=accepted, out=tmp_path / "1").balanced
        found = reconcile(sent, accepted=accepted, out=tmp_path / "2", run_vouches=True)
        assert (found.balanced, found.by_run) == (True, 1)

    def test_count_by_key_as_soon_as_the_vendor_lists_one(self, tmp_path):
        sent = [companies(tmp_path, "a"), self.addresses(tmp_path, "a", "a2")]
        accepted = [reported(tmp_path, "r", ("Company", "a"), ("addresses", "A-a"))]
        found = reconcile(sent, accepted=accepted, out=tmp_path / "out", run_vouches=True)
        assert found.accounted_by["Addresses"] == "key"
        assert found.per_table["Addresses"] == Counts(sent=2, accepted=1, unprocessed=1)


@pytest.mark.parametrize(
    "style",
    [
        {"lineterminator": "\r\n"},
        {"encoding": "utf-8-sig"},
        {"encoding": "utf-8-sig", "lineterminator": "\r\n", "quoting": csv.QUOTE_MINIMAL},
        {"quoting": csv.QUOTE_MINIMAL},
    ],
)
def test_csv_is_read_as_it_is_meant_in_every_dialect_a_vendor_may_write(tmp_path, style):
    keys = ["plain", "com,ma", 'quo"te', "line\nbreak", "cr\r\nlf", "Łódź", " space ", "'=1+1"]
    found = reconcile(
        [companies(tmp_path, *keys, **style)],
        accepted=[reported(tmp_path, "r", *(("Company", key) for key in keys))],
        out=tmp_path / "out",
    )
    assert found.balanced
    assert found.counts.sent == len(keys)


def test_a_file_name_is_no_pattern(tmp_path):
    write(tmp_path / "ab.csv", ["alternateId"], [["other"]])
    path = write(tmp_path / "[a*]'b?.csv", ["alternateId"], [["k"]])
    found = reconcile([SentFile("T", path, "alternateId")], out=tmp_path / "o[u]t's")
    assert lines(found, "missing") == [["T", "k", "1"]]


def test_line_breaks_inside_values_never_change_the_count(tmp_path):
    """Enough text that the two threads get blocks that begin in the middle of a value."""
    path = tmp_path / "company.csv"
    name = 'line one\n"line, two"\r\n' * 40
    write(path, ["name", "alternateId"], ([name, f"k{n}"] for n in range(60_000)))
    assert path.stat().st_size > 50_000_000
    keys = write(tmp_path / "keys.csv", ["k"], ([f"k{n}"] for n in range(60_000)))
    sent = SentFile("Company", path, "alternateId", records=60_000)
    assert reconcile([sent], accepted=[KeyFile(keys, "k")], out=tmp_path / "out").balanced


def test_a_file_that_changed_since_it_was_counted_is_refused(tmp_path):
    sent = SentFile("Company", companies(tmp_path, "a", "b").path, "alternateId", records=3)
    with pytest.raises(BadInput, match="2 records are read here, 3 were counted"):
        reconcile([sent], out=tmp_path / "out")


@pytest.mark.parametrize("row", [b'"k","Secret Name","surplus"\n', b'"k\xe9","Secret Name"\n', b'"k" "Secret Name\n'])
def test_an_unreadable_line_is_named_without_its_content(tmp_path, row):
    path = tmp_path / "company.csv"
    path.write_bytes(b'"alternateId","name"\n"a","b"\n' + row)
    with pytest.raises(BadInput) as error:
        reconcile([SentFile("Company", path, "alternateId")], out=tmp_path / "out")
    assert "company.csv" in str(error.value)
    assert "Secret" not in str(error.value)
    assert error.value.__context__ is None or error.value.__suppress_context__


def test_a_column_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"company\.csv has no column externalId"):
        reconcile([SentFile("Company", companies(tmp_path, "a").path, "externalId")], out=tmp_path / "out")


def test_nothing_sent_and_nothing_reported_balances(tmp_path):
    found = reconcile([companies(tmp_path)], accepted=[reported(tmp_path, "r")], out=tmp_path / "out")
    assert (found.counts, found.balanced, found.per_table) == (Counts(), True, {"Company": Counts()})


def test_the_same_input_gives_the_same_bytes_and_plain_json(tmp_path):
    sent = [companies(tmp_path, *(f"k{n * 7919 % 1000}" for n in range(1000)))]
    first, second = (reconcile(sent, out=tmp_path / name) for name in ("1", "2"))
    assert all(first.files[name].read_bytes() == second.files[name].read_bytes() for name in first.files)
    stored = json.loads(json.dumps(first.to_json()))
    assert stored["files"] == {name: f"{name}.csv" for name in ("missing", "rejected", "duplicate", "extra")}


def test_a_slow_join_writes_nothing_into_a_tasks_log(capfd):
    with workbench() as con:
        con.execute("SET progress_bar_time = 0")
        con.execute("SELECT sum(a.range * b.range) FROM range(30000) a, range(3000) b").fetchall()
    assert capfd.readouterr() == ("", "")


def test_half_a_million_records_stay_within_the_memory_of_a_process(tmp_path):
    program = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2]); import bench_reconcile as bench\n"
        "bench.write_files(Path(sys.argv[1]), 250_000); bench.measured('duckdb', Path(sys.argv[1]))"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path, BENCH.parent], capture_output=True, text=True, check=True)
    measured = json.loads(done.stdout)
    assert measured["counts"] == [500_000, 499_500, 500]
    assert measured["peak_mib"] < 400
