"""A child is started, asked and ended, whatever it does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hub.planning.ocr import worker
from hub.planning.ocr.protocol import OcrAnswer
from hub.planning.ocr.worker import WorkerExited, start_worker
from tests.hub.planning.ocr import bombs
from tests.hub.planning.ocr.scripted import SETTINGS, argv, gone


async def test_it_answers_and_is_ended() -> None:
    """Several pictures, one process, which is gone afterwards."""
    child = await start_worker(SETTINGS, 60.0, argv())
    try:
        answers = [await child.recognise(bombs.named("one")), await child.recognise(bombs.named("two"))]
        assert all(
            isinstance(answer, OcrAnswer) and f"child {child.pid}" in answer.pieces[0].text for answer in answers
        )
        assert not child.exhausted
        assert await child.recognise(bombs.named("grown")) == "too_big"
        assert child.exhausted
        assert child.image_count == 3
    finally:
        await child.kill()
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
    child = await start_worker(replace(SETTINGS, seconds=-1.5 if name == "hang" else 60.0), 60.0, argv())
    try:
        with pytest.raises(WorkerExited, match=why) as ended:
            await child.recognise(bombs.named(name))
        assert ended.value.code == code
    finally:
        await child.kill()
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
    with pytest.raises(WorkerExited, match=why) as ended:
        await start_worker(SETTINGS, seconds, argv(mode))
    assert ended.value.code == code


async def test_a_program_that_is_not_there_is_no_traceback() -> None:
    """It counts as crashed."""
    with pytest.raises(WorkerExited, match="cannot start"):
        await start_worker(SETTINGS, 60.0, ["/nonexistent/python"])


async def test_the_environment_is_built_and_not_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token in the hub's environment does not reach what decodes strangers' files."""
    monkeypatch.setenv("ANSWERBACK_TOKEN", "secret")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    child = await start_worker(SETTINGS, 60.0, argv())
    try:
        answer = await child.recognise(bombs.named("environment"))
    finally:
        await child.kill()
    assert isinstance(answer, OcrAnswer)
    names = set(answer.pieces[0].text.split())
    assert names - {"LC_CTYPE"} == set(worker.worker_environment(SETTINGS))
    assert "ANSWERBACK_TOKEN" not in names
