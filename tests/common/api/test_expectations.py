"""What is said of an argument that declares no bounds."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from common.api.expectations import expectation
from common.lifecycle import RequestState


@pytest.mark.parametrize(
    ("hint", "said"),
    [
        (str, "text of at most 2000 characters is expected"),
        (int, "a whole number is expected"),
        (int | None, "a whole number is expected"),
        (float, "a number is expected"),
        (bool, "true or false is expected"),
        (Literal["a", "b"], "one of a, b is expected"),
        (tuple[str, ...], "a list of words is expected"),
        (tuple[RequestState, ...] | None, f"some of {', '.join(RequestState)} are expected"),
    ],
)
def test_the_words_are_the_types(hint: Any, said: str) -> None:
    """As operators have known them."""
    found = expectation(hint)
    assert found is not None
    assert found.expected == said


def test_what_says_enough_by_itself() -> None:
    """A map's checker."""
    assert expectation(dict[str, str]) is None
