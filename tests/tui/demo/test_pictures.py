"""The main screens as pictures: every size, language and theme that people use, compared with the ones that were
looked at.

`pytest --snapshot-update` takes new ones; look at them before they are kept.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from tui.app import ConsoleApp
from tui.demo import pictures
from tui.demo.pictures import SCREENSHOTS, START, Screenshot, ScreenshotSession, render_svg
from tui.demo.source import DemoSource
from tui.model.context import ConsoleContext
from tui.model.settings import ConsoleSettings
from tui.terminal.sanitize import is_safe

SCENES = {
    name: getattr(pictures, name)
    for name in ("overview", "jobs", "approve", "edit", "agents", "audit", "models", "lost")
}
LOOKS = [
    *(
        (scene, size, "en", "dark", False)
        for scene in ("overview", "jobs", "approve", "agents")
        for size in ((60, 16), (80, 24), (120, 36))
    ),
    ("overview", (160, 48), "en", "dark", False),
    ("agents", (160, 48), "en", "dark", False),
    ("models", (60, 16), "en", "dark", False),
    ("models", (120, 36), "en", "dark", False),
    ("models", (80, 24), "en", "contrast", True),
    *((scene, (80, 24), "zh", "light", False) for scene in SCENES),
    ("overview", (120, 36), "zh", "contrast", False),
    ("overview", (80, 24), "en", "contrast", True),
    ("edit", (120, 36), "en", "ansi", True),
]


def name_of(look: Any) -> str:
    scene, (width, height), language, theme, ascii_only = look
    return f"{scene}-{width}x{height}-{language}-{theme}{'-ascii' if ascii_only else ''}"


def made(picture: Screenshot) -> tuple[ConsoleApp, Callable[[Pilot[None]], Awaitable[None]]]:
    """The app of a picture and what brings it to its scene."""
    source = DemoSource(start=START, real_time=False)
    settings = ConsoleSettings(language=picture.language, theme=picture.theme, ascii=picture.ascii, static=True)
    app = ConsoleApp(ConsoleContext(source, settings))

    async def play(pilot: Pilot[None]) -> None:
        studio = ScreenshotSession(app, pilot, source)
        await studio.wait_for(lambda: app.context.link.live and app.current_mode == "overview", "the link")
        await picture.scene(studio)
        await studio.wait_stable()

    return app, play


@pytest.mark.parametrize("look", LOOKS, ids=name_of)
def test_screens_look_as_they_did(look: Any, snap_compare: Any) -> None:
    """By screen, size, language, theme; the world and its clock stand still."""
    scene, size, language, theme, ascii_only = look
    app, play = made(Screenshot(scene, SCENES[scene], size, language, theme, ascii_only))
    assert snap_compare(app, terminal_size=size, run_before=play)


def words(svg: str) -> str:
    return "".join(re.findall(r"<text[^>]*>([^<]*)</text>", svg)).replace("&#160;", " ")


TWICE = [
    pytest.param(picture, again, marks=pytest.mark.slow if again and at else ())
    for at, picture in enumerate(SCREENSHOTS)
    for again in (False, True)
    if again or at
]
"""Each picture once, the first of them twice; the others twice where time does not count."""


@pytest.mark.parametrize(("picture", "again"), TWICE, ids=lambda value: getattr(value, "name", value))
async def test_the_pictures_of_the_readme_are_drawn(picture: Screenshot, again: bool) -> None:
    """Each comes out, asks no other host for fonts, and is the same when it is drawn again."""
    svg = await render_svg(picture)
    assert "@font-face" not in svg
    assert is_safe(words(svg).replace("\n", ""))
    assert ("总览" if picture.language == "zh" else "Ov") in words(svg) or "作业" in words(svg)
    if again:
        assert words(await render_svg(picture)) == words(svg)


async def test_ascii_means_ascii() -> None:
    """But for what data holds, every character of the screen is one of seven bits."""
    app, play = made(Screenshot("ascii", pictures.overview, (100, 30), ascii=True))
    async with app.run_test(size=(100, 30)) as pilot:
        await play(pilot)
        text = "".join(strip.text for strip in app.screen._compositor.render_strips())
    assert app.context.overview is not None
    data = "".join(need.text for need in app.context.overview.needs_you)
    odd = {char for char in text if ord(char) > 126} - set(data)
    assert not odd, odd
