"""A holder's steps, and what they say beside the last one that was seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.link.lineage import (
    MAX_IDS,
    MAX_LINEAGE,
    MAX_PAST,
    Lineage,
    SeenStep,
    advance_seen,
    begin,
    compare,
    parse_lineage,
    parse_seen,
)

CHAIN = "a" * 16


def steps(count: int, *, since: Lineage | None = None, salt: str = "") -> Lineage:
    lineage = since
    for number in range(count):
        data = f"{salt}{number}".encode()
        lineage = begin(CHAIN, data) if lineage is None else lineage.advance(data)
    assert lineage is not None
    return lineage


def seen(lineage: Lineage, *past: str) -> SeenStep:
    return SeenStep(lineage.chain, lineage.counter, lineage.ids, past)


def test_what_a_lineage_is_beside_what_was_seen() -> None:
    """Trust: one holder of a name (security lesson A2, clone detection). Each relation, with the cases next to it."""
    trunk = steps(10)
    own, copy = steps(1, since=trunk, salt="own"), steps(1, since=trunk, salt="copy")
    other = begin("b" * 16, b"")
    cases = {
        "first": (None, trunk),
        "same": (seen(trunk), trunk),
        "follows": (seen(trunk), own),
        "follows, to the last that can be told": (seen(trunk), steps(MAX_IDS - 1, since=trunk)),
        "ahead": (seen(trunk), steps(MAX_IDS, since=trunk)),
        "another": (seen(trunk), other),
        "stale": (seen(own), trunk),
        "diverged, both one step on": (seen(own), copy),
        "diverged, the copy is further": (seen(own), steps(3, since=copy)),
        "diverged, the copy is behind": (seen(steps(3, since=own)), copy),
        "diverged, long ago": (seen(steps(MAX_IDS + 3, since=own)), trunk),
        "diverged, a chain that was replaced": (seen(other, CHAIN), own),
    }
    assert {name: compare(before, told) for name, (before, told) in cases.items()} == {
        name: name.partition(",")[0] for name in cases
    }


@given(st.lists(st.sampled_from(["step", "told", "told, answer lost"]), max_size=60))
def test_one_holder_never_looks_like_two(moves: list[str]) -> None:
    """A step is taken before it is told, and only after the last was answered; whatever is lost, it goes on."""
    own, known, answered = begin(CHAIN, b"0"), None, True
    for number, move in enumerate(moves):
        if move == "step" and answered:
            own, answered = own.advance(str(number).encode()), False
        elif move != "step":
            assert compare(known, own) in ("first", "same", "follows")
            known, answered = advance_seen(known, own), move == "told"


@given(st.integers(1, 30), st.integers(0, 5), st.integers(1, 5))
def test_of_two_the_second_that_is_heard_is_found(before: int, own_steps: int, copy_steps: int) -> None:
    """Wherever their ways part: once the copy was heard with a step of its own, the original's next one shows it."""
    trunk = steps(before)
    own = steps(own_steps, since=trunk, salt="own")
    known = advance_seen(None, own)
    copy = steps(copy_steps, since=trunk, salt="copy")
    if compare(known, copy) in ("diverged", "stale"):
        return  # found with its first
    known = advance_seen(known, copy)
    assert compare(known, own.advance(b"next")) == "diverged"


def test_which_step_came_after_which() -> None:
    """Of the last few that are told; no step came after itself."""
    lineage = steps(MAX_IDS + 2)
    assert [lineage.came_after(step) for step in lineage.ids] == [True] * (MAX_IDS - 1) + [False]
    assert not lineage.came_after(steps(1).id)
    assert not lineage.came_after("")


def test_texts() -> None:
    """A lineage and a seen step come back from their text; nothing else is one, and the longest fits."""
    trunk = steps(20)
    assert parse_lineage(str(trunk)) == trunk
    assert len(trunk.ids) == MAX_IDS
    longest = Lineage("f" * 40, 10**15 - 1, ("f" * 16,) * MAX_IDS)
    assert parse_lineage(str(longest)) == longest
    assert len(str(longest)) <= MAX_LINEAGE
    kept = SeenStep(CHAIN, 3, ("b" * 16,), ("c" * 16,))
    assert parse_seen(kept.to_text()) == kept
    assert parse_seen("") is None


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", f"{CHAIN}:1:", f"{CHAIN}:0:{'b' * 16}", f"{CHAIN}:01:{'b' * 16}", f"{CHAIN}:1:{'B' * 16}"),
        *(f"{CHAIN}:1:{'b' * 16}\n", f"{CHAIN}:1:{'b' * 16},{'c' * 16}", f"../{CHAIN}:1:{'b' * 16}"),
        f"{CHAIN}:9:" + ",".join(["b" * 16] * (MAX_IDS + 1)),
        f"{CHAIN}:{'9' * 16}:{'b' * 16}",
    ],
)
def test_what_is_no_lineage(text: str) -> None:
    assert parse_lineage(text) is None


def test_chains_of_before_are_bounded() -> None:
    """The longest ago is forgotten first; one that is told again is not kept twice."""
    known: SeenStep | None = None
    for number in range(MAX_PAST + 5):
        known = advance_seen(known, begin(f"{number:016x}", b""))
    assert known is not None
    assert known.past == tuple(f"{number:016x}" for number in range(4, MAX_PAST + 4))
