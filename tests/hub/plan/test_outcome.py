"""What planners say, against what the rest of the hub does with it."""

from __future__ import annotations

from typing import get_args

from common.catalogue import sentences
from hub.authority import VERBS
from hub.plan.outcome import DRAFT_VERBS, Verb


def test_every_act_is_a_verb_that_somebody_may_do() -> None:
    """authorize() knows each verb that a message can ask for, or the right that stands for it (`hub.acts_drafts`); an
    unknown one would be nobody's.
    """
    rights = {"draft": "drafts", "accept": "review", "decline": "review"}
    assert {rights.get(verb, verb) for verb in get_args(Verb)} <= set(VERBS)
    assert set(rights) < DRAFT_VERBS


def test_every_act_on_a_request_can_say_its_form() -> None:
    """A message that nearly asks for one is told how to write it; a near rejection is a rejection with its reason."""
    for verb in ("approve", "cancel", "status"):
        assert f"act_{verb}_form" in sentences()
