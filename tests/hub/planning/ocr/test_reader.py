"""Pictures are read in bounds, and what one does to the child the next does not notice."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import psutil
import pytest

from common.catalogue import LANGUAGES
from hub.core.outcome import ImageText
from hub.planning.ocr.protocol import OCR_ERROR_CODES, OcrAnswer
from hub.planning.ocr.reader import OcrLimits, OcrService, combine_answers, is_installed
from tests.hub.planning.ocr import bombs
from tests.hub.planning.ocr.scripted import SETTINGS, argv, bounds, child_pids, gone

needs_extra = pytest.mark.skipif(not is_installed(), reason="the extra `ocr` is not installed")


@asynccontextmanager
async def running(
    limits: OcrLimits, child: list[str] | None = None, clock: Callable[[], float] | None = None
) -> AsyncIterator[OcrService]:
    """A reader at work; with a scripted child unless `child` is empty."""
    script = argv() if child is None else child or None
    reader = OcrService(limits, argv=script, is_installed=lambda: True, clock=clock or asyncio.get_running_loop().time)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(reader.run())
        await asyncio.sleep(0)
        try:
            yield reader
        finally:
            task.cancel()
    assert child_pids() == [], "a child outlives its reader"


async def each(reader: OcrService, *pictures: str | bytes) -> list[ImageText]:
    """Each in a message of its own, all at once; a name is a picture that carries it."""
    files = [bombs.named(picture) if isinstance(picture, str) else picture for picture in pictures]
    async with asyncio.TaskGroup() as tasks:
        reading = [tasks.create_task(reader.read([file])) for file in files]
    return [task.result() for task in reading]


def pid_of(outcome: ImageText) -> int:
    assert outcome.problem is None, outcome
    return int(outcome.text.split()[1])


def codes_of(outcomes: Sequence[ImageText]) -> list[str]:
    return [outcome.problem.key.removeprefix("ocr_") if outcome.problem else "read" for outcome in outcomes]


async def test_pictures_are_read_in_order_by_one_child() -> None:
    """Which stays, and is gone when the hub stops."""
    async with running(bounds()) as reader:
        found = await reader.read([bombs.named("one"), bombs.named("two")])
        first, second = found.text.splitlines()
        assert first == second == f"child {pid_of(found)} error"
        assert child_pids() == [pid_of(found)]
        assert found.key_lines == (first,)
        assert found.seconds > 0
    assert not psutil.pid_exists(pid_of(found))


async def test_after_a_crash_the_next_picture_is_read() -> None:
    """By another child, whatever became of it: what is left of a heap that filled up is not worth keeping."""
    async with running(bounds()) as reader:
        for name, code in {"crash": "crashed", "lie": "crashed", "grown": "too_big"}.items():
            outcomes = await each(reader, "one", name, "two")
            assert codes_of(outcomes) == ["read", code, "read"]
            assert pid_of(outcomes[2]) != pid_of(outcomes[0])
            assert child_pids() == [pid_of(outcomes[2])]


async def test_a_child_that_hangs_is_killed_at_its_deadline() -> None:
    """With all it started, and the next picture is read."""
    limits = bounds(seconds=-0.5)  # with the grace, a second and a half
    async with running(limits) as reader:
        (before,) = await each(reader, "one")
        assert codes_of(await each(reader, "hang")) == ["slow"]
        await gone(pid_of(before))
        (after,) = await each(reader, "two")
        assert pid_of(after) != pid_of(before)


async def test_a_child_reads_its_share_and_makes_way() -> None:
    """Leaks do not grow for ever."""
    async with running(bounds(max_images_per_worker=2)) as reader:
        pids = [pid_of(outcome) for outcome in await each(reader, *["x"] * 5)]
    assert [len(list(group)) for _, group in itertools.groupby(pids)] == [2, 2, 1]


async def test_an_idle_child_is_ended_and_another_started_when_needed() -> None:
    """Its memory is for who needs it."""
    async with running(bounds(idle=0.05)) as reader:
        (before,) = await each(reader, "one")
        await gone(pid_of(before))
        (after,) = await each(reader, "two")
        assert pid_of(after) != pid_of(before)


async def test_several_children_share_the_work() -> None:
    """As many as configured, and one that hangs holds up only itself."""
    async with running(bounds(workers=2)) as reader, asyncio.TaskGroup() as tasks:
        hung = tasks.create_task(reader.read([bombs.named("hang")]))
        await asyncio.sleep(0)
        one, two = await each(reader, "one", "two")
        assert pid_of(one) == pid_of(two)
        assert not hung.done()
        hung.cancel()


async def test_a_full_queue_is_a_polite_refusal() -> None:
    """What fits is read."""
    async with running(bounds(queue=2)) as reader:
        outcomes = await each(reader, *["x"] * 4)
    assert codes_of(outcomes) == ["read", "read", "busy", "busy"]
    assert pid_of(outcomes[0]) == pid_of(outcomes[1])


async def test_who_waited_too_long_is_told() -> None:
    """Nobody reads a picture whose sender has given up."""
    ticks = itertools.count(0, 100)
    async with running(bounds(queue_timeout=50), clock=lambda: float(next(ticks))) as reader:
        assert codes_of(await each(reader, "x")) == ["busy"]
        assert child_pids() == []


async def test_a_child_that_does_not_come_up_is_not_tried_again_at_once() -> None:
    """Then it is."""
    now = 1_000.0
    async with running(bounds(), argv("no start"), clock=lambda: now) as reader:
        assert codes_of(await each(reader, "x", "x")) == ["crashed", "crashed"]
        reader._argv = argv()
        assert codes_of(await each(reader, "x")) == ["crashed"]
        now += 31
        assert codes_of(await each(reader, "x")) == ["read"]


async def test_a_reader_that_stops_leaves_nobody_waiting() -> None:
    """Neither who is being served nor who waits, nor a child."""
    reader = OcrService(bounds(), argv=argv(), is_installed=lambda: True)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(reader.run())
        await asyncio.sleep(0)
        (first,) = await each(reader, "one")
        reading = tasks.create_task(each(reader, "hang", "two"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # until both stand in the queue
        running.cancel()
    assert codes_of(reading.result()) == ["crashed", "busy"]
    assert not psutil.pid_exists(pid_of(first))
    assert codes_of(await each(reader, "late")) == ["busy"]


async def test_without_the_extra_everything_is_said_at_once() -> None:
    """Nothing runs, and nothing breaks."""
    reader = OcrService(bounds(), is_installed=lambda: False)
    await reader.run()
    assert codes_of(await each(reader, b"no picture", "x")) == ["not_installed"] * 2


async def test_what_shows_from_outside_starts_no_child() -> None:
    """Other files by their first bytes, and those that are too large; everything else is the child's."""
    async with running(bounds()) as reader:
        large = bombs.MAGIC + bytes(SETTINGS.size)
        outcomes = await each(reader, b"hello", large, b"%PDF-1.7 " + bombs.png(), b"")
        assert codes_of(outcomes) == ["not_an_image", "too_big", "not_an_image", "not_an_image"]
        assert child_pids() == []


# ---- with the real child


BOMBS = [
    bombs.png(64, 64, body=bombs.zeros(256 * bombs.MEBIBYTE)),
    bombs.png(extra=[(b"zTXt", b"Comment\0\0" + bombs.zeros(256 * bombs.MEBIBYTE))]),
    bombs.png(extra=[(b"iCCP", b"sRGB\0\0" + bombs.zeros(256 * bombs.MEBIBYTE))]),
    bombs.png(60_000, 60_000, body=b"x"),
    bombs.gif(frames=600),
    bombs.jpeg_head(8, 8, scans=101),
    bombs.jpeg_head(64, 64),
    bombs.png(64, 64, body=b"not zlib"),
    bombs.png()[:-20],
    bombs.png() + b"PK\5\6" + bytes(18),
]
CODES = ["bomb"] * 3 + ["too_big"] + ["bomb"] * 2 + ["not_an_image"] * 4


@needs_extra
async def test_bombs_are_refused_and_the_hub_does_not_grow() -> None:
    """Its memory moves by less than eight mebibytes, the child survives them all, and reads what comes next. Only one
    that takes more memory than the child has ends it, and another one reads on.
    """
    from tests.hub.planning.ocr.drawn import DARK, png, terminal

    good = png(terminal(["df: /data: No space left on device"], DARK))
    own = psutil.Process(os.getpid())
    async with running(bounds(memory=400 * bombs.MEBIBYTE), child=[]) as reader:
        first = await reader.read([good])
        pids = child_pids()
        before = own.memory_info().rss
        assert codes_of(await each(reader, *BOMBS)) == CODES
        assert own.memory_info().rss - before < 8 * bombs.MEBIBYTE
        second = await reader.read([good])
        assert child_pids() == pids, "this bound is enough for small pictures"
        outcomes = await each(reader, bombs.png(5_000, 4_000), good)
        assert codes_of(outcomes) == ["too_big", "read"]
        assert child_pids() != pids
    for reading in (first, second, outcomes[1]):
        assert reading.text == "df: /data: No space left on device"


def test_pictures_are_seen_together() -> None:
    """Their texts in order, and the key lines of all of them."""
    both = combine_answers([OcrAnswer("$ df -h\nchatter"), OcrAnswer("disk full: No space left on device")], 1.5)
    assert both.text == "$ df -h\nchatter\ndisk full: No space left on device"
    assert both.key_lines == ("disk full: No space left on device", "$ df -h")
    assert (both.problem, both.warning, both.seconds) == (None, None, 1.5)


def test_people_are_told_when_a_part_is_missing() -> None:
    """Beside the text, never within it: the text is what is planned from."""
    part = combine_answers([OcrAnswer("one"), OcrAnswer("two", complete=False)])
    assert part.text == "one\ntwo"
    assert "what stands further up is missing" in str(part.warning)


def test_one_that_is_not_read_stops_them_all() -> None:
    """And people are told which one it was, whatever the reason, in both languages."""
    both = combine_answers([OcrAnswer("rm -rf /"), "too_big"])
    assert both.text == ""
    assert "picture 2: the picture is too big" in str(both.problem)
    assert str(combine_answers(["slow"]).problem).startswith("reading the picture took too long")
    for code, language in itertools.product(OCR_ERROR_CODES, LANGUAGES):
        problem = combine_answers([code]).problem
        assert problem is not None
        assert problem.render(language)
