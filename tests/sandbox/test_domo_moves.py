"""One datasource moved to V2 and back in the made-up Domo instance: bodies, states, and what is left behind."""

import json
import re

import pytest
from tests.sandbox.instance import refused, states

DATE = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00"
KEYS = {"toe", "datasourceId", "direction", "startTime", "state", "errorMessage", "endTime"}


def where(instance, key):
    """Whether a datasource is on V2, whether it is broken, and whether the list says that it was migrated."""
    seen = instance.of("datasources", key)
    account = "41" if key in instance.candidates("41") else "58"
    return seen["migrated"], seen["broken"], instance.candidates(account)[key]["migrated"]


# Success


def test_a_migration_answers_with_its_final_state(instance, one):
    answer = instance.migrate(one).json()
    assert set(answer) == KEYS
    assert (answer["datasourceId"], answer["direction"], answer["state"]) == (one, "V1_TO_V2", "COMPLETE")
    assert answer["errorMessage"] is None
    assert re.fullmatch(r"[A-Z0-9]{10}-[A-Z0-9]{5}-[A-Z0-9]{5}", answer["toe"])
    assert re.fullmatch(DATE, answer["startTime"])
    assert re.fullmatch(DATE, answer["endTime"])


def test_a_migrated_datasource_stays_in_the_list_with_its_date(instance, one):
    answer = instance.migrate(one).json()
    seen = instance.candidates("17")[one]
    assert (seen["migrated"], seen["migrationDate"]) == (True, answer["endTime"])


def test_it_is_on_the_account_with_the_table_that_was_named(instance, ledger):
    assert states(instance.migrate(ledger, "63")) == ["COMPLETE"]
    assert instance.state()["v2"] == [
        {"id": ledger, "catalog": "FINANCE", "schema": "PUBLIC", "table": "LEDGER_01", "accountId": "63"}
    ]
    assert instance.of("datasources", ledger)["accountId"] == "63"


def test_a_reversal_answers_in_the_same_shape_and_puts_everything_back(instance, one):
    before = instance.of("datasources", one)
    instance.migrate(one)
    answer = instance.reverse(one).json()
    assert set(answer) == KEYS
    assert (answer["datasourceId"], answer["direction"], answer["state"]) == (one, "V2_TO_V1", "COMPLETE")
    assert instance.candidates()[one] == {"id": one, "name": "Orders live", "migrated": False, "migrationDate": None}
    assert instance.of("datasources", one) == before
    assert instance.state()["v2"] == []


def test_a_reversed_datasource_may_keep_its_date(instance, one):
    instance.switch(keeps_reverse_date=True)
    date = instance.migrate(one).json()["endTime"]
    instance.reverse(one)
    seen = instance.candidates()[one]
    assert (seen["migrated"], seen["migrationDate"]) == (False, date)


def test_a_reversal_needs_no_body_and_looks_at_none(instance, one):
    instance.migrate(one)
    assert states(instance.reverse(one, content=b"{")) == ["COMPLETE"]


def test_a_reversed_datasource_can_be_migrated_to_another_account(instance, one):
    assert states(instance.migrate(one), instance.reverse(one), instance.migrate(one, "17")) == ["COMPLETE"] * 3
    assert instance.of("datasources", one)["accountId"] == "17"


# Bodies


def changed(**fields):
    return {"catalog": "sales_db", "schema": "NULL", "table": "Orders"} | fields


@pytest.mark.parametrize("name", ["catalog", "schema", "table"])
@pytest.mark.parametrize("value", [None, "", 7, ["Orders"], True])
def test_every_field_is_a_text_with_something_in_it(instance, one, name, value):
    assert refused(instance.migrate(one, json=changed(**{name: value}))) == (400, f"The field {name} is required.")


@pytest.mark.parametrize("name", ["catalog", "schema", "table"])
def test_every_field_must_be_there(instance, one, name):
    body = changed()
    del body[name]
    assert refused(instance.migrate(one, json=body)) == (400, f"The field {name} is required.")


def test_only_the_word_in_capitals_says_that_there_are_no_schemas(instance, one):
    assert refused(instance.migrate(one, json=changed(schema="null"))) == (400, "The field schema is required.")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"text"', b"null", b"\xff\xfe"])
def test_what_is_no_json_object_is_a_bad_request(instance, one, content):
    answer = instance.migrate(one, content=content, headers={"Content-Type": "application/json"})
    assert refused(answer) == (400, "The request body is not a JSON object.")


def test_the_body_must_say_that_it_is_json(instance, one):
    content = json.dumps(instance.body(one)).encode()
    answers = [
        instance.migrate(one, content=content, headers={"Content-Type": kind}) for kind in ("text/plain", "application/json")
    ]
    assert [answer.status_code for answer in answers] == [400, 200]


def test_other_fields_of_a_body_are_not_looked_at(instance, one):
    assert states(instance.migrate(one, json=changed(more=1))) == ["COMPLETE"]


def test_a_bad_request_changes_nothing_and_is_not_counted(instance, one):
    instance.migrate(one, json={})
    state = instance.state()
    assert (state["posts"], state["operations"], state["v2"]) == ([], [], [])


def test_an_unknown_datasource_or_account_is_not_found(instance, one):
    answers = [instance.migrate(one[:-1], json=changed()), instance.migrate(one, "99"), instance.reverse(one.upper())]
    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert refused(answers[1])[1] == "The account 99 was not found."


# ABORTED


@pytest.mark.parametrize("wrong", [{"table": "orders"}, {"catalog": "Sales_db"}, {"schema": "NONE"}, {"schema": "Null"}])
def test_other_coordinates_are_aborted_and_case_counts(instance, one, wrong):
    body = changed(**wrong)
    answer = instance.migrate(one, json=body)
    assert states(answer) == ["ABORTED"]
    assert answer.json()["errorMessage"] == "Table not found: " + ".".join(body.values())
    assert where(instance, one) == (False, False, False)


def test_the_switch_takes_any_coordinates(instance, one):
    instance.switch(check_coordinates=False)
    assert states(instance.migrate(one, json=changed(table="elsewhere"))) == ["COMPLETE"]
    assert instance.of("v2", one)["table"] == "elsewhere"


def test_an_account_of_another_type_is_aborted(instance, one):
    answer = instance.migrate(one, "58")
    assert states(answer) == ["ABORTED"]
    assert answer.json()["errorMessage"] == "The account is of type snowflake-federated, not mysql-federated."
    assert where(instance, one) == (False, False, False)


def test_a_migration_of_what_is_migrated_is_aborted(instance, one):
    instance.migrate(one)
    before = instance.candidates()[one]
    answer = instance.migrate(one, "17")
    assert states(answer) == ["ABORTED"]
    assert answer.json()["errorMessage"] == "The datasource is already migrated."
    assert instance.candidates()[one] == before
    assert instance.of("datasources", one)["accountId"] == "41"


def test_a_repeat_may_be_complete_and_changes_nothing(instance, one):
    instance.switch(repeat_post="complete")
    first, second = instance.migrate(one).json(), instance.migrate(one).json()
    assert second["state"] == "COMPLETE"
    assert second["toe"] != first["toe"]
    assert instance.candidates()[one]["migrationDate"] == first["endTime"]


def test_a_repeat_may_be_a_409(instance, one):
    instance.switch(repeat_post="conflict")
    assert states(instance.migrate(one)) == ["COMPLETE"]
    assert refused(instance.migrate(one)) == (409, "The datasource is already migrated.")
    assert instance.posts(one) == (2, 0, 2)
    assert len(instance.state()["operations"]) == 1


def test_a_reversal_of_what_is_not_migrated_is_aborted(instance, one):
    answer = instance.reverse(one)
    assert states(answer) == ["ABORTED"]
    assert answer.json()["errorMessage"] == "The datasource is not migrated."


# Outcomes by script


def test_an_aborted_migration_changed_nothing(instance, one):
    instance.switch(outcomes=f"{one}:ABORTED")
    answer = instance.migrate(one).json()
    assert (answer["state"], bool(answer["errorMessage"])) == ("ABORTED", True)
    assert where(instance, one) == (False, False, False)
    assert states(instance.migrate(one)) == ["COMPLETE"]


def test_an_incomplete_migration_breaks_the_datasource_until_one_completes(instance, one):
    instance.switch(outcomes=f"{one}:INCOMPLETE,ABORTED")
    answer = instance.migrate(one)
    assert states(answer) == ["INCOMPLETE"]
    assert "same operation again" in answer.json()["errorMessage"]
    assert where(instance, one) == (False, True, False)
    assert states(instance.migrate(one)) == ["ABORTED"]
    assert where(instance, one) == (False, True, False)
    assert states(instance.migrate(one)) == ["COMPLETE"]
    assert where(instance, one) == (True, False, True)


def test_an_incomplete_migration_may_be_listed_as_migrated(instance, one):
    instance.switch(outcomes=f"{one}:INCOMPLETE", incomplete_lists_migrated=True)
    end = instance.migrate(one).json()["endTime"]
    assert where(instance, one) == (False, True, True)
    assert instance.candidates()[one]["migrationDate"] == end
    assert states(instance.migrate(one)) == ["COMPLETE"]


def test_a_reversal_has_its_own_script(instance, one):
    instance.switch(reverse_outcomes=f"{one}:ABORTED,INCOMPLETE")
    instance.migrate(one)
    assert states(instance.reverse(one)) == ["ABORTED"]
    assert where(instance, one) == (True, False, True)
    assert states(instance.reverse(one)) == ["INCOMPLETE"]
    assert where(instance, one) == (True, True, True)
    assert states(instance.reverse(one)) == ["COMPLETE"]
    assert where(instance, one) == (False, False, False)


def test_a_half_done_migration_is_not_rescued_by_a_reversal_unless_the_switch_says_so(instance, one):
    instance.switch(outcomes=f"{one}:INCOMPLETE", incomplete_lists_migrated=True)
    instance.migrate(one)
    assert states(instance.reverse(one)) == ["ABORTED"]
    assert where(instance, one) == (False, True, True)
    instance.switch(reverse_rescues=True)
    assert states(instance.reverse(one)) == ["COMPLETE"]
    assert where(instance, one) == (False, False, False)


def test_any_word_may_be_a_state_and_is_played_like_incomplete(instance, one):
    instance.switch(outcomes=f"{one}:PARTIAL")
    answer = instance.migrate(one)
    assert states(answer) == ["PARTIAL"]
    assert answer.json()["errorMessage"]
    assert where(instance, one) == (False, True, False)


def test_a_state_with_a_star_stays_for_ever(instance, one):
    instance.switch(outcomes=f"{one}:INCOMPLETE,ABORTED*")
    assert states(*(instance.migrate(one) for _ in range(4))) == ["INCOMPLETE", "ABORTED", "ABORTED", "ABORTED"]


def test_every_datasource_has_its_own_place_in_the_sequence_and_the_first_rule_counts(instance, one, another):
    instance.switch(outcomes=f"{one}:ABORTED *:INCOMPLETE")
    assert states(instance.migrate(one), instance.migrate(another)) == ["ABORTED", "INCOMPLETE"]
    assert states(instance.migrate(one), instance.migrate(another)) == ["COMPLETE", "COMPLETE"]


def test_globs_mind_the_case_of_an_id(instance, one):
    instance.switch(outcomes=f"{one.upper()[:12]}*:ABORTED {one[:12]}*:INCOMPLETE")
    assert one[:12] != one.upper()[:12]
    assert states(instance.migrate(one)) == ["INCOMPLETE"]


def test_what_is_refused_at_once_uses_no_outcome_up(instance, one):
    instance.switch(outcomes=f"{one}:INCOMPLETE")
    assert states(instance.migrate(one, "58"), instance.migrate(one, json=changed(table="x"))) == ["ABORTED", "ABORTED"]
    assert states(instance.migrate(one)) == ["INCOMPLETE"]


def test_the_words_of_a_failure_are_a_switch(instance, one):
    instance.switch(outcomes=f"{one}:INCOMPLETE", error_message="disk “full”")
    assert instance.migrate(one).json()["errorMessage"] == "disk “full”"


@pytest.mark.parametrize("text", ["abc", "abc:", ":ABORTED", "a:ABORTED b", "a:AB-CD", "a:ABORTED,,COMPLETE"])
def test_a_script_that_cannot_be_read_is_refused(instance, text):
    answer = instance.control.put("/domo/switches", json={"outcomes": text})
    assert answer.status_code == 400
    assert "F3a*:INCOMPLETE,COMPLETE" in answer.json()["error"]


# Shapes


def test_the_message_of_a_success_may_be_absent(instance, one):
    instance.switch(null_error_message="absent", outcomes=f"{one}:ABORTED")
    assert set(instance.migrate(one).json()) == KEYS
    assert set(instance.migrate(one).json()) == KEYS - {"errorMessage"}


def test_keys_may_be_left_out(instance, one):
    instance.switch(answer_drops="state, toe")
    assert set(instance.migrate(one).json()) == KEYS - {"state", "toe"}
    assert set(instance.reverse(one).json()) == KEYS - {"state", "toe"}


def test_a_key_that_no_result_has_cannot_be_left_out(instance):
    answer = instance.control.put("/domo/switches", json={"answer_drops": "state,colour"})
    assert answer.status_code == 400
    assert "colour" in answer.json()["error"]


def test_the_end_may_be_null_unless_complete(instance, one):
    instance.switch(null_end_time=True, outcomes=f"{one}:INCOMPLETE")
    assert instance.migrate(one).json()["endTime"] is None
    assert instance.migrate(one).json()["endTime"]


def test_garbage_and_a_cut_answer_follow_work_that_was_done_or_not(instance, one, another):
    instance.fault(method="POST", action="garbage")
    answer = instance.migrate(one)
    assert (answer.status_code, where(instance, one)) == (200, (False, False, False))
    with pytest.raises(ValueError, match=r"."):
        answer.json()
