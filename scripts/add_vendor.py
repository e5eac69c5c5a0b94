"""`make add-vendor NAME=x`: the files of a new vendor, working against the sandbox they bring; no existing file is edited."""

from __future__ import annotations

import keyword
import re
import subprocess
import sys
from pathlib import Path

from scripts.environment import ROOT

TEMPLATES = ROOT / "scripts" / "templates" / "vendor"
LIBRARY = ("__init__.py", "api.py", "hook.py", "process.py", "operators.py", "triggers.py", "sandbox.py")
NEXT = """Written. They work as they are, against a vendor that nobody has. Now make them true, in this order:
  1. plugins/ferry/vendors/{name}/__init__.py   the vendor's process, what bites, the connection's fields
  2. plugins/ferry/vendors/{name}/sandbox.py    the vendor from its contract, quirks as switches
  3. plugins/ferry/vendors/{name}/api.py        its verbs; say of each call whether it may be repeated
  4. dags/migrate_{name}.py and process.py      its steps
Then: make docs, make check, make test, make demo."""


class BadName(Exception):
    """The name cannot be a vendor's; says why."""


def main(arguments: list[str]) -> int:
    """Write the files; 2 if the name will not do."""
    try:
        name = checked(arguments[0] if arguments else "", ROOT)
    except BadName as error:
        print(error, file=sys.stderr)
        return 2
    written = add(name, ROOT)
    tidy(written)
    print("\n".join(str(path.relative_to(ROOT)) for path in written))
    print(NEXT.format(name=name))
    return 0


def checked(name: str, root: Path) -> str:
    """The name, if a vendor may have it: a Python module's name that nothing has yet."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or keyword.iskeyword(name):
        raise BadName(
            f"{name!r} cannot be a vendor's name: make add-vendor NAME=x takes lowercase letters, digits and single '_'."
        )
    if name in sys.stdlib_module_names or name in {"airflow", "ferry", "sandbox", "scripts", "httpx"}:
        raise BadName(f"{name!r} is the name of a module that others import. Take another one, such as {name}_inc.")
    if taken := [path for path in targets(name, root).values() if path.exists()]:
        raise BadName(f"There is a vendor {name!r} already: {taken[0].relative_to(root)} exists.")
    return name


def targets(name: str, root: Path) -> dict[str, Path]:
    """Where each template's text goes."""
    library = root / "plugins" / "ferry" / "vendors" / name
    batches = root / "include" / "batches" / name
    return {file: library / file for file in LIBRARY} | {
        "migrate_dag.py": root / "dags" / f"migrate_{name}.py",
        "test_vendor.py": root / "tests" / "vendors" / f"test_{name}.py",
        "manifest.yaml": batches / "demo" / "manifest.yaml",
        "records.csv": batches / "demo" / "records.csv",
        "demo.yaml": batches / "demo" / "demo.yaml",
        "rehearsal.yaml": batches / "rehearsal.yaml",
    }


def add(name: str, root: Path) -> list[Path]:
    """Write every file of the vendor."""
    written = []
    for template, path in targets(name, root).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rendered(template, name), encoding="utf-8")
        written.append(path)
    return written


def rendered(template: str, name: str) -> str:
    """A template's text for the vendor."""
    words = name.split("_")
    text = (TEMPLATES / f"{template}.tmpl").read_text(encoding="utf-8")
    for mark, value in {
        "__Vendor__": "".join(map(str.title, words)),
        "__Title__": " ".join(words).title(),
        "__vendor__": name,
    }.items():
        text = text.replace(mark, value)
    return text


def tidy(paths: list[Path]) -> None:
    """Lines and imports as the house has them: how long a name is decides where a line breaks."""
    files = [str(path) for path in paths if path.suffix == ".py"]
    for command in (["check", "--fix", "--quiet"], ["format", "--quiet"]):
        subprocess.run([sys.executable, "-m", "ruff", *command, *files], cwd=ROOT, check=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
