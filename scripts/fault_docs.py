"""docs/faults.md for `make docs`: what becomes of a batch when a call goes wrong, from the tables that the tests play."""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ferry.core.api import VendorApi
from ferry.vendors import all_vendors
from scripts.environment import ROOT

if TYPE_CHECKING:
    from tests.dags.weather import Call, Chapter, Grid, Words

TARGET = ROOT / "docs" / "faults.md"
TESTS = ROOT / "tests" / "dags"
ELSEWHERE, UNPLAYED = "–", ""
HEAD = """# What becomes of a batch when a call goes wrong

Written by `make docs` from the tests. Change the tables in `tests/dags/test_*faults.py` instead; `make check` fails if they
differ.

Each cell below is a case that `make test` plays: the real DAG, with the real ledger and evidence, against the sandbox that plays
the vendor on a socket. Just before the task in question the sandbox is told to misbehave at that call, once or until it is told
to stop. The test fails if the batch does not end as the cell says, so a wrong table is a red test. It also looks at the ledger
and at what the vendor has heard, for what the head of each vendor's part promises. No real vendor was ever asked; what is made up
about them stands in [the sandbox's README](../include/sandbox/README.md).

Workers that die are not in these tables: `tests/dags/test_*_deaths.py` and `test_lost_starts.py` kill them at any line of the
steps that send, and have the next try go on.

## How to read it

There are two tables for each vendor. In the first the fault strikes once. In the second it strikes at every try, until a person
has seen the red task; the test then takes the fault away and clears that task, and the batch must end well after all, unless
the words below the tables say otherwise. Where there are more faults than calls, the faults stand down the side.

* **recovers**: nobody is needed. A call that may be repeated is *retried*: sent again after a pause, with a new login or a new
  link if that is what was refused; a wait simply looks again. One that may not is sent again only where the vendor has certainly
  not handled it, or where a leftover does no harm; otherwise Ferry looks at what the vendor holds and goes on from there. After
  the colon stands how the batch ends, which is as it would have ended without the fault.
* **does without**: the batch ends as well without that call.
* **a person is asked**: nobody can know whether the vendor heard it.
* **red**: the task that made the call fails, with a message that says what to do; the words below the tables say what it tells. A
  later task may still find out what this one could not, and the batch end well.
* **{elsewhere}**: not played, because another call of the same kind shows it. An empty cell was not played either.

The tests put together what they can. Faults that pass by themselves strike several calls of one DAG run, or one call several
times in a row. A fault that ends red or with a question, and does so too when it lasts, is played in the second table only.

*May be repeated* is what the vendor's API in Ferry says of the call: whether to send it twice does no harm. A fault is the number
of the HTTP status that is answered in the vendor's place, or one of these:

{faults}
"""
WIDTH = 130
"""Of a line of prose."""


class Untold(Exception):
    """A table has a word for which there are no words."""


@dataclass(frozen=True)
class Part:
    """A module of the tests, and what it tells of its vendor."""

    module: str
    promise: str
    """What holds whatever happens, in the words of the module."""
    chapter: Chapter

    @property
    def title(self) -> str:
        """The vendor's name."""
        return all_vendors()[self.chapter.vendor].title


def page() -> str:
    """The whole page."""
    parts = sorted(load(), key=lambda part: part.title.lower())
    head = HEAD.format(elsewhere=ELSEWHERE, faults="\n".join(map(item, weather().FAULTS.values())))
    return "\n".join([head, *(line for part in parts for line in section(part))]).rstrip() + "\n"


def load() -> Iterator[Part]:
    """Every module with a fault table. They import what lies beside them, as pytest lets them do."""
    if str(TESTS) not in sys.path:
        sys.path.append(str(TESTS))
    for path in sorted(TESTS.glob("test_*faults.py")):
        module = import_module(path.stem)
        if not hasattr(module, "CHAPTER"):
            raise Untold(f"{path.name} has no CHAPTER, which tells its table to people. test_domo_faults.py shows one.")
        promise = (module.__doc__ or "").partition("\n\n")[2]
        yield Part(path.stem, promise.strip(), module.CHAPTER)


def weather() -> Any:
    """The module of the tests that names faults and ends; it can be had once the tables are loaded."""
    return import_module("weather")


def section(part: Part) -> Iterator[str]:
    """One vendor's part of the page."""
    chapter, path = part.chapter, f"tests/dags/{part.module}.py"
    yield from (f"## {part.title}", "", part.promise, "", *calls(chapter), "")
    yield from ("### A fault that strikes once", "", *grid(chapter, chapter.once, lasting=False), "")
    yield from (
        "### A fault that lasts until somebody has seen the red task",
        "",
        *grid(chapter, chapter.lasting, lasting=True),
        "",
    )
    yield from (*legend(chapter), "")
    yield f"Proved by [{part.module}.py](../{path}). To play it, and nothing else:\n"
    yield f'    make test ARGS="{path}"\n'


def calls(chapter: Chapter) -> Iterator[str]:
    """What the vendor is asked, one line for each call."""
    rows = ((call.does, request(call), f"`{call.task}`", repeatable(chapter, call)) for call in chapter.calls.values())
    return table(("call", "request", "task", "may be repeated"), rows)


def request(call: Call) -> str:
    """Method and path, with an ellipsis for what differs from case to case."""
    path = re.sub(r"\?[?-]*", "…", call.path).replace("*", "…")
    return f"`{call.method} {path}`"


def repeatable(chapter: Chapter, call: Call) -> str:
    """Whether a call may be repeated, read where it is sent."""
    if not call.verb:
        return "yes: a login"
    said = set(re.findall(r"\brepeatable=(True|False)\b", inspect.getsource(getattr(api_of(chapter.vendor), call.verb))))
    if len(said) != 1:
        raise Untold(f"{chapter.vendor}: {call.verb} does not say, in one word, whether it may be repeated.")
    return "yes" if said == {"True"} else "**no**"


def api_of(vendor: str) -> type[VendorApi]:
    """The vendor's verbs."""
    module = import_module(f"ferry.vendors.{vendor}.api")
    found = (kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, VendorApi))
    return next(kind for kind in found if kind.__module__ == module.__name__)


def grid(chapter: Chapter, ends: Grid, *, lasting: bool) -> Iterator[str]:
    """Calls down the side and faults along the top, or the other way round where there are more faults than calls."""
    faults = sorted(dict.fromkeys(action for row in ends.values() for action in row), key=place)
    cells = {(name, action): cell(chapter, name, ends[name].get(action), lasting=lasting) for name in ends for action in faults}
    does = {name: chapter.calls[name].does for name in ends}
    told = {action: fault_words(chapter, action).short for action in faults}
    if len(faults) > len(ends):
        return table(("fault", *does.values()), ((told[one], *(cells[name, one] for name in ends)) for one in faults))
    return table(("call", *told.values()), ((does[name], *(cells[name, one] for one in faults)) for name in ends))


def place(action: str) -> tuple[int, int, int]:
    """Where a fault stands: what happens to the connection, then statuses by number, then what is wrong in an answer."""
    known, status = list(weather().FAULTS), re.match(r"\d+", action)
    if status:
        return 1, int(status[0]), len(action)
    return (0, known.index(action), 0) if action in known else (2, 0, 0)


def cell(chapter: Chapter, name: str, end: str | None, *, lasting: bool) -> str:
    """One case, in a few words."""
    if end is None:
        return UNPLAYED
    if end == "-":
        return ELSEWHERE
    if end == "ok":
        good = chapter.good.get(name) or chapter.good[chapter.calls[name].journey]
        return f"{'does without' if lasting else 'recovers'}: {good}"
    return end_words(chapter, end).short


def end_words(chapter: Chapter, end: str) -> Words:
    """What a table's end is called; Untold if nobody has said."""
    if end not in chapter.ends:
        raise Untold(f"{chapter.vendor}: no sentence says what {end!r} means. Write one into the table's `ends`.")
    return chapter.ends[end]


def fault_words(chapter: Chapter, action: str) -> Words:
    """What a fault is called; a status by its number. Untold if nobody has said."""
    words: Words = (weather().FAULTS | dict(chapter.faults)).get(action) or weather().Words(action, "")
    if not words.sentence and not action.isdecimal():
        raise Untold(f"{chapter.vendor}: no sentence says what {action!r} is. Write one into the table's `faults`.")
    return words


def legend(chapter: Chapter) -> Iterator[str]:
    """The ends and the vendor's own faults that are in its tables, in sentences."""
    ends = list(dict.fromkeys(end for ends in (chapter.once, chapter.lasting) for row in ends.values() for end in row.values()))
    told = [end_words(chapter, end) for end in ends if end not in {"ok", "-"}]
    yield from map(item, told)
    if chapter.faults:
        yield from ("", f"Faults of {all_vendors()[chapter.vendor].title} alone:", "")
        yield from map(item, chapter.faults.values())


def item(words: Words) -> str:
    """A line of a list that explains a word."""
    told = f"* **{words.short}**: {words.sentence}."
    return textwrap.fill(told, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """A Markdown table."""
    columns = list(head)
    yield line(columns)
    yield "|" + "---|" * len(columns)
    yield from map(line, rows)


def line(cells: Iterable[str]) -> str:
    """One line of it."""
    return f"| {' | '.join(cells)} |"
