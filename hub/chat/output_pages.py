"""All output of a request in pages that fit a phone: `more r42`, `more r42 2`. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from common.catalogue import Language, translate
from hub.chat.reply_text import fit_lines
from hub.core.chat_text import code_block
from hub.core.records import Request

PAGE_CHARS: Final = 2_800
PAGE_BYTES: Final = 4 * PAGE_CHARS
"""At most so many bytes of UTF-8 are needed for a page more."""
MAX_PAGES: Final = 40
MAX_LINE: Final = 500
"""Characters of a line; the console and the command line have all of it."""


def page_text(
    request: Request, outputs: Sequence[tuple[str, str]], page: int, language: Language, *, files: bool = False
) -> str:
    """Page `page`, from 1, of (machine, output); `outputs` has at least the pages up to the next. `files`: the chat
    takes all of it as a file too.
    """
    pages = _pages(outputs)
    values = {"number": request.number, "page": page}
    if not pages:
        return translate(language, "more_none", **values)
    if page > MAX_PAGES or page > len(pages):
        return translate(language, "more_beyond", most=min(len(pages), MAX_PAGES), **values)
    lines = [translate(language, "more_head", **values), code_block(pages[page - 1])]
    if page < min(len(pages), MAX_PAGES):
        lines.append(translate(language, "more_next_file" if files else "more_next", next=page + 1, **values))
    else:
        elsewhere = "more_elsewhere_file" if files else "more_elsewhere"
        lines.append(translate(language, "more_end" if page == len(pages) else elsewhere, **values))
    return fit_lines(lines, language)


def _pages(outputs: Sequence[tuple[str, str]]) -> list[str]:
    lines: list[str] = []
    for machine, output in outputs:
        said = output.strip("\n").rstrip()
        if said:
            lines += [f"{machine}:"] if len(outputs) > 1 else []
            lines += [line if len(line) <= MAX_LINE else line[: MAX_LINE - 1] + "…" for line in said.split("\n")]
    pages: list[list[str]] = []
    room = 0
    for line in lines:
        if not pages or len(line) + 1 > room:
            pages.append([])
            room = PAGE_CHARS
        pages[-1].append(line)
        room -= len(line) + 1
    return ["\n".join(page) for page in pages]
