"""A process whose children play a journey and die, without a word, at a chosen line of a chosen function.

One case a line on standard input, as JSON: the DAG, its task that is to die, the functions in which it may, and the line (as
`function number:line`, 0 for a function's return). For each, the lines that the child came to on standard output.
"""

import json
import os
import sys
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    from airflow.dag_processing.dagbag import BundleDagBag

    bag = BundleDagBag(str(ROOT / "dags"), bundle_path=ROOT / "dags", bundle_name="dags-folder")
    answers.write("ready\n")
    answers.flush()
    for line in sys.stdin:
        reading, writing = os.pipe()
        if os.fork() == 0:
            play(bag, json.loads(line), writing)
        os.close(writing)
        with os.fdopen(reading) as told:
            answers.write(json.dumps(told.read().split()) + "\n")
        os.wait()
        answers.flush()


def play(bag, case, tell) -> None:
    import pytest
    from driver import Clock, Driver, simulate

    os.environ.update(case["env"])
    driver = Driver(bag.dags, Clock())
    simulate(driver, pytest.MonkeyPatch())
    dag, task = bag.dags[case["dag"]], case["task"]
    after = dag.get_task(task).downstream_task_ids
    before = dict.fromkeys(after, lambda: os._exit(0)) | {task: lambda: sys.settrace(killer(task, case, tell))}
    driver.play(case["dag"], run_id=case["run_id"], before=before, batch_id=case["batch_id"])
    os._exit(0)


def killer(step, case, tell):
    """A tracer that tells each line before it is executed, and dies at the chosen one."""
    numbers = {code_of(name): number for number, name in enumerate(case["functions"])}

    def inside(frame, event, _):
        if event in {"line", "return"}:
            line = f"{numbers[frame.f_code]}:{frame.f_lineno if event == 'line' else 0}"
            os.write(tell, f"{line}\n".encode())
            if line == case["line"]:
                os._exit(9)
        return inside

    def outside(frame, _event, _):
        if frame.f_code not in numbers:
            return None
        work = frame.f_locals.get("self", frame.f_locals.get("work"))
        return inside if getattr(work, "step", step) == step else None

    return outside


def code_of(name):
    """The code of a function given as `module:qualified.name`."""
    module, _, path = name.partition(":")
    found = import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found.__code__


if __name__ == "__main__":
    main()
