"""The shape of every DAG: what a reader of the DAG files relies on, and what Airflow 3.3 makes dangerous."""

import re
from pathlib import Path

import jsonschema
import pytest

from ferry.vendors import all_vendors

DAGS = Path(__file__).resolve().parents[2] / "dags"

# A new vendor's DAG is held by the rules below; the edges of these are spelt out because people read them as the process.
EDGES = {
    "dispatch_batches": """
        find_due >> check_balanced, migrate
        migrate >> check_balanced
    """,
    "migrate_fenergo": """
        admit_batch >> check_batch
        await_ingestion >> settle_ingestion
        await_prepared >> check_templates
        await_records >> reconcile
        await_run >> route_outcome
        check_batch >> open_run
        check_templates >> upload_batch
        confirm_start >> await_run
        fetch_errors >> triage_errors
        ingest_alternate_ids >> await_ingestion
        next_attempt >> settle_batch
        open_run >> await_prepared
        reconcile >> settle_batch
        route_outcome >> await_records, fetch_errors
        settle_batch >> clean_up_inputs
        settle_ingestion >> next_attempt
        start_run >> confirm_start
        triage_errors >> ingest_alternate_ids, settle_batch
        upload_batch >> start_run
    """,
    "migrate_domo": """
        admit_batch >> check_batch
        check_batch >> plan_run
        confirm_start >> route_outcome
        decide_mend >> mend_run
        fetch_errors >> decide_mend
        mend_run >> reconcile
        plan_run >> start_run
        reconcile >> settle_batch
        route_outcome >> fetch_errors, reconcile
        start_run >> confirm_start
    """,
    "migrate_dmm": """
        admit_batch >> check_batch
        await_run >> fetch_outputs
        check_batch >> create_connection
        confirm_start >> await_run
        create_connection >> start_run
        fetch_errors >> reconcile
        fetch_outputs >> route_outcome
        reconcile >> settle_batch
        route_outcome >> fetch_errors, reconcile
        start_run >> confirm_start
    """,
    "export_dmm": """
        admit_batch >> check_batch
        await_run >> fetch_outputs
        check_batch >> start_run
        confirm_start >> await_run
        fetch_errors >> reconcile
        fetch_outputs >> route_outcome
        make_batch >> reconcile
        reconcile >> settle_batch
        route_outcome >> fetch_errors, make_batch
        start_run >> confirm_start
    """,
    "stop_dmm": """
        admit_batch >> stop_run
        await_run >> settle_batch
        stop_run >> await_run
    """,
    "reverse_domo": """
        admit_batch >> check_undo
        approve_undo >> undo_run
        check_undo >> approve_undo, undo_run
        confirm_undo >> settle_batch
        undo_run >> confirm_undo
    """,
    "migrate_microstrategy": """
        admit_batch >> check_batch
        approve >> certify_package
        approve_undo >> undo_run
        await_prepared >> validate_package
        await_run >> route_outcome
        await_undo >> confirm_undo
        await_validation >> check_package
        certify_package >> lock_package
        check_batch >> open_run
        check_package >> approve
        confirm_start >> await_run
        confirm_undo >> settle_batch
        fetch_errors >> approve_undo, settle_batch
        lock_package >> upload_batch
        open_run >> await_prepared
        reconcile >> settle_batch
        route_outcome >> fetch_errors, reconcile
        settle_batch >> sync_certification
        start_run >> confirm_start
        sync_certification >> clean_up
        undo_run >> await_undo
        upload_batch >> start_run
        validate_package >> await_validation
    """,
    "undo_microstrategy": """
        admit_batch >> check_undo
        approve_undo >> undo_run
        await_undo >> confirm_undo
        check_undo >> approve_undo
        confirm_undo >> settle_batch
        undo_run >> await_undo
    """,
    "edit_microstrategy": """
        admit_batch >> find_run
        await_prepared >> reconcile
        check_batch >> edit_run
        edit_run >> await_prepared
        find_run >> check_batch
        reconcile >> settle_batch
    """,
    "certify_microstrategy": """
        admit_batch >> find_run
        certify_package >> sync_certification
        check_batch >> certify_package
        find_run >> check_batch
        reconcile >> settle_batch
        sync_certification >> reconcile
    """,
    "discover_anon": """
        discover >> watch
    """,
    "watch_anon": """
        admit_batch >> find_run
        await_run >> collect_files
        collect_files >> route_outcome
        fetch_errors >> reconcile
        find_run >> await_run
        reconcile >> settle_batch
        route_outcome >> fetch_errors, reconcile
    """,
    "assign_fenergo_alternate_ids": """
        admit_batch >> ingest_alternate_ids
        await_ingestion >> reconcile
        ingest_alternate_ids >> await_ingestion
        reconcile >> settle_batch
    """,
}


@pytest.fixture(scope="module")
def dags(dag_bag):
    return dict(dag_bag.dags)


@pytest.fixture(scope="module")
def tasks(dags):
    return {f"{dag.dag_id}.{task.task_id}": task for dag in dags.values() for task in dag.tasks}


@pytest.fixture(scope="module")
def serialised(dags):
    """What scheduler and triggerer work with: they never see the DAG file."""
    from airflow.serialization.serialized_objects import DagSerialization

    return {name: DagSerialization.from_dict(DagSerialization.to_dict(dag)) for name, dag in dags.items()}


def edges(dag):
    return [f"{task.task_id} >> {', '.join(sorted(task.downstream_task_ids))}" for task in dag.tasks if task.downstream_task_ids]


def talks_to(task):
    """The vendor whose tags the task's DAG has; None for tasks that talk to no vendor."""
    found = [tag.removeprefix("vendor:") for tag in task.dag.tags if tag.startswith("vendor:")]
    return found[0] if found and hasattr(task, "hook_path") else None


def started_by(task):
    """The trigger a task starts with and its arguments; None for tasks that start on a worker."""
    from airflow.serialization.serialized_objects import BaseSerialization

    if not getattr(task, "start_from_trigger", False):
        return None
    kwargs = task.start_trigger_args.trigger_kwargs
    return task.start_trigger_args.trigger_cls, BaseSerialization.deserialize(kwargs) if "__type" in kwargs else kwargs


def test_every_dag_file_gives_one_dag_of_its_own_name(dags):
    assert {Path(dag.fileloc).stem: name for name, dag in dags.items()} == {path.stem: path.stem for path in DAGS.glob("*.py")}


@pytest.mark.parametrize("name", EDGES)
def test_the_steps_follow_each_other_as_written(dags, name):
    assert sorted(edges(dags[name])) == [line.strip() for line in EDGES[name].strip().splitlines()]


def test_every_dag_ends_in_one_task_so_that_nothing_green_can_hide_what_is_red(dags):
    ends = {name: [task.task_id for task in dag.tasks if not task.downstream_task_ids] for name, dag in dags.items()}
    assert {name: len(found) for name, found in ends.items()} == dict.fromkeys(dags, 1)


def test_a_batch_is_always_settled_and_what_follows_runs_only_if_it_balances(dags):
    moving = [dag for dag in dags.values() if "admit_batch" in dag.task_ids]
    assert moving
    for dag in moving:
        settle = dag.get_task("settle_batch")
        assert settle.trigger_rule == "all_done", dag.dag_id
        after = {task.task_id: task.trigger_rule for task in settle.get_flat_relatives(upstream=False)}
        assert set(after.values()) <= {"all_success"}, dag.dag_id
        before = {task.task_id for task in settle.get_flat_relatives(upstream=True)}
        assert before | {"settle_batch"} | set(after) == set(dag.task_ids), dag.dag_id


def test_dag_runs_that_wait_for_people_keep_no_other_from_beginning(dags):
    """Airflow queues what is above the limit in silence: sixteen questions would hide a vendor's seventeenth batch."""
    alone = {"discover_anon", "waive_records"}  # neither waits for anybody
    assert {name: dag.max_active_runs for name, dag in dags.items() if name not in alone and dag.max_active_runs < 100} == {}


def test_tags_come_from_the_closed_list(dags):
    known = {"ferry"} | {f"vendor:{name}" for name in all_vendors()}
    assert {name: dag.tags - known for name, dag in dags.items() if dag.tags - known or "ferry" not in dag.tags} == {}


def test_the_docs_end_with_what_to_do_when_it_is_red_and_name_only_tasks_that_exist(dags):
    for dag in dags.values():
        headings = re.findall(r"^## (.*)$", dag.doc_md, re.MULTILINE)
        assert headings[-1] == "When it is red", dag.dag_id
        red = dag.doc_md.partition("## When it is red")[2]
        named = set(re.findall(r"\*\*([a-z_]+)\*\*", red))
        assert named, dag.dag_id
        assert named <= set(dag.task_ids), dag.dag_id


def test_every_parameter_has_a_title_and_a_json_schema(dags):
    for dag in dags.values():
        for name in dag.params:
            schema = dag.params.get_param(name).schema
            jsonschema.Draft202012Validator.check_schema(schema)
            assert {"type", "title"} <= set(schema), f"{dag.dag_id}.{name}"


def test_every_task_has_an_owner_and_retries_unless_it_waits_in_the_triggerer(tasks):
    assert {task.owner for task in tasks.values()} == {"ferry"}
    without = {name for name, task in tasks.items() if not task.retries}
    assert without == {name for name, task in tasks.items() if getattr(task, "start_from_trigger", False)}


def test_every_task_that_talks_to_a_vendor_uses_that_vendors_pool(tasks):
    pools = {name: (task.pool, all_vendors()[vendor].pool) for name, task in tasks.items() if (vendor := talks_to(task))}
    assert pools
    assert {name: pair for name, pair in pools.items() if pair[0] != pair[1]} == {}


def test_the_tasks_of_a_batch_of_parts_are_bounded_and_named(dags):
    from ferry.vendors.domo import manifest, operators

    mapped = [dags["migrate_domo"].get_task(name) for name in ("start_run", "mend_run")] + [
        dags["reverse_domo"].get_task("undo_run")
    ]
    assert [task.max_active_tis_per_dagrun for task in mapped] == [operators.MOST_AT_ONCE] * 3
    assert operators.MOST_AT_ONCE == manifest.MOST_AT_ONCE, "the manifest cannot ask for more than Airflow lets live"
    assert all("portion" in task.map_index_template for task in mapped)


def test_what_the_scheduler_reads_is_what_was_written(dags, serialised):
    for name, dag in dags.items():
        read = serialised[name]
        assert edges(read) == edges(dag)
        assert {task.task_id: started_by(task) for task in read.tasks} == {task.task_id: started_by(task) for task in dag.tasks}
        assert {task.task_id: (task.pool, task.retries, task.trigger_rule) for task in read.tasks} == {
            task.task_id: (task.pool, task.retries, task.trigger_rule) for task in dag.tasks
        }


# Tasks that start in the triggerer: three mistakes that Airflow 3.3.2 answers with silence


def waiting(tasks):
    found = {name: task for name, task in tasks.items() if getattr(task, "start_from_trigger", False)}
    assert found
    return found


def test_every_xcom_a_trigger_asks_for_names_its_map_indexes(tasks):
    """Without it the triggerer cannot decode the question, and the task stays deferred for ever without an error."""
    for name, task in waiting(tasks).items():
        asked = [value for value in task.start_trigger_args.trigger_kwargs.values() if "xcom_pull" in str(value)]
        assert asked, name
        for value in asked:
            assert all("map_indexes=" in call for call in re.findall(r"xcom_pull\([^)]*\)", value)), f"{name}: {value}"


def test_what_the_triggerer_renders_has_one_name_everywhere(tasks):
    """Airflow renders a keyword only if operator, template fields, and trigger call it by the same name."""
    from airflow.sdk._shared.module_loading import import_string

    for name, task in waiting(tasks).items():
        args = task.start_trigger_args
        rendered = {key for key, value in args.trigger_kwargs.items() if "{{" in str(value)}
        trigger = import_string(args.trigger_cls)(**args.trigger_kwargs)
        assert rendered, name
        assert all(
            key in task.template_fields and hasattr(trigger, key) and not callable(getattr(trigger, key)) for key in rendered
        )


def test_a_trigger_finds_a_valid_default_for_every_parameter(serialised):
    """Airflow 3.3.2 resolves all defaults before it looks at the DAG run's conf; a missing one ends the whole triggerer."""
    from airflow.sdk.definitions.param import process_params

    seen = 0
    for dag in serialised.values():
        for task in dag.tasks:
            if task.start_from_trigger:
                seen += 1
                assert process_params(dag, task, {"batch_id": "one"}, suppress_exception=False)["batch_id"] == "one"
    assert seen
