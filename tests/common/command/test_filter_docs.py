"""docs/filters.md says what the reader of filters takes, and nothing else."""

from __future__ import annotations

import shlex
import string

import pytest

from agent.runner import output_pipeline
from common.command import filter_docs
from common.command.output_filters import FILTER_NAMES, BadFilter, parse_filter


def takes(name: str, letter: str) -> bool:
    """Whether a filter has an option, as far as one of the ways to give it is accepted."""
    for words in ([f"-{letter}"], [f"-{letter}", "5"], [f"-{letter}", "a"]):
        more = ["x"] if name == "grep" and words[-1] != "a" else []
        try:
            parse_filter([name, *words, *more])
        except BadFilter:
            continue
        return True
    return False


def test_the_page_is_current() -> None:
    assert filter_docs.FILE.read_text(encoding="utf-8") == filter_docs.document(), (
        "run: python -m common.command.filter_docs"
    )


@pytest.mark.parametrize("name", FILTER_NAMES)
def test_each_option_is_on_the_page_and_no_other(name: str) -> None:
    taken = {letter for letter in string.ascii_letters if takes(name, letter)}
    assert taken == set(filter_docs.OPTIONS[name])
    assert filter_docs.ABOUT[name]


def test_examples_are_taken_and_what_is_refused_is_refused() -> None:
    """And one spelling reads as itself."""
    assert {example.split()[0] for example in filter_docs.EXAMPLES} == set(FILTER_NAMES)
    for example in filter_docs.EXAMPLES:
        assert filter_docs.spelling(filter_docs.spelling(example)) == filter_docs.spelling(example)
    for line in filter_docs.REFUSED:
        with pytest.raises(BadFilter):
            parse_filter(shlex.split(line))


def test_the_bounds_are_the_agents() -> None:
    assert (filter_docs.MAX_LINE, filter_docs.MAX_KEPT) == (output_pipeline.MAX_LINE, output_pipeline.MAX_KEPT)
