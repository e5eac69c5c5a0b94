"""A Domo manifest says one thing, whole and without contradiction; what is wrong is told with file, line and key."""

import pytest

from ferry.core.batch import MANIFEST, parse_manifest, read_batch
from ferry.core.errors import BadInput
from ferry.vendors.domo.manifest import MOST_AT_ONCE, DomoSection
from ferry.vendors.domo.mapping import Findings, MappingCheck
from ferry.vendors.domo.operators import MOST_AT_ONCE as MOST_TASKS

ID = "7b0c1d52-8a34-4f0e-9d1b-2f6e5c4a9910"
TYPE, ACCOUNT, FILE = "type: mysql-federated", "account_id: '41'", "datasources: mapping.csv"
GOOD = (TYPE, ACCOUNT, FILE)


def manifest(*lines):
    return "\n".join(["vendor: domo", "due: 2026-01-01", "domo:", *(f"  {line}" for line in lines)])


def read(*lines):
    return parse_manifest(manifest(*lines), "domo", "b", DomoSection)[1]


def faults(*lines):
    with pytest.raises(BadInput) as caught:
        read(*lines)
    assert caught.value.message.endswith(" Correct the manifest and trigger again.")
    return caught.value.message


# What it means


def test_what_is_not_said_is_the_careful_choice():
    section = read(*GOOD)
    assert (section.at_once, section.on_incomplete, section.repeats) == (2, "retry", 3)
    assert (section.already_migrated, section.reversal) == ("refuse", "ask")


def test_the_account_may_be_named_by_id_or_by_name():
    assert (read(*GOOD).account_id, read(*GOOD).account_name) == ("41", None)
    named = read(TYPE, "account_name: warehouse eu v2", FILE)
    assert (named.account_id, named.account_name) == (None, "warehouse eu v2")


def test_a_mapping_file_belongs_to_the_input():
    assert read(*GOOD).extra_files() == ["mapping.csv"]
    assert read(TYPE, ACCOUNT, "datasources: lists/first.csv").extra_files() == ["lists/first.csv"]


def test_a_mapping_may_stand_in_the_manifest():
    section = read(TYPE, ACCOUNT, f"datasources: [{{id: {ID}, catalog: sales_db, schema: 'NULL', table: Orders}}]")
    (one,) = section.datasources
    assert (one.id, one.catalog, one.schema_, one.table) == (ID, "sales_db", "NULL", "Orders")
    assert section.extra_files() == []


def test_settings_are_what_later_steps_go_by():
    section = read(
        *GOOD, f"at_once: {MOST_AT_ONCE}", "on_incomplete: ask", "repeats: 1", "already_migrated: accept", "reversal: auto"
    )
    assert section.settings() == {
        "at_once": MOST_AT_ONCE,
        "on_incomplete": "ask",
        "repeats": 1,
        "already_migrated": "accept",
        "reversal": "auto",
    }


@pytest.mark.parametrize("way", ["retry", "reverse", "ask"])
def test_an_incomplete_migration_is_repeated_reversed_or_asked_about(way):
    assert read(*GOOD, f"on_incomplete: {way}").on_incomplete == way


@pytest.mark.parametrize("name", ["mysql-federated", "snowflake-federated", "postgres_v3 Federated"])
def test_types_are_an_open_set(name):
    assert read(f"type: {name}", ACCOUNT, FILE).type == name


def test_such_a_batch_is_for_one_dag_and_one_connection():
    assert (read(*GOOD).dags(), read(*GOOD).connections()) == (("migrate_domo",), {})


def test_a_batch_may_not_have_more_at_once_than_airflow_keeps_alive_for_it():
    assert MOST_AT_ONCE == MOST_TASKS


# What is wrong

BROKEN = {
    "no account": ((TYPE, FILE), 3, "domo: name the V2 account by `account_id` or by `account_name`, one of the two."),
    "two accounts": (
        (TYPE, ACCOUNT, "account_name: warehouse", FILE),
        3,
        "domo: name the V2 account by `account_id` or by `account_name`, one of the two.",
    ),
    "an account id that YAML takes for a number": (
        (TYPE, "account_id: 41", FILE),
        5,
        "domo.account_id: is a text at Domo: write it in quotes.",
    ),
    "an empty account id": ((TYPE, "account_id: ''", FILE), 5, "domo.account_id: "),
    "an empty account name": (
        (TYPE, "account_name: ''", FILE),
        5,
        "domo.account_name: String should have at least 1 character.",
    ),
    "no type": ((ACCOUNT, FILE), 3, "domo.type: is missing."),
    "an empty type": (("type: ''", ACCOUNT, FILE), 4, "domo.type: String should have at least 1 character."),
    "a type of nothing": (("type:", ACCOUNT, FILE), 4, "domo.type: Input should be a valid string."),
    "no mapping": ((TYPE, ACCOUNT), 3, "domo.datasources: is missing."),
    "an empty mapping": ((TYPE, ACCOUNT, "datasources: []"), 3, "domo: `datasources` is empty: there is nothing to migrate."),
    "a file outside": ((TYPE, ACCOUNT, "datasources: ../m.csv"), 6, "domo.datasources: must be a file name inside the batch's"),
    "a file from the root": ((TYPE, ACCOUNT, "datasources: /m.csv"), 6, "domo.datasources: must be a file name inside the"),
    "a file from the net": ((TYPE, ACCOUNT, "datasources: s3://b/m.csv"), 6, "domo.datasources: must be a file name inside the"),
    "a file without a name": ((TYPE, ACCOUNT, "datasources: ''"), 6, "domo.datasources: must be a file name inside the batch's"),
    "none at once": ((*GOOD, "at_once: 0"), 7, "domo.at_once: Input should be greater than or equal to 1."),
    "one too many at once": (
        (*GOOD, f"at_once: {MOST_AT_ONCE + 1}"),
        7,
        f"domo.at_once: Input should be less than or equal to {MOST_AT_ONCE}.",
    ),
    "two and a half at once": ((*GOOD, "at_once: 2.5"), 7, "domo.at_once: Input should be a valid integer"),
    "all at once": ((*GOOD, "at_once: all"), 7, "domo.at_once: Input should be a valid integer"),
    "no repeats": ((*GOOD, "repeats: 0"), 7, "domo.repeats: Input should be greater than or equal to 1."),
    "eleven repeats": ((*GOOD, "repeats: 11"), 7, "domo.repeats: Input should be less than or equal to 10."),
    "a misspelt way": ((*GOOD, "on_incomplete: retries"), 7, "domo.on_incomplete: Input should be 'retry', 'reverse' or 'ask'."),
    "a way in capitals": ((*GOOD, "on_incomplete: Ask"), 7, "domo.on_incomplete: Input should be 'retry', 'reverse' or 'ask'."),
    "accepting": ((*GOOD, "already_migrated: yes"), 7, "domo.already_migrated: Input should be 'refuse' or 'accept'."),
    "another reversal": ((*GOOD, "reversal: never"), 7, "domo.reversal: Input should be 'ask' or 'auto'."),
    "a misspelt key": ((*GOOD, "atonce: 2"), 7, "domo.atonce: no such key is known here."),
}


@pytest.mark.parametrize(("lines", "line", "message"), BROKEN.values(), ids=BROKEN)
def test_a_fault_is_told_with_file_line_and_key(lines, line, message):
    assert faults(*lines).startswith(f"domo/b/{MANIFEST}, line {line}: {message}")


INSIDE = {
    "a misspelt key": (f"{{id: {ID}, catalogue: sales_db, schema: x, table: Orders}}", "1.catalogue: no such key is known here."),
    "our own word for schema": (f"{{id: {ID}, catalog: a, schema_: x, table: b}}", "1.schema_: no such key is known here."),
    "no id": ("{catalog: sales_db, schema: x, table: Orders}", "1.id: is missing."),
    "an id that is a number": (
        "{id: 41, catalog: sales_db, schema: x, table: Orders}",
        "1.id: is a text at Domo: write it in quotes.",
    ),
    "a table that is a number": (
        f"{{id: {ID}, catalog: a, schema: x, table: 2024}}",
        "1.table: is a text at Domo: write it in quotes.",
    ),
    "a schema that is a number": (
        f"{{id: {ID}, catalog: a, schema: 7, table: b}}",
        "1.schema: is a text at Domo: write it in quotes.",
    ),
    "a catalog that is a truth": (
        f"{{id: {ID}, catalog: on, schema: x, table: b}}",
        "1.catalog: is a text at Domo: write it in quotes.",
    ),
    "a text": (ID, "1: Input should be a valid dictionary"),
}


@pytest.mark.parametrize(("one", "message"), INSIDE.values(), ids=INSIDE)
def test_a_fault_inside_the_mapping_is_told_with_its_line(one, message):
    good = f"- {{id: F{ID}, catalog: sales_db, schema: 'NULL', table: Invoices}}"
    told = faults(TYPE, ACCOUNT, "datasources:", good, f"- {one}")
    assert told.startswith(f"domo/b/{MANIFEST}, line 8: domo.datasources.{message}")


def test_every_fault_is_told_at_once():
    told = faults(TYPE, "account_id: 41", f"datasources: [{{id: {ID}, table: 5}}]", "at_once: 9", "on_incomplete: retri")
    assert [key for key in ("account_id", "datasources.0.table", "at_once", "on_incomplete") if f"domo.{key}: " not in told] == []


def test_a_key_that_stands_twice_is_refused():
    assert "line 6: not valid YAML: the key 'account_id' stands here twice" in faults(TYPE, ACCOUNT, "account_id: '17'", FILE)


@pytest.mark.parametrize("told", ["account_id:", "account_id: null"])
def test_an_account_of_nothing_is_none(told):
    assert "line 3: domo: name the V2 account by `account_id` or by `account_name`, one of the two." in faults(TYPE, told, FILE)


def test_beside_a_name_an_id_of_nothing_does_no_harm():
    assert read(TYPE, "account_id:", "account_name: warehouse eu v2", FILE).account_name == "warehouse eu v2"


@pytest.mark.parametrize("told", ["0041", "0x41"])
def test_an_id_that_yaml_reads_to_another_base_is_not_told_as_another_id(told):
    assert f'"{int(told, 0) if "x" in told else int(told, 8)}"' not in faults(TYPE, f"account_id: {told}", FILE)


@pytest.mark.parametrize("told", ["", "5", f"{{id: {ID}}}"])
def test_a_mapping_that_is_neither_list_nor_file_is_told_in_the_manifests_words(told):
    message = "line 6: domo.datasources: must be a list of datasources, or the name of a CSV file."
    assert message in faults(TYPE, ACCOUNT, f"datasources: {told}")


def test_a_mapping_that_is_not_there_is_told_before_anything_is_checked(tmp_path):
    (tmp_path / "domo" / "b").mkdir(parents=True)
    (tmp_path / "domo" / "b" / MANIFEST).write_text(manifest(*GOOD))
    with pytest.raises(BadInput, match=r"names mapping\.csv, which is not in the batch's folder"):
        read_batch(tmp_path, "domo", "b", DomoSection)


def test_a_changed_mapping_is_another_input(tmp_path):
    (tmp_path / "domo" / "b").mkdir(parents=True)
    (tmp_path / "domo" / "b" / MANIFEST).write_text(manifest(*GOOD))
    hashes = set()
    for text in ("id,catalog,schema,table\n", "id,catalog,schema,table\nd-1,a,b,c\n"):
        (tmp_path / "domo" / "b" / "mapping.csv").write_text(text)
        hashes.add(read_batch(tmp_path, "domo", "b", DomoSection).input_hash)
    assert len(hashes) == 2


# What YAML makes of NULL

NULLS = {
    "NULL without quotes": "schema: NULL",
    "null": "schema: null",
    "Null": "schema: Null",
    "a tilde": "schema: ~",
    "nothing": "schema:",
    "an empty text": "schema: ''",
    "no schema at all": "",
}


@pytest.mark.parametrize("line", NULLS.values(), ids=NULLS)
def test_a_schema_that_yaml_takes_for_nothing_is_found_and_explained(tmp_path, line):
    (tmp_path / "domo" / "b").mkdir(parents=True)
    lines = [f"- id: {ID}", "  catalog: sales_db", "  table: Orders", *([f"  {line}"] if line else [])]
    (tmp_path / "domo" / "b" / MANIFEST).write_text(manifest(TYPE, ACCOUNT, "datasources:", *lines))
    findings = Findings()
    MappingCheck(read_batch(tmp_path, "domo", "b", DomoSection), findings).run()
    (found,) = findings.kept
    assert (found.level, found.code, found.file, found.row, found.column) == (
        "error",
        "COORDINATE_MISSING",
        MANIFEST,
        1,
        "schema",
    )
    assert "write the text NULL (in a manifest in quotes, because YAML takes it for an empty value)" in found.message
