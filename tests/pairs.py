"""Pairwise instead of full products: most faults of combinations need two values to meet, not all of them.

`pairwise` makes few rows in which every two values of two factors meet at least once. `pairwise_params` gives the whole
product to pytest, with what `pairwise` left out marked slow, so `make slow` still tries everything.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection
from typing import Any

import pytest

Row = tuple[Any, ...]
Pair = frozenset[tuple[int, int]]
"""Two values that meet, each as the index of its factor and its index there."""


def pairs_of(row: tuple[int, ...]) -> set[Pair]:
    return {frozenset(pair) for pair in itertools.combinations(enumerate(row), 2)}


def pairwise(*factors: Collection[Any]) -> list[Row]:
    """Rows of one value a factor, in the order of the product; the same in every run. The choice is greedy: each row is
    the one of the product with the most pairs that have not met, so it is small but not the least there could be.
    """
    values = [list(factor) for factor in factors]
    rows = {row: pairs_of(row) for row in itertools.product(*(range(len(factor)) for factor in values))}
    waiting: set[Pair] = set().union(*rows.values())
    chosen = set()
    while waiting:
        best = max(rows, key=lambda row: (len(rows[row] & waiting), [-at for at in row]))
        waiting -= rows[best]
        chosen.add(best)
    return [tuple(factor[at] for factor, at in zip(values, row, strict=True)) for row in sorted(chosen)]


def pairwise_params(*factors: Collection[Any]) -> list[Any]:
    """The whole product as pytest's parameters; rows that `pairwise` leaves out are slow."""
    chosen = pairwise(*factors)
    slow = pytest.mark.slow
    return [pytest.param(*row, marks=() if row in chosen else slow) for row in itertools.product(*factors)]


def name_of(value: Any) -> str:
    """How a value of a matrix is named in a test's id: 80x24, en, and of several things the first."""
    while isinstance(value, tuple) and value and isinstance(value[0], tuple):
        value = value[0]
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)
