"""A process whose children play a journey and die, without a word, at a chosen line of `Work.once`. Run by `test_lost_starts.py`.

One case a line on standard input, as JSON; for each, the lines that the child came to on standard output.
"""

import json
import os
import sys
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
            answers.write(json.dumps([int(number) for number in told]) + "\n")
        os.wait()
        answers.flush()


def play(bag, case, tell) -> None:
    import pytest
    from driver import Clock, Driver, simulate

    os.environ.update(case["env"])
    driver = Driver(bag.dags, Clock())
    simulate(driver, pytest.MonkeyPatch())
    before = {"start_run": lambda: sys.settrace(killer("start_run", case["line"], tell)), "confirm_start": lambda: os._exit(0)}
    driver.play("migrate_fenergo", run_id=case["run_id"], batch_id=case["batch_id"], before=before)
    os._exit(0)


def killer(step, last, tell):
    """A tracer that tells each line of `Work.once` before it is executed, and dies at the chosen one; line 0 is its return."""
    from ferry.steps.work import Work

    code = Work.once.__code__

    def inside(frame, event, _):
        if event in {"line", "return"}:
            line = frame.f_lineno if event == "line" else 0
            os.write(tell, f"{line}\n".encode())
            if line == last:
                os._exit(9)
        return inside

    def outside(frame, _event, _):
        return inside if frame.f_code is code and frame.f_locals["self"].step == step else None

    return outside


if __name__ == "__main__":
    main()
