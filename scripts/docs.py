"""`make docs`: the pages that are generated, so that they cannot differ from what they tell of.

dags/README.md comes from every DAG's own documentation, docs/faults.md from the tables that the tests play.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts import fault_docs
from scripts.environment import ROOT, outer_environment

if TYPE_CHECKING:
    from airflow.sdk import DAG

TARGET = ROOT / "dags" / "README.md"
HEAD = """# The DAGs

Written by `make docs` from the DAGs themselves. Change the docstring of a DAG file instead; `make check` fails if they differ.
"""


class BrokenDag(Exception):
    """A DAG file does not load."""


def main(arguments: list[str]) -> int:
    """Write the pages, or with --check only say whether they are up to date."""
    try:
        pages = {TARGET: page(load(ROOT / "dags")), fault_docs.TARGET: fault_docs.page()}
    except BrokenDag as error:
        print(f"A DAG file does not load, so nothing was written.\n{error}", file=sys.stderr)
        return 1
    except fault_docs.Untold as error:
        print(f"A fault table lacks words, so nothing was written.\n{error}", file=sys.stderr)
        return 1
    if "--check" not in arguments:
        for path, text in pages.items():
            path.write_text(text, encoding="utf-8")
        return 0
    stale = [path for path, text in pages.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for name in (path.relative_to(ROOT) for path in stale):
        print(f"{name} does not say what it is made from. Run `make docs` and commit the result.", file=sys.stderr)
    return 1 if stale else 0


def load(folder: Path) -> list[DAG]:
    """Every DAG below the folder, by id; BrokenDag with Airflow's own words if a file does not load."""
    with tempfile.TemporaryDirectory(prefix="ferry-docs-") as home:
        settle_in(home)
        from airflow.dag_processing.dagbag import BundleDagBag

        bag = BundleDagBag(str(folder), bundle_path=folder, bundle_name="dags-folder")
        if bag.import_errors:
            raise BrokenDag("\n".join(f"{name}: {text}" for name, text in bag.import_errors.items()))
        return [bag.dags[name] for name in sorted(bag.dags)]


def settle_in(home: str) -> None:
    """Keep Airflow away from the settings and the database of the person's own Airflow."""
    kept = outer_environment()
    os.environ.clear()
    os.environ |= kept | {
        "AIRFLOW_HOME": home,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": f"{home}/plugins",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "CRITICAL",
    }


def page(dags: list[DAG]) -> str:
    """The whole page: a list, then each DAG with its facts, its parameters and its docs."""
    index = "\n".join(f"- [`{dag.dag_id}`](#{dag.dag_id}): {title(dag)}" for dag in dags)
    return "\n".join([HEAD, index, "", *(section(dag) for dag in dags)]).rstrip() + "\n"


def title(dag: DAG) -> str:
    """The first heading of a DAG's docs, or its id."""
    lines = (dag.doc_md or "").strip().splitlines()
    return lines[0].lstrip("# ").strip() if lines else dag.dag_id


def section(dag: DAG) -> str:
    """One DAG's part of the page."""
    tags = ", ".join(f"`{tag}`" for tag in sorted(dag.tags))
    facts = f"File `{Path(dag.fileloc).name}`, {schedule(dag)}, tags {tags}."
    return "\n".join([f"## {dag.dag_id}", "", facts, "", *parameters(dag), deeper((dag.doc_md or "").strip()), ""])


def schedule(dag: DAG) -> str:
    """When the DAG runs, in words."""
    times = getattr(dag.timetable, "timetable", None)  # of a DAG that assets wake as well
    cron = getattr(times or dag.timetable, "expression", None)
    woken = " and when its assets tell of something new" if times else ""
    return f"runs on `{cron}` (UTC){woken}" if cron else "runs when it is triggered"


def parameters(dag: DAG) -> list[str]:
    """The trigger form as a table; nothing for a DAG without parameters."""
    if not dag.params:
        return []
    rows = [row(name, dag.params.get_param(name)) for name in dag.params]
    return ["| parameter | default | what it does |", "|---|---|---|", *rows, ""]


def row(name: str, param: Any) -> str:
    """One line of that table."""
    told = " ".join(str(param.description or param.schema.get("title") or "").split())
    default = "" if param.value in (None, "") else f"`{param.value}`"
    return f"| `{name}` | {default} | {told} |"


def deeper(text: str) -> str:
    """The docs with every heading two levels down, so that they stand below their DAG's."""
    inside_code = False
    lines = []
    for line in text.splitlines():
        inside_code ^= line.startswith("```")
        lines.append(f"##{line}" if line.startswith("#") and not inside_code else line)
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
