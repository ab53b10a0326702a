"""Pictures are read in bounds, and what one does to the child the next does not notice."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import psutil
import pytest

from hub.ocr.reader import Bounds, Outcome, Reader, Reading, Unread, installed, understood
from hub.ocr.wire import Answer, Piece
from tests.hub.ocr import bombs
from tests.hub.ocr.scripted import argv, bounds, gone

needs_extra = pytest.mark.skipif(not installed(), reason="the extra `ocr` is not installed")


@asynccontextmanager
async def running(
    limits: Bounds, child: list[str] | None = None, clock: Callable[[], float] | None = None
) -> AsyncIterator[Reader]:
    """A reader at work; with a scripted child unless `child` is empty."""
    script = argv() if child is None else child or None
    reader = Reader(limits, argv=script, present=lambda: True, clock=clock or asyncio.get_running_loop().time)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(reader.run())
        await asyncio.sleep(0)
        try:
            yield reader
        finally:
            task.cancel()


def pid_of(outcome: Outcome) -> int:
    assert isinstance(outcome, Reading), outcome
    return int(outcome.text.split()[1])


def code_of(outcome: Outcome) -> str:
    assert isinstance(outcome, Unread), outcome
    return outcome.code


async def test_pictures_are_read_in_order_by_one_child() -> None:
    """Which stays, and is gone when the hub stops."""
    async with running(bounds()) as reader:
        first, second = await reader.read([bombs.named("one"), bombs.named("two")])
        assert pid_of(first) == pid_of(second)
        assert reader.children == (pid_of(first),)
        assert isinstance(first, Reading)
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
        assert reader.children == (pid_of(after),)


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
    async with running(bounds(renew=2)) as reader:
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
    async with running(bounds(children=2)) as reader:
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
    async with running(bounds(patience=50), clock=lambda: float(next(ticks))) as reader:
        assert [code_of(outcome) for outcome in await reader.read([bombs.named("x")])] == ["busy"]
        assert reader.children == ()


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
    reader = Reader(bounds(), argv=argv(), present=lambda: True)
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
    reader = Reader(bounds(), present=lambda: False)
    await reader.run()
    assert [code_of(outcome) for outcome in await reader.read([b"no picture", bombs.named("x")])] == [
        "not_installed"
    ] * 2


async def test_what_shows_from_outside_starts_no_child() -> None:
    """Neither do other files, nor sizes that are only declared."""
    async with running(bounds()) as reader:
        outcomes = await reader.read([b"hello", bombs.png(60_000, 60_000, body=b"x"), bombs.gif(frames=600), b""])
        assert [code_of(outcome) for outcome in outcomes] == ["not_an_image", "too_big", "bomb", "not_an_image"]
        assert reader.children == ()


def test_nothing_found_and_nothing_in_time_are_told_apart() -> None:
    """A picture without text, and one that took too long."""
    assert understood(Answer((), (9, 9))) == Unread("nothing_found")
    assert understood(Answer((), (9, 9), whole=False)) == Unread("slow")
    assert understood("bomb") == Unread("bomb")
    quad = ((0.0, 0.0), (90.0, 0.0), (90.0, 9.0), (0.0, 9.0))
    reading = understood(Answer((Piece("No space left on device", 0.9, quad),), (99, 9), whole=False))
    assert isinstance(reading, Reading)
    assert (reading.text, reading.whole) == ("No space left on device", False)


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
    from tests.hub.ocr.drawn import DARK, png, terminal

    good = png(terminal(["df: /data: No space left on device"], DARK))
    own = psutil.Process(os.getpid())
    async with running(bounds(), child=[]) as reader:
        (first,) = await reader.read([good])
        pid = reader.children
        before = own.memory_info().rss
        assert [code_of(outcome) for outcome in await reader.read(BOMBS)] == CODES
        assert own.memory_info().rss - before < 8 * bombs.MEBIBYTE
        (second,) = await reader.read([good])
        assert reader.children == pid
    assert isinstance(first, Reading)
    assert isinstance(second, Reading)
    assert first.text == second.text == "df: /data: No space left on device"


@needs_extra
async def test_a_picture_that_takes_too_much_memory_is_too_big() -> None:
    """The child's bound holds, and the next picture is read by another one."""
    from tests.hub.ocr.drawn import DARK, png, terminal

    good = png(terminal(["kernel: Out of memory"], DARK))
    async with running(bounds(memory=400 * bombs.MEBIBYTE), child=[]) as reader:
        (before,) = await reader.read([good])
        assert isinstance(before, Reading), "this bound is enough for small pictures"
        large, after = await reader.read([bombs.png(5_000, 4_000), good])
        assert code_of(large) == "too_big"
        assert isinstance(after, Reading)
        assert after.text == "kernel: Out of memory"
