"""What the made-up Domo instance lists, and to whom; tokens, limits, and errors."""

import re

import pytest
from tests.sandbox.instance import ADMIN, ANALYST, BASE, BIGQUERY, MYSQL, SNOWFLAKE, refused, states

NO_ACCESS = (401, "Full authentication is required to access this resource")
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


# The lists


def test_the_types_are_a_bare_array_of_texts(instance):
    assert sorted(instance.call("GET", "/types").json()) == [BIGQUERY, MYSQL, SNOWFLAKE]


def test_an_account_has_id_type_and_name_and_the_id_is_a_text(instance):
    assert instance.call("GET", f"/accounts/{MYSQL}").json() == [
        {"id": "41", "type": MYSQL, "name": "warehouse eu v2"},
        {"id": "17", "type": MYSQL, "name": "warehouse eu v2 via agent"},
    ]


def test_names_of_accounts_are_not_unique(instance):
    names = [account["name"] for account in instance.call("GET", f"/accounts/{SNOWFLAKE}").json()]
    assert names == ["finance lake v2", "lake copy", "lake copy"]


def test_an_unknown_type_has_no_accounts(instance):
    answer = instance.call("GET", "/accounts/oracle-federated")
    assert (answer.status_code, answer.json()) == (200, [])


@pytest.mark.parametrize("account", ["41", "17"])
def test_a_candidate_has_four_fields_and_no_coordinates(instance, account):
    seen = list(instance.candidates(account).values())
    assert len(seen) == 30
    assert all(set(one) == {"id", "name", "migrated", "migrationDate"} for one in seen)
    assert {(one["migrated"], one["migrationDate"]) for one in seen} == {(False, None)}


@pytest.mark.parametrize("account", ["58", "63", "64"])
def test_the_candidates_of_an_account_are_those_of_its_type(instance, account):
    assert set(instance.candidates(account)) == {row["id"] for row in instance.rows(SNOWFLAKE)}
    assert len(instance.candidates(account)) == 14


def test_an_account_may_have_no_candidates(instance):
    assert instance.candidates("77") == {}


def test_ids_are_uuids_and_uuids_with_an_f_before_them(instance):
    ids = list(instance.candidates())
    assert all(re.fullmatch(f"F?{UUID}", key) for key in ids)
    assert {key.startswith("F") and len(key) == 37 for key in ids} == {True, False}


def test_ids_are_the_same_on_every_first_day(instance):
    before = instance.candidates()
    instance.forget()
    assert instance.candidates() == before


def test_mixed_case_names_and_the_word_null_are_among_the_coordinates(instance):
    places = list(instance.mapping.values())
    assert {place["schema"] for place in places} == {"NULL", "PUBLIC", "Reporting"}
    assert {"Orders", "order_lines", "InvoiceLines", "LEDGER_01", "BudgetPlan"} <= {place["table"] for place in places}


def test_the_list_of_thousands_comes_whole(instance):
    instance.switch(extra_datasources=2000)
    assert len(instance.candidates()) == 2030
    assert len(instance.candidates("58")) == 14


def test_extra_datasources_come_and_go_at_once_and_are_the_same_every_time(instance):
    instance.switch(extra_datasources=4)
    first = list(instance.candidates())
    instance.switch(extra_datasources=2)
    assert list(instance.candidates()) == first[:-2]
    instance.switch(extra_datasources=4)
    assert list(instance.candidates()) == first


def test_an_extra_datasource_can_be_migrated(instance):
    instance.switch(extra_datasources=1)
    row = instance.rows(MYSQL)[-1]
    instance.mapping[row["id"]] = row
    assert states(instance.migrate(row["id"])) == ["COMPLETE"]


# Who sees what


def test_the_analyst_sees_two_accounts(instance):
    seen = [instance.call("GET", f"/accounts/{kind}", ANALYST).json() for kind in (MYSQL, SNOWFLAKE, BIGQUERY)]
    assert [[account["id"] for account in accounts] for accounts in seen] == [["41"], ["58"], []]


def test_the_analyst_sees_the_candidates_of_these(instance):
    assert [len(instance.candidates(account, token=ANALYST)) for account in ("41", "58")] == [30, 14]


@pytest.mark.parametrize("account", ["17", "63", "77"])
def test_an_account_that_is_not_for_the_user_is_not_found(instance, account):
    answer = instance.call("GET", f"/candidates/{account}", ANALYST)
    assert refused(answer) == (404, f"The account {account} was not found.")


def test_an_account_that_nobody_has_is_not_found_in_the_same_words(instance):
    assert refused(instance.call("GET", "/candidates/99")) == (404, "The account 99 was not found.")


def test_the_analyst_may_neither_migrate_nor_reverse(instance, one):
    answers = [instance.migrate(one, token=ANALYST), instance.reverse(one, token=ANALYST)]
    assert [refused(answer) for answer in answers] == [(403, "You do not have permission to migrate datasources.")] * 2
    assert instance.state()["posts"] == []


# Tokens


@pytest.mark.parametrize("token", ["", "guess", ADMIN[:-1]])
def test_a_missing_or_unknown_token_is_401(instance, one, token):
    answers = [instance.call("GET", "/types", token), instance.migrate(one, token=token), instance.call("GET", "/nowhere", token)]
    assert [refused(answer) for answer in answers] == [NO_ACCESS] * 3


def test_an_authorization_header_is_not_looked_at(instance):
    answer = instance.call("GET", "/types", None, headers={"Authorization": f"Bearer {ADMIN}"})
    assert refused(answer) == NO_ACCESS


@pytest.mark.parametrize(("name", "old"), [("admin_token", ADMIN), ("analyst_token", ANALYST)])
def test_tokens_are_switches(instance, name, old):
    instance.switch(**{name: "another"})
    assert [instance.call("GET", "/types", token).status_code for token in (old, "another")] == [401, 200]


def test_an_empty_token_lets_nobody_in(instance):
    instance.switch(admin_token="")
    assert instance.call("GET", "/types", headers={"X-DOMO-Developer-Token": ""}, token=None).status_code == 401


def test_a_token_may_be_good_for_a_few_calls_only(instance):
    instance.switch(token_calls=2)
    assert [instance.call("GET", "/types").status_code for _ in range(4)] == [200, 200, 401, 401]


def test_every_token_expires_by_itself_and_a_new_one_is_good_again(instance):
    instance.switch(token_calls=1)
    assert [instance.call("GET", "/types", token).status_code for token in (ADMIN, ADMIN, ANALYST)] == [200, 401, 200]
    instance.switch(admin_token="renewed")
    assert instance.call("GET", "/types", "renewed").status_code == 200


def test_a_token_that_expired_starts_nothing(instance, one):
    instance.switch(token_calls=1)
    assert [instance.call("GET", "/types").status_code, instance.migrate(one).status_code] == [200, 401]
    assert instance.state()["operations"] == []


# Limits


def test_too_many_calls_in_a_minute_are_429_and_say_when(instance):
    instance.switch(rate_per_minute=2)
    answers = [instance.call("GET", "/types") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60


def test_the_minute_is_a_real_one(instance):
    instance.switch(rate_per_minute=1)
    instance.call("GET", "/types")
    instance.advance(3600)
    assert instance.call("GET", "/types").status_code == 429


def test_too_many_posts_under_way_are_429_and_were_not_handled(slow, one, another):
    slow.switch(per_instance=1)
    answer = slow.behind(slow.migrate, one)
    late = slow.migrate(another)
    assert (late.status_code, late.headers["retry-after"]) == (429, "1")
    assert slow.of("posts", another) is None
    slow.advance(5)
    assert states(answer.result()) == ["COMPLETE"]
    late = slow.behind(slow.migrate, another)
    slow.advance(5)
    assert states(late.result()) == ["COMPLETE"]


# Errors


def test_an_error_has_status_reason_path_message_and_a_toe(instance):
    body = instance.call("GET", "/candidates/9%209").json()
    assert set(body) == {"status", "statusReason", "path", "message", "toe"}
    assert (body["status"], body["statusReason"]) == (404, "Not Found")
    assert body["path"] == f"{BASE}/candidates/9%209".removeprefix("/domo")
    assert body["message"] == "The account 9 9 was not found."
    assert re.fullmatch(r"[A-Z0-9]{10}-[A-Z0-9]{5}-[A-Z0-9]{5}", body["toe"])


def test_the_status_reason_may_be_wrong(instance):
    instance.switch(status_reason="wrong")
    answer = instance.call("GET", "/types", "guess")
    assert (answer.status_code, answer.json()["status"]) == (401, 401)
    assert answer.json()["statusReason"] == "Internal Server Error"


def test_an_error_may_be_a_page(instance):
    instance.switch(html_errors=True, rate_per_minute=1)
    answers = [instance.call("GET", "/types", "guess"), instance.call("GET", "/candidates/99"), instance.call("GET", "/types")]
    assert [answer.status_code for answer in answers] == [401, 404, 429]
    assert all(answer.headers["content-type"].startswith("text/html") for answer in answers)
    assert "<title>HTTP Status 401 - Unauthorized</title>" in answers[0].text
    assert answers[2].headers["retry-after"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/types"),
        ("GET", "/some/reverse"),
        ("DELETE", "/candidates/41"),
        ("GET", "/types/"),
        ("GET", ""),
        ("GET", "/a/b/c"),
    ],
)
def test_other_paths_and_methods_are_not_there(instance, method, path):
    assert refused(instance.call(method, path)) == (404, "No such endpoint.")


def test_paths_outside_of_the_api_are_not_there(instance):
    answer = instance.http.get("/domo/api/query/v1/execute", headers={"X-DOMO-Developer-Token": ADMIN})
    assert refused(answer) == (404, "No such endpoint.")


def test_segments_are_decoded_one_by_one(instance):
    made = {"id": "odd/id 1%", "type": MYSQL, "catalog": "c", "schema": "NULL", "table": "t"}
    assert instance.control.post("/domo/records", json=made).status_code == 201
    instance.mapping["odd/id 1%"] = made
    assert states(instance.migrate("odd/id 1%")) == ["COMPLETE"]
    assert refused(instance.reverse("odd/id 2%")) == (404, "The datasource odd/id 2% was not found.")
