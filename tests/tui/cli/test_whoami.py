"""answerback whoami: who the hub takes you for, and words by which a chat does."""

from __future__ import annotations

import re

import pytest

from tests.tui.live_hub import LiveHub

pytestmark = pytest.mark.xdist_group("live")


def test_the_key_that_signs_what_is_critical(answerback: LiveHub) -> None:
    """The public half, with the name that the hub knows; the same each time, and no secret."""
    name, key = answerback("whoami", "--approval-key").text.split()
    assert name == "alice"
    assert re.fullmatch(r"[0-9a-f]{64}", key)
    assert answerback("whoami", "--approval-key", "--json").json == {"name": name, "key": key}


def test_who_you_are(answerback: LiveHub) -> None:
    """For people and for scripts; with --link what to say in a chat, another code each time."""
    assert re.fullmatch(r"alice: .*admin.*, at hub-\S+\n", answerback("whoami").text)
    assert answerback("whoami", "--json").json["person"] == "alice"
    assert re.search(r"within 10 minutes.*: link [0-9a-z]{5}-[0-9a-z]{5}\n", answerback("whoami", "--link").text)
    first, second = (answerback("whoami", "--link", "--json").json["words"] for _ in range(2))
    assert first != second
