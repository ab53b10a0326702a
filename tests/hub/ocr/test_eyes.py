"""Planning sees all of a message's pictures, or why not."""

from __future__ import annotations

import asyncio

import pytest

from common.catalogue import LANGUAGES
from hub.ocr.eyes import Sight, seen
from hub.ocr.layout import Line
from hub.ocr.reader import Reader, Reading, Unread
from hub.ocr.refusal import CODES
from tests.hub.ocr import bombs
from tests.hub.ocr.scripted import argv, bounds


def reading(*texts: str, whole: bool = True) -> Reading:
    lines = tuple(Line(text, 0.9, (0, 0, 9, 9)) for text in texts)
    return Reading(lines, "\n".join(texts), (), whole)


def test_pictures_are_seen_together() -> None:
    """Their texts in order, and the key lines of all of them."""
    both = seen([reading("$ df -h", "chatter"), reading("disk full: No space left on device")], 1.5)
    assert both.text == "$ df -h\nchatter\ndisk full: No space left on device"
    assert both.key_lines == ("disk full: No space left on device", "$ df -h")
    assert (both.problem, both.note, both.seconds) == (None, None, 1.5)


def test_people_are_told_when_a_part_is_missing() -> None:
    """Beside the text, never within it: the text is what is planned from."""
    part = seen([reading("one"), reading("two", whole=False)])
    assert part.text == "one\ntwo"
    assert "what stands further up is missing" in str(part.note)


def test_one_that_is_not_read_stops_them_all() -> None:
    """And people are told which one it was."""
    both = seen([reading("rm -rf /"), Unread("too_big")])
    assert both.text == ""
    assert "picture 2: the picture is too big" in str(both.problem)
    alone = seen([Unread("slow")])
    assert str(alone.problem).startswith("reading the picture took too long")


@pytest.mark.parametrize("code", CODES)
def test_every_reason_has_its_sentence(code: str) -> None:
    """In both languages."""
    for language in LANGUAGES:
        assert Unread(code).sentence.say(language)  # type: ignore[arg-type]


async def test_a_message_goes_through_the_reader() -> None:
    """And how long it took is told."""
    reader = Reader(bounds(), argv=argv(), present=lambda: True)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(reader.run())
        await asyncio.sleep(0)
        found = await Sight(reader).read([bombs.named("one")])
        running.cancel()
    assert found.text.startswith("child ")
    assert found.key_lines == (found.text,)
    assert found.seconds > 0
