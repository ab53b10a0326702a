"""Pairwise choices: every pair is there, and few rows are."""

from __future__ import annotations

import itertools

import pytest

from tests.pairs import name_of, pairwise, pairwise_params


@pytest.mark.parametrize(
    ("factors", "most"),
    [
        ((("en", "zh"), (60, 80, 120), (False, True)), 6),
        ((tuple("abcdefgh"), ("en", "zh"), (1, 2)), 16),
        ((("a", "b", "c"), ("d", "e", "f"), ("g", "h", "i"), ("j", "k", "l")), 13),
        (((1, 2), (3, 4)), 4),
        (((1,), (2,), (3,)), 1),
    ],
)
def test_every_pair_meets_in_few_rows(factors: tuple[tuple[object, ...], ...], most: int) -> None:
    """Each value of a factor with each of every other one; far fewer rows than the product; the same every time."""
    rows = pairwise(*factors)
    for (one, left), (other, right) in itertools.combinations(enumerate(factors), 2):
        met = {(row[one], row[other]) for row in rows}
        assert met == set(itertools.product(left, right))
    assert len(rows) <= most
    assert len(set(rows)) == len(rows)
    assert rows == pairwise(*factors)


def test_what_is_left_out_is_slow() -> None:
    """The parameters are the whole product; exactly the rows of `pairwise` run every time."""
    factors = (("en", "zh"), (60, 80, 120), (False, True))
    params = pairwise_params(*factors)
    assert [param.values for param in params] == list(itertools.product(*factors))
    assert [param.values for param in params if not param.marks] == pairwise(*factors)
    assert {mark.name for param in params for mark in param.marks} == {"slow"}


def test_values_have_short_names() -> None:
    """Sizes, words, and groups of either."""
    found = [name_of(value) for value in ((80, 24), "zh", True, ((60, 16), (80, 24)), (("1", "overview"),))]
    assert found == ["80x24", "zh", "True", "60x16", "1xoverview"]
