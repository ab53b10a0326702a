"""A child is started, asked and ended, whatever it does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hub.ocr import keeper
from hub.ocr.keeper import Ended, started
from hub.ocr.wire import Answer
from tests.hub.ocr import bombs
from tests.hub.ocr.scripted import SETTINGS, argv, gone


async def test_it_answers_and_is_ended() -> None:
    """Several pictures, one process, which is gone afterwards."""
    child = await started(SETTINGS, 60.0, argv())
    try:
        answers = [await child.ask(bombs.named("one")), await child.ask(bombs.named("two"))]
        assert all(isinstance(answer, Answer) and f"child {child.pid}" in answer.pieces[0].text for answer in answers)
        assert await child.ask(bombs.named("grown")) == "too_big"
        assert child.asked == 3
    finally:
        await child.end()
    await gone(child.pid)


@pytest.mark.parametrize(
    ("name", "code", "why"),
    [
        ("crash", "crashed", "ended with 9"),
        ("killed", "crashed", "ended by signal 11"),
        ("lie", "crashed", "answered wrongly"),
        ("flood", "crashed", "answered wrongly"),
        ("hang", "slow", "no answer after"),
    ],
)
async def test_a_child_that_misbehaves_is_known_for_how(name: str, code: str, why: str) -> None:
    """And ended, also where it would never end by itself."""
    child = await started(replace(SETTINGS, seconds=-1.5 if name == "hang" else 60.0), 60.0, argv())
    try:
        with pytest.raises(Ended, match=why) as ended:
            await child.ask(bombs.named(name))
        assert ended.value.code == code
    finally:
        await child.end()
    await gone(child.pid)


@pytest.mark.parametrize(
    ("mode", "seconds", "code", "why"),
    [
        ("no start", 60.0, "crashed", "ended with 3"),
        ("not ready", 60.0, "crashed", "not ready"),
        ("never ready", 0.3, "slow", "not ready after"),
    ],
)
async def test_a_child_that_does_not_come_up_is_ended(mode: str, seconds: float, code: str, why: str) -> None:
    """Whether it ends, says something else, or says nothing."""
    with pytest.raises(Ended, match=why) as ended:
        await started(SETTINGS, seconds, argv(mode))
    assert ended.value.code == code


async def test_a_program_that_is_not_there_is_no_traceback() -> None:
    """It counts as crashed."""
    with pytest.raises(Ended, match="cannot start"):
        await started(SETTINGS, 60.0, ["/nonexistent/python"])


async def test_the_environment_is_built_and_not_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token in the hub's environment does not reach what decodes strangers' files."""
    monkeypatch.setenv("ANSWERBACK_TOKEN", "secret")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    child = await started(SETTINGS, 60.0, argv())
    try:
        answer = await child.ask(bombs.named("environment"))
    finally:
        await child.end()
    assert isinstance(answer, Answer)
    names = set(answer.pieces[0].text.split())
    assert names - {"LC_CTYPE"} == set(keeper.environment(SETTINGS))
    assert "ANSWERBACK_TOKEN" not in names
