"""The names in Ferry's code that stand in somebody's databases while Ferry is upgraded, as they are now.

python -m tests.upgrade.stored        prints them; `stored.txt` has all that any version has had
"""

from __future__ import annotations

import ast
import inspect
import pkgutil
import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from airflow.sdk._shared.module_loading import import_string
from airflow.triggers.base import BaseTrigger

import ferry
from ferry.core.model import RunState
from ferry.ledger.chain import Kind, Verdict

FILE = Path(__file__).with_name("stored.txt")
WORDS = {"kind": Kind, "state": RunState, "verdict": Verdict}


def frozen(sort: str) -> list[list[str]]:
    """What versions so far have stored, by sort of thing."""
    lines = (line.split() for line in FILE.read_text("utf-8").splitlines() if line and not line.startswith("#"))
    return [line[1:] for line in lines if line[0] == sort]


def releases() -> list[str]:
    """The versions that were released, the newest first; not the one at work."""
    changelog = Path(__file__).parents[2] / "CHANGELOG.md"
    return re.findall(r"^## (\S+) \(\d{4}-\d\d-\d\d\)$", changelog.read_text("utf-8"), re.MULTILINE)


def is_released() -> bool:
    """Whether the newest version in the changelog was released: nothing new may be stored after that under its name."""
    changelog = Path(__file__).parents[2] / "CHANGELOG.md"
    return re.findall(r"^## (\S+)", changelog.read_text("utf-8"), re.MULTILINE)[0] in releases()


@cache
def modules() -> list[str]:
    """Every module of the house that may run in a task or in the triggerer."""
    found = [one.name for one in pkgutil.walk_packages(ferry.__path__, "ferry.")]
    return [name for name in found if "sandbox" not in name and "migrations" not in name and not name.endswith("__main__")]


def triggers() -> dict[str, type[BaseTrigger]]:
    """Every trigger class that may stand in a row, by its path; a class that others are made from stands in none."""
    for name in modules():
        import_module(name)
    waiting, found = [BaseTrigger], dict[str, type[BaseTrigger]]()
    while waiting:
        ours = [one for one in waiting.pop().__subclasses__() if one not in found.values()]
        waiting += ours
        found |= {f"{one.__module__}.{one.__qualname__}": one for one in ours if _is_stored(one)}
    return dict(sorted(found.items()))


def _is_stored(kind: type[BaseTrigger]) -> bool:
    bases = [one for one in kind.__subclasses__() if one.__module__.startswith("ferry.")]
    return kind.__module__.startswith("ferry.") and not bases


def required(kind: type[BaseTrigger]) -> set[str]:
    """The arguments without which the class cannot be made."""
    found, names = set[str](), set[str]()
    for one in kind.__mro__:
        if one.__module__.startswith("ferry.") and "__init__" in vars(one):
            told = inspect.signature(one.__init__).parameters.values()  # type: ignore[misc]
            mine = [
                parameter for parameter in told if parameter.kind in {parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD}
            ]
            found |= {each.name for each in mine if each.default is each.empty and each.name not in names | {"self"}}
            names |= {each.name for each in mine}
    return found


def sample(kind: type[BaseTrigger], **more: Any) -> BaseTrigger:
    """One of its kind, made of as little as it takes."""
    told = {"attempt": "fenergo://api.example.com/b-1/1", "max_live": 4}
    return kind(**{name: told[name] for name in required(kind)} | more)


def methods() -> Iterator[tuple[str, str]]:
    """Class and method with which Airflow goes on with a task that has put itself aside."""
    for name in modules():
        source = Path(str(import_module(name).__file__)).read_text("utf-8")
        for one in ast.walk(ast.parse(source)):
            if isinstance(one, ast.ClassDef):
                told = (
                    word.value for call in ast.walk(one) if isinstance(call, ast.Call) for word in call.keywords if _is_next(word)
                )
                yield from ((f"{name}.{one.name}", str(value.value)) for value in told if isinstance(value, ast.Constant))


def _is_next(word: ast.keyword) -> bool:
    return word.arg in {"method_name", "next_method"}


def waiting_tasks(dags: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    """Every task that may put itself aside, with its DAG's id."""
    kinds = tuple(import_string(where) for where, _ in methods())
    for dag in sorted(dags, key=lambda dag: str(dag.dag_id)):
        for task in dag.topological_sort():
            kind = task.operator_class if task.is_mapped else type(task)
            if issubclass(kind, kinds) or getattr(task, "options", None):
                yield str(dag.dag_id), task


def lines(dags: Iterable[Any]) -> list[str]:
    """All of it, as it stands in the file."""
    tasks = list(waiting_tasks(dags))
    made = [f"trigger {path} {' '.join(_arguments(kind))}" for path, kind in triggers().items()]
    made += sorted({f"method {where} {method}" for where, method in methods()})
    made += [f"word {name} {word.value}" for name, words in WORDS.items() for word in words]
    made += [f"task {dag} {task.task_id}" for dag, task in tasks]
    return made + [f"option {dag}.{task.task_id} {said}" for dag, task in tasks for said in getattr(task, "options", None) or ()]


def _arguments(kind: type[BaseTrigger]) -> list[str]:
    needed = required(kind)
    return [f"{name}{'*' if name in needed else ''}" for name in sorted(sample(kind).serialize()[1])]


def main() -> None:
    """Print all of it."""
    from airflow.dag_processing.dagbag import BundleDagBag

    folder = Path(__file__).parents[2] / "dags"
    bag = BundleDagBag(str(folder), bundle_path=folder, bundle_name="dags-folder")
    print("\n".join(lines(bag.dags.values())))  # noqa: T201 (a command's output)


if __name__ == "__main__":
    main()
