"""A message as words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hub.planning.runbooks.tokens import MAX_TEXT, fold_width, tokenize
from tests.each import each_of


def keys(text: str) -> list[str] | None:
    found = tokenize(text)
    return None if found is None else [word.key for word in found.words]


@each_of(
    ("text", "words"),
    [
        ("Disk on web-1", ["disk", "on", "web-1"]),
        ("web-1 的磁盘", ["web-1", "的", "磁", "盘"]),
        ("看web-1、web-2的磁盘。", ["看", "web-1", ",", "web-2", "的", "磁", "盘"]),
        ("ｗｅｂ－１　磁盘", ["web-1", "磁", "盘"]),
        ("web-1's disk", ["web-1", "'s", "disk"]),
        ("what's the load", ["what", "is", "the", "load"]),
        ("don't", ["don't"]),
        ("disk on db.prod, please.", ["disk", "on", "db.prod", ",", "please"]),
        ("disk on web-1. memory", ["disk", "on", "web-1", ".", "memory"]),
        ("disk on web-?", ["disk", "on", "web-?"]),
        ("disk on role=web,env=prod", ["disk", "on", "role=web", ",", "env=prod"]),
        ("logs of nginx: now", ["logs", "of", "nginx", ":", "now"]),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    """English words, single Han characters, and the signs that part them; full width is the same as half."""
    assert keys(text) == words


@each_of("text", ["disk on web-1?", "disk on web-1？", "disk on web-1 ?!"])
def test_a_question_mark_is_noticed(text: str) -> None:
    """At the end, and in full width too; it is no part of the last word."""
    found = tokenize(text)
    assert found is not None
    assert found.question
    assert found.words[-1].raw == "web-1"


@each_of(
    "text",
    [
        'he said "disk on web-1"',
        "他说“重启 web-1”",
        "「重启 web-1」",
        "`disk on web-1`",
        "'disk on web-1'",
        "> disk on web-1",
        "disk on web-1\nmemory on web-1",
        "disk\u202e on web-1",
        "",
        "   ",
        "x" * (MAX_TEXT + 1),
    ],
)
def test_what_is_no_plain_line_has_no_words(text: str) -> None:
    """Quotations were said by somebody else; several lines, unseen characters and stories are no request."""
    assert tokenize(text) is None


@given(st.text())
def test_folding_keeps_every_character_at_its_place(text: str) -> None:
    """So that a reason can be cut out of the message as it was written."""
    assert len(fold_width(text)) == len(text)
    assert fold_width(fold_width(text)) == fold_width(text)


def test_the_raw_word_keeps_its_case() -> None:
    """Literals are compared without case; values are taken as written."""
    found = tokenize("status of Nginx@A.service")
    assert found is not None
    assert found.words[-1].raw == "Nginx@A.service"
    assert found.words[-1].key == "nginx@a.service"
