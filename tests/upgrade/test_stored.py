"""What is stored under names of our code is found again by the next version, and by the one before it."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from airflow.sdk._shared.module_loading import import_string
from airflow.triggers.base import BaseTrigger
from tests.ledger.test_entries import result, standing
from tests.upgrade import stored
from tests.upgrade.recordings import RECORDINGS

from ferry.vendors.dmm.planning import Plan, plan_in
from ferry.vendors.domo.planning import kept, plan_of
from ferry.vendors.microstrategy.planning import target_project

ROWS = {path: names for path, *names in stored.frozen("trigger")}
CLASSES = stored.triggers()
RULE = "CONTRIBUTING, 'What is stored', says how such a thing is changed."


def found(path):
    try:
        return import_string(path)
    except ImportError:
        pytest.fail(
            f"{path} is gone, and rows in somebody's database name it: their tasks would fail. Keep an alias there. {RULE}"
        )


@pytest.mark.parametrize("path", ROWS)
def test_a_stored_trigger_is_where_its_row_says(path):
    assert issubclass(found(path), BaseTrigger)


@pytest.mark.parametrize("path", ROWS)
def test_a_row_of_an_earlier_version_has_all_that_the_class_demands(path):
    always = {name.rstrip("*") for name in ROWS[path] if name.endswith("*")}
    assert stored.required(found(path)) <= always, f"{path}: a new argument needs a default, as older rows have none. {RULE}"


@pytest.mark.parametrize("path", ROWS)
def test_a_row_of_an_earlier_version_loses_nothing(path):
    """An argument that was stored once is read, also under a name that has gone."""
    names = {name.rstrip("*") for name in ROWS[path]}
    assert names <= set(stored.sample(found(path)).serialize()[1]), f"{path}: an argument is stored no more. {RULE}"


@pytest.mark.parametrize("kind", CLASSES.values(), ids=CLASSES)
def test_every_argument_that_has_a_default_may_be_missing_in_a_row(kind):
    path, whole = stored.sample(kind).serialize()
    for name in whole.keys() - stored.required(kind):
        rest = {key: value for key, value in whole.items() if key != name}
        assert kind(**rest).serialize() == (path, whole), name


@pytest.mark.parametrize("kind", CLASSES.values(), ids=CLASSES)
def test_a_row_of_a_newer_version_is_read(kind):
    path, whole = stored.sample(kind).serialize()
    assert kind(**whole, invented_by_a_newer_ferry={"a": [1]}).serialize() == (path, whole)


@pytest.mark.parametrize("kind", CLASSES.values(), ids=CLASSES)
def test_a_class_stores_the_path_under_which_it_is_found(kind):
    assert import_string(stored.sample(kind).serialize()[0]) is kind


@pytest.mark.parametrize(("where", "method"), stored.frozen("method"))
def test_a_task_that_has_put_itself_aside_can_go_on(where, method):
    assert callable(getattr(found(where), method, None)), f"a task that waits goes on with {method} of {where}. {RULE}"


@pytest.mark.parametrize(("field", "word"), stored.frozen("word"))
def test_a_word_in_the_ledger_is_known_for_ever(field, word):
    assert word in {known.value for known in stored.WORDS[field]}, f"entries say {field} {word!r}. {RULE}"


def test_every_version_that_was_released_has_left_a_recording():
    released = stored.releases()
    assert "0.1.0" in released
    assert {recording.version for recording in RECORDINGS} >= set(released), f"Record it with tests/upgrade/record.py. {RULE}"


# What a check leaves in the ledger for later steps, with something in it that only a newer Ferry knows

NEWER = {"invented_by_a_newer_ferry": 1}
DOMO = {"account_id": "a", "at_once": 4, "on_incomplete": "ask", "repeats": 1, "already_migrated": "skip", "reversal": "ask"}


def checked(**data):
    found = standing(result("check_batch", data={"passed": True} | data))
    return SimpleNamespace(standing=found, attempt=found.attempt)


def test_domos_plan_of_a_newer_version_is_read():
    assert plan_of(checked(plan=DOMO | NEWER)).account_id == "a"


def test_domos_mapping_of_a_newer_version_is_read(tmp_path):
    file = tmp_path / "mapping.csv"
    file.write_text("id,catalog,schema,table,already,unfinished,invented_by_a_newer_ferry\nd,c,s,t,,,1\n", "utf-8")
    work = checked()
    work.standing = standing(result("check_batch", key="mapping", evidence_path="mapping.csv"))
    work.evidence = SimpleNamespace(fetch=lambda *_: file)
    work.desk = lambda: nullcontext(tmp_path)
    assert [item.id for item in kept(work)] == ["d"]


def test_microstrategys_projects_of_a_newer_version_are_read():
    project = target_project(checked(projects=[{"source": None, "target": {"id": "p", "name": "P"} | NEWER}]))
    assert (project.id, project.name) == ("p", "P")


def test_dmms_plan_of_a_newer_version_is_read():
    told = dict.fromkeys(Plan.__slots__) | {"zip_name": "a.zip", "records": [["E", 1]]}
    assert plan_in(checked(plan=told | NEWER).standing).records == {"E": 1}
