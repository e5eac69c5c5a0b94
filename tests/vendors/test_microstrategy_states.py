"""What the words of one record, or of all members of a group, come to: packages, imports and undos."""

import itertools

import pytest
from tests.playing import calls, play, said

from ferry.core.api import Patience
from ferry.core.errors import VendorNonsense
from ferry.core.model import Run, RunState
from ferry.vendors.microstrategy.api import MicroStrategyApi
from ferry.vendors.microstrategy.shapes import seen_import, seen_package, seen_undo

RUN = Run("A1" * 16 + ":" + "B2" * 16)
RUNNING, SUCCEEDED, CLEAN, DIRTY = RunState.RUNNING, RunState.SUCCEEDED, RunState.FAILED_CLEAN, RunState.FAILED_DIRTY
QUEUED, CANCELLED = RunState.QUEUED, RunState.CANCELLED


def member(package="locked", importing="pending", *, undo=False, name="Sales", **halves):
    storage = {"undoStorage": {"size": 9, "path": "mstr/shared/x.mmp"} if undo else {}}
    return {
        "packageInfo": {"status": package, "project": {"name": name}} | halves.get("info", {}),
        "importInfo": {"status": importing} | storage | halves.get("aim", {}),
    }


def group(*members):
    return {"id": "x", "migrations": list(members)}


def packages(*words):
    return group(*(member(word) for word in words))


def imports(*words):
    """Words with a plus behind them have an undo package."""
    return group(*(member(importing=word.removesuffix("+"), undo=word.endswith("+")) for word in words))


# Packages

PACKAGES = [
    (("creating", "empty", "empty"), RUNNING),
    (("created", "creating", "empty"), RUNNING),
    (("created", "created", "empty"), RUNNING),
    (("created", "created", "created"), SUCCEEDED),
    (("locked", "locked", "locked"), SUCCEEDED),
    (("locked", "created", "locked"), SUCCEEDED),
    (("created", "create_failed", "empty"), CLEAN),
    (("created", "created_failed", "empty"), CLEAN),
    (("create_failed", "creating", "created"), CLEAN),
    (("created", "created", "unknown"), RUNNING),
    (("created", "created", "archived"), RUNNING),
    (("created", "created", ""), RUNNING),
]


@pytest.mark.parametrize(("words", "state"), PACKAGES)
def test_a_group_is_made_when_all_its_packages_are_and_failed_when_one_is(words, state):
    assert {seen_package(RUN, packages(*order)).state for order in itertools.permutations(words)} == {state}


@pytest.mark.parametrize(
    ("word", "state"),
    [("creating", RUNNING), ("created", SUCCEEDED), ("locked", SUCCEEDED), ("create_failed", CLEAN), ("created_failed", CLEAN)],
)
def test_a_migration_is_its_own_only_package(word, state):
    seen = seen_package(RUN, member(word))
    assert (seen.ref, seen.state, seen.word) == (RUN.ref, state, word)


# Imports

IMPORTS = [
    (("pending", "pending"), QUEUED),
    (("importing", "pending"), RUNNING),
    (("imported", "pending"), RUNNING),
    (("imported", "importing"), RUNNING),
    (("imported", "imported"), SUCCEEDED),
    (("import_failed", "pending"), DIRTY),
    (("imported", "import_failed"), DIRTY),
    (("import_failed", "importing"), RUNNING),
    (("import_failed", "undoing"), RUNNING),
    (("undo_success", "undo_success"), CANCELLED),
    (("undo_success", "pending"), CANCELLED),
    (("undo_success", "imported"), DIRTY),
    (("undo_success", "undo_failed"), DIRTY),
    (("undo_success", "import_failed"), DIRTY),
    (("undo_failed", "pending"), DIRTY),
    (("imported", "unknown"), RUNNING),
    (("import_failed", "unknown"), RUNNING),
    (("imported", ""), RUNNING),
]


@pytest.mark.parametrize(("words", "state"), IMPORTS)
def test_an_import_of_a_group_is_over_when_nothing_is_being_worked_on(words, state):
    assert {seen_import(RUN, imports(*order)).state for order in itertools.permutations(words)} == {state}


@pytest.mark.parametrize(("words", "state"), [(("undo_success", "imported", "pending"), DIRTY), (("importing",) * 3, RUNNING)])
def test_an_import_of_three_is_no_other_matter(words, state):
    assert {seen_import(RUN, imports(*order)).state for order in itertools.permutations(words)} == {state}


# Undos

UNDOS = [
    (("imported+",), RUNNING),
    (("undoing+",), RUNNING),
    (("undo_success",), CANCELLED),
    (("undo_failed+",), DIRTY),
    (("import_failed+",), RUNNING),
    (("imported+", "undoing+"), RUNNING),
    (("undo_success", "undoing+"), RUNNING),
    (("undo_success", "imported+"), RUNNING),
    (("undo_failed+", "imported+"), RUNNING),
    (("undo_failed+", "undoing+"), RUNNING),
    (("undo_success", "undo_success"), CANCELLED),
    (("undo_success", "undo_failed"), DIRTY),
    (("undo_success", "pending"), CANCELLED),
    (("undo_success", "import_failed"), DIRTY),
    (("undo_success", "imported"), DIRTY),
    (("undo_success", "import_failed+"), RUNNING),
    (("undo_success", "unknown"), RUNNING),
    (("undo_failed", "resting"), RUNNING),
    (("undo_success", ""), RUNNING),
]


@pytest.mark.parametrize(("words", "state"), UNDOS)
def test_an_undo_is_over_when_every_member_that_can_be_undone_was(words, state):
    assert {seen_undo(RUN, imports(*order)).state for order in itertools.permutations(words)} == {state}


@pytest.mark.parametrize("look", [seen_package, seen_import, seen_undo])
@pytest.mark.parametrize("word", ["", "unknown", "CREATED", "Imported", "undone", "finished", "cancelled", "5"])
def test_an_unknown_word_ends_nothing(look, word):
    seen = look(RUN, member(word, word))
    assert (seen.state, seen.word) == (RUNNING, word)


# Word, progress and reason


def test_different_words_of_a_group_are_counted():
    assert seen_import(RUN, imports("imported", "importing", "imported")).word == "imported x 2, importing x 1"


@pytest.mark.parametrize(
    ("told", "counters"),
    [
        ([100], {"progress": 100}),
        ([100.0], {"progress": 100}),
        ([33.4], {"progress": 33}),
        ([0], {"progress": 0}),
        ([None], {"progress": 0}),
        (["50"], {}),
        ([100.0, 50, 0], {"progress": 50, "members": 3}),
        ([100, "?"], {"progress": 100, "members": 2}),
    ],
)
def test_progress_is_whole_percent_over_all_members_however_it_is_written(told, counters):
    every = [member(aim={"progress": number}) for number in told]
    assert seen_import(RUN, group(*every) if len(every) > 1 else every[0]).counters == counters


def test_the_reason_of_a_migration_is_the_vendors_message():
    assert seen_package(RUN, member("create_failed", info={"message": "No such object."})).detail == "No such object."
    assert seen_import(RUN, member(importing="import_failed", aim={"message": "It is used."})).detail == "It is used."


def test_the_reason_of_a_group_names_the_project():
    failed = member(importing="import_failed", name="Finance", aim={"message": "It is used."})
    assert seen_import(RUN, group(member(importing="imported", aim={"message": ""}), failed)).detail == "Finance: It is used."


def test_a_reason_of_the_other_half_is_not_taken_for_this_one():
    assert seen_import(RUN, member("create_failed", info={"message": "No such object."})).detail == ""


@pytest.mark.parametrize("odd", [[], None, "text", {}, [5], [{}, None]])
def test_a_group_without_its_members_is_nonsense(odd):
    with pytest.raises(VendorNonsense, match="without its members; look at it in Workstation"):
        seen_import(RUN, {"migrations": odd})


@pytest.mark.parametrize("odd", [{}, {"packageInfo": None, "importInfo": []}, {"packageInfo": "x", "importInfo": 5}])
def test_a_record_without_its_halves_is_still_at_work(odd):
    assert {look(RUN, odd).state for look in (seen_package, seen_import, seen_undo)} == {RUNNING}


# Looks


@pytest.mark.parametrize("ref", [RUN.ref, f"migrationGroups/{RUN.ref}"])
@pytest.mark.parametrize(("verb", "state"), [("look_prepared", SUCCEEDED), ("look", RUNNING), ("look_undo", RUNNING)])
def test_each_wait_reads_its_own_words_of_the_same_record(ref, verb, state):
    api = MicroStrategyApi("https://lib.example", patience=Patience(tries=1))
    one = member("locked", "undoing")
    seen, asks = play(getattr(api, verb)(Run(ref)), said(200, group(one) if "/" in ref else one))
    whole = "?showContent=all" if verb == "look_prepared" and "/" in ref else ""  # [D] only so does a group tell of its packages
    assert calls(asks) == [f"GET /api/{ref if '/' in ref else 'migrations/' + ref}{whole}"]
    assert (seen.ref, seen.state) == (ref, state)
