"""answerback allowed, disallow, approve --allow-for."""

from __future__ import annotations

import pytest

from tests.tui.live_hub import LiveHub

pytestmark = pytest.mark.xdist_group("live")


def test_it_is_off_by_default(answerback: LiveHub) -> None:
    """Trust: the hub says so, with the key that would turn it on; the request goes on waiting."""
    number = f"r{answerback.create_asking_request()['number']}"
    ended = answerback.run_as("bob", "approve", number, "--allow-for", "1h")
    assert ended.code == 3
    assert "allow_for" in ended.err
    assert answerback("request", number, "--json").json["state"] == "asking"
    answerback.run_as("bob", "reject", number)


def test_what_is_allowed_is_listed_and_taken_back(answerback: LiveHub) -> None:
    """None here: an empty list, a number that is not there, one that is none."""
    assert answerback("allowed", "--json").json == []
    assert "nothing is allowed" in answerback("allowed").err
    ended = answerback("disallow", "a3")
    assert ended.code != 0
    assert "no a3" in ended.err
    for wrong in ("x", "a0", "r3"):
        ended = answerback("disallow", wrong)
        assert ended.code == 2
        assert "answerback allowed" in ended.err
    assert "30m or 1h" in answerback("approve", "r1", "--allow-for", "soon").err
