"""What is kept of prompts and answers comes back as it was; anything else is told apart."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.planning.llm.transcript import (
    MAX_PROMPT_BYTES,
    AnswerTranscript,
    compress_prompt,
    decompress_prompt,
    parse_transcript,
)


@given(st.text(max_size=200), st.text(max_size=50), st.booleans(), st.booleans())
def test_an_answer_comes_back(text: str, said: str, asks: bool, tainted: bool) -> None:
    """With all that it may mean."""
    kept = AnswerTranscript(text, said, asks, tainted)
    assert parse_transcript(kept.to_text()) == kept


@pytest.mark.parametrize(
    "text", ["", "A", "[]", "{}", '{"text": 1}', '{"text": "a", "asks": 1}', '{"text": "a", "x": 1}']
)
def test_other_text_is_no_answer(text: str) -> None:
    """A note of another kind, or of an older version."""
    assert parse_transcript(text) is None


def test_a_prompt_is_packed() -> None:
    """Much smaller, and whole again; what was cut off, is too large or is something else is refused."""
    text = "Machines: web-1, web-2. 机器\n" * 500
    assert len(compress_prompt(text)) < len(text) / 10
    assert decompress_prompt(compress_prompt(text)) == text
    for data in (b"", b"x", compress_prompt(text)[:-5], zlib.compress(b"\0" * (MAX_PROMPT_BYTES + 1))):
        with pytest.raises(ValueError, match="packed prompt"):
            decompress_prompt(data)
