"""A table that the hub is asked for again and again: before the first answer, without a link, without a right."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.tui.fake_source import console_driver, node_row
from tests.tui.screens.test_models import screen, source_of
from tui.client.errors import CallRefused, InvalidCall


async def test_loading_then_rows() -> None:
    """Until the hub has answered it says so, in the head and in the table; the keys work."""
    source = source_of()
    answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    source.answers["models"] = [answer]
    async with console_driver(source) as stage:
        await stage.press("6")
        await stage.wait_until(lambda: stage.app.current_mode == "models" and source.calls_of("models"))
        await stage.flush()
        assert stage.text.count("loading") == 2
        answer.set_result({"nodes": [node_row("gpu-1")], "waiting": 0, "cache": {}})
        await stage.wait_until(lambda: "gpu-1" in stage.text)
        assert "loading" not in stage.text


async def test_no_link_yet() -> None:
    """The link went before the first answer: it does not load for ever."""
    source = source_of()
    async with console_driver(source) as stage:
        source.disconnect()
        await stage.press("6")
        await stage.wait_until(lambda: stage.app.current_mode == "models")
        await stage.flush()
        assert "no link to the hub" in stage.text
        assert "loading" not in stage.text


@pytest.mark.parametrize(
    "error", [CallRefused("no_right", "alice may not see this"), InvalidCall("alice may not see this")]
)
async def test_no_right(error: Exception) -> None:
    """The reason stands where the rows would be, `R` asks again; once there were rows they stay, greyed."""
    source = source_of()
    source.answers["models"] = error
    async with console_driver(source) as stage:
        await stage.press("6")
        await stage.wait_until(lambda: stage.text.count("alice may not see this") == 2)
        assert "loading" not in stage.text
        source.answers.clear()
        await stage.press("R")
        await stage.wait_until(lambda: "gpu-1" in stage.text)
        assert "alice may not see this" not in stage.text
        source.answers["models"] = error
        await stage.press("R")
        await stage.wait_until(lambda: "alice may not see this" in stage.text.split("\n")[1])
        assert "gpu-1" in stage.text
        assert screen(stage).table().has_class("-stale")


async def test_a_lost_link_greys_it_with_its_age() -> None:
    """What was known stays, and how old it is grows; back, it is asked at once."""
    source = source_of()
    async with console_driver(source, "models", size=(120, 36)) as stage:
        await stage.flush()
        source.disconnect()
        source.clock += 75
        await stage.flush()
        assert screen(stage).table().has_class("-stale")
        assert "as of 1m15s ago" in stage.text.split("\n")[1]
        assert "gpu-2" in stage.text
        before = len(source.calls_of("models"))
        source.reconnect()
        await stage.wait_until(lambda: len(source.calls_of("models")) > before)
        await stage.wait_until(lambda: not screen(stage).table().has_class("-stale"))
        assert "as of" not in stage.text
