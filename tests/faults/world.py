"""A hub, a machine, the network between them and a chat, on which cell after cell of the matrix is played.

What makes a cell cheap: programs are forked, nothing is set up anew, and each thing is waited for where it happens.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

import aiohttp
import psutil

from agent.state import SOCKET_VARIABLE, StateFolder
from common.crashpoints import FILE_VARIABLE, HIT, TEST_VARIABLE, write_order
from common.lifecycle import REQUEST_TERMINAL
from hub.core.records import Job, Request
from hub.store.transaction import Txn
from tests.end_to_end.copies import _is_runner
from tests.end_to_end.system import HarnessError, Program, SystemHarness, free_port, stop_runner
from tests.faults.checker import History
from tests.faults.frame_relay import FrameRelay
from tests.faults.oracle import NAME, Oracle, boot_now
from tests.faults.points import is_point
from tests.faults.steps import Step
from tests.faults.wall_clock import WallClock

MACHINE: Final = "web-1"
WITHIN: Final = 30.0
POLL: Final = 0.02
LONG: Final = 20
"""Seconds of a command that is to be cancelled."""
ASKED: Final = "careful"


class LogTail:
    """What a program has logged since it was looked at last."""

    def __init__(self, file: Path) -> None:
        self._file, self._at = file, 0

    def mark(self) -> None:
        self._at = self._file.stat().st_size if self._file.exists() else 0

    def text(self) -> str:
        if not self._file.exists():
            return ""
        with self._file.open("rb") as file:
            file.seek(self._at)
            return file.read().decode(errors="replace")

    def take_lines(self) -> list[str]:
        """Whole lines, each of them once."""
        whole, newline, _ = self.text().rpartition("\n")
        self._at += len((whole + newline).encode())
        return whole.splitlines()


class World:
    """`running_world` makes one."""

    def __init__(self, rig: SystemHarness) -> None:
        self.rig = rig
        self.oracle = Oracle(rig)
        self.oracle.allow_after_a_question(ASKED)
        self.orders = {"hub": rig.folder / "point-hub", "agent": rig.folder / "point-agent"}
        for name, program in (("hub", "hub"), (MACHINE, "agent")):
            rig.environments[name] = {FILE_VARIABLE: str(self.orders[program]), TEST_VARIABLE: "1"}
        self.hub_log, self.agent_log = LogTail(rig.folder / "hub.log"), LogTail(rig.folder / f"{MACHINE}.log")
        self.relay = FrameRelay(rig.hub_dir, rig.links, rig.state_folder(MACHINE), free_port())
        self.clock: WallClock | None = None  # the hub's, where a fault sets it
        self._posts: dict[str, float] = {}  # event -> boot clock when it was taken
        self._since = 0
        self._linked = False

    # ---- its programs

    @property
    def hub(self) -> Program:
        return self.rig.programs["hub"]

    @property
    def uplink(self) -> Program:
        return self.rig.programs[MACHINE]

    def runner(self) -> psutil.Process | None:
        """The runner itself; a job's process is called so as well until its program begins."""
        state = self.rig.state_folder(MACHINE)
        found = [process for process in psutil.process_iter(["cmdline", "ppid"]) if _is_runner(process, state)]
        pids = {process.pid for process in found}
        return next((process for process in found if process.info["ppid"] not in pids), None)

    async def kill_hub(self) -> None:
        await self.hub.stop(signal.SIGKILL)

    async def start_hub(self) -> None:
        self.hub_log.mark()
        self._linked = False
        await self.rig.start_hub(self.clock.env if self.clock is not None else None)

    async def kill_uplink(self) -> None:
        self.is_linked()
        self._linked = False
        await self.uplink.stop(signal.SIGKILL)

    async def start_agent(self) -> None:
        """Started, and not waited for: something else may keep it away."""
        await self.rig.start(MACHINE, "agent", "run", "--state", str(self.rig.state_folder(MACHINE)))

    async def kill_runner(self) -> None:
        with contextlib.suppress(OSError, ValueError, psutil.NoSuchProcess):
            # The one that serves: another may have been started beside it, and wait for its lock.
            runner = psutil.Process(int(StateFolder(self.rig.state_folder(MACHINE)).runner_lock.read_text()))
            runner.kill()
            await self.until(lambda: not runner.is_running() or runner.status() == psutil.STATUS_ZOMBIE, "its end")

    async def start_runner(self) -> None:
        """The service manager's part where the runner is a service of its own: the uplink stays."""
        await self.rig.start("runner", "agent", "runner", "--state", str(self.rig.state_folder(MACHINE)))

    async def restart_agent(self) -> None:
        """The service manager's part: an uplink whose runner has died starts the next one only after a while."""
        await self.kill_uplink()
        await self.start_agent()

    def is_linked(self) -> bool:
        """By the last word about the machine of the hub that serves now."""
        for line in self.hub_log.take_lines():
            if f'"{MACHINE}"' in line and ("agent.connected" in line or "agent.disconnected" in line):
                self._linked = "agent.connected" in line
        return self._linked

    # ---- waiting

    async def until(self, found: Callable[[], Any], what: str, within: float = WITHIN) -> Any:
        deadline = time.monotonic() + within
        while not (value := found()):
            if time.monotonic() > deadline:
                raise HarnessError(f"{what} did not happen in {within:.0f} s")
            await asyncio.sleep(POLL)
        return value

    async def until_linked(self) -> None:
        await self.until(self.is_linked, "a link")

    # ---- holding a program at its step

    def arm(self, step: Step) -> None:
        assert is_point(step.point), step.point
        write_order(self.orders["hub" if step.program == "hub" else "agent"], step.point, "stop")

    async def until_held(self, step: Step) -> int:
        """The process that stands at the step."""
        file = self.orders["hub" if step.program == "hub" else "agent"]

        def held() -> int:
            word, _, rest = file.read_text().partition(" ")
            if word != HIT:
                return 0
            pid = int(rest.split()[1])
            with contextlib.suppress(psutil.NoSuchProcess):
                return pid if psutil.Process(pid).status() == psutil.STATUS_STOPPED else 0
            return 0

        return int(await self.until(held, f"{step.id} {step.point}"))

    @staticmethod
    def release(pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    # ---- talking

    async def say(self, user: str, text: str) -> str:
        """As a platform does: the same delivery again until it is answered with 2xx. Returns its event."""
        event = f"f-{secrets.token_hex(6)}"
        for _ in range(int(WITHIN / 0.1)):
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                _, status, _ = await self.rig.post(user, text, event=event)
                if status == 200:
                    self._posts[event] = boot_now()
                    return event
            await asyncio.sleep(0.1)
        raise HarnessError(f"{text!r} was not taken in {WITHIN:.0f} s")

    async def play(self, step: Step) -> None:
        """Says what brings a message to the step, and past it."""
        match step.said:
            case "command":
                await self.say("carol", f"@{MACHINE} {NAME} 0")
            case "question" | "approval":
                event = await self.say("carol", f"@{MACHINE} {ASKED} 0")
                question = await self.rig.receiver.wait_question(event, WITHIN)
                await self.say("bob", f"approve r{self._number(question)}")
            case "cancel":
                event = await self.say("carol", f"@{MACHINE} {NAME} {LONG}")
                request = await self.until(
                    lambda: next((r for r in self.requests() if r.event_id == event), None), "the request"
                )
                await self.until(
                    lambda: any(e["kind"] == "job.started" for e in self.events_since()), "the start of the command"
                )
                await self.say("carol", f"cancel r{request.number}")

    def _number(self, question: dict[str, Any]) -> int:
        return next(r.number for r in self.requests() if r.id == question["request"]["id"])

    # ---- one cell's history

    def begin(self) -> None:
        self._posts.clear()
        self._since = max((event["seq"] for event in self.rig.events()), default=0)
        self.rig.receiver.replies.clear()
        self.rig.receiver.finals.clear()
        self.rig.receiver.final_at.clear()

    def events_since(self) -> list[dict[str, Any]]:
        since = self._since
        rows = self.rig.read(lambda txn: txn.events(since, limit=1_000_000))
        return [{"seq": r.seq, "kind": r.kind, "subject": r.subject, "actor": r.actor, "data": r.data} for r in rows]

    def requests(self) -> list[Request]:
        """Of this cell."""
        return [r for r in self.rig.read(lambda txn: txn.requests(limit=self._many)) if r.event_id in self._posts]

    def jobs(self) -> list[Job]:
        ids = {request.id for request in self.requests()}
        return [job for job in self.rig.read(lambda txn: txn.jobs(limit=self._many)) if job.request_id in ids]

    @property
    def _many(self) -> int:
        """Rows to look through for those of this cell: a few are of what was said before it."""
        return 20 + len(self._posts)

    async def until_rest(self, within: float = WITHIN) -> None:
        """Until everything that was taken has ended and been said."""

        def at_rest() -> bool:
            def look(txn: Txn) -> tuple[list[Request], int]:
                return txn.requests(limit=self._many), txn.count_pending_replies()

            requests, pending = self.rig.read(look)
            own = [request for request in requests if request.event_id in self._posts]
            ended = all(request.state in REQUEST_TERMINAL for request in own)
            finals = self.rig.receiver.finals
            return len(own) == len(self._posts) and ended and not pending and all(e in finals for e in self._posts)

        await self.until(at_rest, "rest", within)

    def history(self, *, unknown_allowed: bool) -> History:
        """Of what was said since `begin`."""
        requests, jobs = self.requests(), self.jobs()
        ids = {job.id for job in jobs}
        return History(
            [start for start in self.oracle.starts() if start.job in ids],
            requests,
            jobs,
            self.events_since(),
            list(self._posts),
            {request.id: self._posts[request.event_id] for request in requests},
            unknown_allowed,
            list(self.rig.receiver.replies),
        )


@contextlib.asynccontextmanager
async def running_world(folder: Path, *, relayed: bool = True, clocked: bool = False) -> AsyncIterator[World]:
    """A linked machine, behind a relay unless it is to dial the hub itself; with `clocked` the hub has a wall clock of
    its own (its process is no fork then). `folder` may have a path of any length: the runner's socket lies elsewhere.
    """
    folder.mkdir(parents=True, exist_ok=True)
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp"
    with tempfile.TemporaryDirectory(dir=memory, prefix="w") as short:
        async with _running_world(folder, Path(short) / "runner.sock", relayed, clocked) as world:
            yield world


@contextlib.asynccontextmanager
async def _running_world(folder: Path, socket: Path, relayed: bool, clocked: bool) -> AsyncIterator[World]:
    async with SystemHarness(folder) as rig:
        await rig.init()
        world = World(rig)
        for name in (MACHINE, "runner"):
            rig.environments.setdefault(name, {})[SOCKET_VARIABLE] = str(socket)
        if clocked:
            world.clock = WallClock(folder / "clocks", "hub")
        await world.start_hub()
        await rig.join(MACHINE)
        settings = rig.state_folder(MACHINE) / "uplink" / "agent.toml"
        if relayed:
            settings.write_text(settings.read_text().replace(f":{rig.links}", f":{world.relay.port}"))
        async with world.relay:
            try:
                await world.start_agent()
                await world.until_linked()
                yield world
            finally:
                if (runner := world.runner()) is not None:
                    await world.kill_uplink()
                    await asyncio.to_thread(stop_runner, runner.pid)
                await world.uplink.stop()
