"""PostgreSQL restarted, crashed, away and locked under load: what a whole system does meanwhile, and after.

A case sends messages all the time, each again under its id until it is taken, as chat platforms do; does something to
the server; and waits until everything that was taken has ended. Readiness has to tell of it meanwhile, and the hub
comes back by itself. A server of its own each time, as the user `postgres` where this is root.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
import sqlalchemy as sa

from common.lifecycle import REQUEST_TERMINAL, JobState
from hub.core.records import Job, Request
from tests.end_to_end.system import SystemHarness
from tests.faults.checker import History, violations
from tests.faults.oracle import NAME, Oracle

MACHINE: Final = "web-1"
EVERY: Final = 0.2
"""Seconds between two messages."""
AFTER: Final = 3.0
"""Seconds for which the load goes on when everything is well again."""
SERVER: Final = shutil.which("postgres")


class Server:
    """One PostgreSQL, on a socket in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        assert SERVER is not None
        self.folder = folder
        self._programs = Path(SERVER).resolve().parent
        self._data = str(folder / "data")

    @property
    def url(self) -> sa.URL:
        return sa.URL.create("postgresql", username="postgres", database="postgres", query={"host": str(self.folder)})

    def prepare(self) -> None:
        self._run("initdb", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-locale")
        self.start()

    def start(self) -> None:
        options = f"-k {self.folder} -c listen_addresses="
        self._run("pg_ctl", "-w", "-o", options, "-l", str(self.folder / "log"), "start")

    def stop(self, mode: str) -> None:
        """fast: sessions are ended and all is written; immediate: as a crash, with recovery at the next start."""
        self._run("pg_ctl", "-w", "-m", mode, "stop")

    def crash_session(self) -> None:
        """Kills one process of a session: the server ends them all and recovers by itself."""
        with self.session() as own:
            found = own.scalar(
                sa.text(
                    "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
                )
            )
            os.kill(int(found), signal.SIGKILL)

    @contextlib.contextmanager
    def session(self) -> Iterator[sa.Connection]:
        engine = sa.create_engine(self.url.set(drivername="postgresql+psycopg"))
        try:
            with engine.connect() as connection:
                yield connection
                with contextlib.suppress(sa.exc.SQLAlchemyError):
                    connection.rollback()
        finally:
            engine.dispose()

    def _run(self, program: str, *words: str) -> None:
        command = [str(self._programs / program), "-D", self._data, *words]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder)


@contextlib.contextmanager
def server() -> Iterator[Server]:
    """Running; skips the test where there is none on this machine."""
    if SERVER is None:
        pytest.skip("no PostgreSQL server on this machine")
    pytest.importorskip("psycopg")
    folder = Path(tempfile.mkdtemp(prefix="answerback-pg-"))  # short: its socket is in there
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    made = Server(folder)
    try:
        made.prepare()
        yield made
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            made.stop("immediate")
        shutil.rmtree(folder)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One row of the table."""

    case: str
    states: Mapping[JobState, int]
    refused: int  # answers to messages that were not 2xx
    told: float  # seconds until readiness told of it; -1 where it needed not
    back: float  # seconds from when the server was well again until the hub was ready
    violations: Sequence[str]

    def row(self) -> str:
        states = ", ".join(f"{count} {state.value}" for state, count in sorted(self.states.items()))
        told = f"{self.told:.1f} s" if self.told >= 0 else "-"
        return f"| {self.case} | {states} | {self.refused} | {told} | {self.back:.1f} s | {len(self.violations)} |"


class DatabaseSystem:
    """A hub on a PostgreSQL of its own, and a machine."""

    def __init__(self, rig: SystemHarness, database: Server) -> None:
        self.rig = rig
        self.database = database
        self.oracle = Oracle(rig)
        self.taken: list[str] = []
        self.refused = 0
        self.told = -1.0

    # ---- load

    async def load(self, over: asyncio.Event) -> None:
        """Messages at an even pace until `over`; each is sent until it is taken."""
        async with asyncio.TaskGroup() as tasks:
            while not over.is_set():
                tasks.create_task(self._send())
                await asyncio.sleep(EVERY)

    async def _send(self) -> None:
        event = f"m-{secrets.token_hex(8)}"
        while await self._try(event) != 200:
            self.refused += 1
            await asyncio.sleep(1.0)

    async def _try(self, event: str) -> int:
        """The status of the answer; 0 where there was none."""
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with asyncio.timeout(30):
                _, status, _ = await self.rig.post("carol", f"@{MACHINE} {NAME}", event=event)
            if status == 200:
                self.taken.append(event)
            return status
        return 0

    # ---- looking

    async def ready(self) -> bool:
        """It says so, and takes messages; where too many come at once it says that, which is well too."""
        return await self.rig.ready() and await self._try(f"m-{secrets.token_hex(8)}") in (200, 429)

    async def wait_told(self, begun: float) -> None:
        async def condition() -> bool:
            return not await self.rig.ready()

        await self.rig.wait_until(condition, self.rig.programs["hub"])
        self.told = time.monotonic() - begun

    def rows(self) -> tuple[list[Job], list[Request]]:
        return self.rig.read(lambda txn: (txn.jobs(limit=100_000), txn.requests(limit=100_000)))

    async def wait_rest(self) -> None:
        async def condition() -> bool:
            _, requests = self.rows()
            return len(requests) >= len(self.taken) and all(one.state in REQUEST_TERMINAL for one in requests)

        await self.rig.wait_until(condition, self.rig.programs["hub"])

    def outcome(self, case: str, back: float) -> Outcome:
        jobs, requests = self.rows()
        history = History(self.oracle.starts(), requests, jobs, self.rig.events(), self.taken)
        found = [*violations(history), *tracebacks(self.rig.programs["hub"].log)]
        return Outcome(case, Counter(job.state for job in jobs), self.refused, self.told, back, found)


def tracebacks(log: Path) -> list[str]:
    """Lines of the log that show one, with what was raised: what the database does is no fault of the hub's."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if "Traceback" in line]
    kinds = Counter((re.sub(r'.*"event": "([^"]*)".*', r"\1", line)[:80], line[-2000:]) for line in lines)
    return [f"{count} tracebacks of {kind}: …{end}" for (kind, end), count in kinds.items()]


@contextlib.asynccontextmanager
async def database_system(folder: Path) -> AsyncIterator[DatabaseSystem]:
    with server() as database:
        async with SystemHarness(folder) as rig:
            await rig.init()
            rig.use_store(database.url.render_as_string(hide_password=False))
            system = DatabaseSystem(rig, database)
            await rig.start_hub()
            await rig.add_agent(MACHINE)
            yield system


Fault = Callable[[DatabaseSystem], Awaitable[Any]]


async def run_case(folder: Path, case: str, fault: Fault) -> Outcome:
    """The fault under load; it returns when the server is well again."""
    async with database_system(folder) as system:
        over = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(system.load(over))
            await system.rig.wait_until(lambda: _some(system, 5), system.rig.programs["hub"])
            await fault(system)
            begun = time.monotonic()
            await system.rig.wait_until(system.ready, system.rig.programs["hub"])
            back = time.monotonic() - begun
            await asyncio.sleep(AFTER)
            over.set()
        await system.wait_rest()
        return system.outcome(case, back)


async def _some(system: DatabaseSystem, count: int) -> bool:
    return len(system.oracle.starts()) >= count


# ---- what is done to the server


async def restart(system: DatabaseSystem, mode: str) -> None:
    await asyncio.to_thread(system.database.stop, mode)
    await asyncio.to_thread(system.database.start)


async def crash(system: DatabaseSystem) -> None:
    await asyncio.to_thread(system.database.crash_session)


async def lose(system: DatabaseSystem, seconds: float) -> None:
    begun = time.monotonic()
    await asyncio.to_thread(system.database.stop, "fast")
    await system.wait_told(begun)
    await asyncio.sleep(max(0.0, begun + seconds - time.monotonic()))
    await asyncio.to_thread(system.database.start)


async def lock(system: DatabaseSystem, statement: str, seconds: float) -> None:
    """Another session holds something that the hub needs."""
    with system.database.session() as other:
        other.execute(sa.text(statement))
        begun = time.monotonic()
        if seconds > 12:  # longer than the hub waits
            await system.wait_told(begun)
        await asyncio.sleep(max(0.0, begun + seconds - time.monotonic()))


TABLES: Final = "LOCK TABLE requests, jobs, events IN ACCESS EXCLUSIVE MODE"
SHORT: Final[Mapping[str, Fault]] = {
    "crashed and started again": partial(restart, mode="immediate"),
    "away for 5 s": partial(lose, seconds=5),
}
LONG: Final[Mapping[str, Fault]] = {
    "restarted": partial(restart, mode="fast"),
    "a session's process killed": crash,
    "tables locked for 5 s": partial(lock, statement=TABLES, seconds=5),
    "tables locked for 30 s": partial(lock, statement=TABLES, seconds=30),
    "the audit locked for 30 s": partial(lock, statement="LOCK TABLE events IN EXCLUSIVE MODE", seconds=30),
    "away for a minute": partial(lose, seconds=60),
}
HEAD: Final = "| PostgreSQL | jobs | refused | told | back | violations |\n|---|---|---|---|---|---|"
