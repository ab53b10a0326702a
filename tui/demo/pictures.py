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
from tui.console import Console, Settings
from tui.demo.source import DemoSource
from tui.dialogs.approve import ApproveDialog
from tui.dialogs.dialog import Dialog
from tui.dialogs.edit import EditDialog
from tui.screens.base import ConsoleScreen

START: Final = 1_790_085_600.0  # 2026-09-22 14:00:00Z
TRIES: Final = 300
CALM: Final = 6
FONTS: Final = "Fira Code, DejaVu Sans Mono, Noto Sans Mono CJK SC, Noto Sans CJK SC, monospace"


class NotDrawn(Exception):
    """A picture's scene did not come about."""


@dataclass(frozen=True, slots=True)
class Studio:
    app: ConsoleApp
    pilot: Pilot[None]
    source: DemoSource

    async def until(self, holds: Callable[[], Any], what: str) -> None:
        for _ in range(TRIES):
            self.app.flush()
            await self.pilot.pause()
            if holds():
                return
            await asyncio.sleep(0.01)
        raise NotDrawn(what)

    async def calm(self) -> None:
        """Waits until the screen has been the same for a while."""
        before, same = "", 0
        for _ in range(TRIES):
            self.app.flush()
            await self.pilot.pause()
            now = self.app.export_screenshot()
            same = same + 1 if now == before else 0
            if same == CALM:
                return
            before = now
            await asyncio.sleep(0.03)
        raise NotDrawn("it does not come to rest")

    async def mode(self, key: str, mode: str) -> None:
        await self.pilot.press(key)
        await self.until(lambda: self.app.current_mode == mode, mode)
        screen = self.screen
        await self.until(lambda: screen.table() is not None and screen.table().window.loaded, f"rows of {mode}")  # type: ignore[union-attr]

    @property
    def screen(self) -> ConsoleScreen:
        screen = self.app.screen
        if not isinstance(screen, ConsoleScreen):
            raise NotDrawn("a dialog is in the way")
        return screen

    async def row(self, holds: Callable[[Any], bool]) -> None:
        table = self.screen.table()
        for index in range(table.window.total if table is not None else 0):
            row = table.window.row_at(index) if table is not None else None
            if table is not None and row is not None and holds(row):
                table.by_hand()
                table.go(index)
                return
        raise NotDrawn("no such row")

    async def dialog(self, key: str, kind: type[Dialog]) -> None:
        await self.pilot.press(key)
        await self.until(lambda: isinstance(self.app.screen, kind) and self.app.screen.formed, kind.__name__)
        await self.until(lambda: not self.app.screen.guarded, "keys count")  # type: ignore[attr-defined]


async def overview(studio: Studio) -> None:
    await studio.until(lambda: studio.screen.query_one("#activity").window.loaded, "activity")  # type: ignore[attr-defined]


async def jobs(studio: Studio) -> None:
    """The long log, followed, with what failed and what waits around it."""
    await studio.mode("2", "jobs")
    await studio.row(lambda row: row["state"] == "running" and row["agent"] == "web-eu-0003")
    screen: Any = studio.screen
    if screen.split:
        await studio.until(lambda: screen.detail.output.lines.end > 8, "output")


async def approve(studio: Studio) -> None:
    await studio.mode("3", "approve")
    await studio.dialog("a", ApproveDialog)


async def edit(studio: Studio) -> None:
    await studio.mode("3", "approve")
    await studio.dialog("e", EditDialog)
    await studio.pilot.press(*"/partial")
    await studio.pilot.press("f2")
    await studio.until(lambda: studio.app.screen.step == 2, "what changes")  # type: ignore[attr-defined]


async def agents(studio: Studio) -> None:
    await studio.mode("4", "agents")
    await studio.row(lambda row: row["name"] == "db-2")


async def audit(studio: Studio) -> None:
    await studio.mode("5", "audit")


async def models(studio: Studio) -> None:
    await studio.mode("6", "models")
    await studio.row(lambda row: row["up"] is False)


async def lost(studio: Studio) -> None:
    await studio.mode("2", "jobs")
    studio.source.drop()


@dataclass(frozen=True, slots=True)
class Picture:
    name: str
    scene: Callable[[Studio], Awaitable[None]]
    size: tuple[int, int] = (120, 36)
    language: Language = "en"
    theme: str = "dark"
    ascii: bool = False


PICTURES: Final = (
    Picture("overview", overview),
    Picture("jobs", jobs),
    Picture("approve", approve),
    Picture("edit", edit),
    Picture("agents", agents),
    Picture("audit", audit, theme="light"),
    Picture("overview-zh", overview, (100, 30), "zh", "light"),
    Picture("overview-80x24", overview, (80, 24)),
    Picture("overview-ascii", overview, (80, 24), theme="contrast", ascii=True),
    Picture("link-lost", lost, (80, 24)),
)


async def draw(picture: Picture) -> str:
    """The picture as SVG; raises NotDrawn."""
    source = DemoSource(start=START, living=False)
    settings = Settings(language=picture.language, theme=picture.theme, ascii=picture.ascii, still=True)
    app = ConsoleApp(Console(source, settings))
    async with app.run_test(size=picture.size) as pilot:
        studio = Studio(app, pilot, source)
        await studio.until(lambda: app.context.link.live and app.current_mode == "overview", "the link")
        await picture.scene(studio)
        await studio.calm()
        return own_fonts(app.export_screenshot(title="answerback"))


def own_fonts(svg: str) -> str:
    """The picture without fonts from elsewhere: it asks nobody for anything, and Chinese has a font to fall back to."""
    svg = re.sub(r"@font-face\s*\{[^}]*\}\s*", "", svg)
    return re.sub(r"font-family:\s*Fira Code,\s*monospace", f"font-family: {FONTS}", svg)


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tui.demo.pictures DIR")
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for picture in PICTURES:
        file = folder / f"console-{picture.name}.svg"
        file.write_text(asyncio.run(draw(picture)), encoding="utf-8")
        sys.stdout.write(f"{file}\n")


if __name__ == "__main__":
    main()
