"""A process whose children play a journey and die, without a word, at a chosen line of a chosen function.

One case a line on standard input, as JSON: the DAG, its task that is to die, the functions in which it may, and the line (as
`function number:line`, 0 for a function's return) to which it comes for the `time`th time. For each, the lines that the child
came to on standard output; with `world`, each with a mark for how ledger, evidence and vendor stood then, as `line@mark`.

Of a mapped task it is the first instance that dies, or that with the `map_index` of the case. `answer` is a person's; `meanwhile`
has requests (method, URL, JSON) to be made just before the task. How far the DAG run had come then is left in the file `kept`,
for whoever plays it on. With `so_far`, which has such a file's content, another process has played it up to the task; `form` is
what the person fills in.
"""

import gc
import hashlib
import json
import os
import pkgutil
import re
import socket
import sqlite3
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.request import Request, urlopen

ROOT = Path(__file__).resolve().parents[2]
NEEDED = [
    "airflow.sdk.execution_time.supervisor",
    "alembic.context",
    "anyio._backends._asyncio",
    "driver",
    "haste",
    "jinja2.ext",
    "pytest",
]
"""What a journey imports on its way, of others."""


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    from airflow.dag_processing.dagbag import BundleDagBag

    bag = BundleDagBag(str(ROOT / "dags"), bundle_path=ROOT / "dags", bundle_name="dags-folder")
    import_all()
    warm_up(bag)
    gc.freeze()  # a child that counts what it inherited would have to copy it first
    gc.disable()  # and has not long to live
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


def import_all() -> None:
    """What a journey needs is imported once, and not by every child."""
    from airflow.sdk.lineage import get_hook_lineage_collector

    import ferry
    from ferry.core.wire import trusted
    from ferry.ledger.csvdb import MEMORY
    from ferry.steps import places

    for name in NEEDED:
        import_module(name)
    get_hook_lineage_collector()  # which imports every plugin
    for found in pkgutil.walk_packages(ferry.__path__, "ferry."):
        if "sandbox" not in found.name and "migrations" not in found.name:
            import_module(found.name)
    import_module("haste").shared(MEMORY)
    places.batches().exists()  # for which Airflow finds out what file systems there are
    trusted(), trusted(trust_env=False)


def warm_up(bag):
    """What every journey finds out anew is found out once: templates, parameters, how the ledger is asked."""
    import pytest
    from airflow.sdk.exceptions import ParamValidationError
    from driver import _params, _templates
    from haste import let_go, make_haste

    from ferry.core.model import Attempt
    from ferry.ledger.entries import Draft, Kind, Origin
    from ferry.ledger.store import LedgerStore

    for dag in bag.dags.values():
        for task in dag.tasks:
            if not task.is_mapped:
                with suppress(ParamValidationError):  # a DAG that wants more than a batch
                    _params(task, {"batch_id": "b"})
                for name in task.template_fields:
                    if isinstance(value := getattr(task, name, None), str):
                        _templates(task).from_string(value)
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
        make_haste(patch)
        store, origin, one = LedgerStore(f"{folder}/ledger.db"), Origin("d", "r", "t", 1), Attempt("v", "e", "b", 1)
        store.migrate()
        store.admit("v", "e", "b", "0" * 64, origin, is_live=lambda _: True)
        store.intend(one, "start_run", origin=origin, key="k", max_live=1, max_parts=1, part_seconds=60)
        store.append(Draft(attempt=one, step="start_run", kind=Kind.RESULT, key="k", origin=origin))
        store.attempt(one), store.attempt(one, ("k",)), store.live("v", "e"), store.standing("v", "e", "b")
        let_go()


def play(bag, case, tell) -> None:
    import pytest
    from driver import Clock, Driver, Played, simulate
    from haste import make_haste

    os.environ.update(case["env"])
    patch, driver = pytest.MonkeyPatch(), Driver(bag.dags, Clock())
    simulate(driver, patch)
    make_haste(patch)
    dag, task = bag.dags[case["dag"]], case["task"]
    after, index = dag.get_task(task).downstream_task_ids, case.get("map_index", 0)

    def begin():
        for request in case.get("meanwhile", ()):
            ask(*request)
        keep(driver.runs[case["dag"], case["run_id"]], case.get("kept"))
        sys.settrace(killer(task, case, tell))

    mapped = {f"{task}[{index}]": begin, f"{task}[{index + 1}]": lambda: sys.settrace(None)}
    if told := case.get("so_far"):
        run = Played(case["dag"], case["run_id"], states=dict(told["states"]))
        run.xcoms = {(name, key): value for name, key, value in told["xcoms"]}
        driver.runs[case["dag"], case["run_id"]], driver.form = run, case.get("form", {})
        later = dag.get_task(task).get_flat_relative_ids(upstream=False)
        before = dict.fromkeys(later, lambda: os._exit(0)) | {task: begin}
        driver.go_on(run, {"batch_id": case["batch_id"]}, before, case.get("answer"))
        os._exit(0)
    before = dict.fromkeys(after, lambda: os._exit(0)) | (mapped if dag.get_task(task).is_mapped else {task: begin})
    driver.play(case["dag"], run_id=case["run_id"], before=before, answer=case.get("answer"), batch_id=case["batch_id"])
    os._exit(0)


def ask(method, url, told=None):
    """A control request to the sandbox."""
    body, kind = None if told is None else json.dumps(told).encode(), {"content-type": "application/json"}
    with urlopen(Request(url, body, kind, method=method)) as answer:  # noqa: S310 (the sandbox's own address)
        return json.loads(answer.read())


class World:
    """All that whoever comes after a death can find, as a hash: deaths in the same world are one death.

    What nobody can have changed since the last look is not looked at again: of a ledger without a new transaction, and of a
    vendor with whom nobody has exchanged a byte. `chance` matches what differs between two worlds that are alike.
    """

    def __init__(self, places):
        self.places, self.traffic, self.version = places, Traffic(), None
        self.ledger = sqlite3.connect(places["ledger"])

    def mark(self):
        (version,) = self.ledger.execute("PRAGMA data_version").fetchone()
        if version != self.version:
            self.version = version
            self.entries = self.ledger.execute(
                "SELECT step, kind, key, word, state, verdict FROM ferry_ledger ORDER BY seq"
            ).fetchall()
        if self.traffic.since_last_look():
            self.vendor = self.vendors_side()
            self.traffic.look()
        files = sorted(name for name, _ in found_in(self.places["evidence"]))
        batches = sorted(found_in(self.places["batches"])) if "batches" in self.places else []
        told = [read(self.places[name]) for name in ("manifest", "told") if name in self.places]
        whole = repr((self.entries, files, batches, told, self.vendor))
        return hashlib.sha256(re.sub(self.places.get("chance", "$^"), "#", whole).encode()).hexdigest()[:16]

    def vendors_side(self):
        sent = [[seen["method"], seen["path"], seen["status"]] for seen in ask("GET", self.places["requests"])]
        state = ask("GET", self.places["state"])
        if "packages" in state:
            held = state
        elif "counters" in state:  # who only reads changes nothing there, but somebody may have been told
            held = []
        elif "datasources" in state:
            held = [[[one["id"], one["migrated"], one["broken"]] for one in state["datasources"]], state["posts"]]
        else:
            held = [[[one["id"], one["status"], one["stopped_by"]] for one in state["executions"]], state["stops"]]
        return sent, held


class Traffic:
    """Counts what goes through this process's sockets."""

    def __init__(self):
        self.calls, self.seen = 0, -1
        for name in ("send", "sendall", "sendto", "recv", "recv_into"):
            setattr(socket.socket, name, self.counted(getattr(socket.socket, name)))

    def counted(self, does):
        def counted(*args, **more):
            self.calls += 1
            return does(*args, **more)

        return counted

    def since_last_look(self):
        return self.calls != self.seen

    def look(self):
        self.seen = self.calls


def found_in(folder):
    """Name and size of all that lies below a folder; nothing if there is none."""
    for place, folders, files in os.walk(folder):  # a path object for each would cost more than all else of a mark
        yield from ((name, 0) for name in folders)
        yield from ((name, os.stat(f"{place}/{name}").st_size) for name in files)  # noqa: PTH116


def read(path):
    return Path(path).read_bytes() if Path(path).exists() else b""


def keep(run, path):
    """How far a DAG run has come, as JSON."""
    if path:
        xcoms = [[*key, value] for key, value in run.xcoms.items()]
        Path(path).write_text(json.dumps({"states": run.states, "mapped": run.mapped, "xcoms": xcoms}), encoding="utf-8")


def killer(step, case, tell):
    """A tracer that tells each line before it is executed, and dies at the chosen one."""
    numbers, left = {code_of(name): number for number, name in enumerate(case["functions"])}, [case.get("time", 1)]
    world = World(case["world"]) if "world" in case else None

    def inside(frame, event, _):
        if event in {"line", "return"}:
            line = f"{numbers[frame.f_code]}:{frame.f_lineno if event == 'line' else 0}"
            mark = f"@{world.mark()}" if world else ""
            os.write(tell, f"{line}{mark}\n".encode())
            left[0] -= line == case["line"]
            if not left[0]:
                os._exit(9)
        return inside

    def outside(frame, _event, _):
        if frame.f_code not in numbers:
            return None
        work = frame.f_locals.get("self", frame.f_locals.get("work"))
        return inside if getattr(work, "step", step) == step else None

    return outside


def code_of(name):
    """The code of a function given as `module:qualified.name`; one within another as Python names it, `outer.<locals>.inner`."""
    module, _, path = name.partition(":")
    outer, *inner = path.split(".<locals>.")
    found = import_module(module)
    for part in outer.split("."):
        found = getattr(found, part)
    code = found.__code__
    for part in inner:
        code = next(one for one in code.co_consts if getattr(one, "co_name", "") == part)
    return code


if __name__ == "__main__":
    main()
