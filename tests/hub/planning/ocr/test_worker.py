"""A child is started, asked and ended, whatever it does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hub.planning.ocr.protocol import OcrAnswer, OcrError
from hub.planning.ocr.worker import running_worker, worker_environment
from tests.hub.planning.ocr import bombs
from tests.hub.planning.ocr.scripted import SETTINGS, argv, child_pids, gone


async def test_it_answers_and_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several pictures, one process, which is gone afterwards. Its environment is built and not inherited: a token of
    the hub's does not reach what decodes strangers' files.
    """
    monkeypatch.setenv("ANSWERBACK_TOKEN", "secret")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    async with running_worker(SETTINGS, argv()) as child:
        for name in ("one", "two"):
            assert await child.recognise(bombs.named(name)) == OcrAnswer(f"child {child.pid} error")
        answer = await child.recognise(bombs.named("environment"))
    await gone(child.pid)
    assert isinstance(answer, OcrAnswer)
    built = worker_environment(SETTINGS)
    assert set(answer.text.split()) - {"LC_CTYPE"} == set(built)
    assert "PYTHONPATH" not in built or Path(built["PYTHONPATH"], "hub", "planning", "ocr").is_dir()


@pytest.mark.parametrize(
    ("name", "code", "why"),
    [
        ("crash", "crashed", "ended with 9"),
        ("killed", "crashed", "ended by signal 11"),
        ("lie", "crashed", "answered wrongly"),
        ("flood", "crashed", "answered wrongly: too much"),
        ("grown", "too_big", "ran out of memory"),
        ("hang", "slow", "no answer after"),
    ],
)
async def test_a_child_that_misbehaves_is_known_for_how(name: str, code: str, why: str) -> None:
    """And ended, also where it would never end by itself."""
    with pytest.raises(OcrError, match=why) as ended:
        async with running_worker(replace(SETTINGS, seconds=-1.5 if name == "hang" else 60.0), argv()) as child:
            await child.recognise(bombs.named(name))
    assert ended.value.code == code
    await gone(child.pid)


@pytest.mark.parametrize(
    ("mode", "seconds", "code", "why"),
    [
        ("no start", 60.0, "crashed", "ended with 3"),
        ("not ready", 60.0, "crashed", "not ready"),
        ("never ready", 0.3, "slow", "no answer after"),
    ],
)
async def test_a_child_that_does_not_come_up_is_ended(mode: str, seconds: float, code: str, why: str) -> None:
    """Whether it ends, says something else, or says nothing."""
    with pytest.raises(OcrError, match=why) as ended:
        async with running_worker(SETTINGS, argv(mode), seconds):
            pass
    assert ended.value.code == code
    assert child_pids() == []


async def test_a_program_that_is_not_there_is_no_traceback() -> None:
    """It counts as crashed."""
    with pytest.raises(OcrError, match="cannot start"):
        async with running_worker(SETTINGS, ["/nonexistent/python"]):
            pass
