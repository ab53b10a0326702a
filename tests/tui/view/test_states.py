"""The words of states."""

from __future__ import annotations

import pytest

from common.catalogue import LANGUAGES, sentences
from tui.view import states

KINDS = {
    "job": states.JOB_TONES,
    "request": states.REQUEST_TONES,
    "lane_is": states.LANE_TONES,
    "need": states.ATTENTION_TONES,
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_state_with_a_tone_has_a_word(kind: str) -> None:
    """And another word than its neighbours, in each language: colour only repeats it."""
    for language in LANGUAGES:
        words = [states.state_label(language, kind, state, KINDS[kind]) for state in KINDS[kind]]
        assert len(set(words)) == len(words)
        assert all(f"console_{kind}_{state}" in sentences() for state in KINDS[kind])


def test_a_state_of_a_newer_hub_is_said_as_it_is() -> None:
    assert states.state_label("en", "job", "teleported\x1b[2J", states.JOB_TONES) == "teleported\\x1b[2J"
