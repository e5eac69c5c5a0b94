"""docs/faults.md says what the fault tables say: no more, no less, and in words."""

import re
from dataclasses import replace
from importlib import import_module

import pytest

from scripts.fault_docs import ELSEWHERE, TARGET, Untold, cell, fault_words, load, page, repeatable, section

PARTS = sorted(load(), key=lambda part: part.module)
WEATHER = import_module("weather")  # which lies where the tables are loaded from
NAMES = [part.chapter.vendor for part in PARTS]


def grids(chapter):
    return {"strikes once": (chapter.once, False), "lasts until somebody": (chapter.lasting, True)}


def words_in(part):
    """Every end and every fault in a part's tables."""
    rows = [row for grid, _ in grids(part.chapter).values() for row in grid.values()]
    return {end for row in rows for end in row.values()} - {"ok", "-"}, {action for row in rows for action in row}


def shown(text, title, heading):
    """The cells of a table on the page, by the heads of their line and column."""
    part = text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    lines = re.search(rf"### A fault that {heading}[^\n]*\n\n((?:\|[^\n]*\n)+)", part)[1].splitlines()
    (_, *columns), _, *rows = [[one.strip() for one in line.strip("|").split("|")] for line in lines]
    return {(row[0], column): told for row in rows for column, told in zip(columns, row[1:], strict=True)}


@pytest.mark.parametrize("part", PARTS, ids=NAMES)
def test_every_word_of_a_table_has_its_sentence_and_no_sentence_is_left_over(part):
    ends, faults = words_in(part)
    assert ends <= part.chapter.ends.keys()
    assert part.chapter.ends.keys() - WEATHER.ENDS.keys() <= ends
    assert {one for one in faults if not one.isdecimal()} <= WEATHER.FAULTS.keys() | part.chapter.faults.keys()
    assert part.chapter.faults.keys() <= faults


def test_every_sentence_that_the_vendors_share_is_used():
    ends, faults = (set().union(*words) for words in zip(*map(words_in, PARTS), strict=True))
    assert ends >= WEATHER.ENDS.keys()
    assert faults >= WEATHER.FAULTS.keys()


@pytest.mark.parametrize("part", PARTS, ids=NAMES)
def test_no_two_words_of_a_vendor_and_no_two_of_its_calls_are_told_alike(part):
    ends, faults = words_in(part)
    for told in (
        [part.chapter.ends[end].short for end in ends],
        [fault_words(part.chapter, action).short for action in faults],
        [call.does for call in part.chapter.calls.values()],
    ):
        assert len(told) == len(set(told))


@pytest.mark.parametrize("part", PARTS, ids=NAMES)
def test_every_cell_of_every_table_is_on_the_page_and_nothing_else_is(part):
    chapter, text = part.chapter, page()
    for heading, (grid, lasting) in grids(chapter).items():
        found, expected = shown(text, part.title, heading), {}
        for name, row in grid.items():
            for action, end in row.items():
                place = (chapter.calls[name].does, fault_words(chapter, action).short)
                told = ELSEWHERE if end == "-" else cell(chapter, name, end, lasting=lasting)
                expected[place if place in found else place[::-1]] = told
        assert {place: told for place, told in found.items() if told} == expected


@pytest.mark.parametrize("part", PARTS, ids=NAMES)
def test_every_call_of_a_vendor_is_in_its_tables_and_says_whether_it_may_be_repeated(part):
    chapter = part.chapter
    assert chapter.once.keys() | chapter.lasting.keys() == chapter.calls.keys()
    assert {repeatable(chapter, call) for call in chapter.calls.values()} <= {"yes", "**no**", "yes: a login"}


def test_what_starts_something_may_not_be_repeated():
    starts = {"fenergo": "start", "microstrategy": "import", "domo": "migrate", "dmm": "start"}
    told = {part.chapter.vendor: part.chapter for part in PARTS}
    assert {repeatable(told[vendor], told[vendor].calls[name]) for vendor, name in starts.items()} == {"**no**"}


def test_a_word_without_a_sentence_stops_the_page():
    chapter = PARTS[0].chapter
    name = next(iter(chapter.calls))
    with pytest.raises(Untold, match=r"no sentence says what 'made up' means"):
        list(section(replace(PARTS[0], chapter=replace(chapter, once={name: {"429": "made up"}}))))
    with pytest.raises(Untold, match=r"no sentence says what 'hail' is"):
        list(section(replace(PARTS[0], chapter=replace(chapter, once={name: {"hail": "ok"}}))))


def test_the_page_is_up_to_date():
    assert TARGET.read_text(encoding="utf-8") == page(), "run `make docs`"
