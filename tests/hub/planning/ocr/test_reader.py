"""Pictures are read in bounds, and what one does to the child the next does not notice."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import psutil
import pytest

from common.catalogue import LANGUAGES
from hub.planning.ocr.layout import TextLine
from hub.planning.ocr.protocol import OcrAnswer, TextPiece
from hub.planning.ocr.reader import (
    OcrFailure,
    OcrImageReader,
    OcrLimits,
    OcrResult,
    OcrService,
    OcrText,
    combine_results,
    interpret_answer,
    is_installed,
)
from hub.planning.ocr.refusal import OCR_ERROR_CODES as REASONS
from tests.hub.planning.ocr import bombs
from tests.hub.planning.ocr.scripted import SETTINGS, argv, bounds, gone

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
    assert reader.worker_pids == (), "a child outlives its reader"


def pid_of(outcome: OcrResult) -> int:
    assert isinstance(outcome, OcrText), outcome
    return int(outcome.text.split()[1])


def code_of(outcome: OcrResult) -> str:
    assert isinstance(outcome, OcrFailure), outcome
    return outcome.code


async def test_pictures_are_read_in_order_by_one_child() -> None:
    """Which stays, and is gone when the hub stops."""
    async with running(bounds()) as reader:
        first, second = await reader.read([bombs.named("one"), bombs.named("two")])
        assert pid_of(first) == pid_of(second)
        assert reader.worker_pids == (pid_of(first),)
        assert isinstance(first, OcrText)
        assert first.key_lines == (first.text,)
    assert not psutil.pid_exists(pid_of(first))


@pytest.mark.parametrize(
    ("name", "code"), [("crash", "crashed"), ("killed", "crashed"), ("lie", "crashed"), ("flood", "crashed")]
)
async def test_after_a_crash_the_next_picture_is_read(name: str, code: str) -> None:
    """By another child."""
    async with running(bounds()) as reader:
        before, broken, after = await reader.read([bombs.named("one"), bombs.named(name), bombs.named("two")])
        assert code_of(broken) == code
        assert pid_of(after) != pid_of(before)
        assert reader.worker_pids == (pid_of(after),)


async def test_a_child_that_hangs_is_killed_at_its_deadline() -> None:
    """With all it started, and the next picture is read."""
    limits = bounds(seconds=-0.5)  # with the grace, a second and a half
    async with running(limits) as reader:
        (before,) = await reader.read([bombs.named("one")])
        pid = pid_of(before)
        (hung,) = await reader.read([bombs.named("hang")])
        assert code_of(hung) == "slow"
        await gone(pid)
        (after,) = await reader.read([bombs.named("two")])
        assert pid_of(after) != pid


async def test_a_child_that_ran_out_of_memory_makes_way() -> None:
    """What is left of its heap is not worth keeping."""
    async with running(bounds()) as reader:
        before, grown, after = await reader.read([bombs.named("one"), bombs.named("grown"), bombs.named("two")])
        assert code_of(grown) == "too_big"
        assert pid_of(before) != pid_of(after)


async def test_a_child_reads_its_share_and_makes_way() -> None:
    """Leaks do not grow for ever."""
    async with running(bounds(max_images_per_worker=2)) as reader:
        pids = [pid_of(outcome) for outcome in await reader.read([bombs.named("x")] * 5)]
    assert [len(list(group)) for _, group in itertools.groupby(pids)] == [2, 2, 1]


async def test_an_idle_child_is_ended_and_another_started_when_needed() -> None:
    """Its memory is for who needs it."""
    async with running(bounds(idle=0.05)) as reader:
        (before,) = await reader.read([bombs.named("one")])
        await gone(pid_of(before))
        (after,) = await reader.read([bombs.named("two")])
        assert pid_of(after) != pid_of(before)


async def test_several_children_share_the_work() -> None:
    """As many as configured, and one that hangs holds up only itself."""
    async with running(bounds(workers=2)) as reader:
        async with asyncio.TaskGroup() as tasks:
            hung = tasks.create_task(reader.read([bombs.named("hang")]))
            await asyncio.sleep(0)
            others = await reader.read([bombs.named("one"), bombs.named("two")])
            assert pid_of(others[0]) == pid_of(others[1])
            assert not hung.done()
            hung.cancel()


async def test_a_full_queue_is_a_polite_refusal() -> None:
    """What fits is read."""
    async with running(bounds(queue=2)) as reader:
        outcomes = await reader.read([bombs.named("x")] * 4)
    assert [code_of(outcome) for outcome in outcomes[2:]] == ["busy", "busy"]
    assert pid_of(outcomes[0]) == pid_of(outcomes[1])


async def test_who_waited_too_long_is_told() -> None:
    """Nobody reads a picture whose sender has given up."""
    ticks = itertools.count(0, 100)
    async with running(bounds(queue_timeout=50), clock=lambda: float(next(ticks))) as reader:
        assert [code_of(outcome) for outcome in await reader.read([bombs.named("x")])] == ["busy"]
        assert reader.worker_pids == ()


async def test_a_child_that_does_not_come_up_is_not_tried_again_at_once() -> None:
    """Then it is."""
    now = 1_000.0
    async with running(bounds(), argv("no start"), clock=lambda: now) as reader:
        assert [code_of(one) for one in await reader.read([bombs.named("x")] * 2)] == ["crashed", "crashed"]
        reader._argv = argv()
        assert [code_of(one) for one in await reader.read([bombs.named("x")])] == ["crashed"]
        now += 31
        (after,) = await reader.read([bombs.named("x")])
        assert pid_of(after)


async def test_a_reader_that_stops_leaves_nobody_waiting() -> None:
    """Neither who is being served nor who waits, nor a child."""
    reader = OcrService(bounds(), argv=argv(), is_installed=lambda: True)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(reader.run())
        await asyncio.sleep(0)
        (first,) = await reader.read([bombs.named("one")])
        reading = tasks.create_task(reader.read([bombs.named("hang"), bombs.named("two")]))
        await asyncio.sleep(0)
        running.cancel()
    assert [code_of(outcome) for outcome in reading.result()] == ["crashed", "busy"]
    assert not psutil.pid_exists(pid_of(first))
    assert [code_of(outcome) for outcome in await reader.read([bombs.named("late")])] == ["busy"]


async def test_without_the_extra_everything_is_said_at_once() -> None:
    """Nothing runs, and nothing breaks."""
    reader = OcrService(bounds(), is_installed=lambda: False)
    await reader.run()
    assert [code_of(outcome) for outcome in await reader.read([b"no picture", bombs.named("x")])] == [
        "not_installed"
    ] * 2


async def test_what_shows_from_outside_starts_no_child() -> None:
    """Other files by their first bytes, and those that are too large; everything else is the child's."""
    async with running(bounds()) as reader:
        large = bombs.MAGIC + bytes(SETTINGS.size)
        outcomes = await reader.read([b"hello", large, b"%PDF-1.7 " + bombs.png(), b""])
        assert [code_of(outcome) for outcome in outcomes] == ["not_an_image", "too_big", "not_an_image", "not_an_image"]
        assert reader.worker_pids == ()


def test_nothing_found_and_nothing_in_time_are_told_apart() -> None:
    """A picture without text, and one that took too long."""
    assert interpret_answer(OcrAnswer((), (9, 9))) == OcrFailure("nothing_found")
    assert interpret_answer(OcrAnswer((), (9, 9), complete=False)) == OcrFailure("slow")
    assert interpret_answer("bomb") == OcrFailure("bomb")
    quad = ((0.0, 0.0), (90.0, 0.0), (90.0, 9.0), (0.0, 9.0))
    reading = interpret_answer(OcrAnswer((TextPiece("No space left on device", 0.9, quad),), (99, 9), complete=False))
    assert isinstance(reading, OcrText)
    assert (reading.text, reading.complete) == ("No space left on device", False)


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
    """Its memory moves by less than eight mebibytes, the child survives them all, and reads what comes next."""
    from tests.hub.planning.ocr.drawn import DARK, png, terminal

    good = png(terminal(["df: /data: No space left on device"], DARK))
    own = psutil.Process(os.getpid())
    async with running(bounds(), child=[]) as reader:
        (first,) = await reader.read([good])
        pid = reader.worker_pids
        before = own.memory_info().rss
        assert [code_of(outcome) for outcome in await reader.read(BOMBS)] == CODES
        assert own.memory_info().rss - before < 8 * bombs.MEBIBYTE
        (second,) = await reader.read([good])
        assert reader.worker_pids == pid
    assert isinstance(first, OcrText)
    assert isinstance(second, OcrText)
    assert first.text == second.text == "df: /data: No space left on device"


@needs_extra
async def test_a_picture_that_takes_too_much_memory_is_too_big() -> None:
    """The child's bound holds, and the next picture is read by another one."""
    from tests.hub.planning.ocr.drawn import DARK, png, terminal

    good = png(terminal(["kernel: Out of memory"], DARK))
    async with running(bounds(memory=400 * bombs.MEBIBYTE), child=[]) as reader:
        (before,) = await reader.read([good])
        assert isinstance(before, OcrText), "this bound is enough for small pictures"
        large, after = await reader.read([bombs.png(5_000, 4_000), good])
        assert code_of(large) == "too_big"
        assert isinstance(after, OcrText)
        assert after.text == "kernel: Out of memory"


def reading(*texts: str, whole: bool = True) -> OcrText:
    lines = tuple(TextLine(text, 0.9, (0, 0, 9, 9)) for text in texts)
    return OcrText(lines, "\n".join(texts), (), whole)


def test_pictures_are_seen_together() -> None:
    """Their texts in order, and the key lines of all of them."""
    both = combine_results([reading("$ df -h", "chatter"), reading("disk full: No space left on device")], 1.5)
    assert both.text == "$ df -h\nchatter\ndisk full: No space left on device"
    assert both.key_lines == ("disk full: No space left on device", "$ df -h")
    assert (both.problem, both.warning, both.seconds) == (None, None, 1.5)


def test_people_are_told_when_a_part_is_missing() -> None:
    """Beside the text, never within it: the text is what is planned from."""
    part = combine_results([reading("one"), reading("two", whole=False)])
    assert part.text == "one\ntwo"
    assert "what stands further up is missing" in str(part.warning)


def test_one_that_is_not_read_stops_them_all() -> None:
    """And people are told which one it was."""
    both = combine_results([reading("rm -rf /"), OcrFailure("too_big")])
    assert both.text == ""
    assert "picture 2: the picture is too big" in str(both.problem)
    alone = combine_results([OcrFailure("slow")])
    assert str(alone.problem).startswith("reading the picture took too long")


@pytest.mark.parametrize("code", REASONS)
def test_every_reason_has_its_sentence(code: str) -> None:
    """In both languages."""
    for language in LANGUAGES:
        assert OcrFailure(code).sentence.render(language)  # type: ignore[arg-type]


async def test_a_message_goes_through_the_reader() -> None:
    """And how long it took is told."""
    reader = OcrService(bounds(), argv=argv(), is_installed=lambda: True)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(reader.run())
        await asyncio.sleep(0)
        found = await OcrImageReader(reader).read([bombs.named("one")])
        running.cancel()
    assert found.text.startswith("child ")
    assert found.key_lines == (found.text,)
    assert found.seconds > 0
