"""answerback passkey add, list, remove; that one is made and signs is in tests/end_to_end/test_passkeys.py."""

from __future__ import annotations

import pytest

from tests.tui.live_hub import LiveHub

pytestmark = pytest.mark.xdist_group("live")


def test_where_the_hub_has_no_pages_for_one(answerback: LiveHub) -> None:
    """The cure is said, by a status that scripts see; a name that is too long, before the hub is asked."""
    ended = answerback("passkey", "add", "--name", "phone")
    assert ended.code != 0
    assert "public_url" in ended.err + ended.text
    assert answerback("passkey", "add", "--json").json["code"] == "no_page"
    ended = answerback("passkey", "add", "--name", "x" * 41)
    assert (ended.code, "at most 40" in ended.err) == (2, True)


def test_none_to_list_and_none_to_remove(answerback: LiveHub) -> None:
    """An empty list says how one is made; an id that is none, one that is not there."""
    assert answerback("passkey", "list", "--json").json == []
    assert "answerback passkey add" in answerback("passkey", "list").err
    ended = answerback("passkey", "remove", "f" * 16)
    assert ended.code != 0
    assert "you have no passkey" in ended.err + ended.text
    ended = answerback("passkey", "remove", "phone")
    assert (ended.code, "answerback passkey list" in ended.err) == (2, True)
    assert "whoever holds the hub" in answerback("passkey", "--help").text
