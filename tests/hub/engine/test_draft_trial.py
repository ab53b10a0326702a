"""A runbook that is tried out before it is proposed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hub.engine.actor import ActionResult
from hub.engine.draft_trial import draft_runbook
from hub.planning.runbooks.induce import InducedRunbook
from tests.hub.engine.test_runbook_drafts import PHRASE, done, few
from tests.hub.hub_harness import HubHarness

__all__ = ["few"]  # the fixture with few runbooks


@pytest.mark.parametrize(
    ("name", "phrase", "code"),
    [
        ("bounce", PHRASE, ""),
        ("bounce", "", "phrase"),  # the message was a command
        ("disk", PHRASE, "name"),
    ],
)
async def test_what_makes_a_runbook(harness: HubHarness, name: str, phrase: str, code: str) -> None:
    """A phrase of people's own words, and a name that is free."""
    request = await done(harness)
    made = draft_runbook(harness.world(), harness.config.runbooks.file, request, name, phrase)
    assert (made.code if isinstance(made, ActionResult) else "") == code
    if not code:
        assert isinstance(made, InducedRunbook)
        assert made.name == name


async def test_a_plan_that_policy_forbids_is_none(harness: HubHarness) -> None:
    """By the policy of the snapshot."""
    request = await done(harness)
    world = replace(harness.world(), policy=replace(harness.policy, rules=()))
    made = draft_runbook(world, harness.config.runbooks.file, request, "bounce", PHRASE)
    assert isinstance(made, ActionResult)
    assert made.code == "denied"


async def test_a_file_that_cannot_be_read_is_named(harness: HubHarness) -> None:
    """The person who proposes cannot cure it, and is told what is wrong."""
    request = await done(harness)
    file = harness.config.runbooks.file
    file.write_text("nonsense = ")
    made = draft_runbook(harness.world(), file, request, "bounce", PHRASE)
    assert isinstance(made, ActionResult)
    assert made.code == "file"
