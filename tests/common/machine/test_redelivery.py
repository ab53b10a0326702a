"""Why a job was handed out again, in words."""

from __future__ import annotations

from common.link.messages import RETRY_CODES
from common.machine.redelivery import redelivery_sentence


def test_a_job_that_never_came_back_says_nothing() -> None:
    """Most jobs: no line more."""
    assert redelivery_sentence(0, "") is None


def test_how_often_and_why() -> None:
    """Each code of a machine has words of its own; one of a newer hub has general ones."""
    said = redelivery_sentence(2, "restarted")
    assert said is not None
    assert said.render("en") == "came back not started, handed out again (2): the machine's runner was restarted"
    other = redelivery_sentence(1, "of a later version")
    assert other is not None
    words = {str(redelivery_sentence(1, code)) for code in (*RETRY_CODES, "lost")} | {str(other)}
    assert len(words) == len(RETRY_CODES) + 2
