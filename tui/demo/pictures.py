"""Screenshots of the main screens for the README: `python -m tui.demo.pictures DIR` writes SVG files.

The world is seeded, its time stands still, so the same program draws the same pictures.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from textual.pilot import Pilot

from common.catalogue import Language
from tui.app import ConsoleApp
from tui.demo.source import DemoSource
from tui.dialogs.approve import ApproveDialog
from tui.dialogs.dialog import Dialog
from tui.dialogs.edit import EditDialog
from tui.model.context import ConsoleContext
from tui.model.settings import ConsoleSettings
from tui.screens.base import ConsoleScreen

START: Final = 1_790_085_600.0  # 2026-09-22 14:00:00Z
TRIES: Final = 300
STABLE_CHECKS: Final = 6
FONTS: Final = "Fira Code, DejaVu Sans Mono, Noto Sans Mono CJK SC, Noto Sans CJK SC, monospace"


class SceneTimeout(Exception):
    """A picture's scene did not come about."""


@dataclass(frozen=True, slots=True)
class ScreenshotSession:
    app: ConsoleApp
    pilot: Pilot[None]
    source: DemoSource

    async def wait_for(self, holds: Callable[[], Any], what: str) -> None:
        for _ in range(TRIES):
            self.app.flush()
            await self.pilot.pause()
            if holds():
                return
            await asyncio.sleep(0.01)
        raise SceneTimeout(what)

    async def wait_stable(self) -> None:
        """Waits until the screen has been the same for a while."""
        before, same = "", 0
        for _ in range(TRIES):
            self.app.flush()
            await self.pilot.pause()
            now = self.app.export_screenshot()
            same = same + 1 if now == before else 0
            if same == STABLE_CHECKS:
                return
            before = now
            await asyncio.sleep(0.03)
        raise SceneTimeout("it does not come to rest")

    async def open_mode(self, key: str, mode: str) -> None:
        await self.pilot.press(key)
        await self.wait_for(lambda: self.app.current_mode == mode, mode)
        screen = self.screen
        await self.wait_for(lambda: screen.table() is not None and screen.table().window.loaded, f"rows of {mode}")  # type: ignore[union-attr]

    @property
    def screen(self) -> ConsoleScreen:
        screen = self.app.screen
        if not isinstance(screen, ConsoleScreen):
            raise SceneTimeout("a dialog is in the way")
        return screen

    async def select_row(self, holds: Callable[[Any], bool]) -> None:
        table = self.screen.table()
        for index in range(table.window.total if table is not None else 0):
            row = table.window.row_at(index) if table is not None else None
            if table is not None and row is not None and holds(row):
                table.user_moved()
                table.move_to(index)
                return
        raise SceneTimeout("no such row")

    async def open_dialog(self, key: str, kind: type[Dialog]) -> None:
        await self.pilot.press(key)
        await self.wait_for(lambda: isinstance(self.app.screen, kind) and self.app.screen.widgets_ready, kind.__name__)
        await self.wait_for(lambda: not self.app.screen.is_guarded, "keys count")  # type: ignore[attr-defined]


async def overview(studio: ScreenshotSession) -> None:
    await studio.wait_for(lambda: studio.screen.query_one("#activity").window.loaded, "activity")  # type: ignore[attr-defined]


async def jobs(studio: ScreenshotSession) -> None:
    """The long log, followed, with what failed and what waits around it."""
    await studio.open_mode("2", "jobs")
    await studio.select_row(lambda row: row.is_running and row.agent == "web-eu-0003")
    screen: Any = studio.screen
    if screen.split:
        await studio.wait_for(lambda: screen.detail.output.lines.end > 8, "output")


async def approve(studio: ScreenshotSession) -> None:
    await studio.open_mode("3", "approve")
    await studio.open_dialog("a", ApproveDialog)


async def edit(studio: ScreenshotSession) -> None:
    await studio.open_mode("3", "approve")
    await studio.open_dialog("e", EditDialog)
    await studio.pilot.press(*"/partial")
    await studio.pilot.press("f2")
    await studio.wait_for(lambda: studio.app.screen.page == 2, "what changes")  # type: ignore[attr-defined]


async def agents(studio: ScreenshotSession) -> None:
    await studio.open_mode("4", "agents")
    await studio.select_row(lambda row: row.name == "db-2")


async def audit(studio: ScreenshotSession) -> None:
    await studio.open_mode("5", "audit")


async def models(studio: ScreenshotSession) -> None:
    await studio.open_mode("6", "models")
    await studio.select_row(lambda row: not row.up)


async def lost(studio: ScreenshotSession) -> None:
    await studio.open_mode("2", "jobs")
    studio.source.lose_link()


@dataclass(frozen=True, slots=True)
class Screenshot:
    name: str
    scene: Callable[[ScreenshotSession], Awaitable[None]]
    size: tuple[int, int] = (120, 36)
    language: Language = "en"
    theme: str = "dark"
    ascii: bool = False


SCREENSHOTS: Final = (
    Screenshot("overview", overview),
    Screenshot("jobs", jobs),
    Screenshot("approve", approve),
    Screenshot("edit", edit),
    Screenshot("agents", agents),
    Screenshot("audit", audit, theme="light"),
    Screenshot("overview-zh", overview, (100, 30), "zh", "light"),
    Screenshot("overview-80x24", overview, (80, 24)),
    Screenshot("overview-ascii", overview, (80, 24), theme="contrast", ascii=True),
    Screenshot("link-lost", lost, (80, 24)),
)


async def render_svg(picture: Screenshot) -> str:
    """The picture as SVG; raises SceneTimeout."""
    source = DemoSource(start=START, real_time=False)
    settings = ConsoleSettings(language=picture.language, theme=picture.theme, ascii=picture.ascii, static=True)
    app = ConsoleApp(ConsoleContext(source, settings))
    async with app.run_test(size=picture.size) as pilot:
        studio = ScreenshotSession(app, pilot, source)
        await studio.wait_for(lambda: app.context.link.live and app.current_mode == "overview", "the link")
        await picture.scene(studio)
        await studio.wait_stable()
        return use_local_fonts(app.export_screenshot(title="answerback"))


def use_local_fonts(svg: str) -> str:
    """The picture without fonts from elsewhere: it asks nobody for anything, and Chinese has a font to fall back to."""
    svg = re.sub(r"@font-face\s*\{[^}]*\}\s*", "", svg)
    return re.sub(r"font-family:\s*Fira Code,\s*monospace", f"font-family: {FONTS}", svg)


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tui.demo.pictures DIR")
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for picture in SCREENSHOTS:
        file = folder / f"console-{picture.name}.svg"
        file.write_text(asyncio.run(render_svg(picture)), encoding="utf-8")
        sys.stdout.write(f"{file}\n")


if __name__ == "__main__":
    main()
