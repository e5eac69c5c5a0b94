"""The rules of the house that no linter knows."""

import json
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

from ferry.provider import get_provider_info
from ferry.vendors import all_vendors

pytestmark = pytest.mark.xdist_group("house")  # one process loads the DAGs for all of these tests
ROOT = Path(__file__).resolve().parent.parent
SOURCE_KINDS = {".py", ".md", ".yaml", ".toml", ".sh", ".txt", ".in", ".html", ".svg", ""}
HOUSE = ("plugins", "include", "scripts")
VENDOR_FILES = {"__init__.py", "api.py", "hook.py", "operators.py", "triggers.py"}


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [ROOT / name for name in listed if (ROOT / name).is_file()]


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text().splitlines()
    return {re.split(r"[=\[ ]", line)[0].lower(): line for line in lines if line and not line.startswith(("#", "-"))}


@pytest.fixture(scope="module")
def dags():
    code = (
        "import json; from pathlib import Path; from scripts.docs import load\n"
        "print(json.dumps([dict(id=d.dag_id, doc=d.doc_md or '', tags=sorted(d.tags), tasks=d.task_ids, file=d.fileloc)"
        " for d in load(Path('dags'))]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return {dag["id"]: dag for dag in json.loads(done.stdout.splitlines()[-1])}


# Airflow finds us, and only as much of us as it should


def test_the_plugin_loader_sees_nothing_of_the_library():
    assert "ferry/" in (ROOT / "plugins" / ".airflowignore").read_text().splitlines()


def test_the_provider_info_is_what_airflow_demands():
    info = get_provider_info()
    schema = json.loads(files("airflow").joinpath("provider_info.schema.json").read_text())
    jsonschema.validate(info, schema)
    assert {kind["connection-type"] for kind in info["connection-types"]} == set(all_vendors())


def test_reading_the_provider_info_imports_neither_airflow_nor_an_http_library():
    code = (
        "import sys; from ferry.provider import get_provider_info; get_provider_info(); "
        "print([name for name in ('airflow', 'httpx', 'pandas', 'duckdb', 'sqlalchemy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_module_is_named_like_one_of_pythons_own():
    ours = [path for path in tracked() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in HOUSE]
    taken = {name for name in sys.stdlib_module_names | {"airflow", "httpx", "pandas"} if not name.startswith("__")}
    assert [path for path in ours if path.stem in taken] == []


# The DAGs


def test_every_vendor_has_the_same_files_a_dag_and_a_demo_batch(dags):
    for name, vendor in all_vendors().items():
        folder = ROOT / "plugins" / "ferry" / "vendors" / name
        assert {path.name for path in folder.iterdir()} >= VENDOR_FILES, name
        assert (folder / "sandbox.py").exists() or (folder / "sandbox" / "__init__.py").exists(), name
        assert Path(dags[vendor.dag_id]["file"]).name == f"{vendor.dag_id}.py"
        assert list((ROOT / "include" / "batches" / name).glob("*/demo.yaml")), name


def test_the_docs_of_every_dag_end_with_what_to_do_when_it_is_red(dags):
    last = {name: re.findall(r"^#+ (.*)$", dag["doc"], re.MULTILINE)[-1] for name, dag in dags.items()}
    assert last == dict.fromkeys(dags, "When it is red")


def test_tags_come_from_a_closed_list(dags):
    known = {"ferry"} | {f"vendor:{name}" for name in all_vendors()}
    assert {tag for dag in dags.values() for tag in dag["tags"]} <= known
    assert all("ferry" in dag["tags"] for dag in dags.values())


def test_task_ids_are_a_verb_and_a_noun(dags):
    single_words = {"migrate", "approve", "reconcile", "undo", "waive", "discover", "watch"}
    odd = {task for dag in dags.values() for task in dag["tasks"] if not re.fullmatch(r"[a-z]+(_[a-z]+)+", task)}
    assert odd <= single_words


def test_a_dag_file_fits_on_two_screens():
    sizes = {path.name: len(path.read_text().splitlines()) for path in (ROOT / "dags").glob("*.py")}
    assert {name: lines for name, lines in sizes.items() if lines > 90} == {}


def test_a_broken_dag_file_is_reported_with_its_name(tmp_path):
    (tmp_path / "broken_dag.py").write_text("from airflow.sdk import dag\nraise RuntimeError('nothing works')\n")
    code = f"from pathlib import Path; from scripts.docs import load; load(Path({str(tmp_path)!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode
    assert "BrokenDag: broken_dag.py" in done.stderr
    assert "nothing works" in done.stderr


# What is written down


def test_the_pages_that_are_generated_are_up_to_date():
    command = [sys.executable, "-m", "scripts.docs", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_readme_names_every_command_and_no_other():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z][a-z-]*):.*## ", makefile, re.MULTILINE)) - {"help"}
    named = set(re.findall(r"`make ([a-z-]+)", (ROOT / "README.md").read_text()))
    assert named == targets


def test_every_link_between_the_documents_leads_somewhere():
    pages = [path for path in tracked() if path.suffix == ".md"]
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()) if "://" not in link]
    assert [f"{page.relative_to(ROOT)}: {link}" for page, link in links if not (page.parent / link).exists()] == []


def test_nothing_is_left_unfinished_and_no_machine_is_mentioned():
    # Written apart so that this file does not find itself.
    unfinished = ["TO" + "DO", "FIX" + "ME", "XX" + "X:", "assert " + "True"]
    machines = ["/wo" + "rk/", "../sha" + "red", "/opt/py" + "pi", "--find" + "-links", "--extra-index" + "-url"]
    found = []
    for path in tracked():
        if path.suffix not in SOURCE_KINDS or path.name == "LICENSE":
            continue
        text = path.read_text(encoding="utf-8")
        found += [f"{path.relative_to(ROOT)}: {word}" for word in unfinished + machines if word in text]
    assert found == []


# What is installed


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_is_pinned_exactly(name):
    exact = re.compile(r"[A-Za-z0-9._-]+(\[[a-z0-9,]+\])?==[^\s;*]+( ; .+)?")
    assert [line for line in pins(name).values() if not exact.fullmatch(line)] == []


def test_the_lock_holds_what_was_asked_for_and_ends_with_ferry_itself():
    asked = {re.split(r"[=<>\[; ]", line)[0].lower() for line in (ROOT / "requirements.in").read_text().splitlines() if line}
    assert asked <= set(pins("requirements.txt"))
    assert (ROOT / "requirements.txt").read_text().splitlines()[-1] == "-e ."
    assert pins("requirements.txt")["celery"] < "celery==5.7"


def test_every_dependency_that_was_asked_for_has_its_reason_written_down():
    told = (ROOT / "CONTRIBUTING.md").read_text().lower()
    asked = [line for name in ("requirements.in", "requirements-dev.in") for line in (ROOT / name).read_text().splitlines()]
    names = [re.split(r"[=<>\[; ]", line)[0].lower() for line in asked if line and not line.startswith("-")]
    assert [name for name in names if name not in told and name.removeprefix("apache-airflow-providers") not in told] == []
