"""Batches are read strictly: every message says where, and the hash covers every byte."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from ferry.core.batch import MANIFEST, BatchFile, Section, Strict, batch_ids, parse_manifest, read_batch
from ferry.core.errors import BadInput

MANIFEST_TEXT = """\
vendor: six
due: 2026-11-01
six:
  jurisdiction: Migration
files:
  - {path: company.csv, table: Company}
  - {path: people/individual.csv, table: Individual}
"""
FILES = {"company.csv": b'"alternateId"\n"C1"\n', "people/individual.csv": b'"alternateId"\n"P1"\n', "ids.csv": b"x"}


class Six(Section):
    jurisdiction: str = Field(min_length=1)
    ids: BatchFile | None = None

    def extra_files(self):
        return [self.ids] if self.ids else []


@pytest.fixture
def root(tmp_path):
    write(tmp_path, "clients-1")
    return tmp_path


def write(root, batch_id, manifest=MANIFEST_TEXT, files=FILES):
    folder = root / "six" / batch_id
    for name, content in {MANIFEST: manifest.encode(), **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def complaint(text):
    with pytest.raises(BadInput) as caught:
        parse_manifest(text, "six", "clients-1", Six)
    return caught.value.message


def edited(before, after):
    assert before in MANIFEST_TEXT
    return MANIFEST_TEXT.replace(before, after)


# Reading


def test_a_batch_reads_with_its_defaults(root):
    batch = read_batch(root, "six", "clients-1", Six)
    assert (batch.batch_id, batch.manifest.connection, batch.manifest.dag) == ("clients-1", "six_default", "migrate_six")
    assert batch.section.jurisdiction == "Migration"
    assert batch.file_names() == ["company.csv", "people/individual.csv"]
    with batch.local("people/individual.csv") as path:
        assert path.read_bytes() == FILES["people/individual.csv"]


def test_a_remote_file_is_local_for_the_time_of_a_block(root):
    from upath import UPath

    far = UPath("memory://batches")
    for path in (root / "six" / "clients-1").rglob("*"):
        if path.is_file():
            (far / path.relative_to(root)).parent.mkdir(parents=True, exist_ok=True)
            (far / path.relative_to(root)).write_bytes(path.read_bytes())
    batch, near = read_batch(far, "six", "clients-1", Six), read_batch(root, "six", "clients-1", Six)
    with batch.local("company.csv") as path:
        assert path.read_bytes() == FILES["company.csv"]
    assert not path.exists()
    assert batch.input_hash == near.input_hash


def test_a_file_named_twice_is_counted_once(root):
    batch = read_batch(write(root, "b", edited("Migration\n", "Migration\n  ids: company.csv\n")).parents[1], "six", "b", Six)
    assert batch.file_names() == ["company.csv", "people/individual.csv"]


# What is wrong, and where


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (edited("due: 2026-11-01", "due: soon"), ["six/clients-1/manifest.yaml, line 2", "due:"]),
        (edited("due: 2026-11-01", "due: 2026-13-01"), ["manifest.yaml, line 2", "'2026-13-01'", "month must be in 1..12"]),
        (edited("due: 2026-11-01\n", ""), ["manifest.yaml: due: is missing"]),
        (edited("due:", "owed: 1\ndue:"), ["line 2", "owed: no such key is known here"]),
        (edited("  jurisdiction: Migration", "  jurisdiktion: Migration"), ["line 4", "six.jurisdiktion:", "six.jurisdiction:"]),
        (edited("  jurisdiction: Migration", "  jurisdiction: ''"), ["line 4", "six.jurisdiction:"]),
        (edited("{path: company.csv, table: Company}", "{path: company.csv}"), ["line 6", "files.0.table:"]),
        (edited("{path: company.csv, table: Company}", "{path: company.csv, table: ''}"), ["line 6", "files.0.table:"]),
        (edited("{path: company.csv, table: Company}", "company.csv"), ["line 6", "files.0:"]),
        (edited("vendor: six", "vendor: seven"), ["line 1", "vendor must be 'six'"]),
        (edited("vendor: six\n", ""), ["vendor must be 'six'"]),
        (edited("due: 2026-11-01", "due: 2026-11-01\ndue: 2026-11-02"), ["line 3", "'due' stands here twice"]),
        (
            edited("  jurisdiction: Migration", "  jurisdiction: A\n  jurisdiction: B"),
            ["line 5", "'jurisdiction' stands here twice"],
        ),
        (edited("files:", "files: ["), ["not valid YAML", "line"]),
        ("just words", ["must be a mapping", "str"]),
        ("", ["must be a mapping", "NoneType"]),
        ("- a\n- b", ["must be a mapping", "list"]),
        ("!!python/object/apply:os.system [true]", ["not valid YAML"]),
    ],
)
def test_a_wrong_manifest_names_file_line_and_key(text, parts):
    said = complaint(text)
    assert all(part in said for part in parts), said
    assert "manifest.yaml" in said


def test_faults_of_manifest_and_section_are_told_together():
    said = complaint(
        edited("due: 2026-11-01", "due: 17.03.2026").replace("jurisdiction:", "jurisdicton:").replace("files:", "file:")
    )
    assert all(part in said for part in ("due: must be a date", "file: no such key", "six.jurisdicton: no such key")), said
    assert said.count("Correct the manifest and trigger again.") == 1


def test_all_faults_of_a_section_are_told_at_once():
    said = complaint(edited("  jurisdiction: Migration", "  jurisdiction: 5\n  other: 1\n  ids: /etc/passwd"))
    assert all(part in said for part in ("six.jurisdiction", "six.other", "six.ids", "line 4", "line 5", "line 6"))


class Rule(Strict):
    id: int | str
    action: str


class Many(Section):
    """Keys of several types: pydantic tells which of them it tried, and people never wrote that."""

    who: str | tuple[str, ...] = ()
    number: int | tuple[int, ...] = 0
    rules: tuple[Rule, ...] = ()
    by_name: dict[str, int | str] = Field(default_factory=dict)


def keys_of(section):
    """The keys that are named as wrong."""
    with pytest.raises(BadInput) as caught:
        parse_manifest(f"vendor: six\ndue: 2026-11-01\nsix:\n  {section}\n", "six", "clients-1", Many)
    return {part.partition(": ")[2].partition(": ")[0] for part in caught.value.message.split(" six/clients-1/")}


@pytest.mark.parametrize(
    ("section", "keys"),
    [
        ("who: 5", {"six.who"}),
        ("who: [a, 5]", {"six.who", "six.who.1"}),
        ("number: {a: 5}", {"six.number"}),
        ("rules: [{id: [5], action: x}]", {"six.rules.0.id"}),
        ("rules: [{id: 5, action: [x]}]", {"six.rules.0.action"}),
        ("by_name: {Ann: [5]}", {"six.by_name.Ann"}),
    ],
)
def test_a_key_is_named_as_people_wrote_it_and_without_the_types_it_might_have(section, keys):
    assert keys_of(section) == keys


@pytest.mark.parametrize("name", ["list", "dict", "str", "int", "tuple", "who (old)", "who[0]"])
def test_an_unknown_key_is_named_whatever_it_is_called(name):
    assert keys_of(f"'{name}': 1") == {f"six.{name}"}


def test_a_manifest_is_not_quoted_back():
    assert "hunter2" not in complaint(edited("due: 2026-11-01", "due: hunter2"))


@pytest.mark.parametrize(
    "path", ["../other.csv", "/etc/passwd", "a/../../b", "a\\..\\b", "C:\\x", "s3://bucket/key", "", ".", "..", "file:x"]
)
def test_a_path_that_leaves_the_folder_is_refused(path):
    said = complaint(edited("path: company.csv", f"path: '{path}'"))
    assert "files.0.path: must be a file name inside the batch's folder" in said


@pytest.mark.parametrize("batch_id", ["", "Clients", "-x", ".x", "a/b", "../a", "a b", "ä", "a" * 101, "a\n"])
def test_what_is_no_batch_id_is_refused(root, batch_id):
    with pytest.raises(BadInput, match="is not a batch id: use lowercase letters"):
        read_batch(root, "six", batch_id, Six)


@pytest.mark.parametrize("batch_id", ["a", "0", "clients-1", "a.b_c-d", "a" * 100])
def test_what_is_a_batch_id_is_looked_for(root, batch_id):
    write(root, batch_id)
    assert read_batch(root, "six", batch_id, Six).batch_id == batch_id


def test_an_unknown_batch_is_answered_with_the_known_ones(root):
    there = r"There is no batch 'clients-2' for six: .*/six/clients-2/manifest.yaml does not exist. Known batches: clients-1\."
    with pytest.raises(BadInput, match=there):
        read_batch(root, "six", "clients-2", Six)
    with pytest.raises(BadInput, match="No batch lies there: does FERRY_BATCHES lead to the right folder"):
        read_batch(root / "empty", "six", "clients-2", Six)


def test_a_missing_file_is_named(root):
    (root / "six/clients-1/company.csv").unlink()
    with pytest.raises(BadInput, match=r"manifest.yaml names company.csv, which is not in the batch's folder"):
        read_batch(root, "six", "clients-1", Six)


def test_a_folder_is_no_file(root):
    (root / "six/clients-1/company.csv").unlink()
    (root / "six/clients-1/company.csv").mkdir()
    with pytest.raises(BadInput, match=r"names company.csv, which is not in"):
        read_batch(root, "six", "clients-1", Six)


def test_a_manifest_in_another_encoding_is_refused(root):
    (root / "six/clients-1" / MANIFEST).write_bytes("title: Łódź".encode("utf-16"))
    with pytest.raises(BadInput, match=r"six/clients-1/manifest.yaml is not UTF-8 \(byte 0\)"):
        read_batch(root, "six", "clients-1", Six)


def test_only_folders_with_a_manifest_and_a_good_name_are_batches(root):
    write(root, "clients-2")
    write(root, "Upper")
    (root / "six" / "empty").mkdir()
    (root / "six" / "file").write_text("")
    assert batch_ids(root, "six") == ["clients-1", "clients-2"]
    assert batch_ids(root, "seven") == []


# The hash


def hash_of(root, batch_id="clients-1"):
    return read_batch(root, "six", batch_id, Six).input_hash


def test_the_hash_is_the_same_wherever_the_folder_lies(root):
    write(root, "copy")
    assert hash_of(root) == hash_of(root, "copy")
    assert len(hash_of(root)) == 64


@settings(max_examples=30)
@given(data=st.data())
def test_the_hash_changes_with_every_byte(tmp_path_factory, data):
    root = tmp_path_factory.mktemp("batches")
    folder, before = write(root, "clients-1"), hash_of(root)
    path = folder / data.draw(st.sampled_from(["company.csv", "people/individual.csv"]))
    content = bytearray(path.read_bytes())
    where = data.draw(st.integers(0, len(content)))
    if where == len(content):
        content.append(data.draw(st.integers(0, 255)))
    else:
        content[where] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    assert hash_of(root) != before


def test_the_hash_changes_with_the_manifest_even_where_it_means_the_same(root):
    before = hash_of(root)
    write(root, "clients-1", MANIFEST_TEXT + "# a remark\n")
    assert hash_of(root) != before


def test_bytes_that_move_from_one_file_to_the_next_change_the_hash(root):
    one, other = (b"ab", b"c"), (b"a", b"bc")
    hashes = set()
    for number, (first, second) in enumerate((one, other)):
        write(root, f"b{number}", files={"company.csv": first, "people/individual.csv": second})
        hashes.add(hash_of(root, f"b{number}"))
    assert len(hashes) == 2


def test_a_file_that_the_manifest_does_not_name_does_not_count(root):
    before = hash_of(root)
    (root / "six/clients-1/notes.txt").write_text("mine")
    assert hash_of(root) == before


def test_an_extra_file_of_the_section_counts(root):
    write(root, "with-ids", edited("Migration\n", "Migration\n  ids: ids.csv\n"))
    before = hash_of(root, "with-ids")
    (root / "six/with-ids/ids.csv").write_bytes(b"y")
    assert hash_of(root, "with-ids") != before
