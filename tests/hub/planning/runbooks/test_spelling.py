"""Slips of the fingers, and words that are none."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hub.planning.runbooks.spelling import Speller, edit_distance, is_typo
from tests.each import each_of

KNOWN = ("disk", "memory", "uptime", "running", "processes", "certificate", "ports", "users", "load", "failed", "time")
SPELLER = Speller(KNOWN, never=("filed", "posts"))


@each_of(
    ("word", "known"),
    [
        ("dsik", "disk"),
        ("idsk", "disk"),
        ("memmory", "memory"),
        ("memroy", "memory"),
        ("memry", "memory"),
        ("memery", "memory"),
        ("upitme", "uptime"),
        ("runing", "running"),
        ("proccesses", "processes"),
        ("certifcate", "certificate"),
        ("certficatee", "certificate"),
        ("laod", "load"),
        ("faield", "failed"),
    ],
)
def test_a_slip_is_seen_through(word: str, known: str) -> None:
    """A letter more, less, other, or two exchanged."""
    assert SPELLER.corrections(word) == {known}


@each_of(
    "word",
    [
        "disk",
        "dish",
        "desk",
        "ask",
        "task",
        "filed",
        "posts",
        "loan",
        "lead",
        "memo",
        "mem",
        "tim",
        "us",
        "用户",
        "disk1",
        "",
    ],
)
def test_another_word_is_no_slip(word: str) -> None:
    """Known words, real words, and words too short to tell."""
    assert SPELLER.corrections(word) == set()


def test_between_two_both_are_told() -> None:
    """The nearest of them; whether they mean the same is for the reader to know."""
    assert Speller(["routers", "routes"]).corrections("routees") == {"routers", "routes"}
    assert Speller(["process", "processes", "services"]).corrections("proceses") == {"process", "processes"}


def test_the_first_letter_holds() -> None:
    """`stop` is no slip of `top`, nor `clock` of `lock`."""
    assert not is_typo("stop", "top")
    assert not is_typo("flock", "clock")


@given(st.text("abcdi", max_size=7), st.text("abcdi", max_size=7))
def test_the_distance_is_one_of_edits(one: str, other: str) -> None:
    """Zero for the same word only, alike both ways, never less than the difference in length."""
    edits = edit_distance(one, other)
    assert (edits == 0) == (one == other)
    assert edits == edit_distance(other, one)
    assert edits >= min(abs(len(one) - len(other)), 3)


@given(st.sampled_from(KNOWN), st.integers(0, 20), st.sampled_from("aeiorst"))
def test_every_one_letter_slip_is_found_by_its_forms(known: str, at: int, letter: str) -> None:
    """What compares as a slip is always among the candidates."""
    at %= len(known) + 1
    for word in (known[:at] + letter + known[at:], known[:at] + letter + known[at + 1 :], known[:at] + known[at + 1 :]):
        if is_typo(word, known) and word not in KNOWN:
            assert Speller([known]).corrections(word) == {known}


@given(st.text(max_size=200))
def test_any_text_is_bounded(word: str) -> None:
    """Long or strange words are no slips, and cost nothing."""
    assert SPELLER.corrections(word) <= set(KNOWN)
