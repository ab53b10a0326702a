"""Two copies of a state folder on one hub, under load: real processes, and a log of side effects as the oracle.

Every job appends its id to one file, whichever copy runs it. A round posts jobs, lets a second holder of the state
folder come in the middle, waits until the hub has found the two, and lets an admin keep the first. `table` puts what
the hub says of each job beside what it did.

A copy is told apart by its place (agent/place.py), so `same_place` makes one that looks as a clone of the whole machine
would, with the same machine id, boot and inodes: only the hub can tell then.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from agent.place import place_of
from agent.runner.journal import encode_block, parse_journal
from tests.end_to_end.system import HarnessError, Program, SystemHarness, stop_runner

NAME = "web-1"
SENDERS = 8
WITHIN = 60.0
COPY = "copy"  # short: a runner's socket lies in its folder, and the path of a socket has 107 bytes at most
MAX_WAITING = 20
_WAITING = "SELECT count(*) FROM jobs WHERE state = 'queued'"


def _is_runner(process: psutil.Process, state: Path) -> bool:
    words = process.info["cmdline"] or []
    return "runner" in words and str(state) in words


def same_place(state: Path) -> None:
    """Makes a copied state folder look as if it had always been where it is now."""
    journal = state / "runner" / "journal"
    if journal.exists():
        memory, _ = parse_journal(journal.read_bytes())
        for life in memory.lives:
            life.place = place_of(state / "runner")
        journal.write_bytes(encode_block(memory.records()))
    links = state / "uplink" / "links"
    if links.exists():
        body = json.loads(links.read_bytes())
        links.write_text(json.dumps({**body, "place": place_of(state / "uplink").to_json()}))


def copy_folder(source: Path, target: Path) -> None:
    """As a snapshot of a disk would be: with whatever is half done, without what lives in memory."""
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-a", source, target], stderr=subprocess.DEVNULL, check=False)  # files may go meanwhile
    shutil.rmtree(target / "run", ignore_errors=True)


def put_back(snapshot: Path, state: Path) -> None:
    """The folder as it was, in place: the same folders, other contents."""
    for name in ("uplink", "runner"):
        for entry in (state / name).iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        subprocess.run(["cp", "-a", f"{snapshot / name}/.", state / name], check=True)


@dataclass
class Copies:
    rig: SystemHarness
    log: Path
    events: list[str] = field(default_factory=list)
    found: list[float] = field(default_factory=list)  # seconds from the second holder's start to the lock
    rounds: Counter[str] = field(default_factory=Counter)

    # ---- load

    async def post(self, count: int, midway: Callable[[], Awaitable[None]], after: int) -> None:
        """Posts so many jobs from a few senders, as fast as they run; `midway` begins when so many are in."""
        numbers = iter(range(count))
        half = asyncio.Event()

        async def send() -> None:
            for number in numbers:
                await self._wait_for_room()
                await self._send_one()
                if number >= after:
                    half.set()

        async def second() -> None:
            await half.wait()
            await midway()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(second())
            for _ in range(SENDERS):
                tasks.create_task(send())

    async def _wait_for_room(self) -> None:
        """What waits for a machine that is locked is not handed to the one that joins anew: it would prove little."""
        while self.state_at_hub() == "locked" or self._query(_WAITING)[0][0] > MAX_WAITING:
            await asyncio.sleep(0.05)

    async def _send_one(self) -> None:
        event = f"c-{len(self.events)}"
        self.events.append(event)
        while True:  # as a platform does: the same delivery again until it is answered
            with contextlib.suppress(aiohttp.ClientError):
                _, status, _ = await self.rig.post("carol", f"@{NAME} note", event=event)
                if status == 200:
                    return
            await asyncio.sleep(0.05)

    # ---- the two holders

    @property
    def original(self) -> Path:
        return self.rig.state_folder(NAME)

    @property
    def copy(self) -> Path:
        return self.rig.state_folder(COPY)

    async def start(self, state: Path) -> Program:
        return await self.rig.start(state.name.removeprefix("agent-"), "agent", "run", "--state", str(state))

    async def stop(self, state: Path, *, kill: bool = True) -> None:
        """Ends the uplink and the runner of a state folder; jobs that run go on."""
        program = self.rig.programs.get(state.name.removeprefix("agent-"))
        if program is not None:
            await program.stop(9 if kill else 15)
        found = [process for process in psutil.process_iter(["cmdline", "ppid"]) if _is_runner(process, state)]
        runners = {process.pid for process in found}
        for process in found:
            if process.info["ppid"] not in runners:  # a job's own process is called so until its program begins
                with contextlib.suppress(psutil.NoSuchProcess):
                    if kill:
                        process.kill()
                        process.wait(10)
                    else:
                        await asyncio.to_thread(stop_runner, process.pid)

    def state_at_hub(self) -> str:
        return str(self._query("SELECT state FROM agents WHERE name = ?", NAME)[0][0])

    def _query(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.rig.hub_dir / "data" / "answerback.sqlite")) as db:
            return db.execute(text, values).fetchall()

    async def wait_locked(self, since: float) -> float:
        async def locked() -> bool:
            return self.state_at_hub() == "locked"

        await self.rig.wait_until(locked, within=WITHIN)
        return time.monotonic() - since

    async def keep_original(self) -> None:
        """What an admin does: the first is kept, the other is gone."""
        await self.stop(self.copy)
        _, out, _ = await self.rig.hub("token", "--agent", NAME)
        await self.rig.run("agent", *out.split()[1:], "--state", str(self.original))
        program = self.rig.programs[NAME]
        if program.process.returncode is not None:
            await self.start(self.original)
        await self.rig.wait_until(lambda: self.rig.online(NAME), self.rig.programs[NAME])

    # ---- what became of it

    async def settled(self) -> None:
        """Until no job is under way any more."""

        async def over() -> bool:
            return not self._query(
                "SELECT 1 FROM jobs WHERE state IN ('queued', 'leased', 'accepted', 'running') LIMIT 1"
            )

        await self.rig.wait_until(over, within=120)

    def lines(self) -> Counter[str]:
        return Counter(self.log.read_text().split()) if self.log.exists() else Counter()

    def table(self) -> Counter[tuple[str, int]]:
        """State of a job and how often it ran -> how many jobs."""
        ran = self.lines()
        return Counter((state, ran[job]) for job, state in self._query("SELECT id, state FROM jobs"))

    def check(self) -> None:
        """No job ran twice; what is said to have ended ran once, what is said not to have started did not run."""
        table = self.table()
        twice = {key: count for key, count in table.items() if key[1] > 1}
        if twice:
            raise HarnessError(f"jobs that ran twice: {twice}")
        lies = {
            (state, ran): count
            for (state, ran), count in table.items()
            if (state in ("succeeded", "failed") and ran != 1)
            or (state in ("not_started", "expired", "cancelled") and ran != 0)
        }
        if lies:
            ran, ended = self.lines(), self._query("SELECT id, state, exit_code, signal, reason FROM jobs")
            unlike = [row for row in ended if (row[1], ran[row[0]]) in lies]
            raise HarnessError(f"jobs of which the hub says what is not so: {lies}: {unlike[:5]}")

    def report(self) -> str:
        found = sorted(self.found)
        spread = f"{found[0]:.2f} to {found[-1]:.2f} s, median {found[len(found) // 2]:.2f} s" if found else "-"
        states = ", ".join(f"{state} run {ran}x: {count}" for (state, ran), count in sorted(self.table().items()))
        total, twice = sum(self.table().values()), sum(n for (_, ran), n in self.table().items() if ran > 1)
        rounds = ", ".join(f"{name} {count}" for name, count in sorted(self.rounds.items()))
        return f"jobs {total}, run twice {twice}; found {len(found)} times in {spread}\n  {states}\n  rounds: {rounds}"

    # ---- rounds

    async def round(self, variant: str, count: int) -> None:
        await ROUNDS[variant](self, count)
        self.rounds[variant] += 1

    async def _two(self, count: int, prepare: Callable[[], Awaitable[None]], after: int) -> None:
        """Posts; midway the second holder comes; the two are found; the first is kept."""

        async def midway() -> None:
            await prepare()
            since = time.monotonic()
            await self.start(self.copy)
            self.found.append(await self.wait_locked(since))
            await self.keep_original()

        await self.post(count, midway, after)

    async def live(self, count: int) -> None:
        """The folder is copied while it is at work, and the copy started beside it."""

        async def prepare() -> None:
            await asyncio.to_thread(copy_folder, self.original, self.copy)
            same_place(self.copy)

        await self._two(count, prepare, count // 2)

    async def stopped(self, count: int) -> None:
        """Copied while it was stopped; the copy comes when the first is at work again."""
        await self.stop(self.original, kill=False)
        await asyncio.to_thread(copy_folder, self.original, self.copy)
        same_place(self.copy)
        await self.start(self.original)

        async def nothing() -> None:
            return

        await self._two(count, nothing, count // 2)

    async def both(self, count: int) -> None:
        """Copied while it was stopped, and both started at once."""
        await self.stop(self.original, kill=False)
        await asyncio.to_thread(copy_folder, self.original, self.copy)
        same_place(self.copy)

        async def prepare() -> None:
            await self.start(self.original)

        await self._two(count, prepare, 0)

    async def later(self, count: int) -> None:
        """The copy comes while the first is away, takes its work, and the first comes back."""
        await asyncio.to_thread(copy_folder, self.original, self.copy)
        same_place(self.copy)

        async def midway() -> None:
            await self.stop(self.original)
            await self.start(self.copy)
            await asyncio.sleep(1.0)  # it works for a while
            since = time.monotonic()
            await self.start(self.original)
            self.found.append(await self.wait_locked(since))
            await self.keep_original()

        await self.post(count, midway, count // 2)

    async def restored(self, count: int) -> None:
        """The machine is put back to an earlier moment: its jobs since then are unknown to it, and none runs again."""
        snapshot = self.rig.folder / "snapshot"
        await asyncio.to_thread(copy_folder, self.original, snapshot)

        async def midway() -> None:
            await self.stop(self.original)
            await self.start(self.original)  # one more link than the snapshot knows
            await self.rig.wait_until(lambda: self.rig.online(NAME))
            await asyncio.sleep(0.5)
            await self.stop(self.original)
            await asyncio.to_thread(put_back, snapshot, self.original)
            since = time.monotonic()
            await self.start(self.original)
            self.found.append(await self.wait_locked(since))
            await self.keep_original()

        await self.post(count, midway, count // 2)

    async def hub_killed(self, count: int) -> None:
        """As `live`, and the hub is killed when the copy has come."""

        async def midway() -> None:
            await asyncio.to_thread(copy_folder, self.original, self.copy)
            same_place(self.copy)
            since = time.monotonic()
            await self.start(self.copy)
            await asyncio.sleep(0.4)
            await self.rig.programs["hub"].stop(9)
            await self.rig.start_hub()
            self.found.append(await self.wait_locked(since))
            await self.keep_original()

        await self.post(count, midway, count // 2)


ROUNDS: dict[str, Callable[[Copies, int], Awaitable[None]]] = {
    "live": Copies.live,
    "stopped": Copies.stopped,
    "both": Copies.both,
    "later": Copies.later,
    "restored": Copies.restored,
    "hub_killed": Copies.hub_killed,
}


async def prepared(rig: SystemHarness) -> Copies:
    """A hub and one machine that may note the ids of its jobs."""
    log = rig.folder / "ran"
    await rig.init()
    rig.add_program("note", f'echo "$ANSWERBACK_JOB" >> {log}\n')
    await rig.start_hub()
    await rig.add_agent(NAME)
    return Copies(rig, log)
