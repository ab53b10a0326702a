"""How the console stands with its hub, as an operator sees it: loading, empty, disconnected, no right, partial, a hub
that is older or newer, and a terminal that is gone.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from common.api.verb import A, R, Verb
from common.api.versions import Push
from common.version import VERSION
from tests.tui.fake_source import (
    KEYS,
    NOW,
    ConsoleDriver,
    FakeSource,
    agent_row,
    console_driver,
    event_row,
    job_row,
    node_row,
    request_row,
)
from tui.client.errors import CallRefused, LinkLost
from tui.client.source import LinkStatus
from tui.screens.listing import LIST_SPECS
from tui.view.bars import SCREEN_MODES
from tui.widgets.output import OutputPane
from tui.widgets.text import TextPane

LISTS = [mode for mode in SCREEN_MODES if mode in LIST_SPECS]
LANES = [{"stage": name, "count": 3, "oldest": 9.0, "state": "ok"} for name in ("queued", "running")]


def source_of(**who: Any) -> FakeSource:
    source = FakeSource(**who)
    source.rows["jobs"], source.rows["requests"] = [job_row(1)], [request_row(41)]
    source.rows["agents"], source.rows["audit"] = [agent_row("web-1")], [event_row(1)]
    source.rows["activity"], source.rows["models"] = [event_row(1)], [node_row("web-1")]
    source.overview = {"lanes": LANES, "needs_you": [], "fleet": {"online": 5}, "counts": {"asking": 1}, "hub": {}}
    return source


def screen(stage: ConsoleDriver) -> Any:
    return stage.app.screen


class Slow(FakeSource):
    """Answers a view when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def subscribe(self, verb: Verb[A, R], slot: str, args: A) -> AsyncIterator[Push]:
        await self.gate.wait()
        async for push in super().subscribe(verb, slot, args):
            yield push


def test_every_list_is_here() -> None:
    """A new one is loaded, emptied and disconnected too; the models are in `tests/tui/screens/test_models.py`."""
    assert {"overview", "models", *LISTS} == set(SCREEN_MODES)


# ---- loading


@pytest.mark.parametrize("mode", LISTS)
async def test_loading(mode: str) -> None:
    """Until the hub has answered the frame is there and says so; the keys work; then the rows are there."""
    source = Slow()
    source.rows |= source_of().rows
    async with console_driver(source) as stage:
        await stage.press(KEYS[mode])
        await stage.wait_until(lambda: stage.app.current_mode == mode)
        await stage.flush()
        lines = stage.text.split("\n")
        assert "loading" in lines[1]
        assert "loading" in "\n".join(lines[2:6])
        assert "prod-1" in lines[0]
        await stage.press("question_mark")
        await stage.wait_until(lambda: stage.in_dialog)
        await stage.press("escape")
        await stage.wait_closed()
        source.gate.set()
        await stage.wait_until(lambda: screen(stage).live_view.window.loaded)
        await stage.flush()
        assert "loading" not in "\n".join(stage.text.split("\n")[1:6])


async def test_loading_the_overview() -> None:
    """Before the hub has said anything, each panel says that it is on its way, and none that there is nothing."""
    source = Slow()
    source.overview = {}
    async with console_driver(source) as stage:
        await stage.flush()
        assert stage.text.count("loading") >= 3
        assert "nothing waits for you" not in stage.text
        source.overview = source_of().overview
        source.gate.set()
        await stage.wait_until(lambda: "nothing waits for you" in stage.text)
        await stage.flush()
        assert "loading" not in stage.text


async def test_not_yet_connected() -> None:
    """No link was there yet: it says so instead of loading for ever, and that it is connecting."""
    source = FakeSource()
    source.link, source.overview = LinkStatus("connecting", NOW), {}
    async with console_driver(source) as stage:
        await stage.flush()
        assert "no link to the hub" in stage.text
        assert "loading" not in stage.text
        assert "connecting" in stage.text.split("\n")[0].lower()


# ---- empty


@pytest.mark.parametrize("mode", LISTS)
async def test_empty_and_what_to_do_next(mode: str) -> None:
    """A list without rows says what would be here; one that a filter has emptied says how many there are and how to
    take it off.
    """
    source = FakeSource()
    async with console_driver(source, mode) as stage:
        await stage.flush()
        plain = "\n".join(stage.text.split("\n")[3:5])
        assert plain.strip()
        screen(stage).set_filter("id:nothing" if mode == "jobs" else "r:9" if mode == "approve" else "name:x")
        await stage.wait_until(
            lambda: (
                screen(stage).live_view.loaded_query.filter != LIST_SPECS[mode].filter
                or screen(stage).live_view.problem
            )
        )
        if screen(stage).live_view.problem is None:
            await stage.flush()
            assert "esc takes the filter off" in stage.text
            await stage.press("escape")
            await stage.wait_until(lambda: screen(stage).live_view.loaded_query.filter == LIST_SPECS[mode].filter)


# ---- disconnected


@pytest.mark.parametrize("mode", SCREEN_MODES)
async def test_disconnected(mode: str) -> None:
    """What is known stays, greyed, with its age growing; acts are refused with the reason, the next try is
    said; looking about works; back, all of it is as before.
    """
    source = source_of()
    async with console_driver(source, mode, size=(140, 40)) as stage:
        await stage.flush()
        before = {part for part in ("sleep 1", "web-1", "reload", "running") if part in stage.text}
        assert before or mode == "audit"
        source.disconnect("the hub refused alice: revoked")
        await stage.flush()
        assert before == {part for part in before if part in stage.text}
        top, status = stage.text.split("\n")[0], stage.text.split("\n")[-2]
        assert "LOST" in top
        assert "5s" in top
        assert "the hub refused alice: revoked" in status
        greyed = [one for one in screen(stage).query(".-stale") if one.display]
        assert screen(stage).table() in greyed
        source.clock += 90
        await stage.flush()
        assert "1m30s" in stage.text.split("\n")[0]
        asked = len(source.calls)
        for key in ("a", "c", "P", "B", "r"):
            await stage.press(key)
        await stage.flush()
        assert not stage.in_dialog
        assert len(source.calls) == asked
        await stage.press("2")
        await stage.wait_until(lambda: stage.app.current_mode == "jobs")
        source.reconnect()
        await stage.wait_until(lambda: not screen(stage).query(".-stale"))
        assert "LOST" not in stage.text


async def test_details_are_greyed_too() -> None:
    """Beside the table and on a screen of their own, whichever tab is shown."""
    source = source_of()
    for size in ((140, 40), (80, 24)):
        async with console_driver(source, "jobs", size=size) as stage:
            await stage.press("enter")
            await stage.flush()
            detail = [*screen(stage).query(OutputPane), *(pane for pane in screen(stage).query("DetailPane TextPane"))]
            source.disconnect()
            await stage.flush()
            assert detail
            assert all(pane.has_class("-stale") for pane in detail)
            source.reconnect()
            await stage.flush()
            assert not any(pane.has_class("-stale") for pane in detail)


async def test_a_detail_that_could_not_be_had_is_had_when_the_link_is_back() -> None:
    """It says that it is only what the list knows, and why; then it is whole."""
    source = source_of()
    source.answers["request"] = LinkLost("the hub closed the link", "try again")
    async with console_driver(source, "approve", size=(140, 40)) as stage:
        await stage.wait_until(lambda: "only what the list knows" in stage.text)
        assert "the hub closed the link" in stage.text
        source.disconnect()
        await stage.flush()
        source.answers["request"] = request_row(41)
        source.reconnect()
        await stage.wait_until(lambda: "only what the list knows" not in stage.text)


# ---- no right, partial


@pytest.mark.parametrize("mode", LISTS)
async def test_no_right_to_a_view(mode: str) -> None:
    """From the start: the reason stands where the rows would be, not "loading"; `R` asks again."""
    source = source_of()
    source.answers["view"] = CallRefused("no_right", "alice may not see this: ask an admin")
    async with console_driver(source) as stage:
        await stage.press(KEYS[mode])
        await stage.wait_until(lambda: stage.app.current_mode == mode)
        await stage.wait_until(lambda: stage.text.count("alice may not see this") == 2)
        assert "loading" not in stage.text
        source.answers.clear()
        await stage.press("R")
        await stage.wait_until(lambda: screen(stage).live_view.window.loaded)
        await stage.flush()
        assert "alice may not see this" not in stage.text


async def test_a_right_that_is_taken_away_while_one_looks() -> None:
    """The rows stay and are greyed, since nothing brings them up to date; the reason is at the head."""
    source = source_of()
    async with console_driver(source, "jobs") as stage:
        source._pushes["jobs"].put_nowait(CallRefused("no_right", "alice may not see jobs any more"))
        await stage.wait_until(lambda: screen(stage).table().has_class("-stale"))
        assert "alice may not see jobs any more" in stage.text.split("\n")[1]
        assert "sleep 1" in stage.text
        await stage.press("R")
        await stage.wait_until(lambda: not screen(stage).table().has_class("-stale"))


async def test_a_hub_that_tells_less_of_the_overview() -> None:
    """An older one says how many there are and no more: the panels name that, and none says that nothing waits."""
    source = source_of(version="0.0.9")
    source.overview = {"counts": {"asking": 1}, "hub": {}, "partial": True}
    async with console_driver(source, size=(140, 40)) as stage:
        await stage.flush()
        assert stage.text.count("this hub (0.0.9) does not tell it") == 3
        assert "loading" not in stage.text
        assert "nothing waits for you" not in stage.text
        assert ":1" in stage.text.split("\n")[0]


# ---- versions


@pytest.mark.parametrize(("version", "words"), [("0.0.9", "hub is older (0.0.9)"), ("99.1", "hub is newer (99.1)")])
async def test_another_version_is_named(version: str, words: str) -> None:
    """When the link comes about, and on the first screen as long as it is so."""
    source = source_of(version=version)
    async with console_driver(source, size=(160, 40)) as stage:
        await stage.wait_until(lambda: words in stage.status_line)
        assert VERSION in stage.status_line
        await stage.flush()
        assert words in "\n".join(line.text for line in screen(stage).query_one("#fleet", TextPane).lines)


async def test_the_same_version_is_not_worth_a_word() -> None:
    """Nor is one that cannot be read."""
    for version in (VERSION, f"{VERSION}.post1", "nightly", ""):
        async with console_driver(source_of(version=version)) as stage:
            await stage.flush()
            assert "version" not in stage.status_line
            assert "hub is" not in stage.status_line


async def test_an_act_that_the_hub_does_not_know() -> None:
    """Off, with the verb that an older hub lacks; what it knows works."""
    source = source_of(verbs=frozenset({"approve", "reject"}), roles=("admin",))
    async with console_driver(source, "jobs") as stage:
        await stage.press("c")
        await stage.flush()
        assert "cancel" in stage.status_line
        assert not stage.in_dialog
        await stage.open_mode("approve")
        await stage.open_dialog("a")


# ---- the terminal


async def test_a_terminal_that_is_gone_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its other end hung up: the console ends by itself with a failure; while it is there it does not."""
    here, there = os.openpty()
    with os.fdopen(here, "rb", buffering=0) as stdin:
        monkeypatch.setattr(sys, "__stdin__", stdin)
        async with console_driver(source_of()) as stage:
            stage.app._exit_if_terminal_gone()
            assert not stage.app._exit
            os.close(there)
            stage.app._exit_if_terminal_gone()
            assert stage.app._exit
        assert stage.app.return_code == 1
