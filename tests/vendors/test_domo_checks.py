"""A mapping against what the instance has: type, account, candidates, and what was migrated before, found and explained."""

import json

import pytest
import yaml

from ferry.core.batch import MANIFEST, read_batch
from ferry.vendors.domo.checks import InstanceCheck, Moved
from ferry.vendors.domo.hook import DomoHook
from ferry.vendors.domo.manifest import DomoSection
from ferry.vendors.domo.mapping import Findings, Item, MappingCheck

MYSQL, SNOWFLAKE, BIGQUERY = "mysql-federated", "snowflake-federated", "bigquery-federated"
ANALYST = "ferry-demo-domo-analyst"
NOBODY = "00000000-0000-4000-8000-000000000000"
SEES = "A token sees what its user may see: if it should be there, look at that user's rights."


@pytest.fixture
def places(domo):
    """Coordinates of every MySQL datasource, by id."""
    return domo.mapping()


@pytest.fixture
def check(tmp_path, connect_domo, domo):
    """Findings, account and datasources of a batch on disk, held against the instance as `check_batch` does it."""

    def checked(mapping, earlier=(), connection=(), **section):
        folder = tmp_path / "domo" / "b"
        folder.mkdir(parents=True, exist_ok=True)
        rows = [{"id": key} | place for key, place in mapping.items()]
        named = {} if {"account_id", "account_name"} & set(section) else {"account_id": "41"}
        told = {"type": MYSQL, "datasources": rows} | named | section
        (folder / MANIFEST).write_text("due: 2026-01-01\n" + yaml.safe_dump({"vendor": "domo", "domo": told}, sort_keys=False))
        batch, findings = read_batch(tmp_path, "domo", "b", DomoSection), Findings()
        hook = DomoHook(connect_domo("checked", **dict(connection)))
        mapped = MappingCheck(batch, findings)
        items = mapped.run()
        instance = InstanceCheck(mapped, batch.section, dict(earlier))
        account = hook.call(instance.account)
        if account is not None:
            candidates = hook.call(lambda api: api.candidates(account.id))
            items = instance.place(items, account, candidates)
            strangers = [item.id for item in items if item.id not in candidates]
            hook.call(lambda api: instance.name_strangers(api, account, candidates, strangers))
        return findings, account, items

    return checked


def only(findings):
    (one,) = findings.kept
    return one


def some(places, number=1):
    return dict(list(places.items())[:number])


# Type and account


def test_a_good_batch_has_no_findings_and_its_account(check, places):
    findings, account, items = check(places)
    assert findings.kept == []
    assert (account.id, account.type, account.name) == ("41", MYSQL, "warehouse eu v2")
    assert (len(items), {item.already for item in items}) == (30, {""})


def test_the_check_moves_nothing(check, places, domo):
    check(places)
    assert domo.sent() == []


def test_a_type_that_the_instance_lacks_names_those_that_it_has(check, places):
    findings, account, _ = check(some(places), type="oracle-federated")
    assert account is None
    assert (only(findings).level, only(findings).code) == ("error", "NO_TYPE")
    assert (only(findings).file, only(findings).column) == (MANIFEST, "type")
    listed = f"{SNOWFLAKE}, {MYSQL}, {BIGQUERY}"
    assert only(findings).message == f"The instance has no integration type 'oracle-federated'; it has {listed}."


def test_a_type_in_another_case_is_another_type(check, places):
    assert only(check(some(places), type="MySQL-federated")[0]).code == "NO_TYPE"


@pytest.mark.parametrize(("key", "found"), [({"account_id": "17"}, "17"), ({"account_name": "warehouse eu v2 via agent"}, "17")])
def test_an_account_is_found_by_its_id_or_its_whole_name(check, places, key, found):
    findings, account, _ = check(some(places), **key)
    assert (findings.kept, account.id) == ([], found)


def test_a_name_that_two_accounts_have_names_both_ids(check, domo):
    findings, account, _ = check(some(domo.mapping(SNOWFLAKE)), type=SNOWFLAKE, account_name="lake copy")
    assert account is None
    assert (only(findings).level, only(findings).code, only(findings).column) == ("error", "ACCOUNT_AMBIGUOUS", "account_name")
    assert only(findings).message == "2 accounts are named 'lake copy': 63, 64. Name one by id."


@pytest.mark.parametrize("key", ["63", "64"])
def test_an_account_whose_name_is_not_its_own_is_found_by_its_id(check, domo, key):
    findings, account, _ = check(some(domo.mapping(SNOWFLAKE)), type=SNOWFLAKE, account_id=key)
    assert (findings.kept, account.id) == ([], key)


UNKNOWN = {
    "an id": ({"account_id": "99"}, "id '99'", "account_id"),
    "half an id": ({"account_id": "4"}, "id '4'", "account_id"),
    "an id with a zero": ({"account_id": "041"}, "id '041'", "account_id"),
    "a name": ({"account_name": "warehouse"}, "name 'warehouse'", "account_name"),
    "a name in another case": ({"account_name": "Warehouse EU v2"}, "name 'Warehouse EU v2'", "account_name"),
    "a name for an id": ({"account_id": "warehouse eu v2"}, "id 'warehouse eu v2'", "account_id"),
    "an id for a name": ({"account_name": "41"}, "name '41'", "account_name"),
    "a name of another type": ({"account_name": "finance lake v2"}, "name 'finance lake v2'", "account_name"),
}


@pytest.mark.parametrize(("key", "wanted", "column"), UNKNOWN.values(), ids=UNKNOWN)
def test_an_account_that_is_not_seen_names_those_that_are(check, places, key, wanted, column):
    findings, account, _ = check(some(places), **key)
    assert account is None
    assert (only(findings).level, only(findings).code, only(findings).column) == ("error", "NO_ACCOUNT", column)
    seen = "41 (warehouse eu v2), 17 (warehouse eu v2 via agent)"
    assert only(findings).message == f"The token's user sees no {MYSQL} account with {wanted}; it sees {seen}. {SEES}"


def test_where_no_account_is_seen_at_all_people_are_told_how_to_make_one(check):
    findings, account, _ = check({NOBODY: {"catalog": "a", "schema": "b", "table": "c"}}, type=BIGQUERY, account_id="77")
    assert (findings.kept[0].code, account.id) == ("NOT_A_CANDIDATE", "77")
    told = {"type": BIGQUERY, "account_id": "77", "connection": {"password": ANALYST}}
    findings, account, _ = check({NOBODY: {"catalog": "a", "schema": "b", "table": "c"}}, **told)
    assert account is None
    assert only(findings).code == "NO_ACCOUNT"
    assert (
        f"sees no {BIGQUERY} account with id '77'; it sees none. {SEES} People create V2 accounts in Domo"
        in only(findings).message
    )
    assert "Data Center > DataSets > Federated > the type > Add New Account" in only(findings).message
    assert "Federated V2 must have been enabled for the instance by Domo first." in only(findings).message


def test_an_account_that_another_token_sees_is_not_seen(check, places):
    findings, _, _ = check(some(places), account_id="17", connection={"password": ANALYST})
    assert only(findings).message.endswith(f"with id '17'; it sees 41 (warehouse eu v2). {SEES}")


def test_an_account_of_another_type_is_told_with_both_types(check, places):
    findings, account, _ = check(some(places), account_id="58")
    assert account is None
    assert (only(findings).level, only(findings).code, only(findings).column) == ("error", "WRONG_ACCOUNT_TYPE", "type")
    assert only(findings).message == f"The account with id '58' is of type {SNOWFLAKE}, and the manifest says {MYSQL}."


def test_faults_of_mapping_and_account_are_told_together(check, places):
    one, place = next(iter(places.items()))
    findings, _, _ = check({one: place | {"schema": "null"}}, account_id="99")
    assert [f.code for f in findings.kept] == ["NULL_SPELLING", "NO_ACCOUNT"]


def test_faults_of_mapping_and_candidates_are_told_together(check, places):
    place = next(iter(places.values()))
    findings, _, _ = check({NOBODY: place | {"schema": "null"}})
    assert [f.code for f in findings.kept] == ["NULL_SPELLING", "NOT_A_CANDIDATE"]


# Candidates


def test_an_id_that_nobody_knows_is_told_at_its_place(check, places):
    findings, _, _ = check(some(places, 2) | {NOBODY: {"catalog": "a", "schema": "NULL", "table": "b"}})
    one = only(findings)
    assert (one.level, one.code, one.file, one.row, one.column, one.value) == (
        "error",
        "NOT_A_CANDIDATE",
        MANIFEST,
        3,
        "id",
        NOBODY,
    )
    assert one.message == f"Account 41 has no candidate {NOBODY}. {SEES}"


def with_f(places):
    return next(key for key in places if key.startswith("F"))


def without_f(places):
    return next(key for key in places if not key.startswith("F"))


MISSPELT = {
    "without its F": lambda places: (with_f(places)[1:], with_f(places)),
    "with a small f": lambda places: (with_f(places).lower(), with_f(places)),
    "with an F it does not have": lambda places: (f"F{without_f(places)}", without_f(places)),
    "in capitals": lambda places: (without_f(places).upper(), without_f(places)),
    "without its F and in capitals": lambda places: (with_f(places)[1:].upper(), with_f(places)),
    "without dashes": lambda places: (without_f(places).replace("-", ""), without_f(places)),
}


@pytest.mark.parametrize("misspelt", MISSPELT.values(), ids=MISSPELT)
def test_an_id_as_people_confuse_it_names_the_one_that_there_is(check, places, misspelt):
    written, meant = misspelt(places)
    findings, _, _ = check({written: places[meant]})
    assert only(findings).code == "NOT_A_CANDIDATE"
    hint = f"There is {meant}; ids are taken exactly as they stand, a leading F included."
    assert only(findings).message == f"Account 41 has no candidate {written}. {hint}"


def test_a_uuid_that_begins_with_f_has_no_f_to_lose(check, domo):
    """Its f is a digit: what remains without it is no id."""
    key = "f1234567-0000-4000-8000-000000000000"
    domo.control("POST", "/domo/records", json={"id": key, "type": MYSQL, "catalog": "a", "schema": "NULL", "table": "b"})
    findings, _, _ = check({key[1:]: {"catalog": "a", "schema": "NULL", "table": "b"}})
    assert "There is" not in only(findings).message


def test_a_datasource_of_another_type_is_told_with_both_types(check, places, domo):
    other, place = next(iter(domo.mapping(SNOWFLAKE).items()))
    findings, _, _ = check(some(places) | {other: place})
    assert (only(findings).level, only(findings).code, only(findings).row) == ("error", "WRONG_TYPE", 2)
    assert only(findings).message == f"The datasource is of type {SNOWFLAKE}, and the batch is of {MYSQL}. Make two batches."


def test_a_datasource_in_a_batch_of_a_type_without_candidates_is_told_with_its_own(check, domo):
    other, place = next(iter(domo.mapping(MYSQL).items()))
    findings, _, _ = check({other: place}, type=BIGQUERY, account_id="77")
    assert only(findings).code == "WRONG_TYPE"


def test_every_stranger_is_told(check, domo, places):
    strangers = some(domo.mapping(SNOWFLAKE), 3) | {NOBODY: next(iter(places.values()))}
    findings, _, _ = check(some(places) | strangers)
    assert [(f.code, f.row) for f in findings.kept] == [
        ("WRONG_TYPE", 2),
        ("WRONG_TYPE", 3),
        ("WRONG_TYPE", 4),
        ("NOT_A_CANDIDATE", 5),
    ]


def test_lists_are_read_once_however_many_strangers_there_are(check, domo, places):
    check(some(places) | domo.mapping(SNOWFLAKE))
    asked = [one["path"].rpartition("/v2/")[2] for one in domo.requests()]
    assert len(asked) == len(set(asked)) == 7


# Migrated before


@pytest.fixture
def migrated(domo, places):
    """A datasource that somebody has migrated to account 41, its place, and when."""
    one, place = next(iter(places.items()))
    return one, place, domo.move(one)["migrationDate"]


def test_what_others_have_migrated_is_refused_and_says_how_to_go_on(check, migrated, places):
    one, place, date = migrated
    findings, _, items = check({one: place} | dict([list(places.items())[1]]))
    assert (only(findings).level, only(findings).code, only(findings).row) == ("error", "ALREADY_MIGRATED", 1)
    assert only(findings).message == (
        f"The datasource was migrated on {date}, not by this batch, and Domo does not tell to which table. "
        "Take it out, or write `already_migrated: accept` if that is right as it is."
    )
    assert [item.already for item in items] == ["", ""]


def test_what_others_have_migrated_may_be_left_as_it_is(check, migrated):
    one, place, date = migrated
    findings, _, items = check({one: place}, already_migrated="accept")
    assert (only(findings).level, only(findings).code) == ("warning", "ALREADY_MIGRATED")
    assert only(findings).message.startswith(f"The datasource was migrated on {date}, not by this batch, and Domo does not tell")
    assert only(findings).message.endswith("It is left as it is.")
    assert [item.already for item in items] == ["others"]


@pytest.mark.parametrize("way", ["refuse", "accept"])
def test_what_an_earlier_attempt_has_migrated_the_same_way_is_done(check, migrated, way):
    one, place, _ = migrated
    earlier = {one: Moved("attempt 1", "41", Item(one, **place))}
    findings, _, items = check({one: place}, earlier, already_migrated=way)
    assert (only(findings).level, only(findings).code) == ("note", "ALREADY_MIGRATED")
    assert only(findings).message == "The datasource was migrated by attempt 1 already; nothing is sent for it."
    assert [item.already for item in items] == ["attempt 1"]


@pytest.mark.parametrize(
    ("way", "account", "changed"),
    [
        ("refuse", "17", {}),
        ("accept", "17", {}),
        ("refuse", "41", {"table": "orders"}),
        ("accept", "41", {"schema": "PUBLIC"}),
        ("refuse", "41", {"catalog": "Sales_DB"}),
    ],
    ids=["another account", "another account accepted", "another table", "another schema", "another catalog"],
)
def test_what_an_earlier_attempt_has_migrated_elsewhere_must_be_reversed_first(check, migrated, way, account, changed):
    one, place, _ = migrated
    earlier = {one: Moved("attempt 2", account, Item(one, **place | changed))}
    findings, _, items = check({one: place}, earlier, already_migrated=way)
    assert (only(findings).level, only(findings).code, only(findings).row) == ("error", "OTHER_COORDINATES", 1)
    assert only(findings).message == (
        "The datasource was migrated by attempt 2 to another account or with other coordinates. Reverse it first (reverse_domo)."
    )
    assert [item.already for item in items] == [""]


def test_what_an_earlier_attempt_has_migrated_and_somebody_put_back_is_sent_again(check, migrated, domo):
    one, place, _ = migrated
    domo.take_back(one)
    findings, _, items = check({one: place}, {one: Moved("attempt 1", "17", Item(one, **place))})
    assert findings.kept == []
    assert [item.already for item in items] == [""]


@pytest.fixture
def left_half_done(domo, places, play_on_domo):
    """A datasource whose migration changed something and did not finish, and its place."""

    def left(**switches):
        one, place = next(iter(places.items()))
        domo.switch(outcomes=f"{one}:INCOMPLETE", **switches)
        (found,) = play_on_domo("worker", lambda api: api.migrate(one, "41", place))
        assert found.word == "INCOMPLETE"
        return one, place

    return left


@pytest.mark.parametrize("way", ["refuse", "accept"])
def test_what_an_earlier_attempt_left_half_done_is_sent_again_though_it_is_listed_as_migrated(check, left_half_done, way):
    """What the list shows after INCOMPLETE is not documented: only the same call puts the datasource in order [D]."""
    one, place = left_half_done(incomplete_lists_migrated=True)
    earlier = {one: Moved("attempt 1", "41", Item(one, **place), half_done=True)}
    findings, _, items = check({one: place}, earlier, already_migrated=way)
    assert findings.kept == []
    assert items == [Item(one, **place, unfinished="attempt 1")]


def test_what_an_earlier_attempt_left_half_done_is_sent_again_where_it_is_not_listed_as_migrated(check, left_half_done):
    one, place = left_half_done()
    findings, _, items = check({one: place}, {one: Moved("attempt 1", "41", Item(one, **place), half_done=True)})
    assert findings.kept == []
    assert [item.already for item in items] == [""]


def test_what_somebody_else_left_half_done_is_refused_where_it_is_listed_as_migrated(check, left_half_done):
    """Nobody can tell it from a migration that completed."""
    one, place = left_half_done(incomplete_lists_migrated=True)
    findings, _, items = check({one: place})
    assert (only(findings).level, only(findings).code) == ("error", "ALREADY_MIGRATED")
    assert [(item.already, item.unfinished) for item in items] == [("", "")]


def test_a_date_that_a_reversal_left_behind_is_no_migration(check, migrated, domo):
    one, place, _ = migrated
    domo.switch(keeps_reverse_date=True)
    domo.take_back(one)
    assert check({one: place})[0].kept == []


def test_a_migration_without_a_date_is_told_without_one(check, domo, places):
    """`migrationDate` may be null [D]."""
    one, place = next(iter(places.items()))
    rows = [{"id": one, "name": "n", "migrated": True, "migrationDate": None}]
    domo.fault("GET", "*/candidates/41", "garbage", body=json.dumps(rows))
    findings, _, _ = check({one: place})
    assert only(findings).message.startswith("The datasource was migrated, not by this batch, and Domo does not tell")


def test_what_is_migrated_is_told_for_every_datasource(check, domo, places):
    for one in list(places)[:3]:
        domo.move(one)
    findings, _, items = check(some(places, 4), already_migrated="accept")
    assert [(f.level, f.row) for f in findings.kept] == [("warning", 1), ("warning", 2), ("warning", 3)]
    assert [bool(item.already) for item in items] == [True, True, True, False]
