"""A manifest for Anon names one migration, or what it is known by; never both, and never something that cannot be."""

from datetime import UTC, datetime

import pytest
import yaml

from ferry.core.batch import parse_manifest
from ferry.core.errors import BadInput
from ferry.vendors.anon.finding import check_filter
from ferry.vendors.anon.hook import AnonSettings
from ferry.vendors.anon.manifest import AnonSection, Filter
from ferry.vendors.anon.vocabulary import STATES

ID = "2f9a61c0-7d1e-4b55-8a0c-93be01f7d2aa"
NOON = datetime(2031, 2, 3, 12, tzinfo=UTC)


def read(**section):
    text = "vendor: anon\ndue: 2026-01-01\n" + yaml.safe_dump({"anon": section}, sort_keys=False)
    return parse_manifest(text, "anon", "b", AnonSection)[1]


def read_text(text):
    return parse_manifest(f"vendor: anon\ndue: 2026-01-01\nanon:\n{text}", "anon", "b", AnonSection)[1]


# What it means


def test_a_migration_is_named_by_its_id():
    section = read(migration=ID)
    assert (section.migration, section.find, section.accept_partial) == (ID, None, False)


def test_what_failed_is_accepted_only_where_the_manifest_says_so():
    assert read(migration=ID, accept_partial=True).accept_partial is True


@pytest.mark.parametrize("wanted", [{"migration_id": ID}, {"company_id": "c"}, {"user_id": "u"}, {"status": ["WORKING"]}])
def test_one_thing_is_enough_to_look_for(wanted):
    found = read(find=wanted).find
    assert found.model_dump(mode="json", exclude_defaults=True) == wanted


def test_everything_may_be_told_at_once():
    told = {"company_id": "c", "user_id": "u", "status": ["NOT_STARTED", "WORKING"], "created_after": "2031-02-03T12:00:00Z"}
    assert read(find=told).find == Filter(**told)


def test_the_dag_watches_and_starts_nothing():
    assert read(migration=ID).dags() == ("watch_anon",)


def test_there_are_no_files():
    assert read(migration=ID).extra_files() == []


@pytest.mark.parametrize("word", STATES)
def test_every_word_of_anons_may_be_looked_for(word):
    assert read(find={"status": [word]}).find.status == (word,)


# Since when

TIMES = {
    "UTC": "2031-02-03T12:00:00Z",
    "an offset": "2031-02-03T14:00:00+02:00",
    "another": "2031-02-03T07:00:00-05:00",
    "no zone": "2031-02-03T12:00:00",
    "a blank": "2031-02-03 12:00:00",
}


@pytest.mark.parametrize("quote", ["", "'"], ids=["as a time", "as a text"])
@pytest.mark.parametrize("told", TIMES.values(), ids=TIMES)
def test_a_time_may_have_any_zone_and_without_one_it_is_utc(told, quote):
    found = read_text(f"  find:\n    created_after: {quote}{told}{quote}\n").find.created_after
    assert (found, found.tzinfo) == (NOON, UTC)


def test_a_day_begins_at_midnight_utc():
    assert read_text("  find: {created_after: 2031-02-03}\n").find.created_after == NOON.replace(hour=0)


@pytest.mark.parametrize("told", ["0001-01-01T00:00:00+02:00", "9999-12-31T23:59:59-02:00", "0001-01-01T00:00:00Z", "1999-12-31"])
def test_a_time_from_another_age_is_refused_in_words(told):
    with pytest.raises(BadInput, match=r"find\.created_after: is too far from now to be meant\."):
        read(find={"created_after": told})


def test_a_setting_of_the_connection_has_the_same_zones():
    for told in TIMES.values():
        assert AnonSettings(base_url="https://anon.example", password="k", watch_since=told).watch_since == NOON


def test_nothing_is_looked_for_that_is_made_after_a_moment_to_come():
    with pytest.raises(BadInput) as caught:
        check_filter(read(find={"created_after": "2999-02-03T14:00:00+02:00"}))
    assert caught.value.message == (
        "`find.created_after` is 2999-02-03 12:00 UTC, which is still to come. Correct the manifest and trigger again."
    )


def test_what_is_past_or_not_told_may_be_looked_for():
    for section in (read(find={"created_after": "2020-01-01"}), read(find={"company_id": "c"}), read(migration=ID)):
        assert check_filter(section) is None


def test_a_moment_that_is_just_to_come_is_a_matter_of_clocks():
    soon = datetime.fromtimestamp(datetime.now(UTC).timestamp() + 200, UTC)
    assert check_filter(read(find={"created_after": soon.isoformat()})) is None


# What is wrong with it

EITHER = "anon: needs either `migration`, an id, or `find`, what it is known by."
NOTHING = "anon.find: names nothing to look for: give migration_id, company_id, user_id, created_after or status."
WRONG = {
    "nothing": ({}, EITHER),
    "nulls": ({"migration": None, "find": None}, EITHER),
    "both": ({"migration": ID, "find": {"company_id": "c"}}, EITHER),
    "only what is accepted": ({"accept_partial": True}, EITHER),
    "an empty find": ({"find": {}}, NOTHING),
    "a find of nulls": ({"find": {"company_id": None, "created_after": None}}, NOTHING),
    "a find of no status": ({"find": {"status": []}}, NOTHING),
    "a find that is a text": ({"find": "c"}, "anon.find: Input should be a valid dictionary"),
    "a status that is none": (
        {"find": {"status": ["WORKING", "DONE", "working"]}},
        f"anon.find: status DONE, working is none of Anon's: {', '.join(STATES)}.",
    ),
    "a status that is a task's": ({"find": {"status": ["IN_PROGRESS"]}}, "anon.find: status IN_PROGRESS is none of Anon's"),
    "a status as text": ({"find": {"status": "WORKING"}}, "anon.find.status: Input should be a valid tuple"),
    "an empty id": ({"migration": ""}, "anon.migration: String should have at least 1 character"),
    "an endless id": ({"migration": "x" * 201}, "anon.migration: String should have at most 200 characters"),
    "an id that is a number": ({"migration": 7}, "anon.migration: Input should be a valid string"),
    "an empty company": ({"find": {"company_id": ""}}, "anon.find.company_id: String should have at least 1 character"),
    "a misspelt key": ({"migration": ID, "acept_partial": True}, "line 5: anon.acept_partial: no such key is known here."),
    "a misspelt filter": ({"find": {"company": "c"}}, "line 5: anon.find.company: no such key is known here."),
    "some day": ({"find": {"created_after": "soon"}}, "anon.find.created_after: Input should be a valid datetime"),
    "perhaps": ({"migration": ID, "accept_partial": "perhaps"}, "anon.accept_partial: Input should be a valid boolean"),
}


@pytest.mark.parametrize(("section", "part"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told_with_its_place_and_what_to_do(section, part):
    with pytest.raises(BadInput) as caught:
        read(**section)
    assert part in caught.value.message
    assert caught.value.message.startswith("anon/b/manifest.yaml, line ")
    assert caught.value.message.endswith(" Correct the manifest and trigger again.")


def test_every_fault_is_told_at_once():
    with pytest.raises(BadInput, match=r"anon\.migration: ") as caught:
        read(migration="", accept_partial="perhaps")
    assert "anon.accept_partial: " in caught.value.message


def test_a_filter_is_stored_as_plain_json_and_comes_back_the_same():
    wanted = Filter(company_id="c", created_after="2031-02-03T14:00:00+02:00", status=["WORKING"])
    assert Filter.model_validate(wanted.model_dump(mode="json")) == wanted


@pytest.mark.parametrize(("line", "dag"), [("", "watch_anon"), ("dag: another\n", "another")])
def test_a_manifest_that_names_no_dag_is_for_the_one_that_watches(line, dag):
    manifest, _ = parse_manifest(f"vendor: anon\ndue: 2026-11-27\n{line}anon: {{migration: m}}\n", "anon", "b", AnonSection)
    assert manifest.dag == dag
