"""Many cases in one test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.each import each_of


def test_every_case_is_tried_and_each_failure_is_named() -> None:
    """Failing assertions, exceptions that did not come, exceptions that did: none hides the others."""
    tried = []

    @each_of(("line", "size"), [("ab", 2), ("abc", 2), ("", 0), ("x", 1), ("long" * 100, 1)])
    def check(line: str, size: int) -> None:
        """Says how long it is."""
        tried.append(line)
        assert len(line) == size
        if line == "x":
            raise KeyError("gone")
        if line == "":
            with pytest.raises(ValueError, match="never"):
                pass

    assert check.__doc__ == "Says how long it is."
    with pytest.raises(AssertionError) as caught:
        check()
    assert len(tried) == 5
    text = str(caught.value)
    assert "4 of 5 failed" in text
    for part in ("('abc', 2): AssertionError", "('', 0): Failed", "('x', 1): KeyError", "longlong"):
        assert part in text
    assert max(map(len, text.splitlines())) < 400


@each_of("word", ["a", "b"])
def test_fixtures_are_made_once_for_all_cases(tmp_path: Path, word: str) -> None:
    """The second case finds what the first left."""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a"] * (word == "b")
    (tmp_path / word).touch()


def test_all_well_and_nothing_to_try() -> None:
    """No failure, no exception; an empty table is a mistake."""
    each_of("word", ["a", "b"])(lambda word: None)()
    with pytest.raises(AssertionError, match="no case to try"):
        each_of("word", [])(lambda word: None)()
