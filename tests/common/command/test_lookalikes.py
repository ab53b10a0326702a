"""Characters that are not what they seem: what they look like, and the sentence that names them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.command.lookalikes import find_disguised, find_oddity, find_suspicious, plain_twin, without_emoji_joiners


@pytest.mark.parametrize(
    ("text", "twin", "said"),
    [
        ("\ufeff@web-1", "@web-1", "U+FEFF ZERO WIDTH NO-BREAK SPACE, which cannot be seen, stands before “@web-1”"),
        ("df\u200b -h", "df -h", "U+200B ZERO WIDTH SPACE, which cannot be seen, stands after “df”"),
        ("df \u200b-h", "df -h", "U+200B ZERO WIDTH SPACE, which cannot be seen, stands after “df”"),
        ("approve r1\u202e", "approve r1", "U+202E RIGHT-TO-LEFT OVERRIDE, which cannot be seen, stands after “r1”"),
        ("df\u00a0-h", "df -h", "U+00A0 NO-BREAK SPACE, which is no plain space, stands after “df”"),
        ("\u0430b r1", "ab r1", "“\u0430b” has U+0430 CYRILLIC SMALL LETTER A, which looks like “a” and is not"),
        ("web\u20131", "web-1", "“web\u20131” has U+2013 EN DASH, which looks like “-” and is not"),
        ("git \u2014help", "git --help", "“\u2014help” has U+2014 EM DASH, which looks like “-” and is not"),
        ("d\uff46 -h", "df -h", "“d\uff46” has U+FF46 FULLWIDTH LATIN SMALL LETTER F, which looks like “f” and is not"),
    ],
)  # fmt: skip
def test_the_character_and_its_place_are_named(text: str, twin: str, said: str) -> None:
    """By code point, Unicode name and the word beside it; and what the text looks like is known."""
    assert plain_twin(text) == twin
    oddity = find_oddity(text)
    assert oddity is not None
    assert oddity.sentence.render("en") == said
    assert oddity.sentence.render("zh")


@pytest.mark.parametrize("text", ["df -h", "web-1 的磁盘", "diskußion", "перезапусти nginx", "@web-1 ls\nuptime"])
def test_writing_is_no_oddity_by_itself(text: str) -> None:
    """Chinese, German, Russian words and line ends are what they are."""
    assert find_suspicious(text) is None


@pytest.mark.parametrize("text", ["w\u0435b-1", "df\u200b", "r\u202e42", "a\U000e0041"])
def test_what_no_writing_has_is_suspicious(text: str) -> None:
    """A hidden character, and a foreign letter within an ASCII word."""
    assert find_suspicious(text) is not None


def test_an_emoji_is_one_character_however_it_is_joined() -> None:
    """Its selectors and skin tones are left out; a hidden character elsewhere stays."""
    assert without_emoji_joiners("👍🏽 ❤️ ok") == "👍 ❤ ok"
    assert without_emoji_joiners("df\ufe0f") == "df\ufe0f"


@given(st.text(max_size=60))
def test_any_text_has_a_twin_without_oddities(text: str) -> None:
    """Nothing raises, and what is offered instead has nothing left to name."""
    assert find_oddity(plain_twin(text)) is None
    found = find_oddity(text)
    if found is not None:
        assert found.sentence.render("en").isprintable()


@pytest.mark.parametrize(
    ("word", "named"),
    [
        ("/srv/\u0430pp", "U+0430"), ("\u0440\u0441", "U+0440"), ("df\u200b", "U+200B"), ("d\uff46", "U+FF46"),
        ("a\u00a0b", "U+00A0"), ("/srv/отчёт", ""), ("/data/报告", ""), ("grüße", ""), ("web-1", ""), ("two words", ""),
        ("\u2010h", "U+2010"), ("\u2212h", "U+2212"), ("\u2014help", "U+2014"), ("--no\u2011pager", "U+2011"),
        ("/srv\u2044app", "U+2044"), ("\u2215etc", "U+2215"), ("a\u2024b", "U+2024"), ("10\u201320", ""),
        ("it\u2019s", ""), ("\u201cx\u201d", ""), ("甲\u2010乙", ""),
    ],
)  # fmt: skip
def test_what_may_deceive_whoever_approves_a_command(word: str, named: str) -> None:
    """Mixed or wholly look-alike parts of a word; other writing is what it is."""
    found = find_disguised(("ls", word))
    assert ("" if found is None else found.sentence.render("en")).find(named) >= 0
    assert (found is not None) is bool(named)
