"""Reading output while more of it comes: the wheel, search, wrapping, what the summary says."""

from __future__ import annotations

from rich.cells import cell_len

from tests.tui.fake_source import HOSTILE
from tests.tui.rows import chunk
from tests.tui.widgets.hosted import Hosted, Looks, hosted, wheel
from tui.model.output_lines import MAX_LINES
from tui.terminal.sanitize import is_safe
from tui.text.format import RenderContext
from tui.widgets.output import OutputPane

SIZE = (30, 10)


class Feed:
    """Output that comes, some lines a chunk."""

    def __init__(self, pane: OutputPane) -> None:
        self.pane = pane
        self.count = 0

    def lines(self, count: int, text: str = "line {}") -> None:
        first = self.pane.lines.end
        self.raw("".join(text.format(first + index) + "\n" for index in range(count)).encode())

    def raw(self, data: bytes, stream: int = 1) -> None:
        self.count += 1
        self.pane.lines.append_chunks([chunk(self.count, data, stream)])
        self.pane.flush()


def shown(stage: Hosted) -> list[str]:
    """The lines without padding, gutter and bar."""
    return [line[3:-3].strip() for line in stage.lines]


def made(look: RenderContext | None = None) -> tuple[OutputPane, Feed]:
    pane = OutputPane(Looks(look), id="detail-output")
    return pane, Feed(pane)


async def test_the_wheel() -> None:
    """Up is reading; down to the end follows again, also where the wheel has nowhere to go."""
    pane, feed = made()
    async with hosted(pane, size=SIZE) as stage:
        feed.lines(40)
        await wheel(stage, pane, -1)
        assert (pane.top, pane.following) == (27, False)
        await wheel(stage, pane, 2)
        assert (pane.top, pane.following) == (30, True)
        feed.lines(5)
        assert pane.top == 35


async def test_the_end_reached_by_keys_follows_again() -> None:
    """Unless the end is the last word, where there is nothing to follow."""
    pane, feed = made()
    async with hosted(pane, size=SIZE) as stage:
        feed.lines(40)
        await stage.press("k")
        assert not pane.following
        await stage.press("j")
        assert pane.following
        await stage.press("g", "G")
        feed.lines(10)
        assert (pane.following, pane.top) == (True, 40)
        pane.follow(False)
        feed.lines(10)
        pane.ended = True
        assert pane.top == 40
        await stage.press("pagedown", "pagedown")
        assert (pane.top, pane.following) == (50, False)


async def test_what_was_found_stays_on_the_screen() -> None:
    """Found lines are gone to by number, around the end; what is not there moves nothing, nor does what comes."""
    pane, feed = made()
    async with hosted(pane, size=SIZE) as stage:
        for index in range(100):
            feed.lines(1, "ERROR {}" if index in (20, 60) else "fine {}")
        pane.follow(False)
        pane.action_to_top()
        assert pane.search("error")
        seen = [pane.match_line]
        for key in ("n", "n", "N"):
            await stage.press(key)
            seen.append(pane.match_line)
        assert seen == [20, 60, 20, 60]
        before = shown(stage)
        assert "ERROR 60" in before
        feed.lines(MAX_LINES - 90)
        await stage.pilot.pause()
        assert (pane.lines.first, shown(stage)) == (10, before)
        pane.search("no such words")
        await stage.pilot.pause()
        assert stage.heard(OutputPane.StoredSearchRequested)  # what is kept no longer may have it
        await stage.pilot.pause()
        assert shown(stage) == before


async def test_wrapping_keeps_the_place() -> None:
    """Cut with a sign or whole over several lines, Chinese by cells; the same line is at the top both ways."""
    pane, feed = made()
    async with hosted(pane, size=SIZE) as stage:
        feed.lines(30, "{} " + "汉字" * 20)
        await stage.press("g", *["j"] * 5)
        assert stage.lines[0].split()[:2] == ["|", "5"]
        assert "…" in stage.lines[0]
        await stage.press("w")
        assert stage.lines[0].split()[:2] == ["|", "5"]
        assert not any("…" in line for line in stage.lines)
        assert {cell_len(line) for line in stage.lines} == {SIZE[0]}
        assert "".join(line[3:-2].strip() for line in stage.lines[:4]).replace(" ", "") == "5" + "汉字" * 20
        feed.lines(100)
        await stage.press("w")
        assert stage.lines[0].split()[:2] == ["|", "5"]


async def test_hostile_output_in_pieces() -> None:
    """Byte by byte: no control reaches a line, no line is too wide; clicks on what looks like markup run nothing."""
    pane, feed = made()
    async with hosted(pane, size=(60, 24)) as stage:
        for hostile in HOSTILE:
            feed.raw(hostile.encode("utf-8", "surrogatepass") + b"\n")
            for byte in hostile[:60].encode("utf-8", "surrogatepass"):
                feed.raw(bytes([byte]), 2)
        await stage.pilot.pause()
        for key in ("w", "t", "w", "g"):
            await stage.press(key)
            assert all(map(is_safe, stage.lines))
            assert [cell_len(line) for line in stage.lines] == [60] * 24
        assert "[@click=app.perform" in "\n".join(stage.lines)
        for y in range(24):
            await stage.pilot.click(offset=(16, y))
        assert stage.app.performed == []


async def test_the_summary() -> None:
    """How much there is, where it begins, what never came, and whether it is followed: in words."""
    pane, feed = made()
    look = RenderContext("en")
    async with hosted(pane, size=SIZE) as stage:
        feed.lines(12)
        assert pane.summary(look).startswith("following  12 lines, ")
        await stage.press("k")
        assert pane.summary(look).startswith("not following (f)  12 lines")
        feed.lines(MAX_LINES)
        assert pane.summary(look).endswith("from line 12 of 5,012, 47.9 KiB")
        feed.count += 3
        feed.lines(1)
        assert pane.summary(look).endswith("3 pieces are MISSING")
        pane.ended = True
        assert "following" not in pane.summary(look)
        assert pane.summary(RenderContext("zh")).endswith("缺失 3 段")
