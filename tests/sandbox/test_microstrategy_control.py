"""Rehearsing with the made-up Libraries: records made by hand, the state, the scripts, the page about the switches."""

import json
from pathlib import Path

import pytest
from tests.sandbox.library import FINANCE, MARKETING, PROFIT, REGION, SALES, member, package, thing

import sandbox
from ferry.vendors.microstrategy.sandbox import SANDBOX

KEY = "A" * 32 + ":" + "B" * 32
BODY = {"packageInfo": package(project={"id": SALES}), "importInfo": {"project": {"id": SALES}}}


# By hand


def test_a_record_made_by_hand_is_created_at_once_and_not_counted(both):
    both.switch(package_seconds=60.0)
    made = both.by_hand(environment="source", kind="migration", id=KEY, name="by hand", body=BODY)
    assert (made.status_code, made.json()) == (201, {"id": KEY})
    seen = both.source.look(KEY)["packageInfo"]
    assert (seen["name"], seen["status"], seen["project"]["name"]) == ("by hand", "created", "Sales")
    assert both.state()["counters"]["creates"] == 0


def test_a_record_made_by_hand_may_still_be_in_the_making(both):
    both.switch(package_seconds=60.0)
    key = both.by_hand(name="by hand", created=False, body=BODY).json()["id"]
    assert both.source.look(key)["packageInfo"]["status"] == "creating"


@pytest.mark.parametrize(
    ("request_", "status"), [("pending", "created"), ("requested", "created"), ("approved", "locked"), ("rejected", "created")]
)
def test_a_record_made_by_hand_may_have_been_asked_for(both, request_, status):
    key = both.by_hand(name="by hand", importRequestStatus=request_, body=BODY).json()["id"]
    seen = both.source.look(key)
    assert (seen["importInfo"]["importRequestStatus"], seen["packageInfo"]["status"]) == (request_, status)


def test_an_approved_record_made_by_hand_can_be_imported(both):
    key = both.by_hand(name="by hand", importRequestStatus="approved", body=BODY).json()["id"]
    assert both.bring(key).status_code == 201


def test_a_record_made_by_hand_may_be_on_the_target_already(both):
    key = both.by_hand(name="by hand", imported_on="target", body=BODY).json()["id"]
    seen = both.target.look(key)
    assert (seen["packageInfo"]["replicated"], seen["importInfo"]["status"]) == (True, "imported")
    assert set(both.held()) == {REGION}
    both.target.undo(key)
    assert both.held() == {}


def test_marketing_by_hand_arrives_in_the_targets_marketing(both):
    told = {"packageInfo": package(project={"name": "Marketing"})}
    both.by_hand(name="by hand", imported_on="target", body=told)
    assert set(both.held("Marketing")) == {REGION}


def test_a_group_can_be_made_by_hand(both):
    body = {"migrations": [member(FINANCE), member(SALES, thing(PROFIT, 4))]}
    made = both.by_hand(kind="group", id=KEY, name="by hand", imported_on="target", body=body)
    assert made.json() == {"id": KEY}
    group = both.target.look(KEY, "migrationGroups")
    assert [one["importInfo"]["status"] for one in group["migrations"]] == ["imported", "imported"]
    assert set(both.held()) == {PROFIT}


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"body": BODY},
        {"name": "x", "body": {"packageInfo": package()}},
        {"name": "x", "body": BODY, "environment": "elsewhere"},
        {"name": "x", "body": BODY, "kind": "package"},
        {"name": "x", "body": BODY, "id": "1:2"},
        {"name": "x", "body": BODY, "importRequestStatus": "perhaps"},
        {"name": "x", "body": BODY, "imported_on": "source"},
        {"name": "x", "body": BODY, "locked": "Sales"},
        {"name": "x", "body": BODY, "colour": "red"},
    ],
)
def test_a_record_that_makes_no_sense_is_refused(both, wanted):
    assert both.by_hand(**wanted).status_code == 400


def test_an_id_is_used_once(both):
    assert [both.by_hand(id=KEY, name="x", body=BODY).status_code for _ in range(2)] == [201, 400]


# The state


def test_the_state_shows_both_environments_and_what_really_happened(both):
    key = both.moved()
    seen = both.state()
    assert [record["id"] for record in seen["source"]["migrations"]] == [key]
    assert seen["target"]["migrations"] == [both.target.look(key)]
    assert seen["packages"] == [
        {"id": key.split(":")[0], "name": "spring release", "environment": "source", "creates": 1, "edits": 0}
    ]
    assert seen["runs"] == [{"id": key, "environment": "target", "starts": 1, "repeats": 0, "undos": 0}]
    assert (seen["counters"]["creates"], seen["counters"]["imports"]) == (1, 1)


def test_the_state_of_a_group_goes_by_its_kind_and_id(both):
    key = both.source.group(member(SALES)).json()["id"]
    seen = both.state()
    assert [group["id"] for group in seen["source"]["groups"]] == [key]
    assert [one["id"] for one in seen["packages"]] == [f"migrationGroups/{key}"]


def test_every_project_has_a_place_for_objects(both):
    seen = both.state()
    assert set(seen["source"]["objects"]) == {"Sales", "Finance", "Marketing", "HR", "configuration"}
    assert set(seen["target"]["objects"]) == {"Sales", "Finance", "Marketing", "configuration"}


def test_a_look_at_the_state_does_not_count_as_a_look(both):
    both.switch(status_looks=1)
    key = both.source.made()
    both.state()
    assert [both.source.look(key)["packageInfo"]["status"] for _ in range(2)] == ["creating", "created"]


def test_a_reset_forgets_everything(both):
    both.moved()
    both.control.post("/reset").raise_for_status()
    seen = both.state()
    assert [seen[side][what] for side in ("source", "target") for what in ("migrations", "logins")] == [[], 0, [], 0]
    assert (seen["runs"], seen["target"]["objects"]["Sales"]) == ([], [])


def test_a_lost_answer_to_an_import_has_started_it_once(both):
    key = both.source.locked()
    rule = {"method": "PUT", "path": "*/target/*/api/migrations/*", "action": "status", "status": 503}
    both.control.post("/microstrategy/faults", json=rule).raise_for_status()
    assert [both.bring(key).status_code, both.bring(key).status_code] == [503, 201]
    assert both.state()["counters"]["imports"] == 1


# Scripts


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("imported", ["imported"]),
        ("import_failed", ["import_failed"]),
        ("undone", ["undo_success"]),
        ("undo_failed", ["undo_failed"]),
        ("imported_group", ["imported", "imported"]),
        ("group_with_a_failed_member", ["imported", "import_failed"]),
    ],
)
def test_a_script_ends_as_it_says(both, script, words):
    ref = both.control.post(f"/microstrategy/scripts/{script}").json()["ref"]
    for _ in range(4):
        both.advance(5)
        kind, _, key = ref.rpartition("/")
        seen = both.target.look(key, kind or "migrations")
    assert [one["importInfo"]["status"] for one in seen.get("migrations", [seen])] == words


def test_a_script_plays_on_the_target():
    assert {script.connection for script in SANDBOX.SCRIPTS.values()} == {"microstrategy_target"}


def test_marketing_is_a_trap_on_purpose(both):
    key = both.source.made(project=MARKETING)
    assert both.target.call("GET", f"/projects/{both.source.look(key)['packageInfo']['project']['id']}").status_code == 404


# The page


@pytest.mark.parametrize("switch", SANDBOX.SWITCHES, ids=lambda switch: switch.name)
def test_the_readme_lists_every_switch_as_it_is(switch):
    readme = Path(sandbox.__file__).with_name("README.md").read_text(encoding="utf-8")
    section = readme[readme.index("## MicroStrategy") :]
    row = next(line for line in section.splitlines() if line.startswith(f"| `{switch.name}` |"))
    wanted = json.dumps(switch.default).strip('"') or "(empty)"
    assert f"| {wanted} |" in row
    assert switch.description in row
