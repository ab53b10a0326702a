"""The last gate before the terminal."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.color import Color

from common.text import clean
from tests.tui.fake_source import HOSTILE
from tui.terminal.sanitize import REPLACEMENT, SanitizeFilter, fit_encoding, is_safe

BLACK = Color(0, 0, 0)


@given(st.lists(st.text(max_size=30) | st.sampled_from(HOSTILE), max_size=5))
def test_nothing_that_a_terminal_obeys_passes(texts: list[str]) -> None:
    """No control, no direction mark, no half of a pair; what is harmless passes unchanged, as does the style."""
    style = Style(bold=True)
    passed = SanitizeFilter().apply([Segment(text, style) for text in texts], BLACK)
    assert [segment.style for segment in passed] == [style] * len(texts)
    for before, segment in zip(texts, passed, strict=True):
        assert is_safe(segment.text)
        assert len(segment.text) == len(before)
        assert not any(unicodedata.category(char) in ("Cc", "Cs") for char in segment.text)
        assert segment.text == before or not is_safe(before)


@given(st.text(max_size=60) | st.sampled_from(HOSTILE))
def test_what_has_been_cleaned_passes(text: str) -> None:
    """The cleaner at the boundary and the gate agree."""
    assert is_safe(clean(text, limit=200))


def test_the_usual_suspects() -> None:
    """Each of them is stopped by itself."""
    for char in "\x00\x07\x08\t\n\r\x1b\x7f\x85\x9b\u00ad\u200b\u200e\u202e\u2028\u2066\ufeff\ufe0f\ud800\U000e0041":
        (passed,) = SanitizeFilter().apply([Segment(f"a{char}b")], BLACK)
        assert passed.text == f"a{REPLACEMENT}b", hex(ord(char))
    for text in ("汉字 é ░█▁", "🙂", "│ ╭ …"):
        assert is_safe(text)


@given(st.text(max_size=30))
def test_a_terminal_of_another_encoding_gets_its_own_signs_in_as_many_cells(text: str) -> None:
    """What it has stays; the cells stay what they were, so that columns do."""
    text = "".join(char for char in text if is_safe(char))
    for encoding in ("ascii", "latin-1"):
        fitted = fit_encoding(text, encoding)
        assert len(fitted.encode(encoding)) == len(fitted)
        assert cell_len(fitted) == cell_len(text)
    passed = SanitizeFilter("ascii").apply([Segment(f"{text}x")], BLACK)
    assert passed[0].text.isascii()


def test_what_stands_for_a_sign() -> None:
    assert fit_encoding("a\u2026b \u2192 \u6c49", "ascii") == "a.b - ??"
