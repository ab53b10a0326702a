"""agent.runner.look_aside, and jobs whose file system does not answer"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.runner import job_manager
from agent.runner.limits import RunnerLimits
from agent.runner.look_aside import MAX_LOOKS, LooksAside
from agent.runner.preparation import PreparedStart
from agent.runner.programs import open_program
from agent.runner.real_paths import CheckedPaths
from common.link.messages import Cancel, Ended, Started
from common.policy.machine_checks import MachineChecks, PathCheck, write_checks
from common.policy.types import PathType


def prepared() -> PreparedStart:
    return PreparedStart(open_program("/bin/true", os.geteuid()), os.open("/", os.O_PATH), CheckedPaths(("/bin/true",)))


async def test_a_look_is_told_once_and_a_late_one_is_closed() -> None:
    """What it found, what it raised, or that it took too long; nothing that is found too late stays open."""
    loop = asyncio.get_running_loop()
    heard: asyncio.Queue[object] = asyncio.Queue()
    aside = LooksAside(loop, 60.0)
    before = len(os.listdir("/proc/self/fd"))
    aside.look(prepared, heard.put_nowait)
    assert len(aside) == 1
    found = await heard.get()
    assert isinstance(found, PreparedStart)
    found.close()

    def fail() -> PreparedStart:
        raise ValueError("x")

    aside.look(fail, heard.put_nowait)
    assert isinstance(await heard.get(), ValueError)
    go, closed = threading.Event(), asyncio.Event()
    late = LooksAside(loop, 0.01)

    def slow() -> PreparedStart:
        go.wait()
        loop.call_soon_threadsafe(lambda: loop.call_soon(closed.set))
        return prepared()

    late.look(slow, heard.put_nowait)
    assert isinstance(await heard.get(), TimeoutError)
    assert len(late) == 0
    go.set()
    await closed.wait()
    while late._threads:
        await asyncio.sleep(0)
    assert len(os.listdir("/proc/self/fd")) == before


async def test_no_more_than_a_few_threads_wait_in_vain() -> None:
    """Where so many do not come back, one more is told so at once."""
    loop = asyncio.get_running_loop()
    heard: asyncio.Queue[object] = asyncio.Queue()
    aside, go = LooksAside(loop, 0.01), threading.Event()

    def stuck() -> PreparedStart:
        go.wait()
        raise OSError

    for _ in range(MAX_LOOKS + 1):
        aside.look(stuck, heard.put_nowait)
    assert threading.active_count() <= MAX_LOOKS + 8
    assert aside._threads == MAX_LOOKS
    assert all([isinstance(await heard.get(), TimeoutError) for _ in range(MAX_LOOKS + 1)])
    go.set()
    while aside._threads:
        await asyncio.sleep(0)


class Slow:
    """Stands for a machine on which a slow file system is mounted here."""

    def __init__(self, place: Path) -> None:
        self.place = str(place)

    def __contains__(self, place: object) -> bool:
        return place == self.place

    def close(self) -> None:
        pass


async def test_a_file_system_that_does_not_answer_holds_nobody_up(
    home: Any, kit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other jobs run meanwhile; the one that needs it is refused, can be cancelled, and runs where it does answer."""
    place, go = tmp_path.resolve() / "mount", threading.Event()
    place.mkdir()
    (place / "file").write_text("x")
    answering = [True]
    look: Callable[..., PreparedStart] = job_manager.prepare_start

    def prepare(order: Any, checks: Any, empty: int, slow: Any = ()) -> PreparedStart:
        if slow == () and not answering[0]:
            go.wait()
        return look(order, checks, empty, slow)

    monkeypatch.setattr(job_manager, "SlowMounts", lambda: Slow(place))
    monkeypatch.setattr(job_manager, "prepare_start", prepare)
    checks = write_checks(MachineChecks(paths=(PathCheck(f"{place}/file", (PathType((str(place),)),)),)))
    command = ("/bin/cat", f"{place}/file")
    async with kit.serving(home, RunnerLimits(look_timeout=0.5)):
        uplink = await kit.Uplink.known(home)
        job = uplink.order(*command, checks=checks)
        assert (await uplink.next(Ended, job)).outcome == "succeeded"
        assert uplink.output(job) == b"x"
        answering[0] = False
        stuck, cancelled = uplink.order(*command, checks=checks), uplink.order(*command, checks=checks)
        other = uplink.order("/bin/true")
        await uplink.next(Started, other)
        uplink.send(Cancel(cancelled))
        assert (await uplink.end(cancelled)).code == "cancelled"
        refused = await uplink.end(stuck)
        assert (refused.code, "has not answered within 0.5 s" in refused.reason) == ("busy", True)
        go.set()
        assert home.files(stuck) == home.files(cancelled) == set()
