"""What the runner's tests share: a home with keys and rules, signed orders, a scripted uplink, a runner to kill."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

import ulid

from agent.re_exec import REQUEST
from agent.runner.app import run_runner
from agent.runner.limits import RunnerLimits
from agent.state import life_file
from agent.upgrade_report import UpgradeReport, read_upgrade
from common.confirmation import confirmation
from common.crashpoints import FILE_VARIABLE, TEST_VARIABLE, write_order
from common.identity.signing import CONFIRM_PURPOSE, ORDER_PURPOSE, SigningKey
from common.link.codec import decode, encode
from common.link.lineage import parse_lineage
from common.link.messages import (
    Beat,
    Confirm,
    Credit,
    Dispatch,
    Ended,
    Message,
    Output,
    Refused,
    Report,
    Resync,
    Stamp,
    Unsure,
)
from common.plan import Order, Plan, Step, plan_hash, step_hashes, targets_hash

_LENGTH = struct.Struct(">I")
M = TypeVar("M", bound=Message)
PATIENCE = 20.0
"""Seconds after which a test that waits for the runner has failed."""

SERVE = """
import asyncio, json, os, sys
from pathlib import Path
from agent import log
from agent.detach import self_command
from agent.re_exec import NextProgram, ignore_requests
from agent.runner.app import run_runner
from agent.runner.limits import RunnerLimits
from agent.runner.upgrade import take_hand_over
from common.errors import UserError
state, socket, limits, idle = sys.argv[1:]
ignore_requests()
log.configure("runner")
handed = take_hand_over()
program = NextProgram((sys.executable, *sys.orig_argv[1:]), tuple(self_command("check-hand-over", "runner")),
    dict(os.environ))
try:
    asyncio.run(run_runner(Path(state), Path(socket), exit_when_idle=idle == "idle", allowed_uids=(),
        ready=lambda: print("ready", flush=True), limits=RunnerLimits(**json.loads(limits)),
        watch_orphans=True, program=program, handed=handed))
except UserError as error:
    print(error, flush=True)
    sys.exit(error.exit_code)
"""


DEFAULTS = RunnerLimits()


def job_id() -> str:
    return str(ulid.ULID())


class Home:
    """A state folder, and the hub's key that it trusts."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.runner = self.state / "runner"
        self.socket = folder / "r.sock"
        self.key = SigningKey.generate()
        self.processes: list[Process] = []
        self.uplinks: list[Uplink] = []
        self.runner.mkdir(parents=True, mode=0o700)
        self.trust(self.key)
        self.policy('default = "allow"\n')

    def trust(self, *keys: SigningKey, hub: str = "h1") -> None:
        body = {"name": "web-1", "hub": hub, "job_keys": {key.id: key.public.hex() for key in keys}}
        (self.runner / "trust.json").write_text(json.dumps(body))

    def policy(self, text: str) -> None:
        (self.runner / "policy.toml").write_text(text)

    def files(self, job: str) -> set[str]:
        """The suffixes of the job's files."""
        return {path.name.removeprefix(job) for path in (self.runner / "jobs").glob(f"{job}*")}

    def order(self, *argv: str, **changes: Any) -> Order:
        """An order for this machine that hangs together; `changes` that belong to the step are in its hashes."""
        step = Step(
            argv=argv,
            targets=("web-1",),
            cwd=changes.pop("cwd", ""),
            env=changes.pop("env", ()),
            time_limit=changes.pop("time_limit", 30),
            output_cap=changes.pop("output_cap", 1024 * 1024),
            filters=changes.pop("filters", ()),
        )
        plan = Plan((step,))
        order = Order(
            job=job_id(),
            request=job_id(),
            agent="web-1",
            argv=step.argv,
            cwd=step.cwd,
            env=step.env,
            time_limit=step.time_limit,
            output_cap=step.output_cap,
            filters=step.filters,
            targets=targets_hash(step.targets),
            steps=step_hashes(plan),
            step=0,
            ttl=plan.ttl,
            plan_hash=plan_hash(plan),
            not_after=time.time() + 60,
            epoch=1,
            person="alice",
        )
        return replace(order, **changes)

    def dispatch(self, order: Order, key: SigningKey | None = None) -> Dispatch:
        key = key or self.key
        data = order.to_bytes()
        return Dispatch(data, key.sign(ORDER_PURPOSE, data), key.id)

    def dispatch_with_word(self, order: Order, stamp: str, left: float = 60.0, life: str = "") -> Dispatch:
        """The order with the hub's word for this runner, or for the start of a runner that `life` names."""
        said = self.confirm(order.job, left, life=life, stamp=stamp)
        return replace(self.dispatch(order), stamp=stamp, left=left, word=said.signature)

    def confirm(
        self, job: str, left: float = 60.0, key: SigningKey | None = None, life: str = "", stamp: str = ""
    ) -> Confirm:
        """The hub's signed word to this runner, or to the start of a runner that `life` names."""
        lineage = parse_lineage(life_file(self.socket).read_text().strip().partition(" ")[2])
        key, life = key or self.key, life or (lineage.id if lineage is not None else "")
        return Confirm(job, left, key.id, key.sign(CONFIRM_PURPOSE, confirmation(job, life, left, stamp)))


class Uplink:
    """The other end of the socket. It keeps all it hears, and credits output like a hub that commits at once."""

    def __init__(self, home: Home, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.home = home
        self.heard: list[Message] = []
        self.crediting = True
        self.epoch = 1
        self._reader = reader
        self._writer = writer
        home.uplinks.append(self)

    @classmethod
    async def attach(cls, home: Home) -> Uplink:
        return cls(home, *await asyncio.open_unix_connection(str(home.socket)))

    @classmethod
    async def known(cls, home: Home, **wanted: int) -> Uplink:
        """Attached, and answered with a resync that wants every job of the report, from chunk 1 or as `wanted` says."""
        uplink = await cls.attach(home)
        report = await uplink.next(Report)
        uplink.send(Resync({job: wanted.get(job, 1) for job in report.open}))
        return uplink

    def send(self, *messages: Message) -> None:
        for message in messages:
            data = encode(message, epoch=self.epoch)
            self._writer.write(_LENGTH.pack(len(data)) + data)

    def send_bytes(self, data: bytes) -> None:
        self._writer.write(data)

    def order(self, *argv: str, **changes: Any) -> str:
        """Sends a good order, and gives its job's id."""
        order = self.home.order(*argv, **changes)
        self.send(self.home.dispatch(order))
        return order.job

    async def read(self) -> Message | None:
        """The next message; None when the runner has closed."""
        try:
            (length,) = _LENGTH.unpack(await self._reader.readexactly(4))
            frame = decode(await self._reader.readexactly(length), "runner")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        message = frame.message
        self.epoch = max(self.epoch, frame.epoch)
        self.heard.append(message)
        if self.crediting and isinstance(message, Output):
            self.send(Credit(message.job, message.seq))
        return message

    async def read_piece(self) -> list[Message]:
        """What the runner has written at once; nothing else may be unread."""
        data, found = await self._reader.read(1_000_000), []
        while data:
            (length,) = _LENGTH.unpack_from(data)
            found.append(decode(data[_LENGTH.size : _LENGTH.size + length], "runner").message)
            data = data[_LENGTH.size + length :]
        return found

    async def stamp(self) -> str:
        """A stamp of the runner's, asked for as an uplink does."""
        self.send(Beat(0.0, stamp=True))
        return (await self.next(Stamp, start=len(self.heard))).id

    async def next(self, kind: type[M], job: str | None = None, start: int = 0) -> M:
        """The first message of the kind (about that job), heard already from `start` on or yet to come."""
        async with asyncio.timeout(PATIENCE):
            index = start
            while True:
                while index < len(self.heard):
                    message = self.heard[index]
                    index += 1
                    if isinstance(message, kind) and (job is None or message.job == job):
                        return message
                if await self.read() is None:
                    raise AssertionError(f"the runner hung up before {kind}; heard {self.heard[-5:]}")

    async def end(self, job: str) -> Ended | Refused | Unsure:
        return await self.next((Ended, Refused, Unsure), job)  # type: ignore[arg-type,type-var]

    async def closed(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while await self.read() is not None:
                pass

    def kinds(self, job: str) -> list[str]:
        """The names of what was heard about the job, in order; output once for all its chunks."""
        names = [type(m).__name__ for m in self.heard if getattr(m, "job", None) == job]
        return [name for i, name in enumerate(names) if name != "Output" or names[i - 1 : i] != ["Output"]]

    def output(self, job: str, stream: int | None = None) -> bytes:
        """All chunks heard, which must be numbered without gap or repeat."""
        chunks = [m for m in self.heard if isinstance(m, Output) and m.job == job]
        assert (
            [chunk.seq for chunk in chunks] == list(range(chunks[0].seq, chunks[0].seq + len(chunks)))
            if chunks
            else True
        )
        return b"".join(chunk.data for chunk in chunks if stream in (None, chunk.stream))

    async def close(self) -> None:
        """At once, as when the uplink is killed."""
        self._writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


@contextlib.asynccontextmanager
async def serving(
    home: Home,
    limits: RunnerLimits = DEFAULTS,
    *,
    idle: bool = False,
    allowed: tuple[int, ...] = (),
    job_user: str = "",
) -> AsyncIterator[asyncio.Task[None]]:
    """A runner in this process, listening; the task ends when the runner does."""
    ready = asyncio.Event()
    coroutine = run_runner(
        home.state,
        home.socket,
        exit_when_idle=idle,
        allowed_uids=allowed,
        ready=ready.set,
        limits=limits,
        job_user=job_user,
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(coroutine)
        waiter = group.create_task(ready.wait())
        await asyncio.wait((task, waiter), return_when=asyncio.FIRST_COMPLETED)
        waiter.cancel()
        try:
            if not task.done():
                yield task
        finally:
            for uplink in home.uplinks:
                await uplink.close()
            task.cancel()


@contextlib.asynccontextmanager
async def process(
    home: Home,
    limits: RunnerLimits = DEFAULTS,
    *,
    idle: bool = False,
    crash: str = "",
    mounts: str = "",
    installed: Path | None = None,
) -> AsyncIterator[Process]:
    """A runner in a process of its own, listening, or ended with what it said. `mounts` is done for it alone before it
    starts: lines for a shell, where $STATE is the state folder. `installed` is a folder whose packages come before all
    others: what a test puts there later is the program that is installed then.
    """
    started = await asyncio.to_thread(Process, home, limits, idle=idle, crash=crash, mounts=mounts, installed=installed)
    try:
        yield started
    finally:
        for uplink in home.uplinks:
            await uplink.close()
        await asyncio.to_thread(started.kill)


class Process:
    """A runner in a process of its own, that can be killed."""

    def __init__(
        self,
        home: Home,
        limits: RunnerLimits = DEFAULTS,
        *,
        idle: bool = False,
        crash: str = "",
        mounts: str = "",
        installed: Path | None = None,
    ) -> None:
        self._home = home
        path = [str(installed)] if installed is not None else []
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([*path, *sys.path]), "STATE": str(home.state)}
        unshared = ["unshare", "--mount", "--user", "--map-root-user", "sh", "-c", f'set -e\n{mounts}\nexec "$@"', "sh"]
        if crash:
            write_order(home.state / "crashpoint", crash)
            environment |= {TEST_VARIABLE: "1", FILE_VARIABLE: str(home.state / "crashpoint")}
        self._log = (home.state / "log").open("ab")
        self._process = subprocess.Popen(
            [
                *(unshared if mounts else []),
                sys.executable,
                "-P",
                "-c",
                SERVE,
                str(home.state),
                str(home.socket),
                json.dumps(asdict(limits)),
                "idle" if idle else "",
            ],
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment,
            text=True,
        )
        home.processes.append(self)
        self.pid = self._process.pid
        self.said = (self._process.stdout.readline() if self._process.stdout else "").strip()

    def kill(self) -> None:
        self._process.kill()
        self.wait()

    def terminate(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    async def upgrade(self) -> UpgradeReport:
        """Asks it to go on as the program that is installed; what became of that."""
        folder = self._home.runner
        before = read_upgrade(folder)
        self._process.send_signal(REQUEST)
        async with asyncio.timeout(PATIENCE):
            while True:
                found = read_upgrade(folder)
                if found is not None and found != before and found.state in ("done", "refused"):
                    return found
                if self._process.poll() is not None:
                    raise AssertionError(f"the runner ended with {self._process.returncode}")
                await asyncio.sleep(0.02)

    def hang_up(self) -> None:
        self._process.send_signal(signal.SIGHUP)

    def wait(self) -> int:
        return self._process.wait(PATIENCE)

    def close(self) -> None:
        self.kill()
        self._log.close()
        if self._process.stdout:
            self._process.stdout.close()

    async def ended(self) -> int:
        return await asyncio.to_thread(self.wait)
