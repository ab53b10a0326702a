"""answerback runbook: from a plan that was done well to plain words that a hub understands, on a real one."""

from __future__ import annotations

import tomllib

import pytest

from common.errors import UserError
from tests.tui.live_hub import LiveHub
from tui.cli.runbooks import parse_draft_number

pytestmark = pytest.mark.xdist_group("live")


def test_how_drafts_are_named() -> None:
    """As chat shows them; what is none is said."""
    assert [parse_draft_number(text) for text in ("d3", "D3", "#3", "3")] == [3, 3, 3, 3]
    for text in ("", "d", "r3", "0", "-1", "d3x", "9" * 13, "٣"):
        with pytest.raises(UserError, match="is no draft"):
            parse_draft_number(text)


def test_from_a_plan_to_a_runbook(answerback: LiveHub) -> None:
    """Proposed by the one who asked, accepted by an admin, in runbooks.toml and in force."""
    run = answerback.run_as("carol", "run", "web-1", "--json", "--", "hello").json
    number = f"r{run['number']}"
    refused = answerback.run_as("carol", "runbook", "propose", number, "greet")
    assert refused.code == 3
    assert "plain words" in refused.err
    proposed = answerback.run_as("carol", "runbook", "propose", number, "greet", "--say", "say hello from web-1")
    assert (proposed.code, proposed.err) == (0, "")
    assert "[runbooks.greet]" in proposed.text
    assert "greet" in answerback("runbook", "drafts").text
    (draft,) = answerback("runbook", "drafts", "--json").json
    name = f"d{draft['number']}"
    shown = answerback("runbook", "show", name)
    assert 'examples.en = ["say hello from {machine}"]' in shown.text
    assert tomllib.loads(answerback("runbook", "show", name, "--json").json["body"])["runbooks"]["greet"]["steps"]
    assert answerback.run_as("bob", "runbook", "accept", name).code == 3
    accepted = answerback("runbook", "accept", name)
    assert (accepted.code, accepted.err) == (0, "")
    file = answerback.rig.hub_dir / "runbooks.toml"
    assert f"# {name}, from {number}: proposed by carol, accepted by alice" in file.read_text()
    assert answerback.hub("check").code == 0
    assert answerback("runbook", "drafts", "--json").json == []
    rig = answerback.rig
    answerback.wait_until(lambda: "out" in answerback.run_coroutine(rig.ask("carol", "say hello from web-2"))["text"])
    late = answerback("runbook", "reject", name, "too", "late")
    assert (late.code, "accepted already" in late.err) == (3, True)


def test_there_is_no_such_draft(answerback: LiveHub) -> None:
    """Wrong usage, and what would be right."""
    ended = answerback("runbook", "show", "d999")
    assert ended.code == 2
    assert "d999" in ended.err
    assert answerback("runbook", "accept", "nonsense").code == 2
