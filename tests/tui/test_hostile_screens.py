"""Hostile text in every string that a hub sends, on every screen, in every dialog and answer: none is obeyed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any, cast

import pytest
from rich.segment import Segment
from textual.color import Color

from common.plan import BadPlan, plan_from_json, plan_hash
from tests.tui.emulated import START, Seen, seen
from tests.tui.hostile import BROKEN, CORPUS, KEPT, OURS, Poisoned, plain, shapes
from tui.client import CallRefused
from tui.commands import ACTS
from tui.demo.source import DemoSource
from tui.dialogs.dialog import Dialog
from tui.headline import MODES
from tui.safety import Gate, is_safe

LEAVES = frozenset({"quit", "language", "theme", "ascii", "slow"})
"""Acts that end the console or make it another one; the themes' dialog shows nothing from outside."""


class Watched(Gate):
    """The last gate, which should never have anything to do: every widget makes safe what it is given."""

    def __init__(self) -> None:
        self.caught: set[str] = set()

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        self.caught |= {segment.text for segment in segments if not is_safe(segment.text)}
        return super().apply(segments, background)


class Hostile(DemoSource):
    """The demo world behind a hub that poisons every string it sends."""

    def __init__(self, poison: Poisoned, answers: bool) -> None:
        super().__init__(7, "small", start=START, living=False)
        self.poison = poison
        self._answers = answers
        self.asked: list[str] = []

    def _connect(self) -> None:
        super()._connect()
        assert self.who is not None
        self.who = replace(self.who, **{key: self.poison.text(key) for key in ("person", "hub", "version")})
        self.link.reason = self.poison.text("reason")

    def _look(self) -> None:
        before = self._changed
        self._changed = lambda: None
        super()._look()
        self.overview = self.poison.value(self.overview)
        self._changed = before
        self._changed()

    def drop(self, reason: str = "") -> None:
        super().drop(self.poison.text("the network is gone"))

    async def call(self, verb: str, **args: Any) -> Any:
        self.asked.append(verb)
        if not self._answers:
            raise CallRefused(self.poison.text("code"), self.poison.text(f"refusal of {verb}"))
        return self._coherent(self.poison.value(await super().call(verb, **args)))

    async def subscribe(self, verb: str, slot: str, **args: Any) -> AsyncIterator[Any]:
        async with aclosing(cast(Any, super().subscribe(verb, slot, **args))) as pushes:
            async for push in pushes:
                yield self._coherent(self.poison.value(push, verb))

    def _coherent(self, value: Any) -> Any:
        """Plans whose hash is theirs, so that the console goes on with them and shows them."""
        if isinstance(value, list):
            return [self._coherent(part) for part in value]
        if not isinstance(value, Mapping):
            return value
        made = {key: self._coherent(part) for key, part in value.items()}
        if isinstance(made.get("plan"), Mapping) and "plan_hash" in made:
            try:
                made["plan_hash"] = plan_hash(plan_from_json(made["plan"]))
            except BadPlan:
                pass
        return made


def check(stage: Seen, where: str) -> None:
    """Nothing that a terminal obeys has reached it but what we write ourselves; no text on the screen does anything."""
    stream = "".join(stage.app.texts)
    stage.app.texts.clear()
    odd = {shape for shape in shapes(stream) if not OURS.fullmatch(shape)}
    assert not odd, (where, odd)
    assert is_safe(plain(stream)), where
    for strip in stage.app.screen._compositor.render_strips():
        for segment in strip:
            assert segment.style is None or not segment.style.link, where
            assert segment.style is None or not any(key.startswith("@") for key in segment.style.meta), where
    gate = stage.app._gate
    assert not isinstance(gate, Watched) or not gate.caught, (where, gate.caught)
    assert stage.app.is_running, where
    assert stage.app._exception is None, where


async def beat(stage: Seen) -> None:
    stage.source.step(0.3)
    await stage.settle()


async def out_of_dialogs(stage: Seen) -> None:
    for _ in range(8):
        if not isinstance(stage.app.screen, Dialog) and len(stage.app.screen_stack) == 1:
            return
        await stage.pilot.press("escape")
        await stage.settle()
    raise AssertionError(f"{stage.app.screen} does not close")


async def every_act(stage: Seen, mode: str, opened: set[str]) -> None:
    """Every act there is on the row under the cursor; each dialog is answered once."""
    for act in ACTS:
        if act.id in LEAVES or act.group in ("go", "move") or act.place in ("text", "output"):
            continue
        await stage.pilot.pause()
        stage.app.perform(act.id)
        await beat(stage)
        if act.changes:  # its dialog may wait for the hub
            await beat(stage)
            await beat(stage)
        check(stage, f"{mode} {act.id}")
        if isinstance(stage.app.screen, Dialog):
            opened.add(type(stage.app.screen).__name__)
            for key in ("j", "tab", "1", "enter"):
                await stage.pilot.press(key)
                await beat(stage)
                check(stage, f"{mode} {act.id} {key}")
        await out_of_dialogs(stage)
        check(stage, f"{mode} {act.id} closed")
        if stage.app.current_mode != mode:
            await go(stage, mode)


async def go(stage: Seen, mode: str) -> None:
    stage.app.go(mode, "")
    for _ in range(100):
        await beat(stage)
        if stage.app.current_mode == mode and stage.app._screen().formed:
            return
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("mode", "answers", "size"),
    [
        pytest.param("jobs", False, (80, 24), marks=pytest.mark.slow),
        ("approve", True, (120, 36)),
        ("agents", True, (80, 24)),
        pytest.param("overview", True, (120, 36), marks=pytest.mark.slow),
        pytest.param("jobs", True, (120, 36), marks=pytest.mark.slow),
        pytest.param("approve", False, (80, 24), marks=pytest.mark.slow),
        pytest.param("audit", True, (120, 36), marks=pytest.mark.slow),
        ("models", True, (120, 36)),
        pytest.param("models", False, (80, 24), marks=pytest.mark.slow),
    ],
)
async def test_every_screen_and_act(
    mode: str, answers: bool, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows, details, dialogs, answers and refusals full of it: nothing is obeyed, nothing clicked would act, nothing
    crashes; and the dialogs did open.
    """
    monkeypatch.setattr(Dialog, "GUARD", 0.0)
    source = Hostile(Poisoned(start=len(mode)), answers)
    opened: set[str] = set()
    async with seen(size, source=source) as stage:
        stage.app._gate = Watched()
        await go(stage, mode)
        check(stage, mode)
        for keys in (("j", "enter"), ("right_square_bracket",) * 3, ("escape", "j", "enter", "w", "escape")):
            for key in keys:
                await stage.pilot.press(key)
                await beat(stage)
                check(stage, f"{mode} {key}")
        await out_of_dialogs(stage)
        await every_act(stage, mode, opened)
        source.drop()
        await beat(stage)
        check(stage, "lost")
    assert source.poison.put > 50
    assert len(opened) >= 3, opened


@pytest.mark.parametrize("start", [0, *(pytest.param(at, marks=pytest.mark.slow) for at in (1, 2))])
async def test_states_and_kinds_of_no_version(start: int) -> None:
    """Not even what rows go by is what it should be: states, kinds, ids of jobs; with halves of characters in it."""
    poison = Poisoned((*BROKEN, *CORPUS), kept=frozenset({"id"}), start=start * 7)
    async with seen((120, 36), source=Hostile(poison, answers=True)) as stage:
        stage.app._gate = Watched()
        for mode in MODES:
            await go(stage, mode)
            check(stage, mode)
            for key in ("j", "enter", "right_square_bracket", "question_mark", "escape", "escape"):
                await stage.pilot.press(key)
                await beat(stage)
                check(stage, f"{mode} {key}")
            await out_of_dialogs(stage)


def test_the_corpus_is_hostile() -> None:
    """Most of it would be obeyed if it came through; the poison reaches every string but those that are kept."""
    assert sum(not is_safe(text) for text in (*CORPUS, *BROKEN)) >= 12
    row = {"id": "j1", "state": "queued", "agent": "a", "labels": {"k": "v"}, "deep": [{"text": "t", "n": 1}]}
    made = Poisoned(("X",)).value(row)
    assert made == {"id": "j1", "state": "queued", "agent": "X", "labels": {"X0": "X"}, "deep": [{"text": "X", "n": 1}]}
    assert {"id", "state"} < KEPT
    assert shapes("a\x1b[31mb\x1b[1;2Hc\x07\x1b]0;x\x07") == {"\x1b[Nm", "\x1b[NH", "'\\x07'", "\x1b]Nx\x07"}
