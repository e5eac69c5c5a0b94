"""What reading a DAG file costs: little more than reading an empty one, and nothing that only a running task needs.

Measured: the processor time that an interpreter spends on importing the file, Airflow's share included, because an empty DAG file
needs `airflow.sdk` as well. That share is spent once, in a process that is then forked for each reading. The dag processor has
most of Airflow in memory when it forks a child for a file; there an empty file costs some 50 ms and ours 90 to 140 ms, nearly all
of it Airflow's own operators (trigger, branch, human in the loop) and the serialising of more than one task. So what is ours is
held by name below, where a clock could not see it.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("parse-time")  # one process reads for all of these tests
DAGS = sorted((Path(__file__).parents[1] / "dags").glob("*.py"))
EMPTY = """\
from airflow.sdk import BaseOperator, dag


@dag(schedule=None)
def empty():
    BaseOperator(task_id="nothing")


empty()
"""
RATIO = 1.3
ROUNDS = 3
READ = """\
import json, os, runpy, sys, time
import airflow.sdk
shared, before = time.process_time(), set(sys.modules)
print(json.dumps(shared), flush=True)
for path in sys.argv[1:]:
    if not os.fork():
        begin = time.process_time()
        runpy.run_path(path)
        print(json.dumps([time.process_time() - begin, sorted(set(sys.modules) - before)]), flush=True)
        os._exit(0)
    os.wait()
"""
HEAVY = {"httpx", "pandas", "duckdb", "alembic", "openpyxl", "fastapi", "uvicorn", "numpy"}
OURS_AT_PARSING = {
    "ferry",
    "ferry.core",
    "ferry.core.errors",
    "ferry.core.model",
    "ferry.core.redact",
    "ferry.steps",
    "ferry.steps.extra_links",
    "ferry.steps.operators",
    "ferry.steps.people",
    "ferry.steps.policy",
    "ferry.steps.trigger_attempt",
    "ferry.vendors",
}


@dataclass
class Reading:
    """The least processor time that a file took, and the modules that were there afterwards."""

    seconds: float
    modules: set[str]


@pytest.fixture(scope="module")
def readings(tmp_path_factory):
    """Readings by file name, alternating, so that a busy moment of the machine hits all files alike."""
    home = tmp_path_factory.mktemp("home")
    (home / "empty.py").write_text(EMPTY)
    paths = [home / "empty.py", *DAGS]
    program = [sys.executable, "-c", READ, *map(str, paths * ROUNDS)]
    environment = os.environ | {"AIRFLOW_HOME": str(home)}
    done = subprocess.run(program, capture_output=True, text=True, check=False, env=environment)
    shared, *told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith(("[", *"0123456789"))]
    assert len(told) == len(paths) * ROUNDS, done.stderr[-2000:]
    best = dict[str, Reading]()
    for path, (seconds, modules) in zip(paths * ROUNDS, told, strict=True):
        known = best.get(path.stem)
        best[path.stem] = Reading(min(shared + seconds, known.seconds if known else 1e9), set(modules))
    return best


@pytest.mark.parametrize("name", [path.stem for path in DAGS])
def test_a_dag_file_costs_little_more_than_an_empty_one(name, readings):
    ratio = readings[name].seconds / readings["empty"].seconds
    assert ratio < RATIO, f"{ratio:.2f} times an empty DAG file, which takes {readings['empty'].seconds:.2f} s"


@pytest.mark.parametrize("name", [path.stem for path in DAGS])
def test_reading_a_dag_file_imports_only_what_a_dag_is_made_of(name, readings):
    loaded = readings[name].modules - readings["empty"].modules
    assert not {module for module in loaded if module.partition(".")[0] in HEAVY}
    ours = {module for module in loaded if module.partition(".")[0] in {"ferry", "sandbox"}}
    vendors = {module for module in ours if module.startswith("ferry.vendors.")}
    assert ours - vendors <= OURS_AT_PARSING
    assert {module.split(".", 3)[-1] for module in vendors if module.count(".") > 2} <= {"operators", "watching"}


@pytest.mark.parametrize("module", ["core.wire", "core.exchange", "core.api", "steps.hook", "steps.places", "ledger.store"])
def test_what_needs_a_socket_or_a_database_is_not_among_them(module, readings):
    """The rule that the list above stands for, said once by name."""
    assert f"ferry.{module}" not in OURS_AT_PARSING
    assert not any(f"ferry.{module}" in reading.modules for reading in readings.values())
