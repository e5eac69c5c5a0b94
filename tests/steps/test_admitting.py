"""Admission refuses a batch in words where its manifest is for another DAG, and where DAG and content do not fit."""

import pytest
from airflow.sdk import DAG
from tests.dags.driver import Clock, Driver, simulate
from tests.steps.six import SixHook

from ferry.core.batch import Section
from ferry.steps.operators import AdmitBatchOperator
from ferry.steps.policy import DEFAULT_ARGS, batch_params


class KindSection(Section):
    kind: str = "move"

    def dags(self):
        return {"move": ("migrate_six",), "edit": ("edit_six", "edit_six_slowly")}.get(self.kind, ())


class KindHook(SixHook):
    section_class = KindSection


class KindAdmitOperator(AdmitBatchOperator):
    hook_path = f"{KindHook.__module__}.{KindHook.__qualname__}"


@pytest.fixture
def admitted(ledger, connect, tmp_path, monkeypatch):
    """Plays the admission of a batch in one of the vendor's DAGs."""
    connect("six_default", conn_type="http", host="https://six.example")
    folder = tmp_path / "batches" / "six" / "b-9"
    folder.mkdir(parents=True)
    dags = {}
    for name in ("migrate_six", "edit_six", "edit_six_slowly"):
        with DAG(name, schedule=None, params=batch_params(), default_args=DEFAULT_ARGS) as dags[name]:
            KindAdmitOperator()
    driver = Driver(dags, Clock())
    simulate(driver, monkeypatch)

    def admitted(dag, kind, told=""):
        dag_line = f"dag: {told}\n" if told else ""
        (folder / "manifest.yaml").write_text(f"vendor: six\ndue: 2026-01-01\n{dag_line}six: {{kind: {kind}}}\n")
        return driver.play(dag, batch_id="b-9")

    yield admitted
    driver.close()


@pytest.mark.parametrize(
    ("dag", "kind", "told"),
    [
        ("migrate_six", "move", ""),
        ("edit_six", "edit", "edit_six"),
        ("edit_six_slowly", "edit", "edit_six_slowly"),
        ("edit_six", "whatever", "edit_six"),
    ],
)
def test_a_batch_is_admitted_where_its_manifest_and_its_content_agree(admitted, ledger, dag, kind, told):
    run = admitted(dag, kind, told)
    assert run.state == "success", run.messages
    assert ledger.store.standing("six", "six.example", "b-9").last.attempt.number == 1


@pytest.mark.parametrize(("dag", "told"), [("migrate_six", ""), ("migrate_six", "migrate_six")])
def test_a_manifest_whose_dag_does_not_fit_its_section_is_refused_with_the_line_that_would(admitted, ledger, dag, told):
    assert admitted(dag, "edit", told).errors["admit_batch"] == [
        (
            "Batch b-9 holds what edit_six or edit_six_slowly works on, and its manifest is for migrate_six. Write "
            "`dag: edit_six` into the manifest and trigger that DAG. Nothing was sent."
        )
    ]
    assert ledger.store.of_batch("six", "six.example", "b-9") == []


def test_a_section_of_the_usual_kind_is_refused_by_the_dag_for_others(admitted):
    (message,) = admitted("edit_six", "move", "edit_six").errors["admit_batch"]
    assert message.startswith("Batch b-9 holds what migrate_six works on, and its manifest is for edit_six.")


def test_the_wrong_dag_is_told_which_one_the_manifest_names(admitted):
    (message,) = admitted("edit_six", "move").errors["admit_batch"]
    assert message == "Batch b-9 is for DAG migrate_six, as its manifest says; trigger that one. Nothing was sent."
