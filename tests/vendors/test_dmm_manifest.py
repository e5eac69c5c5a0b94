"""A DMM manifest says one thing, whole and without contradiction; DMM's own configuration goes through it untouched."""

import pytest
import yaml

from ferry.core.batch import MANIFEST, parse_manifest, read_batch
from ferry.core.errors import BadInput
from ferry.vendors.dmm.manifest import DmmSection
from ferry.vendors.dmm.vocabulary import ExecutionType

RUNTIME = {"DestinationDBConnection": "Runtime Connection", "DataAppendMode": True}
OTHER = {"DestinationDBConnection": "eu-target", "DataAppendMode": False}
IMPORT = {"configuration": RUNTIME, "zip": "data.zip"}
NEW = {"name": "eu-target", "type": "SQLServer", "credentials": "eu_db"}
AS = {"batch_id": "b-2", "connection": "dmm_default", "configuration": RUNTIME}
EXPORT = {"type": "Export", "configuration": {"DBConnection": "Runtime Connection"}}


def manifest(section):
    return "vendor: dmm\ndue: 2026-01-01\n" + yaml.safe_dump({"dmm": section}, sort_keys=False)


def read(**section):
    return parse_manifest(manifest(section), "dmm", "b", DmmSection)[1]


def faults(**section):
    with pytest.raises(BadInput) as caught:
        read(**section)
    assert caught.value.message.endswith(" Correct the manifest and trigger again.")
    return caught.value.message


# What it means


def test_what_is_not_said_is_an_import_that_is_stopped_at_its_deadline():
    section = read(**IMPORT)
    assert (section.type, section.on_deadline, section.create_connection, section.import_as) == ("Import", "stop", None, None)


def test_the_zip_belongs_to_the_input():
    assert read(**IMPORT).extra_files() == ["data.zip"]
    assert read(**EXPORT).extra_files() == []


@pytest.mark.parametrize("kind", ExecutionType)
def test_an_export_has_a_dag_of_its_own(kind):
    section = read(type=str(kind), configuration=RUNTIME, **({"zip": "data.zip"} if kind == "Import" else {}))
    assert section.dags() == (("export_dmm",) if kind == "Export" else ("migrate_dmm",))


UNTOUCHED = {
    "DestinationDBConnection": "Runtime Connection",
    "DataAppendMode": True,
    "ChunkRecords": 0,
    "SampleSizeKB": 1.5,
    "WhereClause": None,
    "EntitiesToDelete": [{"OSEntityName": "Kunde Größe", "ESpaceSsKey": "a\nb", "TenantsList": [1, 2]}],
    "SomethingNobodyKnows": {"Deep": {"Deeper": []}},
    "Date": "2031-02-03",
}


@pytest.mark.parametrize("kind", ["Migration", "Delete", "Scramble"])
def test_the_configuration_is_passed_on_as_it_stands(kind):
    section = read(type=kind, configuration=UNTOUCHED)
    assert section.configuration == UNTOUCHED
    assert list(section.configuration) == list(UNTOUCHED)


APPENDS = {
    "an import that appends": ({"configuration": RUNTIME, "zip": "z.zip"}, True),
    "an import that keeps ids": ({"configuration": OTHER, "zip": "z.zip"}, False),
    "an import that does not say": ({"configuration": {"DestinationDBConnection": "eu"}, "zip": "z.zip"}, True),
    "a migration": ({"type": "Migration", "configuration": RUNTIME}, True),
    "a migration that keeps ids": ({"type": "Migration", "configuration": OTHER}, False),
    "a delete": ({"type": "Delete", "configuration": {}}, False),
    "a scramble": ({"type": "Scramble", "configuration": {}}, False),
    "an export": (EXPORT, False),
}


@pytest.mark.parametrize(("section", "appends"), APPENDS.values(), ids=APPENDS)
def test_what_would_duplicate_records_if_it_were_done_again_is_known(section, appends):
    assert read(**section).appends is appends


def test_a_connection_to_register_is_a_destination_unless_it_says_otherwise():
    assert read(**IMPORT, create_connection=NEW).create_connection.usage == "Destination"
    mysql = NEW | {"type": "MySQL", "usage": "Source"}
    assert read(**IMPORT, create_connection=mysql).create_connection.type == "MySQL"


def test_an_export_may_become_a_batch():
    found = read(**EXPORT, import_as=AS | {"due": "2026-02-01", "title": "Into the target"}).import_as
    assert (found.batch_id, found.connection, found.configuration, str(found.due)) == (
        "b-2",
        "dmm_default",
        RUNTIME,
        "2026-02-01",
    )


# What is wrong with it

APPEND_ONLY = "`DataAppendMode` must be true where `DestinationDBConnection` is 'Runtime Connection': that one can only append"
WRONG = {
    "no configuration": ({"zip": "z.zip"}, "dmm.configuration: is missing"),
    "a configuration as text": ({"configuration": "{}", "zip": "z.zip"}, "dmm.configuration: Input should be a valid dictionary"),
    "a configuration as list": ({"configuration": [RUNTIME], "zip": "z.zip"}, "dmm.configuration: Input should be a valid"),
    "an import without a zip": ({"configuration": RUNTIME}, "an Import needs its `zip`"),
    "another execution with a zip": (EXPORT | {"zip": "z.zip"}, "`zip` is for an Import, which needs one"),
    "a type in lower case": (IMPORT | {"type": "import"}, "dmm.type: Input should be 'Import', 'Export', 'Migration'"),
    "a type that is none": (IMPORT | {"type": "Upload"}, "dmm.type: Input should be"),
    "a misspelt key": (IMPORT | {"on_dedline": "stop"}, "line 8: dmm.on_dedline: no such key is known here"),
    "a deadline that is none": (IMPORT | {"on_deadline": "kill"}, "dmm.on_deadline: Input should be 'stop' or 'leave'"),
    "a zip outside": (IMPORT | {"zip": "../data.zip"}, "dmm.zip: must be a file name inside the batch's folder"),
    "an absolute zip": (IMPORT | {"zip": "/data.zip"}, "dmm.zip: must be a file name inside the batch's folder"),
    "an empty zip": (IMPORT | {"zip": ""}, "dmm.zip: must be a file name inside the batch's folder"),
    "runtime without append": ({"configuration": RUNTIME | {"DataAppendMode": False}, "zip": "z.zip"}, APPEND_ONLY),
    "runtime that says nothing": (
        {"configuration": {"DestinationDBConnection": "Runtime Connection"}, "zip": "z.zip"},
        APPEND_ONLY,
    ),
    "append as text": ({"configuration": RUNTIME | {"DataAppendMode": "true"}, "zip": "z.zip"}, APPEND_ONLY),
    "append as number": ({"configuration": RUNTIME | {"DataAppendMode": 1}, "zip": "z.zip"}, APPEND_ONLY),
    "a migration into runtime": ({"type": "Migration", "configuration": RUNTIME | {"DataAppendMode": False}}, APPEND_ONLY),
    "runtime of the next batch": (
        EXPORT | {"import_as": AS | {"configuration": RUNTIME | {"DataAppendMode": False}}},
        APPEND_ONLY,
    ),
    "a batch of something else": (IMPORT | {"import_as": AS}, "`import_as` is for an Export: nothing else makes a zip"),
    "a batch id that is none": (EXPORT | {"import_as": AS | {"batch_id": "../b"}}, "dmm.import_as.batch_id: String should match"),
    "a batch id with a line's end": (
        EXPORT | {"import_as": AS | {"batch_id": "b\n"}},
        "dmm.import_as.batch_id: String should match",
    ),
    "a batch without connection": (
        EXPORT | {"import_as": AS | {"connection": ""}},
        "dmm.import_as.connection: String should have",
    ),
    "a batch due some day": (EXPORT | {"import_as": AS | {"due": "soon"}}, "dmm.import_as.due: must be a date such as"),
    "mysql as destination": (IMPORT | {"create_connection": NEW | {"type": "MySQL"}}, "MySQL can only be a source"),
    "a database nobody knows": (
        IMPORT | {"create_connection": NEW | {"type": "DB2"}},
        "dmm.create_connection.type: Input should be",
    ),
    "a password in the manifest": (
        IMPORT | {"create_connection": NEW | {"password": "canary"}},
        "dmm.create_connection.password: ",
    ),
    "no credentials": (
        IMPORT | {"create_connection": {"name": "eu", "type": "Oracle"}},
        "dmm.create_connection.credentials: is missing",
    ),
}


@pytest.mark.parametrize(("section", "part"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told_with_its_place(section, part):
    said = faults(**section)
    assert part in said
    assert said.startswith("dmm/b/manifest.yaml, line ")
    assert "canary" not in said


NO_JSON = {
    "a date": "Since: 2031-02-03",
    "a time": "Since: 2031-02-03 04:05:06",
    "no number": "Since: .nan",
    "without end": "Since: .inf",
    "a set": "Since: !!set {a, b}",
    "bytes": "Since: !!binary QUJD",
    "a date in the depth": "Since: [{deep: [2031-02-03]}]",
}


@pytest.mark.parametrize("line", NO_JSON.values(), ids=NO_JSON)
def test_what_is_no_json_is_refused_by_its_key(line):
    text = f"vendor: dmm\ndue: 2026-01-01\ndmm:\n  zip: z.zip\n  configuration:\n    DataAppendMode: true\n    {line}\n"
    with pytest.raises(BadInput, match=r"line 5: dmm\.configuration: `Since` is not plain JSON \(a date, perhaps\)"):
        parse_manifest(text, "dmm", "b", DmmSection)


def test_every_fault_is_told_at_once():
    said = faults(configuration={}, zip="../z", on_deadline="kill")
    assert "dmm.zip: " in said
    assert "dmm.on_deadline: " in said


def test_a_zip_that_is_not_there_is_told_by_name(tmp_path):
    folder = tmp_path / "dmm" / "b"
    folder.mkdir(parents=True)
    (folder / MANIFEST).write_text(manifest(IMPORT))
    with pytest.raises(BadInput, match=r"names data\.zip, which is not in the batch's folder"):
        read_batch(tmp_path, "dmm", "b", DmmSection)


def test_another_zip_is_another_input(tmp_path):
    folder, hashes = tmp_path / "dmm" / "b", set()
    folder.mkdir(parents=True)
    (folder / MANIFEST).write_text(manifest(IMPORT))
    for content in (b"one", b"two", b"one"):
        (folder / "data.zip").write_bytes(content)
        hashes.add(read_batch(tmp_path, "dmm", "b", DmmSection).input_hash)
    assert len(hashes) == 2
