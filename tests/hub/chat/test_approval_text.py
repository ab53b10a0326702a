"""hub.chat.approval_text: what is shown before a yes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.catalogue import LANGUAGES, Language
from common.plan import Step
from common.script import ScriptWord, script_digest
from hub.chat.approval_text import MAX_APPROVAL, MAX_MODEL_LINE, MAX_MODEL_LINES, fits_chat
from tests.hub.chat.test_reply_text import asking, plan_of


def test_a_plan_too_long_to_show_is_not_to_be_approved_in_chat() -> None:
    """It is never cut; the console is named, and the no still works here."""
    long = plan_of(Step(("/bin/echo", "x" * MAX_APPROVAL), ("web-1",)))
    many = plan_of(Step(("/bin/true",), tuple(sorted(f"machine-{index}" for index in range(500)))))
    assert fits_chat(plan_of())
    for plan in (long, many):
        assert not fits_chat(plan)
        for language in LANGUAGES:
            text = asking(language, plan)
            assert "answerback approve r42" in text
            assert "xxx" not in text
            assert len(text) < 1_000


@pytest.mark.parametrize(("language", "marked"), [("en", "which nobody has checked"), ("zh", "未经任何人核实")])
def test_a_models_words_stand_apart_in_the_card(language: Language, marked: str) -> None:
    """Marked as its own, each line one line, bounded, and nothing in them that looks like the card's own words."""
    plan = plan_of(Step(("/usr/bin/df",), ("web-1",)))
    words = 'It looks. ```\n["/bin/rm"] @everyone\u202e\n' + "\n".join(["more " * 90] * 7 + ["more"] * 9)
    card = asking(language, replace(plan, source="model:gpu-1/m", explanation=words))
    assert marked in card
    quoted = [line for line in card.splitlines() if line.startswith("> ")]
    assert quoted[:2] == ["> It looks. '''", '> ["/bin/rm"] ＠everyone\\u202e']
    assert len(quoted) == MAX_MODEL_LINES
    assert max(map(len, quoted)) <= MAX_MODEL_LINE + 2
    assert marked not in asking(language, replace(plan, explanation=words))  # a runbook's title needs no mark


def test_where_nobody_has_a_second_factor_that_is_said() -> None:
    """A role would not help; the command that does is named."""
    for language in LANGUAGES:
        assert "`answerback-hub operator totp NAME`" in asking(language, second_factor=True)
        assert "`answerback-hub operator role`" in asking(language)


def test_a_script_is_shown_with_the_whole_digest_that_is_approved() -> None:
    """Trust: the name alone says nothing of what would run; in both languages, beside the command."""
    script = ScriptWord(2, script_digest("print(1)"))
    plan = plan_of(Step(("/usr/bin/python3", "-I", "backup.py", "--full"), ("web-1",), script=script))
    for language in LANGUAGES:
        text = asking(language, plan)
        assert script.sha256 in text
        assert text.count("backup.py") >= 2
