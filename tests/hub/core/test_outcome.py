"""What planners say, against what the rest of the hub does with it."""

from __future__ import annotations

from typing import get_args

from common.catalogue import sentences
from hub.core.authorization import VERB_ROLES
from hub.core.outcome import DRAFT_VERBS, ChatVerb
from hub.engine.chat_actions import CHAT_RIGHTS
from hub.planning.chat_words import ON_REQUESTS


def test_every_act_is_a_verb_that_somebody_may_do() -> None:
    """authorize() knows each verb that a message can ask for, or the right that stands for it
    (`hub.engine.runbook_drafts`); an unknown one would be nobody's.
    """
    of_drafts = {"draft": "drafts", "accept": "review", "decline": "review"}
    rights = {**of_drafts, **CHAT_RIGHTS}
    before_any_right = {"link"}  # whoever says it is nobody yet; its code proves an operator
    assert {rights.get(verb, verb) for verb in get_args(ChatVerb)} - before_any_right <= set(VERB_ROLES)
    assert set(of_drafts) < DRAFT_VERBS


def test_every_act_on_a_request_can_say_its_form() -> None:
    """A message that nearly asks for one is told how to write it, in the words of its language."""
    for verb in ON_REQUESTS:
        assert f"verb_{verb}" in sentences()
