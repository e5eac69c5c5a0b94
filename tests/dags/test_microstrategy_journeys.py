"""Whole batches through MicroStrategy's DAGs against the sandbox: migrations, groups, edits, certifications, undo."""

import pytest
from libraries import ATTRIBUTE, AUTO, METRIC, MIGRATE, RULES, SALES, UNDO, USERS

from ferry.ledger.entries import Kind, Verdict
from ferry.steps.people import APPROVE, REJECT

EDIT, CERTIFY = "edit_microstrategy", "certify_microstrategy"


def plays(driver, dag, batch_id="b", **conf):
    run = driver.play(dag, batch_id=batch_id, **conf)
    assert run.state == "success", run.messages
    return run


# Migrations and groups


def test_a_migration_is_made_approved_imported_and_balances(libraries, driver):
    libraries.migration()
    plays(driver, MIGRATE)
    libraries.holds()
    last = libraries.last()
    assert (last.verdict, last.counts.sent, last.word) == (Verdict.BALANCED, 2, "imported")
    assert libraries.objects()[ATTRIBUTE] == "replace"
    assert libraries.objects()[METRIC] == "force_replace"


def test_a_group_is_imported_member_by_member_configuration_first(libraries, driver):
    libraries.group()
    plays(driver, MIGRATE)
    libraries.holds()
    last = libraries.last()
    assert (last.counts.accepted, last.ref.partition("/")[0]) == (4, "migrationGroups")
    group = libraries.record(last.ref)
    assert [member["packageInfo"]["type"] for member in group["migrations"]] == ["configuration", "project", "project"]
    assert libraries.objects("configuration") == {USERS: "replace"}


def test_dependents_come_along_and_are_no_surplus(libraries, driver):
    brings = SALES | {"objects": [SALES["objects"][0] | {"include_dependents": True}]}
    libraries.batch("b", {"packages": [brings]} | AUTO)
    libraries.switch(dependents=3)
    plays(driver, MIGRATE)
    assert len(libraries.objects()) == 4
    assert libraries.last().counts.sent == 1


@pytest.mark.parametrize("told", [True, False])
def test_dependents_are_told_apart_also_where_the_vendor_does_not_mark_them(libraries, driver, told):
    brings = SALES | {"objects": [SALES["objects"][0] | {"include_dependents": True}]}
    libraries.batch("b", {"packages": [brings]} | AUTO)
    libraries.switch(dependents=2, explicit_flag=told)
    plays(driver, MIGRATE)
    libraries.holds()


def test_an_object_list_may_be_a_file_with_names_for_types(libraries, driver):
    header = '"id","type","action","include_dependents","name"\n'
    lines = f'{header}"{ATTRIBUTE}","attribute","replace","true","Région"\n"{METRIC}","4","","false",""\n'
    libraries.batch("b", {"packages": [SALES | {"objects": "sales.csv"}]} | AUTO, {"sales.csv": lines})
    plays(driver, MIGRATE)
    assert libraries.last().counts.accepted == 2
    assert libraries.objects()[METRIC] == "use_existing"


def test_a_project_that_has_another_id_on_the_target_is_found_by_its_name(libraries, driver):
    libraries.batch("b", {"packages": [SALES | {"project": "Marketing"}]} | AUTO)
    plays(driver, MIGRATE)
    assert libraries.last().counts.accepted == 2
    assert libraries.objects("Marketing")


def test_a_project_may_go_into_another_one(libraries, driver):
    libraries.batch("b", {"packages": [SALES | {"target_project": "Finance"}]} | AUTO)
    plays(driver, MIGRATE)
    assert set(libraries.objects("Finance")) == {ATTRIBUTE, METRIC}
    assert libraries.objects("Sales") == {}


def test_a_project_merge_has_rules_and_no_objects(libraries, driver):
    merge = {"validate_dependencies": True, "types": [{"type": "report", "subtype": 768, "action": "use_newer"}]}
    libraries.batch("b", {"packages": [{"project": "Sales", "rules": RULES, "merge": merge}]} | AUTO)
    plays(driver, MIGRATE)
    last = libraries.last()
    assert last.counts.accepted == 1
    sent = libraries.record(last.ref, "source")["packageInfo"]
    assert sent["purpose"] == "project_merge"
    assert sent["tocView"]["settings"]["objectTypeActions"] == [{"type": 3, "subtype": 768, "action": "use_newer"}]


def test_source_and_target_may_be_one_library(libraries, driver):
    elsewhere = SALES | {"target_project": "Finance"}
    libraries.batch("b", {"packages": [elsewhere], "source": "microstrategy_target", "certify": True} | AUTO)
    plays(driver, MIGRATE)
    libraries.holds()
    assert libraries.record(libraries.last().ref)["packageInfo"]["replicated"] is False


def test_a_package_is_validated_certified_imported_and_deleted_where_the_manifest_asks_for_it(libraries, driver):
    libraries.migration(validation=True, certify=True, clean_up=True)
    plays(driver, MIGRATE)
    libraries.holds()
    assert libraries.last().results[("await_validation", "")].word == "validated"
    assert libraries.last().results[("sync_certification", "")].word == "certified"
    state = libraries.state
    assert (state["source"]["migrations"], state["target"]["migrations"]) == ([], [])
    assert libraries.objects()


def test_the_certification_stands_on_both_sides_with_the_same_operator_and_date(libraries, driver):
    libraries.migration(certify=True)
    plays(driver, MIGRATE)
    ref = libraries.last().ref
    sides = [libraries.record(ref, side)["packageInfo"]["certification"] for side in ("source", "target")]
    assert sides[0] == sides[1]
    assert sides[0]["status"] == "certified"


def test_a_group_can_be_certified_and_deleted_too(libraries, driver):
    libraries.group(certify=True, clean_up=True)
    plays(driver, MIGRATE)
    assert libraries.state["target"]["groups"] == []


# Files


def test_a_package_travels_as_a_file_where_the_libraries_share_no_storage(libraries, driver):
    libraries.migration(transport="file", clean_up=True)
    plays(driver, MIGRATE)
    libraries.holds()
    assert libraries.last().counts.accepted == 2
    assert libraries.state["target"]["files"] == []
    assert libraries.objects()[ATTRIBUTE] == "replace"


@pytest.fixture
def package_file(libraries, driver):
    """The bytes of a package that was downloaded earlier."""
    libraries.migration("earlier")
    plays(driver, MIGRATE, "earlier")
    from ferry.vendors.microstrategy.hook import MicroStrategyHook

    hook, path = MicroStrategyHook("microstrategy_source"), libraries.house.home / "earlier.mmp"
    from ferry.core.model import Run

    hook.call(lambda api: api.download(Run(libraries.last("earlier").ref), path))
    hook.close()
    libraries.house.control("POST", "/reset")
    return path.read_bytes()


def test_a_package_file_of_the_batch_is_uploaded_and_imported(libraries, driver, package_file):
    told = {"file": "release.mmp", "target_project": "Sales", "objects": SALES["objects"]}
    libraries.batch("b", {"package_file": told} | AUTO, {"release.mmp": package_file})
    plays(driver, MIGRATE)
    libraries.holds()
    assert libraries.last().counts.accepted == 2
    assert libraries.objects()[ATTRIBUTE] == "replace"


def test_a_package_file_of_which_nothing_is_known_counts_as_one(libraries, driver, package_file):
    libraries.batch(
        "b", {"package_file": {"file": "release.mmp", "target_project": "Sales"}} | AUTO, {"release.mmp": package_file}
    )
    plays(driver, MIGRATE)
    assert libraries.last().counts.accepted == 1


def test_a_package_file_that_does_not_hold_what_was_expected_does_not_balance(libraries, driver, package_file):
    told = {"file": "release.mmp", "target_project": "Sales", "objects": [SALES["objects"][0]]}
    libraries.batch("b", {"package_file": told} | AUTO, {"release.mmp": package_file})
    run = driver.play(MIGRATE, batch_id="b")
    assert run.state == "failed"
    assert libraries.last().verdict is Verdict.UNBALANCED
    assert METRIC in libraries.evidence("b", "reconcile", "extra.csv")


def test_bytes_that_are_no_package_end_red_with_the_vendors_words(libraries, driver):
    libraries.batch("b", {"package_file": {"file": "x.mmp", "target_project": "Sales"}} | AUTO, {"x.mmp": b"not a package"})
    run = driver.play(MIGRATE, batch_id="b")
    assert run.state == "failed"
    assert "The import ended 'import_failed'" in run.message
    libraries.holds()


def test_a_package_is_used_once_more(libraries, driver):
    libraries.migration("first")
    plays(driver, MIGRATE, "first")
    package = libraries.last("first").ref.partition(":")[0]
    libraries.batch("b", {"reuse": {"package": package, "target_project": "Sales"}} | AUTO)
    plays(driver, MIGRATE)
    assert libraries.last().counts.accepted == 2
    assert libraries.last().ref.partition(":")[0] == package
    assert len(libraries.state["packages"]) == 1


# People


def test_a_person_is_shown_what_is_imported_and_says_yes(libraries, driver):
    libraries.migration(approval="ask", validation=True)
    run = driver.play(MIGRATE, batch_id="b")
    assert (run.state, run.states["approve"]) == ("running", "awaiting_input")
    (asked,) = driver.asked
    for told in ("Sales", "attribute", "replace", "metric", "force_replace", "source", "target", "Petra", "validated"):
        assert told in asked.body, told
    assert ATTRIBUTE not in asked.body
    assert libraries.state["counters"]["imports"] == 0
    driver.answer(run, APPROVE, {"comment": "agreed in the board"}, batch_id="b")
    assert run.state == "success", run.messages
    (said,) = [entry for entry in libraries.last().entries if entry.step == "approve" and entry.kind is Kind.RESULT]
    assert said.note == "Petra said approve: agreed in the board."
    libraries.holds()


def test_a_no_sends_nothing_and_another_trigger_asks_about_another_package(libraries, driver):
    libraries.migration(approval="ask")
    run = driver.play(MIGRATE, batch_id="b")
    before = libraries.sent()
    driver.answer(run, REJECT, {"comment": "not before the audit"}, batch_id="b")
    assert run.state == "failed"
    assert libraries.sent() == before
    assert libraries.last().verdict is Verdict.ABANDONED
    assert "not before the audit" in run.errors["approve"][-1]
    again = driver.play(MIGRATE, batch_id="b")
    driver.answer(again, APPROVE, batch_id="b")
    assert again.state == "success", again.messages
    assert len(libraries.state["packages"]) == 2
    libraries.holds()


def test_a_package_that_is_edited_after_it_was_approved_is_not_imported(libraries, driver):
    libraries.migration(approval="ask")
    run = driver.play(MIGRATE, batch_id="b")
    edit = {"edit": {"batch": "b"}, "packages": [SALES | {"objects": [SALES["objects"][0] | {"action": "delete"}]}]}
    libraries.batch("sneaky", edit, dag=EDIT, connection="microstrategy_source")
    plays(driver, EDIT, "sneaky")
    driver.answer(run, APPROVE, batch_id="b")
    assert run.state == "failed"
    assert run.errors["lock_package"][-1].startswith("The package was changed at the source after it was checked and approved.")
    assert libraries.state["counters"]["imports"] == 0
    assert libraries.last().verdict is Verdict.REFUSED


# What fails


def test_a_package_that_cannot_be_made_is_red_with_the_vendors_reason(libraries, driver):
    libraries.migration()
    libraries.switch(missing_objects=METRIC)
    run = driver.play(MIGRATE, batch_id="b")
    assert run.state == "failed"
    assert METRIC in run.errors["validate_package"][-1]
    assert libraries.last().verdict is Verdict.REFUSED
    assert libraries.state["counters"]["imports"] == 0


def test_a_group_with_one_package_that_cannot_be_made_fails_fast(libraries, driver):
    libraries.group()
    libraries.switch(missing_objects=METRIC)
    run = driver.play(MIGRATE, batch_id="b")
    assert run.state == "failed"
    assert libraries.last().verdict is Verdict.REFUSED
    libraries.holds()


def test_a_failed_validation_stops_the_batch_before_anyone_is_asked(libraries, driver):
    libraries.migration(validation=True, approval="ask")
    libraries.switch(fail_validation="*")
    run = driver.play(MIGRATE, batch_id="b")
    assert run.state == "failed"
    assert "it would fail there (validation_failed)" in run.errors["check_package"][-1]
    assert driver.asked == []
    assert libraries.last().verdict is Verdict.REFUSED


def test_clocks_that_differ_are_named(libraries, driver):
    libraries.migration(validation=True)
    libraries.switch(clock_skew_seconds=400.0)
    run = driver.play(MIGRATE, batch_id="b")
    assert run.state == "failed"
    assert "The time difference between the source and target environments should be five minutes or less" in run.messages


def test_a_package_that_lacks_an_object_or_has_another_action_is_not_imported(libraries, driver):
    libraries.migration()
    libraries.switch(drop_objects=1)
    run = driver.play(MIGRATE, batch_id="b")
    assert run.errors["check_package"][-1].startswith("The package is not what was asked for: 1 objects missing. ")
    libraries.switch(drop_objects=0, swap_action=ATTRIBUTE)
    again = driver.play(MIGRATE, batch_id="b")
    assert "1 objects with another type or action" in again.errors["check_package"][-1]
    assert libraries.state["counters"]["imports"] == 0


def test_objects_that_the_target_does_not_report_leave_the_batch_unbalanced(libraries, driver):
    libraries.migration()
    libraries.switch(lose_objects=1)
    run = driver.play(MIGRATE, batch_id="b")
    assert run.state == "failed"
    last = libraries.last()
    assert (last.verdict, last.counts.accepted, last.counts.unprocessed) == (Verdict.UNBALANCED, 1, 1)
    assert METRIC in libraries.evidence("b", "reconcile", "missing.csv")
    waived = driver.play(
        "waive_records", vendor="microstrategy", batch_id="b", records=[f"Sales,{METRIC}"], reason="made by hand there"
    )
    assert waived.state == "success", waived.messages
    driver.clear(run, "reconcile", batch_id="b")
    assert run.state == "success", run.messages
    assert libraries.last().counts.waived == 1


def test_a_failed_import_is_undone_where_the_manifest_asks_for_it(libraries, driver):
    libraries.migration(on_import_failed="undo")
    libraries.switch(fail_import="*")
    run = driver.play(MIGRATE, batch_id="b")
    assert run.state == "failed"
    libraries.holds()
    last = libraries.last()
    assert (last.verdict, last.word, last.counts.unprocessed) == (Verdict.REFUSED, "undo_success", 2)
    assert last.reason.endswith(
        "It was taken back: its 2 objects are on the target as they were before. Correct the cause and trigger the batch again."
    )
    assert libraries.objects() == {}
    libraries.switch(fail_import="")
    plays(driver, MIGRATE)
    assert [attempt.verdict for attempt in libraries.standing().attempts] == [Verdict.REFUSED, Verdict.BALANCED]


def test_a_failed_import_that_is_left_alone_stays_open_and_can_be_undone_later(libraries, driver):
    libraries.migration()
    libraries.switch(fail_import="*")
    run = driver.play(MIGRATE, batch_id="b")
    assert run.state == "failed"
    assert libraries.last().verdict is Verdict.UNBALANCED
    assert "undo_microstrategy with this batch takes it back" in run.message
    assert len(libraries.objects()) == 1, "the sandbox leaves half of it behind"
    plays(driver, UNDO)
    assert libraries.objects() == {}
    assert libraries.last().verdict is Verdict.REFUSED
    libraries.switch(fail_import="")
    plays(driver, MIGRATE)
    libraries.holds()


def test_an_undo_that_fails_is_red_and_says_that_nobody_knows(libraries, driver):
    libraries.migration(on_import_failed="undo")
    libraries.switch(fail_import="*", fail_undo="*")
    run = driver.play(MIGRATE, batch_id="b")
    assert run.states["confirm_undo"] == "failed"
    assert run.errors["confirm_undo"][-1].startswith("The import could not be taken back (undo_failed)")
    assert libraries.last().verdict is Verdict.UNBALANCED
    libraries.switch(fail_undo="")
    plays(driver, UNDO)
    assert libraries.last().verdict is Verdict.REFUSED
    assert libraries.objects() == {}
    assert len(libraries.standing().attempts) == 1


def test_a_group_that_fails_in_its_last_member_is_undone_as_a_whole(libraries, driver):
    libraries.group(on_import_failed="undo")
    libraries.switch(fail_import="*")
    run = driver.play(MIGRATE, batch_id="b")
    assert run.state == "failed"
    libraries.holds()
    assert libraries.last().verdict is Verdict.REFUSED, run.messages
    assert [libraries.objects(name) for name in ("configuration", "Finance", "Sales")] == [{}, {}, {}]


def test_a_keep_both_rule_warns_and_leaves_no_undo(libraries, driver):
    both = SALES | {"objects": [SALES["objects"][0] | {"action": "keep_both"}]}
    libraries.batch("b", {"packages": [both]} | AUTO)
    plays(driver, MIGRATE)
    assert "NO_UNDO" in libraries.evidence("b", "check_batch", "findings.csv")
    run = driver.play(UNDO, batch_id="b")
    assert run.state == "failed"
    assert "without an undo package for Sales" in run.errors["check_undo"][-1]
    assert "without an undo package for Sales" in run.errors["settle_batch"][-1]
    assert libraries.last().verdict is Verdict.BALANCED, "it stands as it stood"
    libraries.batch("c", {"packages": [both], "on_import_failed": "undo"} | AUTO)
    assert driver.play(MIGRATE, batch_id="c").states["check_batch"] == "failed"


# Undo


def test_a_balanced_batch_is_undone_after_a_person_said_yes_and_is_not_sent_again_unasked(libraries, driver):
    libraries.migration(approval="ask")
    run = driver.play(MIGRATE, batch_id="b")
    driver.answer(run, APPROVE, batch_id="b")
    assert len(libraries.objects()) == 2
    undo = driver.play(UNDO, batch_id="b")
    assert undo.states["approve_undo"] == "awaiting_input"
    assert "microstrategy batch b, attempt 1" in driver.asked[-1].body
    assert libraries.last().verdict is Verdict.UNKNOWN, "nobody may call it balanced while it is being undone"
    driver.answer(undo, APPROVE, batch_id="b")
    assert undo.state == "success", undo.messages
    assert libraries.objects() == {}
    last = libraries.last()
    assert (last.verdict, last.counts.accepted, last.counts.unprocessed) == (Verdict.UNDONE, 0, 2)

    again = driver.play(MIGRATE, batch_id="b")
    assert again.state == "failed"
    assert "microstrategy batch b, attempt 1 was undone" in again.errors["admit_batch"][-1]
    forced = driver.play(MIGRATE, batch_id="b", force_new_attempt=True)
    driver.answer(forced, APPROVE, batch_id="b", force_new_attempt=True)
    assert forced.state == "success", forced.messages
    libraries.holds()


def test_a_manifest_that_was_changed_after_the_import_changes_nothing_about_its_undo(libraries, driver):
    libraries.migration()
    plays(driver, MIGRATE)
    libraries.migration(approval="ask", name="the same, but asked about")
    undo = driver.play(UNDO, batch_id="b")
    assert undo.state == "success", "what counts is the manifest that was admitted, not the one that lies there now"
    assert libraries.last().verdict is Verdict.UNDONE


def test_a_no_to_an_undo_undoes_nothing_and_the_batch_stands_as_it_stood(libraries, driver):
    libraries.migration(approval="ask")
    driver.answer(driver.play(MIGRATE, batch_id="b"), APPROVE, batch_id="b")
    undo = driver.play(UNDO, batch_id="b")
    driver.answer(undo, REJECT, {"comment": "we need it"}, batch_id="b")
    assert undo.state == "failed"
    assert "was not undone: Petra said reject: we need it." in undo.errors["settle_batch"][-1]
    assert len(libraries.objects()) == 2
    assert libraries.state["counters"]["undos"] == 0
    assert libraries.last().verdict is Verdict.BALANCED
    again = driver.play(UNDO, batch_id="b")
    assert again.states["approve_undo"] == "awaiting_input", "another DAG run asks anew"
    driver.answer(again, APPROVE, batch_id="b")
    assert libraries.last().verdict is Verdict.UNDONE


def test_what_was_undone_in_workstation_is_written_down_and_nobody_is_asked(libraries, driver):
    libraries.migration(approval="ask")
    driver.answer(driver.play(MIGRATE, batch_id="b"), APPROVE, batch_id="b")
    libraries.undo_by_hand(libraries.last().ref)
    undo = driver.play(UNDO, batch_id="b")
    assert (undo.state, len(driver.asked)) == ("success", 1), undo.messages
    assert libraries.last().verdict is Verdict.UNDONE
    notes = [entry.note for entry in libraries.last().entries]
    assert "The import was undone already, by somebody in Workstation. So nobody was asked." in notes
    assert libraries.state["counters"]["undos"] == 1, "that one is the person's"


def test_an_undo_of_nothing_is_told_at_once(libraries, driver):
    libraries.migration()
    run = driver.play(UNDO, batch_id="b")
    assert run.states["admit_batch"] == "failed"
    assert "The ledger knows no batch 'b' of microstrategy" in run.errors["admit_batch"][-1]
    libraries.batch("c", {"packages": [SALES | {"project": "Nowhere"}]} | AUTO)
    driver.play(MIGRATE, batch_id="c")
    assert "Ferry has started nothing for batch c" in driver.play(UNDO, batch_id="c").errors["admit_batch"][-1]


def test_a_second_undo_finds_nothing_left(libraries, driver):
    libraries.migration()
    plays(driver, MIGRATE)
    plays(driver, UNDO)
    run = driver.play(UNDO, batch_id="b")
    assert (run.state, run.states["check_undo"]) == ("success", "skipped")
    assert libraries.state["counters"]["undos"] == 1


# Edits


def by_hand(libraries, **more):
    body = {
        "packageInfo": {
            "type": "project",
            "name": "made by hand",
            "project": {"name": "Sales"},
            "tocView": {
                "settings": {"defaultAction": "replace"},
                "content": [{"id": ATTRIBUTE, "type": 12, "action": "replace", "includeDependents": False}],
            },
        },
        "importInfo": {},
    }
    return libraries.made_by_hand(kind="migration", name="made by hand", body=body, **more)


def an_edit(libraries, ref, packages=(SALES,), batch_id="e", which="migration", **more):
    section = {"edit": {which: ref}} | ({"packages": list(packages)} if packages else {}) | more
    libraries.batch(batch_id, section, dag=EDIT, connection="microstrategy_source")


def test_a_migration_made_by_hand_is_edited(libraries, driver):
    ref = by_hand(libraries)
    an_edit(libraries, ref, name="edited")
    plays(driver, EDIT, "e")
    info = libraries.record(ref, "source")["packageInfo"]
    assert (info["name"], info["status"]) == ("edited", "created")
    assert [one["id"] for one in info["tocView"]["content"]] == [ATTRIBUTE, METRIC]
    assert libraries.last("e").counts.accepted == 2
    assert libraries.state["counters"]["edits"] == 1


def test_a_name_alone_can_be_edited(libraries, driver):
    ref = by_hand(libraries)
    an_edit(libraries, ref, (), name="only the name")
    plays(driver, EDIT, "e")
    info = libraries.record(ref, "source")["packageInfo"]
    assert info["name"] == "only the name"
    assert [one["id"] for one in info["tocView"]["content"]] == [ATTRIBUTE]


def test_an_edit_that_fails_says_why_and_can_be_repeated(libraries, driver):
    ref = by_hand(libraries)
    an_edit(libraries, ref)
    libraries.switch(missing_objects=METRIC)
    run = driver.play(EDIT, batch_id="e")
    assert METRIC in run.errors["reconcile"][-1]
    assert libraries.last("e").verdict is Verdict.REFUSED
    libraries.switch(missing_objects="")
    plays(driver, EDIT, "e")


# Certifications


def a_certification(libraries, ref, action, batch_id="c", which="migration", **more):
    section = {"certification": {which: ref, "action": action} | more}
    libraries.batch(batch_id, section, dag=CERTIFY, connection="microstrategy_source")


def test_a_certification_goes_through_all_its_states(libraries, driver):
    ref = by_hand(libraries)
    for number, (action, status) in enumerate(
        [
            ("request", "requested"),
            ("revert", "uncertified"),
            ("request", "requested"),
            ("reject", "rejected"),
            ("approve", ""),
            ("request", "requested"),
            ("approve", "certified"),
            ("decertify", "uncertified"),
        ]
    ):
        a_certification(libraries, ref, action, f"c{number}")
        run = driver.play(CERTIFY, batch_id=f"c{number}")
        assert run.state == ("success" if status else "failed"), (action, run.messages)
        if status:
            assert libraries.record(ref, "source")["packageInfo"]["certification"]["status"] == status


@pytest.mark.parametrize("auto_sync", [False, True])
def test_a_certification_is_replayed_on_a_target_that_has_a_copy(libraries, driver, auto_sync):
    libraries.migration("m")
    plays(driver, MIGRATE, "m")
    ref = libraries.last("m").ref
    hand = by_hand(libraries, imported_on="target", certified=True)
    a_certification(libraries, hand, "approve", replay_on="microstrategy_target", auto_sync=auto_sync)
    run = driver.play(CERTIFY, batch_id="c")
    assert run.state == "success", run.messages
    sides = [libraries.record(hand, side)["packageInfo"]["certification"] for side in ("source", "target")]
    assert sides[0] == sides[1]
    a_certification(libraries, ref, "approve", "locked")
    locked = driver.play(CERTIFY, batch_id="locked")
    assert "the package is locked, and only one that is created can be certified" in locked.errors["check_batch"][-1]
