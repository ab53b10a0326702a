"""The faults of the matrix: what is done while a program stands at its step, and what is not done here, and why."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from common.link.codec import Frame, encode
from common.link.compatibility import PACE_PROTOCOL
from common.link.messages import Dispatch, Ended
from tests.end_to_end.system import HarnessError
from tests.faults.frame_relay import Tamper
from tests.faults.steps import Step
from tests.faults.world import World

LOCKED_FOR: Final = 1.0
SLOW_FOR: Final = 1.5
REPLAYED_WITHIN: Final = 0.1
"""Seconds that a replayed frame has to arrive before its link ends."""


async def nothing(world: World) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Fault:
    """One column. `make` finds the program of the step stopped, as process `pid`, and leaves everything running."""

    id: str
    says: str
    make: Callable[[World, Step, int], Awaitable[None]]
    before: Callable[[World], Awaitable[None]] = nothing  # done before the message is posted
    unknown: Callable[[Step], bool] = lambda step: False  # whether nobody can know how the command ended
    clocked: bool = False  # sets the hub's clock


async def kill_hub(world: World, step: Step, pid: int) -> None:
    await world.kill_hub()
    await world.start_hub()
    world.release(pid)


async def freeze_hub(world: World, step: Step, pid: int) -> None:
    """Longer than a link lives without a word: a hub that wakes up finds that everybody has gone on."""
    os.kill(world.hub.pid, signal.SIGSTOP)
    if pid != world.hub.pid:
        world.release(pid)
    await world.until(lambda: "link.down" in world.agent_log.text(), "the end of the link to a hub that is silent")
    world.release(world.hub.pid)


async def lock_database(world: World, step: Step, pid: int) -> None:
    """Another process has the store's file locked for longer than a statement waits by itself."""
    path = world.rig.hub_dir / "data" / "answerback.sqlite"
    locked, done = threading.Event(), threading.Event()

    def hold() -> None:
        with contextlib.closing(sqlite3.connect(path, timeout=20.0, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            locked.set()
            done.wait(LOCKED_FOR)
            db.execute("ROLLBACK")

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(asyncio.to_thread(hold))
        await asyncio.sleep(0.05)  # where the hub stands within a transaction it comes to its end first
        world.release(pid)
        await asyncio.to_thread(locked.wait, 20.0)


async def kill_uplink(world: World, step: Step, pid: int) -> None:
    await world.kill_uplink()
    world.release(pid)
    await world.start_agent()


async def kill_runner(world: World, step: Step, pid: int) -> None:
    await world.kill_runner()
    world.release(pid)
    await world.restart_agent()


async def kill_machine(world: World, step: Step, pid: int) -> None:
    """All of ours on it at once, as an out-of-memory killer that takes the whole group does."""
    await world.kill_uplink()
    await world.kill_runner()
    world.release(pid)
    await world.start_agent()


async def reset_link(world: World, step: Step, pid: int) -> None:
    world.relay.reset()
    world.release(pid)


def black_hole(way: str) -> Callable[[World, Step, int], Awaitable[None]]:
    async def make(world: World, step: Step, pid: int) -> None:
        (world.relay.up if way == "up" else world.relay.down).swallow = True
        world.release(pid)
        await world.until(lambda: "link.down" in world.agent_log.text(), "the end of a link into a black hole")
        world.relay.heal()

    return make


async def go_on(world: World, step: Step, pid: int) -> None:
    world.release(pid)


def tampering(make: Callable[[World], Tamper]) -> Callable[[World], Awaitable[None]]:
    """In both directions, from before the message is posted."""

    async def before(world: World) -> None:
        world.relay.up.tamper, world.relay.down.tamper = make(world), make(world)

    return before


async def fresh_hub(world: World) -> None:
    """Which has nothing against the machine: one that has sent odd frames stays away for longer each time."""
    await world.kill_hub()
    await world.start_hub()
    await world.until_linked()


async def tamper_with_order(world: World) -> None:
    await fresh_hub(world)
    await tampering(reordered)(world)


def doubled(world: World) -> Tamper:
    return lambda frame, data: (data, data)


def reordered(world: World) -> Tamper:
    """The first numbered frame arrives behind the one that followed it."""
    held: list[bytes] = []
    done: list[bool] = []

    def tamper(frame: Frame, data: bytes) -> Sequence[bytes]:
        if held:
            return (data, held.pop())
        if frame.seq and not done:
            done.append(True)
            held.append(data)
            return ()
        return (data,)

    return tamper


def lost(world: World) -> Tamper:
    """The first numbered frame is lost with its connection."""
    done: list[bool] = []

    def tamper(frame: Frame, data: bytes) -> Sequence[bytes]:
        if frame.seq and not done:
            done.append(True)
            world.relay.reset()
            return ()
        return (data,)

    return tamper


async def replay(world: World, step: Step, pid: int) -> None:
    """Whoever recorded the last order and the last end brings them once more, under the number that comes next. No
    network can; the session does not survive it, and what was sent under that number has to come again.
    """
    world.release(pid)
    for way in (world.relay.down, world.relay.up):
        recorded = [frame for frame in way.passed if isinstance(frame.message, Dispatch | Ended)]
        if recorded:
            way.tamper = once_more(recorded[-1], world.relay.reset)


def once_more(old: Frame, then: Callable[[], None]) -> Tamper:
    said: list[bool] = []

    def tamper(frame: Frame, data: bytes) -> Sequence[bytes]:
        if not frame.seq or said:
            return (data,)
        said.append(True)
        asyncio.get_running_loop().call_later(REPLAYED_WITHIN, then)
        return (data, encode(old.message, seq=frame.seq + 1, ack=frame.ack, epoch=frame.epoch))

    return tamper


async def second_hub(world: World, step: Step, pid: int) -> None:
    """Somebody starts another hub on the same folder: it says that one is there, and ends."""
    program = await world.rig.start("hub-2", "hub", "serve", "--config", str(world.rig.config))
    if await program.process.wait() == 0:
        raise HarnessError("a second hub served the same store")
    world.release(pid)


async def slow_reader(world: World, step: Step, pid: int) -> None:
    """The hub's side takes nothing off the wire for a while."""
    world.relay.up.flowing.clear()
    world.release(pid)
    await asyncio.sleep(SLOW_FOR)
    world.relay.up.flowing.set()


async def older_machine(world: World) -> None:
    """From the next link on, which is now."""
    world.relay.protocol = PACE_PROTOCOL - 1
    world.relay.reset()


def set_clock(by: float) -> Callable[[World, Step, int], Awaitable[None]]:
    """The hub's wall clock, and back again when it has noticed."""

    async def make(world: World, step: Step, pid: int) -> None:
        assert world.clock is not None
        for seconds in (by, -by):
            world.hub_log.mark()
            world.clock.step(seconds)
            world.release(pid)
            await world.until(lambda: "clock.stepped" in world.hub_log.text(), "a step of the hub's clock in its log")

    return make


def _dies_with_runner(step: Step) -> bool:
    """Also what the hub has told to start with its order: uplink and connection end here as well as the runner, so no
    journal says whether the order came and was begun before, and a copy of it would say the same.
    """
    return step.started or step.ordered or step.said == "cancel"


FAULTS: Final = (
    Fault("F1", "hub killed", kill_hub),
    Fault("F2", "hub stopped until links were given up", freeze_hub),
    Fault("F4", "store locked by another process", lock_database),
    Fault("F5u", "uplink killed", kill_uplink),
    Fault("F5r", "runner killed", kill_runner, unknown=_dies_with_runner),
    Fault("F5m", "uplink and runner killed", kill_machine, unknown=_dies_with_runner),
    Fault("F7", "connection reset", reset_link),
    Fault("F8u", "black hole to the hub", black_hole("up")),
    Fault("F8d", "black hole to the machine", black_hole("down")),
    Fault("F9d", "every frame doubled", go_on, tampering(doubled)),
    Fault("F9o", "frames out of order", go_on, tamper_with_order),
    Fault("F9l", "frames lost with their connection", go_on, tampering(lost)),
    Fault("F9r", "recorded orders and ends replayed", replay, fresh_hub),
    Fault("F10+", "hub's clock +1 h and back", set_clock(3_600.0), clocked=True),
    Fault("F10-", "hub's clock -1 h and back", set_clock(-3_600.0), clocked=True),
    Fault("F11", "second hub on the same store", second_hub),
    Fault("F14", "slow reader", slow_reader),
    Fault("F16", "machine of the protocol before, reset", reset_link, older_machine),
)


SKIPPED: Final[Mapping[str, str]] = {
    "F3 power loss": "a disk that drops what was not synced is a table of its own (docs/faults.md, Power)",
    "F6 machine reset": "a boot id cannot change within one machine: tests/agent/runner/test_recover.py has every "
    "state of the files under another one, and F5m kills all that is ours at once",
    "F10 ±1 y, machine's clock": "the table of clocks",
    "F11 restored backup": "tests/end_to_end/test_restored_backup.py: the hub comes up in recovery",
    "F12 copied disk": "tests/end_to_end/test_copies.py: six ways, under load",
    "F13 machine's disk full": "a table of its own (docs/faults.md, disks)",
    "F15 certificates": "looked at when a link opens and when they are renewed, never on the way of a message: "
    "tests/end_to_end/test_ca_rotation.py replaces the CA under load",
}
"""Faults of delivery.md's matrix that are not played here, and why."""
