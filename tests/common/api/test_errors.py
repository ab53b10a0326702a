"""The words of a no: each is some verb's, and those of calls are the hub's."""

from __future__ import annotations

from common.api.errors import CALL_CODES, OUTCOME_CODES
from common.api.verbs import VERBS

UNNAMED = {"ok", "not_asking"}
"""Codes that are every act's, or that chat alone is told."""


def test_every_code_is_some_verbs() -> None:
    """Else nobody needs it."""
    named = {code for verb in VERBS.values() for code in verb.errors}
    assert OUTCOME_CODES.keys() - named == UNNAMED
    assert not OUTCOME_CODES.keys() & CALL_CODES.keys()
