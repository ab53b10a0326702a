"""Output that is no longer kept here: pages of it from the hub, and what is found in them.

The console keeps the newest of what a job prints. Whoever scrolls beyond it, or looks for something that is not in it,
reads pages of what the hub has stored; they are made of the same chunks, and where they meet what is kept a line has
the same number in both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from common.catalogue import Sentence
from tui.answers import ask
from tui.format import number
from tui.lines import OutputLines
from tui.source import Source
from tui.widgets.output import OutputPane

PAGE: Final = 24
"""Chunks that are asked for at a time; a chunk has at most 32 KiB."""
KEPT: Final = 72
"""Chunks of older output that are kept at a time."""
BEFORE: Final = 4
"""Chunks that are shown before the one in which something was found."""
MOST: Final = 60_000

Chunk = Mapping[str, Any]
Tell = Callable[[Sentence, Any], None]


class Older:
    """Of one job, for one pane. Every method asks the hub; what it cannot be asked for is told."""

    def __init__(self, source: Source, pane: OutputPane, job: str, tell: Tell) -> None:
        self._source = source
        self._pane = pane
        self._job = job
        self._tell = tell
        self._chunks: list[Chunk] = []  # what the pane shows, where that is not the newest

    @property
    def _past(self) -> bool:
        return self._pane.lines is not self._pane.newest

    async def more(self, step: int) -> None:
        """The page before what is shown, or behind it."""
        await (self._earlier() if step < 0 else self._later())

    async def _earlier(self) -> None:
        pane = self._pane
        first = int(self._chunks[0]["seq"]) if self._past else pane.lines.first_seq
        if first <= 1 and self._past:
            self._tell(Sentence("console_output_begin"), "")
            return
        page = await self._between(max(1, first - PAGE), first if not self._past else first - 1)
        if page is None:
            return
        if not self._past:
            page += await self._between(first + 1, first + PAGE) or []
        shown = self._made([*page, *(self._chunks if self._past else [])][:KEPT])
        shown.rebase(pane.lines)
        at = pane.top_number
        pane.show(shown, at)
        pane.scroll_lines(pane.top - max(1, pane.page - 1))

    async def _later(self) -> None:
        pane = self._pane
        if not self._past:
            return
        last = int(self._chunks[-1]["seq"])
        if last >= pane.newest.first_seq:
            self._newest()
            return
        page = await self._between(last + 1, last + PAGE)
        if not page:
            self._newest()
            return
        shown = self._made([*self._chunks, *page][-KEPT:])
        shown.rebase(pane.lines)
        pane.show(shown, pane.top_number + 1)

    def _newest(self) -> None:
        """Back to what comes, at the line that was at the top, where it is among what is kept."""
        pane = self._pane
        shown, at = pane.lines, pane.top_number
        before = shown.first
        at = at - before + shown.first if shown.rebase(pane.newest) else pane.newest.first
        pane.show(pane.newest, max(pane.newest.first, at + 1))

    async def find(self, text: str, step: int) -> None:
        """Goes to the next match that the hub knows of beyond what is shown, around the end."""
        pane = self._pane
        answer = await ask(self._source.call, "search_output", job=self._job, text=text)
        if answer.next != "done" or not isinstance(answer.data, dict):
            self._tell(Sentence("console_not_found", {"text": text}), "warn")
            return
        matches = [match for match in answer.data.get("matches", ()) if isinstance(match, Mapping)]
        if not matches:
            self._tell(Sentence("console_not_found_whole", {"text": text}), "warn")
            return
        low, high = pane.lines.first_seq, pane.lines.seq
        seqs = [int(match["seq"]) for match in matches]
        beyond = [seq for seq in seqs if (seq > high if step > 0 else seq < low)]
        wanted = (beyond or seqs)[0 if step > 0 else -1]
        if low <= wanted <= high:  # around the end, and it is here
            start = pane.lines.first if step > 0 else pane.lines.end - 1
            pane.go_line(pane.lines.find(text, start, step, around=False))
        else:
            await self._show_at(wanted, text, step)
        at = seqs.index(wanted) + 1 if step > 0 else len(seqs) - seqs[::-1].index(wanted)
        values = {"at": number(at), "count": number(len(seqs)), "more": "+" if answer.data.get("more") else ""}
        self._tell(Sentence("console_found_older", values), "")

    async def _show_at(self, seq: int, text: str, step: int) -> None:
        pane = self._pane
        page = await self._between(max(1, seq - BEFORE), seq + PAGE - BEFORE)
        if not page:
            return
        shown = self._made(page)
        shown.rebase(pane.newest)
        start = next((at for at in range(shown.first, shown.end) if shown.seq_at(at) >= seq), shown.first)
        if step < 0:
            start = next((at for at in range(shown.end - 1, shown.first, -1) if shown.seq_at(at) <= seq), start)
        found = shown.find(text, start, step, around=False)
        pane.show(shown, start)
        pane.go_line(found if found is not None else shown.find(text, start, step))

    def _made(self, chunks: Sequence[Chunk]) -> OutputLines:
        self._chunks = list(chunks)
        lines = OutputLines(MOST)
        lines.feed(self._chunks)
        if self._chunks and int(self._chunks[0]["seq"]) > 1:
            lines.forget_first()
        return lines

    async def _between(self, first: int, last: int) -> list[Chunk] | None:
        """The chunks from `first` to `last` that the hub has; None, and told, where it does not answer."""
        found: list[Chunk] = []
        after = first - 1
        while after < last:
            answer = await ask(self._source.call, "job", id=self._job, after=after)
            if answer.next != "done" or not isinstance(answer.data, dict):
                self._tell(Sentence("console_output_no_page", {"why": answer.text or "-"}), "warn")
                return found or None
            page = [chunk for chunk in answer.data.get("output", ()) if isinstance(chunk, Mapping)]
            if not page:
                break
            found += [chunk for chunk in page if int(chunk["seq"]) <= last]
            after = int(page[-1]["seq"])
        return found
