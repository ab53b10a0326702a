"""A person's login is rotated while messages and commands come as fast as they are answered: none is dropped."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.bench.throughput import Load, prepared
from tests.end_to_end.system import Program, SystemHarness

SENDERS = 2
CALLERS = 2
CLOSED_WITHIN = 5.0


@pytest.fixture
async def loaded(tmp_path: Path) -> AsyncIterator[SystemHarness]:
    async with SystemHarness(tmp_path) as rig:
        await prepared(rig)
        yield rig
        rig.check_at_most_once()


async def login(rig: SystemHarness, told: str, profile: Path) -> None:
    invited = json.loads(told)
    words = ("login", invited["url"], "--token", invited["token"], "--ca-pin", invited["ca_pin"])
    await rig.run("tui", *words, "--profile", str(profile))


async def bob_in_list(rig: SystemHarness) -> dict[str, object]:
    _, out, _ = await rig.hub("operator", "list", "--json")
    (found,) = [one for one in json.loads(out) if one["name"] == "bob"]
    return dict(found)


async def told_something(program: Program) -> bool:
    return bool(program.log.read_bytes())


class Callers:
    """Commands of bob's, one after another in each of a few shells; each makes a folder and waits for its end."""

    def __init__(self, rig: SystemHarness, profile: Path, folder: Path) -> None:
        self.rig = rig
        self.profile = profile
        self.folder = folder
        self.over = asyncio.Event()
        self.done = 0
        self.failed: list[str] = []
        self._more = asyncio.Condition()

    async def call(self, number: int) -> None:
        index = number
        while not self.over.is_set():
            path = str(self.folder / f"c-{index}")
            words = ("--profile", str(self.profile), "run", "box", "--", "mkdir", path)
            code, _, err = await self.rig.run("tui", *words, check=False)
            if code:
                self.failed.append(err)
            index += CALLERS
            async with self._more:
                self.done += 1
                self._more.notify_all()

    async def more(self, count: int = 4) -> None:
        goal = self.done + count
        async with self._more, asyncio.timeout(60):
            await self._more.wait_for(lambda: self.done >= goal)


async def test_a_login_is_rotated_under_load(loaded: SystemHarness, tmp_path: Path) -> None:
    """Trust: the old login works until the new one is used, then is refused with the cure; a console that is open with
    it is closed within five seconds; of messages, commands and jobs none fails.
    """
    rig, profile = loaded, tmp_path / "bob"
    messages, calls = tmp_path / "messages", tmp_path / "calls"
    messages.mkdir()
    calls.mkdir()
    _, told, _ = await rig.hub("operator", "add", "bob", "--json")
    await login(rig, told, profile)
    stolen = shutil.copytree(profile, tmp_path / "stolen")
    load, callers = Load(rig, messages), Callers(rig, profile, calls)

    async def sender(number: int) -> None:
        index = number
        while not callers.over.is_set():
            await load.send(f"m-{index}", f"s{number}")
            await rig.receiver.wait_final(f"m-{index}")
            index += SENDERS

    async with asyncio.TaskGroup() as tasks:
        for number in range(SENDERS):
            tasks.create_task(sender(number))
        for number in range(CALLERS):
            tasks.create_task(callers.call(number))
        await callers.more()
        watch = await rig.start("watch", "tui", "--profile", str(stolen), "watch")
        await rig.wait_until(lambda: told_something(watch))
        _, told, _ = await rig.hub("operator", "rotate", "bob", "--json")
        assert json.loads(told)["holding"] == 1
        await callers.more()  # with the old one, which goes on
        assert (await bob_in_list(rig))["old_login_until"] is not None
        assert watch.process.returncode is None
        await login(rig, told, profile)  # the commands take it from here, in the middle of what they do
        await callers.more(2 * CALLERS)
        used = time.monotonic()
        async with asyncio.timeout(60):
            await watch.process.wait()
        assert time.monotonic() - used < CLOSED_WITHIN
        code, _, err = await rig.run("tui", "--profile", str(stolen), "jobs", check=False)
        assert code == 3
        assert "this login of bob was replaced" in err
        assert "`answerback-hub operator rotate bob`" in err
        await callers.more()
        callers.over.set()
    await load.answered(60)
    load.check()
    assert callers.failed == []
    assert sum(1 for _ in calls.iterdir()) == callers.done >= 16
    kinds = [event["kind"] for event in rig.events()]
    assert (kinds.count("login.rotated"), kinds.count("login.ended")) == (1, 1)
    listed = await bob_in_list(rig)
    assert listed["old_login_until"] is None
    assert time.time() - float(str(listed["last_seen"])) < 120


async def test_a_login_is_ended_at_once(loaded: SystemHarness, tmp_path: Path) -> None:
    """Trust: with --now an open link is closed within five seconds, and the old login is refused from then on."""
    rig, profile = loaded, tmp_path / "bob"
    _, told, _ = await rig.hub("operator", "add", "bob", "--json")
    await login(rig, told, profile)
    watch = await rig.start("watch", "tui", "--profile", str(profile), "watch")

    async def linked() -> bool:
        return (await bob_in_list(rig))["last_seen"] is not None

    await rig.wait_until(linked)
    assert watch.process.returncode is None
    _, told, _ = await rig.hub("operator", "rotate", "bob", "--now", "--json")
    ended = time.monotonic()
    async with asyncio.timeout(60):
        await watch.process.wait()
    assert time.monotonic() - ended < CLOSED_WITHIN
    code, _, err = await rig.run("tui", "--profile", str(profile), "jobs", check=False)
    assert (code, "this login of bob was replaced" in err) == (3, True)
    await login(rig, told, profile)
    await rig.run("tui", "--profile", str(profile), "jobs")
