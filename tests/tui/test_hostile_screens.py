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

from common.api.codec import encode
from common.api.outcome import SubscriptionEnded
from common.api.overview import Overview
from common.api.subscriptions import ViewArgs
from common.api.verb import A, R, Verb
from common.api.versions import Push, read_push, read_result
from common.plan import BadPlan, plan_from_json, plan_hash
from tests.tui.emulated_terminal import START, EmulatedConsole, emulated_console
from tests.tui.hostile_text import (
    CORPUS,
    OWN_SHAPES,
    TRUSTED_KEYS,
    UNENCODABLE,
    HostileData,
    sequence_shapes,
    strip_sequences,
)
from tui.client.errors import CallRefused
from tui.demo.source import DemoSource
from tui.dialogs.dialog import Dialog
from tui.model.actions import ACTIONS
from tui.terminal.sanitize import SanitizeFilter, is_safe
from tui.view.bars import SCREEN_MODES

LEAVES = frozenset({"quit", "language", "theme", "ascii", "slow"})
"""Acts that end the console or make it another one; the themes' dialog shows nothing from outside."""


class Watched(SanitizeFilter):
    """The last gate, which should never have anything to do: every widget makes safe what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.caught: set[str] = set()

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        self.caught |= {segment.text for segment in segments if not is_safe(segment.text)}
        return super().apply(segments, background)


class Hostile(DemoSource):
    """The demo world behind a hub that poisons every string it sends."""

    def __init__(self, poison: HostileData, answers: bool) -> None:
        super().__init__(7, "small", start=START, real_time=False)
        self.poison = poison
        self._answers = answers
        self.asked: list[str] = []

    def _connect(self) -> None:
        super()._connect()
        assert self.who is not None
        self.who = replace(self.who, **{key: self.poison.text(key) for key in ("person", "hub", "version")})
        self.link.reason = self.poison.text("reason")

    def _update_overview(self) -> None:
        before = self._on_change
        self._on_change = lambda: None
        super()._update_overview()
        overview = read_push("overview", self.poison.value(encode(self.overview)))
        assert isinstance(overview, Overview)
        self.overview = overview
        self._on_change = before
        self._on_change()

    def lose_link(self, reason: str = "") -> None:
        super().lose_link(self.poison.text("the network is gone"))

    async def call(self, verb: Verb[A, R], args: A) -> R:
        self.asked.append(verb.name)
        if not self._answers:
            raise CallRefused(self.poison.text("code"), self.poison.text(f"refusal of {verb.name}"))
        data = verb.encode_result(await super().call(verb, args))
        return read_result(verb, self._coherent(self.poison.value(data)))

    async def subscribe(self, verb: Verb[A, R], slot: str, args: A) -> AsyncIterator[Push]:
        view = args.view if isinstance(args, ViewArgs) else None
        async with aclosing(cast(Any, super().subscribe(verb, slot, args))) as pushes:
            async for push in pushes:
                found = read_push(verb.name, self._coherent(self.poison.value(encode(push), verb.name)), view)
                assert not isinstance(found, SubscriptionEnded)
                yield found

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


def check(stage: EmulatedConsole, where: str) -> None:
    """Nothing that a terminal obeys has reached it but what we write ourselves; no text on the screen does anything."""
    stream = "".join(stage.app.writes)
    stage.app.writes.clear()
    odd = {shape for shape in sequence_shapes(stream) if not OWN_SHAPES.fullmatch(shape)}
    assert not odd, (where, odd)
    assert is_safe(strip_sequences(stream)), where
    for strip in stage.app.screen._compositor.render_strips():
        for segment in strip:
            assert segment.style is None or not segment.style.link, where
            assert segment.style is None or not any(key.startswith("@") for key in segment.style.meta), where
    gate = stage.app._sanitize_filter
    assert not isinstance(gate, Watched) or not gate.caught, (where, gate.caught)
    assert stage.app.is_running, where
    assert stage.app._exception is None, where


async def beat(stage: EmulatedConsole) -> None:
    stage.source.advance(0.3)
    await stage.flush()


async def out_of_dialogs(stage: EmulatedConsole) -> None:
    for _ in range(8):
        if not isinstance(stage.app.screen, Dialog) and len(stage.app.screen_stack) == 1:
            return
        await stage.pilot.press("escape")
        await stage.flush()
    raise AssertionError(f"{stage.app.screen} does not close")


async def every_act(stage: EmulatedConsole, mode: str, opened: set[str]) -> None:
    """Every act there is on the row under the cursor; each dialog is answered once."""
    for act in ACTIONS:
        if act.id in LEAVES or act.group in ("go", "move") or act.scope in ("text", "output"):
            continue
        await stage.pilot.pause()
        stage.app.perform_action(act.id)
        await beat(stage)
        if act.mutates:  # its dialog may wait for the hub
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


async def go(stage: EmulatedConsole, mode: str) -> None:
    stage.app.navigate(mode, "")
    for _ in range(100):
        await beat(stage)
        if stage.app.current_mode == mode and stage.app._mode_screen().widgets_ready:
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
    monkeypatch.setattr(Dialog, "GUARD_SECONDS", 0.0)
    source = Hostile(HostileData(start=len(mode)), answers)
    opened: set[str] = set()
    async with emulated_console(size, source=source) as stage:
        stage.app._sanitize_filter = Watched()
        await go(stage, mode)
        check(stage, mode)
        for keys in (("j", "enter"), ("right_square_bracket",) * 3, ("escape", "j", "enter", "w", "escape")):
            for key in keys:
                await stage.pilot.press(key)
                await beat(stage)
                check(stage, f"{mode} {key}")
        await out_of_dialogs(stage)
        await every_act(stage, mode, opened)
        source.lose_link()
        await beat(stage)
        check(stage, "lost")
    assert source.poison.replaced > 50
    assert len(opened) >= 3, opened


@pytest.mark.parametrize("start", [0, *(pytest.param(at, marks=pytest.mark.slow) for at in (1, 2))])
async def test_states_and_kinds_of_no_version(start: int) -> None:
    """Not even what rows go by is what it should be: states, kinds, ids of jobs; with halves of characters in it."""
    poison = HostileData((*UNENCODABLE, *CORPUS), trusted_keys=frozenset({"id"}), start=start * 7)
    async with emulated_console((120, 36), source=Hostile(poison, answers=True)) as stage:
        stage.app._sanitize_filter = Watched()
        for mode in SCREEN_MODES:
            await go(stage, mode)
            check(stage, mode)
            for key in ("j", "enter", "right_square_bracket", "question_mark", "escape", "escape"):
                await stage.pilot.press(key)
                await beat(stage)
                check(stage, f"{mode} {key}")
            await out_of_dialogs(stage)


def test_the_corpus_is_hostile() -> None:
    """Most of it would be obeyed if it came through; the poison reaches every string but those that are kept."""
    assert sum(not is_safe(text) for text in (*CORPUS, *UNENCODABLE)) >= 12
    row = {"id": "j1", "state": "queued", "agent": "a", "labels": {"k": "v"}, "deep": [{"text": "t", "n": 1}]}
    made = HostileData(("X",)).value(row)
    assert made == {"id": "j1", "state": "queued", "agent": "X", "labels": {"X0": "X"}, "deep": [{"text": "X", "n": 1}]}
    assert {"id", "state"} < TRUSTED_KEYS
    assert sequence_shapes("a\x1b[31mb\x1b[1;2Hc\x07\x1b]0;x\x07") == {"\x1b[Nm", "\x1b[NH", "'\\x07'", "\x1b]Nx\x07"}
