"""OutputPager output, page by page from the hub, and what is found in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from common.api.codec import encode
from common.api.queries import JobArgs, SearchOutputArgs
from common.api.verb import A, R, Verb
from common.api.versions import read_result
from common.catalogue import Sentence
from hub.api.output_search import search
from hub.core.records import StoredChunk
from tests.tui.fake_source import job_row
from tests.tui.rows import chunk
from tests.tui.widgets.hosted import Looks, hosted
from tui.client.errors import LinkLost
from tui.widgets.output import OutputPane
from tui.widgets.output_pages import OutputPager

JOB = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
PAGE = 12
LINES = 40_000
SIZE = (40, 10)
TALL = (40, 200)


class Hub:
    """What the hub answers about one job's output; `lost` is a link that is not there."""

    def __init__(self, data: bytes, size: int = 4_096) -> None:
        parts = [data[at : at + size] for at in range(0, len(data), size)]
        self.chunks = [chunk(seq, part) for seq, part in enumerate(parts, 1)]
        self.lost = False
        self.calls: list[str] = []

    async def call(self, verb: Verb[A, R], args: A) -> R:
        self.calls.append(verb.name)
        if self.lost:
            raise LinkLost("no link", "wait")
        if isinstance(args, SearchOutputArgs):
            stored = [StoredChunk(JOB, chunk.seq, 1, chunk.data, 0.0) for chunk in self.chunks]
            matches, more = search(stored, args.text)
            return read_result(verb, {"job": JOB, "matches": [encode(match) for match in matches], "more": more})
        assert isinstance(args, JobArgs)
        page = [encode(chunk) for chunk in self.chunks if chunk.seq > (args.after or 0)][:PAGE]
        return read_result(verb, {**job_row(1), "id": JOB, "output": page})


class Reader:
    """The pane with the newest of the output, at its end, and what was told."""

    def __init__(self, hub: Hub, pane: OutputPane, stage: Any) -> None:
        self.hub, self.pane, self.stage = hub, pane, stage
        self.told: list[Sentence] = []
        self.older = OutputPager(hub, pane, JOB, lambda what, tone: self.told.append(what))  # type: ignore[arg-type]

    @property
    def shown(self) -> list[str]:
        return [line.strip(" │█").removeprefix("| ").strip() for line in self.stage.lines]

    async def up(self) -> None:
        """A page up; what is not kept is asked for, as the detail does."""
        self.stage.deaf()
        await self.stage.press("pageup")
        for wanted in self.stage.heard(OutputPane.PageRequested):
            await self.older.load_page(wanted.step)
        await self.stage.pilot.pause()


def text_of(number: int) -> str:
    return f"line {number} of the story"


@asynccontextmanager
async def reading(hub: Hub | None = None, size: tuple[int, int] = SIZE) -> AsyncIterator[Reader]:
    hub = hub or Hub("".join(text_of(number) + "\n" for number in range(LINES)).encode())
    pane = OutputPane(Looks(), id="detail-output")
    async with hosted(pane, size=size) as stage:
        pane.live_lines.append_chunks(hub.chunks)
        pane.flush()
        await stage.pilot.pause()
        yield Reader(hub, pane, stage)


async def test_scrolling_up_goes_on_beyond_what_is_kept() -> None:
    """Line by line, none missing and none twice where the page begins; numbers are the same in both."""
    async with reading(size=TALL) as reader:
        pane = reader.pane
        assert pane.lines.first == LINES - 5_000
        await reader.stage.press("home")
        assert reader.shown[0] == text_of(LINES - 5_000)
        seen = {int(text.split()[1]): text for text in reader.shown}
        while reader.pane.lines is pane.live_lines or pane.top_number > LINES - 9_000:
            top = pane.top_number
            await reader.up()
            assert pane.top_number < top, "it does not go up"
            page = [int(text.split()[1]) for text in reader.shown]
            assert page == list(range(page[0], page[0] + len(page)))
            seen.update(zip(page, reader.shown, strict=True))
        assert sorted(seen) == list(range(min(seen), max(seen) + 1))
        assert reader.shown[0] == text_of(pane.top_number)


async def test_what_is_older_says_so_and_the_newest_is_a_key_away() -> None:
    """The summary tells; `G` shows what comes, and follows it."""
    async with reading() as reader:
        await reader.stage.press("home")
        await reader.up()
        assert "older output" in reader.pane.summary(Looks()())
        await reader.stage.press("G")
        assert reader.pane.lines is reader.pane.live_lines
        assert reader.pane.following
        assert reader.shown[-1] == text_of(LINES - 1)


async def test_scrolling_down_again_comes_back_to_what_is_kept() -> None:
    """At the line that was next."""
    async with reading() as reader:
        await reader.stage.press("home")
        await reader.up()
        pane = reader.pane
        for _ in range(10):
            top = pane.top_number
            reader.stage.deaf()
            pane.action_scroll_by(2_000)
            await reader.stage.pilot.pause()
            for wanted in reader.stage.heard(OutputPane.PageRequested):
                await reader.older.load_page(wanted.step)
            await reader.stage.pilot.pause()
            assert pane.top_number > top
            if pane.lines is pane.live_lines:
                break
        assert pane.lines is pane.live_lines
        assert reader.shown[0] == text_of(pane.top_number)


async def test_the_beginning_is_told() -> None:
    """Where there is nothing before it."""
    hub = Hub("".join(f"{number}\n" for number in range(9_000)).encode(), size=40_000)
    async with reading(hub, TALL) as reader:
        await reader.stage.press("home")
        for _ in range(60):
            await reader.up()
            if reader.told:
                break
        assert [what.key for what in reader.told] == ["console_output_begin"]
        assert reader.shown[0] == "0"


@pytest.mark.parametrize("wanted", [3, 17_777, LINES - 2])
async def test_a_search_reaches_the_whole_output(wanted: int) -> None:
    """Wherever it is: at the beginning, in the middle, or among what is kept."""
    async with reading() as reader:
        reader.stage.deaf()
        reader.pane.search(f"line {wanted} of")
        await reader.stage.pilot.pause()
        for find_wanted in reader.stage.heard(OutputPane.StoredSearchRequested):
            await reader.older.find(reader.pane.search_text, find_wanted.step)
        await reader.stage.pilot.pause()
        assert text_of(wanted) in reader.shown
        assert reader.pane.match_line is not None


async def test_next_walks_through_all_matches_and_around() -> None:
    """In the order of the output, from what is kept to the beginning again."""
    async with reading() as reader:
        pane, seen = reader.pane, []
        pane.search_text = "line 1000"  # 1000, and 10000 to 10009
        for _ in range(12):
            reader.stage.deaf()
            pane.action_next(1)
            await reader.stage.pilot.pause()
            for wanted in reader.stage.heard(OutputPane.StoredSearchRequested):
                await reader.older.find(pane.search_text, wanted.step)
            assert pane.match_line is not None
            line = pane.lines.line(pane.match_line)
            seen.append(line.text.split()[1] if line else "")
        assert seen == ["1000", *map(str, range(10_000, 10_010)), "1000"]


async def test_what_is_nowhere_is_told() -> None:
    """And where one is stays."""
    async with reading() as reader:
        top = reader.pane.top
        await reader.older.find("nowhere to be found", 1)
        assert [what.key for what in reader.told] == ["console_not_found_whole"]
        assert reader.pane.top == top


async def test_a_lost_link_is_told_and_nothing_moves() -> None:
    """The page comes when the link is back."""
    async with reading() as reader:
        await reader.stage.press("home")
        reader.hub.lost = True
        top = reader.pane.top_number
        await reader.up()
        assert [what.key for what in reader.told] == ["console_output_no_page"]
        assert reader.pane.top_number == top
        reader.hub.lost = False
        await reader.up()
        assert reader.pane.top_number < top
