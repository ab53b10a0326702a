"""Output that is no longer kept here: pages of it from the hub, and what is found in them.

The console keeps the newest of what a job prints. Whoever scrolls beyond it, or looks for something that is not in it,
reads pages of what the hub has stored; they are made of the same chunks, and where they meet what is kept a line has
the same number in both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from common.api import verbs
from common.api.jobs import OutputChunk
from common.api.queries import JobArgs, SearchOutputArgs
from common.catalogue import Sentence
from tui.client.source import Source
from tui.model.answers import call_hub
from tui.model.output_lines import OutputLines
from tui.text.format import format_number
from tui.widgets.output import OutputPane

PAGE_CHUNKS: Final = 24
"""Chunks that are asked for at a time; a chunk has at most 32 KiB."""
MAX_CHUNKS: Final = 72
"""Chunks of older output that are kept at a time."""
CONTEXT_CHUNKS: Final = 4
"""Chunks that are shown before the one in which something was found."""
MAX_LINES: Final = 60_000

Notify = Callable[[Sentence, Any], None]


class OutputPager:
    """Of one job, for one pane. Every method asks the hub; what it cannot be asked for is told."""

    def __init__(self, source: Source, pane: OutputPane, job: str, notify: Notify) -> None:
        self._source = source
        self._pane = pane
        self._job = job
        self._notify = notify
        self._chunks: list[OutputChunk] = []  # what the pane shows, where that is not the newest

    @property
    def _shows_stored(self) -> bool:
        return self._pane.lines is not self._pane.live_lines

    async def load_page(self, step: int) -> None:
        """The page before what is shown, or behind it."""
        await (self._load_earlier() if step < 0 else self._load_later())

    async def _load_earlier(self) -> None:
        pane = self._pane
        first = self._chunks[0].seq if self._shows_stored else pane.lines.first_seq
        if first <= 1 and self._shows_stored:
            self._notify(Sentence("console_output_begin"), "")
            return
        page = await self._fetch_chunks(max(1, first - PAGE_CHUNKS), first if not self._shows_stored else first - 1)
        if page is None:
            return
        if not self._shows_stored:
            page += await self._fetch_chunks(first + 1, first + PAGE_CHUNKS) or []
        shown = self._build_lines([*page, *(self._chunks if self._shows_stored else [])][:MAX_CHUNKS])
        shown.rebase(pane.lines)
        at = pane.top_number
        pane.show_lines(shown, at)
        pane.scroll_lines(pane.top - max(1, pane.page_height - 1))

    async def _load_later(self) -> None:
        pane = self._pane
        if not self._shows_stored:
            return
        last = self._chunks[-1].seq
        if last >= pane.live_lines.first_seq:
            self._return_to_live()
            return
        page = await self._fetch_chunks(last + 1, last + PAGE_CHUNKS)
        if not page:
            self._return_to_live()
            return
        shown = self._build_lines([*self._chunks, *page][-MAX_CHUNKS:])
        shown.rebase(pane.lines)
        pane.show_lines(shown, pane.top_number + 1)

    def _return_to_live(self) -> None:
        """Back to what comes, at the line that was at the top, where it is among what is kept."""
        pane = self._pane
        shown, at = pane.lines, pane.top_number
        before = shown.first
        at = at - before + shown.first if shown.rebase(pane.live_lines) else pane.live_lines.first
        pane.show_lines(pane.live_lines, max(pane.live_lines.first, at + 1))

    async def find(self, text: str, step: int) -> None:
        """Goes to the next match that the hub knows of beyond what is shown, around the end."""
        pane = self._pane
        args = SearchOutputArgs(job=self._job, text=text)
        found = (await call_hub(self._source, verbs.SEARCH_OUTPUT, args)).result
        if found is None:
            self._notify(Sentence("console_not_found", {"text": text}), "warn")
            return
        if not found.matches:
            self._notify(Sentence("console_not_found_whole", {"text": text}), "warn")
            return
        low, high = pane.lines.first_seq, pane.lines.seq
        seqs = [match.seq for match in found.matches]
        beyond = [seq for seq in seqs if (seq > high if step > 0 else seq < low)]
        wanted = (beyond or seqs)[0 if step > 0 else -1]
        if low <= wanted <= high:  # around the end, and it is here
            start = pane.lines.first if step > 0 else pane.lines.end - 1
            pane.go_to_match(pane.lines.find(text, start, step, wrap_around=False))
        else:
            await self._show_match(wanted, text, step)
        at = seqs.index(wanted) + 1 if step > 0 else len(seqs) - seqs[::-1].index(wanted)
        values = {
            "at": format_number(at),
            "count": format_number(len(seqs)),
            "more": "+" if found.more else "",
        }
        self._notify(Sentence("console_found_older", values), "")

    async def _show_match(self, seq: int, text: str, step: int) -> None:
        pane = self._pane
        page = await self._fetch_chunks(max(1, seq - CONTEXT_CHUNKS), seq + PAGE_CHUNKS - CONTEXT_CHUNKS)
        if not page:
            return
        shown = self._build_lines(page)
        shown.rebase(pane.live_lines)
        start = next((at for at in range(shown.first, shown.end) if shown.seq_at(at) >= seq), shown.first)
        if step < 0:
            start = next((at for at in range(shown.end - 1, shown.first, -1) if shown.seq_at(at) <= seq), start)
        found = shown.find(text, start, step, wrap_around=False)
        pane.show_lines(shown, start)
        pane.go_to_match(found if found is not None else shown.find(text, start, step))

    def _build_lines(self, chunks: Sequence[OutputChunk]) -> OutputLines:
        self._chunks = list(chunks)
        lines = OutputLines(MAX_LINES)
        lines.append_chunks(self._chunks)
        if self._chunks and self._chunks[0].seq > 1:
            lines.drop_first_partial()
        return lines

    async def _fetch_chunks(self, first: int, last: int) -> list[OutputChunk] | None:
        """The chunks from `first` to `last` that the hub has; None, and told, where it does not answer."""
        found: list[OutputChunk] = []
        after = first - 1
        while after < last:
            answer = await call_hub(self._source, verbs.JOB, JobArgs(id=self._job, after=after))
            if answer.result is None:
                self._notify(Sentence("console_output_no_page", {"why": answer.text or "-"}), "warn")
                return found or None
            page = answer.result.output
            if not page:
                break
            found += [chunk for chunk in page if chunk.seq <= last]
            after = page[-1].seq
        return found
