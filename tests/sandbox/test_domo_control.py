"""What rehearsals may do to the made-up Domo instance, and what they are told."""

import pytest
from tests.sandbox.instance import BIGQUERY, MYSQL, SNOWFLAKE, states

MADE = {"type": MYSQL, "catalog": "c", "schema": "NULL", "table": "T"}


def by_hand(instance, path="", **body):
    return instance.control.post(f"/domo/records{path}", json=body)


def said(answer):
    return answer.status_code, answer.json()["error"]


# Records


def test_a_datasource_made_by_hand_is_a_candidate(instance):
    key = by_hand(instance, **MADE, name="By hand").json()["id"]
    assert instance.candidates()[key] == {"id": key, "name": "By hand", "migrated": False, "migrationDate": None}
    instance.mapping[key] = MADE
    assert states(instance.migrate(key)) == ["COMPLETE"]


def test_a_datasource_made_by_hand_may_have_an_id_and_be_migrated(instance):
    answer = by_hand(instance, **MADE, id="F-1", migrated=True, accountId="17")
    assert (answer.status_code, answer.json()) == (201, {"id": "F-1"})
    assert instance.candidates()["F-1"]["migrated"]
    assert instance.state()["v2"] == [{"id": "F-1", "catalog": "c", "schema": "NULL", "table": "T", "accountId": "17"}]


def test_a_type_may_get_its_first_datasource_by_hand(instance):
    key = by_hand(instance, **MADE | {"type": BIGQUERY}).json()["id"]
    assert list(instance.candidates("77")) == [key]


def test_an_id_is_used_once(instance, one):
    assert said(by_hand(instance, **MADE, id=one)) == (409, f"There is a datasource {one} already.")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"type": "oracle-federated"}, "type is one of snowflake-federated, mysql-federated, bigquery-federated."),
        ({"catalog": ""}, "Post the texts type, catalog, schema, table, and id, name, migrated and accountId if wanted."),
        ({"schema": None}, "Post the texts type, catalog, schema, table, and id, name, migrated and accountId if wanted."),
        ({"name": 5}, "Post the texts type, catalog, schema, table, and id, name, migrated and accountId if wanted."),
        ({"colour": "x"}, "Post the texts type, catalog, schema, table, and id, name, migrated and accountId if wanted."),
        ({"migrated": True}, "migrated is true or false; if it is true, and only then, accountId says to which account."),
        ({"accountId": "41"}, "migrated is true or false; if it is true, and only then, accountId says to which account."),
        ({"migrated": "yes"}, "migrated is true or false; if it is true, and only then, accountId says to which account."),
        ({"migrated": True, "accountId": "58"}, "accountId is one of 41, 17 for a datasource of type mysql-federated."),
    ],
)
def test_a_record_that_makes_no_sense_is_refused_with_a_sentence(instance, wrong, words):
    assert said(by_hand(instance, **MADE | wrong)) == (400, words)
    assert len(instance.state()["datasources"]) == 44


def test_a_deleted_datasource_is_gone_everywhere(instance, one):
    instance.migrate(one)
    assert instance.control.delete(f"/domo/records/{one}").json() == {"deleted": one}
    assert one not in instance.candidates()
    assert (instance.of("datasources", one), instance.of("v2", one)) == (None, None)
    assert instance.migrate(one).status_code == 404
    assert instance.posts(one) == (1, 0, 1)


def test_an_extra_datasource_that_was_deleted_does_not_come_back(instance):
    instance.switch(extra_datasources=2)
    key = list(instance.candidates())[-1]
    instance.control.delete(f"/domo/records/{key}").raise_for_status()
    assert key not in instance.candidates()


# People


def test_people_migrate_and_reverse_at_once_and_uncounted(slow, one):
    assert by_hand(slow, f"/{one}/migrate", accountId="17").json()["accountId"] == "17"
    assert slow.candidates()[one]["migrated"]
    assert slow.of("v2", one) == {"id": one, "catalog": "sales_db", "schema": "NULL", "table": "Orders", "accountId": "17"}
    assert by_hand(slow, f"/{one}/reverse").json()["migrated"] is False
    assert slow.candidates()[one]["migrationDate"] is None
    state = slow.state()
    assert (state["posts"], state["operations"], state["most_at_once"]) == ([], [], 0)


def test_people_repair_what_is_broken(instance, one):
    instance.switch(outcomes=f"{one}:INCOMPLETE")
    instance.migrate(one)
    assert by_hand(instance, f"/{one}/migrate", accountId="41").json()["broken"] is False


def test_people_are_told_what_cannot_be_done(instance, one):
    assert said(by_hand(instance, "/nothing/migrate", accountId="41")) == (404, "The datasource nothing was not found.")
    assert said(instance.control.delete("/domo/records/nothing")) == (404, "The datasource nothing was not found.")
    assert said(by_hand(instance, f"/{one}/reverse")) == (409, f"The datasource {one} is not migrated.")
    wrong = (400, "accountId is one of 41, 17 for a datasource of type mysql-federated.")
    assert said(by_hand(instance, f"/{one}/migrate", accountId="58")) == wrong
    assert said(by_hand(instance, f"/{one}/migrate")) == wrong
    assert by_hand(instance, f"/{one}/migrate", accountId="41").status_code == 200
    assert said(by_hand(instance, f"/{one}/migrate", accountId="41")) == (409, f"The datasource {one} is migrated already.")


def test_people_keep_their_hands_off_what_is_under_way(slow, one):
    slow.behind(slow.migrate, one)
    words = (409, f"An operation on the datasource {one} is under way.")
    assert said(by_hand(slow, f"/{one}/migrate", accountId="41")) == words
    assert said(by_hand(slow, f"/{one}/reverse")) == words


# The mapping


def test_the_mapping_names_what_is_on_v1_now(instance, one):
    before = instance.rows(MYSQL)
    assert list(before[0]) == ["id", "catalog", "schema", "table"]
    assert before[0] == {"id": one, "catalog": "sales_db", "schema": "NULL", "table": "Orders"}
    instance.migrate(one)
    assert instance.rows(MYSQL) == before[1:]
    assert [len(instance.rows(kind)) for kind in (SNOWFLAKE, BIGQUERY)] == [14, 0]


def test_the_mapping_keeps_what_is_broken_on_v1(instance, one):
    instance.switch(outcomes=f"{one}:INCOMPLETE")
    instance.migrate(one)
    assert one in [row["id"] for row in instance.rows(MYSQL)]


def test_the_mapping_quotes_what_needs_it(instance):
    by_hand(instance, **MADE | {"table": 'a "b", c'})
    assert instance.rows(MYSQL)[-1]["table"] == 'a "b", c'


@pytest.mark.parametrize("query", [{}, {"type": "oracle-federated"}])
def test_the_mapping_is_for_one_type(instance, query):
    answer = instance.control.get("/domo/mapping.csv", params=query)
    assert said(answer) == (400, "Ask with ?type= one of snowflake-federated, mysql-federated, bigquery-federated.")


# The state


def test_the_state_of_the_first_day(instance):
    state = instance.state()
    assert set(state) == {"datasources", "v2", "posts", "most_at_once", "operations"}
    assert (state["v2"], state["posts"], state["most_at_once"], state["operations"]) == ([], [], 0, [])
    kinds = [one["type"] for one in state["datasources"]]
    assert (kinds.count(MYSQL), kinds.count(SNOWFLAKE), len(kinds)) == (30, 14, 44)


def test_the_state_tells_of_each_datasource_and_operation(instance, one):
    answer = instance.migrate(one).json()
    state = instance.state()
    assert state["datasources"][0] == {
        "id": one,
        "name": "Orders live",
        "type": MYSQL,
        "migrated": True,
        "broken": False,
        "accountId": "41",
        "migrationDate": answer["endTime"],
    }
    assert state["posts"] == [{"id": one, "migrates": 1, "reverses": 0, "starts": 1}]
    assert state["operations"] == [
        {name: answer[name] for name in ("toe", "datasourceId", "direction", "state", "startTime", "endTime")} | {"at_once": 1}
    ]


def test_a_reset_brings_the_first_day_back(instance, one):
    first = instance.state()
    instance.switch(extra_datasources=3, repeat_post="complete")
    instance.migrate(one)
    instance.control.post("/reset", params={"vendor": "domo"}).raise_for_status()
    assert instance.state() == first


def test_the_switches_are_described(instance):
    told = instance.control.get("/domo/switches").json()
    assert all(switch["description"] for switch in told)
    assert {switch["name"] for switch in told} >= {"migrate_seconds", "outcomes", "parallel_post", "extra_datasources"}


# Scripts


@pytest.mark.parametrize(("script", "account"), [("migrated", "41"), ("migrated_snowflake", "58")])
def test_a_scripted_migration_shows_in_the_candidate_list(instance, script, account):
    begun = instance.control.post(f"/domo/scripts/{script}").json()
    place, key = begun["ref"].split("/")
    assert (begun["ends"], place) == ("succeeded", account)
    instance.until(lambda: instance.candidates(account)[key]["migrated"])


def test_a_scripted_migration_can_be_played_again(instance):
    refs = [instance.control.post("/domo/scripts/migrated").json()["ref"] for _ in range(3)]
    assert len(set(refs)) == 3


def test_a_scripted_deletion_takes_the_datasource_out_of_the_list(instance):
    begun = instance.control.post("/domo/scripts/deleted").json()
    assert begun["ends"] == "failed_dirty"
    assert begun["ref"].removeprefix("41/") not in instance.candidates()
