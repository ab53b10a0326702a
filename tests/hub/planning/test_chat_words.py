"""The tables of chat commands' words, against one another and against their rules."""

from __future__ import annotations

import pytest

from hub.planning.chat_words import ALONE, ON_REQUESTS, REQUEST, alone_verb, is_marked, is_question
from hub.planning.runbooks.tokens import fold_width


def test_every_phrase_is_known_as_it_stands() -> None:
    """In lower case and half width, once; with courtesy and signs around it too."""
    seen: dict[str, str] = {}
    for verb, phrases in ALONE.items():
        for phrase in phrases:
            assert phrase == fold_width(phrase).casefold()
            assert seen.setdefault(phrase, verb) == verb, phrase
            assert alone_verb(phrase) == verb, phrase
            assert alone_verb(f"{phrase.capitalize()}!") == verb, phrase
            if verb in ("machines", "whoami", "jobs", "history", "status"):
                assert alone_verb(f"please {phrase}, thanks") == verb, phrase
    assert {word for words in ON_REQUESTS.values() for word in words}.isdisjoint(seen) is False  # 通过, by itself a yes


@pytest.mark.parametrize("phrase", [*ALONE["yes"], *ALONE["no"]])
def test_a_question_is_no_yes(phrase: str) -> None:
    """ "ok?" decides nothing."""
    assert alone_verb(f"{phrase}?") is None
    assert is_question(f"{phrase}?")


@pytest.mark.parametrize(
    ("text", "number", "marked"),
    [
        ("r42", 42, True), ("R 42", 42, True), ("#42", 42, True), ("r#42", 42, True), ("request 42", 42, True),
        ("the request r42", 42, True), ("no. 42", 42, True), ("第42号", 42, True), ("42号请求", 42, True),
        ("请求 r42", 42, True), ("42", 42, False), ("42.5", None, False), ("r42-b", None, False), ("r42x", None, False),
        ("web-1", None, False),
    ],
)  # fmt: skip
def test_ways_to_name_a_request(text: str, number: int | None, marked: bool) -> None:
    """A bare number is one too, and may be something else."""
    found = REQUEST.match(text)
    assert (None if found is None else int(found["number"])) == number
    assert found is None or is_marked(found) is marked
