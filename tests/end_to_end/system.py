"""A whole Answerback on loopback, from real processes: a hub, agents that joined with tokens, a receiver of replies.

Used by the demo, the end-to-end tests and the benches. Everything lives under one folder and ends with `close`; only
processes that the rig started are ended, by id.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import os
import re
import secrets
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import psutil
from aiohttp import web

from common.identity.sealing import Sealer
from hub.store.cipher import ColumnCipher
from hub.store.database import Database
from hub.store.row_key import keyless
from hub.store.transaction import Txn
from tests import fork_server
from tests.fork_server import ForkedProcess

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
# Where this is root, all jobs of these machines are root's, also where somebody has made the user of the unit.
os.environ.setdefault("ANSWERBACK_JOB_USER", "root" if os.geteuid() == 0 else "")
START_WITHIN = 90.0  # a limit, not a wait: several workers start programs at once
ANSWER_WITHIN = 60.0  # as well


class HarnessError(Exception):
    """Something the rig needs did not happen; the text carries the program's own words."""


def free_port() -> int:
    """A port that nobody listens on, below those that the system gives to outgoing connections: one of theirs would be
    taken now and then before the hub that is to listen on it starts, or while it is restarted.
    """
    while True:
        port = 15_000 + secrets.randbelow(15_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@dataclass
class Program:
    """One process of ours and where it logs."""

    name: str
    process: asyncio.subprocess.Process | ForkedProcess
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def tail(self, lines: int = 20) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    async def stop(self, number: int = signal.SIGTERM, within: float = ANSWER_WITHIN) -> int:
        if self.process.returncode is None:
            self.process.send_signal(number)
        try:
            async with asyncio.timeout(within):
                return await self.process.wait()
        except TimeoutError:
            self.process.kill()
            return await self.process.wait()


class ReplyReceiver:
    """The chat: an HTTP server that takes replies, checks their signature and lets others wait for them."""

    def __init__(self) -> None:
        self.replies: list[dict[str, Any]] = []
        self.bad_signatures = 0
        self.finals: dict[str, list[dict[str, Any]]] = {}
        self.final_at: dict[str, float] = {}
        self.on_reply: Callable[[dict[str, Any]], None] = lambda reply: None
        self.secret = b""
        self.next_secret = b""  # holds too, where it is there
        self.port = 0
        self._changed = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/replies"

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/replies", self._handle_reply)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle_reply(self, request: web.Request) -> web.Response:
        body = await request.read()
        held = [secret for secret in (self.secret, self.next_secret) if secret]
        expected = [hmac.new(secret, body, hashlib.sha256).hexdigest() for secret in held]
        if request.headers.get("X-Signature", "") not in expected:
            self.bad_signatures += 1
            return web.Response(status=401)
        reply = json.loads(body)
        self.replies.append(reply)
        event = reply["in_reply_to"]
        if reply.get("kind") == "final":
            self.final_at.setdefault(event, time.perf_counter())
            self.finals.setdefault(event, []).append(reply)
        self.on_reply(reply)
        async with self._changed:
            self._changed.notify_all()
        return web.Response(status=200)

    async def wait_for(self, found: Callable[[], Any], within: float = ANSWER_WITHIN) -> Any:
        """The first true value of `found`, looked at after each reply."""
        async with asyncio.timeout(within), self._changed:
            while not (value := found()):
                await self._changed.wait()
            return value

    async def wait_final(self, event: str, within: float = ANSWER_WITHIN) -> dict[str, Any]:
        return (await self.wait_for(lambda: self.finals.get(event), within))[0]

    async def wait_question(self, event: str, within: float = ANSWER_WITHIN) -> dict[str, Any]:
        return await self.wait_for(
            lambda: next((r for r in self.replies if r["in_reply_to"] == event and r["kind"] == "question"), None),
            within,
        )


@dataclass
class SystemHarness:
    folder: Path
    admin: str = "alice"
    people: dict[str, str] = field(default_factory=lambda: {"bob": "approver", "carol": "operator", "vera": "viewer"})
    forks: bool = True  # programs are forked from a process that has loaded them (`tests.fork_server`)
    environments: dict[str, dict[str, str]] = field(default_factory=dict)  # of programs, by name, read when used

    def __post_init__(self) -> None:
        self.hub_dir = self.folder / "hub"
        self.config = self.hub_dir / "hub.toml"
        self.http = free_port()
        self.links = free_port()
        self.receiver = ReplyReceiver()
        self.programs: dict[str, Program] = {}
        self.session: aiohttp.ClientSession | None = None
        self.secret = b""
        self.store_url = "sqlite:///data/answerback.sqlite"

    # ---- setting up

    async def __aenter__(self) -> SystemHarness:
        await self.receiver.start()
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def run(
        self, *argv: str, within: float = ANSWER_WITHIN, stdin: bytes | None = None, check: bool = True
    ) -> tuple[int, str, str]:
        """A command of ours to its end: exit status, standard output, standard error."""
        if self.forks:
            status, out, err = await self._run_forked(argv, within, stdin or b"")
        else:
            status, out, err = await self._run_loaded(argv, within, stdin)
        if check and status:
            raise HarnessError(f"{' '.join(argv)} ended with {status}: {err.decode()}")
        return status, out.decode(), err.decode()

    async def _run_loaded(self, argv: tuple[str, ...], within: float, stdin: bytes | None) -> tuple[int, bytes, bytes]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            *argv,
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(within):
            out, err = await process.communicate(stdin)
        return process.returncode or 0, out, err

    async def _run_forked(self, argv: tuple[str, ...], within: float, stdin: bytes) -> tuple[int, bytes, bytes]:
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            given.write(stdin)
            given.seek(0)
            process = fork_server.start(argv, stdin=given, stdout=out, stderr=err)
            try:
                async with asyncio.timeout(within):
                    status = await process.wait()
            finally:
                process.abandon()
            out.seek(0)
            err.seek(0)
            return status, out.read(), err.read()

    async def hub(self, *argv: str, check: bool = True) -> tuple[int, str, str]:
        """An answerback-hub command on this rig's hub."""
        return await self.run("hub", *argv, "--config", str(self.config), check=check)

    async def operator(self, *argv: str, check: bool = True, within: float = ANSWER_WITHIN) -> tuple[int, str, str]:
        """An answerback command as the admin."""
        profile = self.hub_dir / "profile"
        return await self.run("tui", "--profile", str(profile), *argv, check=check, within=within)

    async def init(self) -> str:
        _, out, _ = await self.run(
            "hub",
            "init",
            str(self.hub_dir),
            "--admin",
            self.admin,
            "--http",
            f"127.0.0.1:{self.http}",
            "--links",
            f"127.0.0.1:{self.links}",
        )
        self.secret = (self.hub_dir / "secrets" / "ops").read_bytes().strip()
        self.receiver.secret = self.secret
        text = self.config.read_text()
        text = re.sub(r"(?m)^reply_hosts = .*$", 'reply_hosts = ["127.0.0.1"]', text)
        for name, role in self.people.items():
            text += f'\n[people.{name}]\nroles = ["{role}"]\nchat = ["ops:{name}"]\n'
        self.config.write_text(text)
        return out

    def use_store(self, url: str) -> None:
        """Another database than the SQLite file, before the hub is started."""
        self.edit_config(r"^#? ?url = .*$", f'url = "{url}"')
        self.store_url = url

    def edit_config(self, pattern: str, replacement: str) -> None:
        """Replaces the first match in hub.toml; a pattern that is not there is an error."""
        text, count = re.subn(pattern, replacement, self.config.read_text(), count=1, flags=re.M)
        if not count:
            raise HarnessError(f"hub.toml has nothing like {pattern}")
        self.config.write_text(text)

    def add_program(
        self, name: str, text: str, *, verdict: str = "allow", more: str = "", noticed_later: bool = False
    ) -> Path:
        """Makes a small script that policy lets people run as NAME with words; the one way that tests add programs.

        A hub that serves reads the changed policy at its next look: a program is added before the hub starts, or the
        test waits for that look and says so with `noticed_later`.
        """
        hub = self.programs.get("hub")
        if hub is not None and hub.process.returncode is None and not noticed_later:
            raise HarnessError(f"{name} is added to a hub that serves: add it before, or wait until it is noticed")
        script = self.folder / "bin" / name
        script.parent.mkdir(exist_ok=True)
        script.write_text("#!/bin/sh\n" + text)
        script.chmod(0o755)
        policy = self.hub_dir / "policy.toml"
        policy.write_text(
            policy.read_text()
            + f"""
[[rule]]
id = "test-{name}"
about = "a test's own program"
program = "{script}"
verdict = "{verdict}"
{more}
[[rule.arguments]]
name = "WORD"
type = "pattern"
pattern = "[A-Za-z0-9._-]+"
min = 0
max = 8
"""
        )
        return script

    async def start(self, name: str, *argv: str, env: dict[str, str] | None = None) -> Program:
        """Starts a program of ours; with `env` added to its environment, which is read while it loads, not forked."""
        log = self.folder / f"{name}.log"
        process: asyncio.subprocess.Process | ForkedProcess
        with log.open("ab") as sink, open(os.devnull, "rb") as nothing:
            if self.forks and not env:
                more = self.environments.get(name, {})
                process = fork_server.start(argv, stdin=nothing, stdout=sink, stderr=sink, env=more)
                self.programs[name] = Program(name, process, log)
                return self.programs[name]
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                *argv,
                cwd=ROOT,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                env={**os.environ, **self.environments.get(name, {}), **(env or {})},
            )
        self.programs[name] = Program(name, process, log)
        return self.programs[name]

    async def start_hub(self, env: dict[str, str] | None = None) -> Program:
        program = await self.start("hub", "hub", "serve", "--config", str(self.config), env=env)
        await self.wait_until(self.ready, program)
        return program

    async def ready(self) -> bool:
        assert self.session is not None
        try:
            async with self.session.get(f"http://127.0.0.1:{self.http}/readyz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def wait_until(
        self, condition: Callable[[], Any], program: Program | None = None, within: float = START_WITHIN
    ) -> None:
        """Waits for a condition outside this process; the one place that polls."""
        deadline = time.monotonic() + within
        while not await condition():
            if program is not None and program.process.returncode is not None:
                raise HarnessError(f"{program.name} ended with {program.process.returncode}:\n{program.tail()}")
            if time.monotonic() > deadline:
                said = program.tail() if program else ""
                raise HarnessError(f"{getattr(condition, '__name__', 'it')} did not happen in {within} s\n{said}")
            await asyncio.sleep(0.02)

    def state_folder(self, name: str) -> Path:
        return self.folder / f"agent-{name}"

    async def join(self, name: str, *labels: str, profile: str = "trust-hub") -> str:
        """Invites and joins a machine; returns the command that the hub printed. The programs of tests are in no
        profile's rules, so a machine trusts its hub unless told otherwise.
        """
        flags = [part for label in labels for part in ("--label", label)]
        _, out, _ = await self.hub("token", "--agent", name, *flags)
        words = out.split()
        assert words[:2] == ["answerback-agent", "join"], out
        await self.run("agent", *words[1:], "--policy", profile, "--state", str(self.state_folder(name)))
        return out.strip()

    async def start_agent(self, name: str) -> Program:
        program = await self.start(name, "agent", "run", "--state", str(self.state_folder(name)))
        await self.wait_until(lambda: self.online(name), program)
        return program

    async def add_agent(self, name: str, *labels: str) -> Program:
        await self.join(name, *labels)
        return await self.start_agent(name)

    async def online(self, name: str) -> bool:
        """Whether the hub has the machine's link, asked of its log."""
        log = self.programs["hub"].log.read_text(errors="replace")
        last = ""
        for line in log.splitlines():
            if f'"{name}"' in line and ("agent.connected" in line or "agent.disconnected" in line):
                last = line
            elif "hub.ready" in line:
                last = ""
        return "agent.connected" in last

    def runner_pid(self, name: str) -> int | None:
        """The runner that serves this machine's state folder."""
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or []
            if "runner" in words and str(self.state_folder(name)) in words:
                return int(process.pid)
        return None

    # ---- talking

    def sign(self, body: bytes) -> str:
        return hmac.new(self.secret, body, hashlib.sha256).hexdigest()

    async def post(
        self, user: str, text: str, *, event: str = "", signature: str | None = None, **more: Any
    ) -> tuple[str, int, dict[str, Any]]:
        """A signed webhook; returns event id, HTTP status and the answer."""
        assert self.session is not None
        event = event or f"m-{secrets.token_hex(8)}"
        message = {
            "id": event,
            "user": user,
            "conversation": "ops",
            "text": text,
            "reply_url": self.receiver.url,
            **more,
        }
        body = json.dumps(message).encode()
        headers = {
            "X-Signature": self.sign(body) if signature is None else signature,
            "Content-Type": "application/json",
        }
        url = f"http://127.0.0.1:{self.http}/webhook/ops"
        async with self.session.post(url, data=body, headers=headers) as answer:
            return event, answer.status, await answer.json()

    async def ask(self, user: str, text: str, within: float = ANSWER_WITHIN) -> dict[str, Any]:
        """A message and its final reply."""
        event, status, answer = await self.post(user, text)
        if status != 200:
            raise HarnessError(f"the webhook was answered {status}: {answer}")
        return await self.receiver.wait_final(event, within)

    # ---- looking

    def events(self) -> list[dict[str, Any]]:
        """The audit, straight from the store."""
        if self.store_url.startswith("sqlite") and not (self.hub_dir / "data" / "answerback.sqlite").exists():
            return []
        return [
            {"seq": row.seq, "kind": row.kind, "subject": row.subject, "actor": row.actor, "data": row.data}
            for row in self.read(lambda txn: txn.events(limit=1_000_000))
        ]

    def read(self, unit: Callable[[Txn], T]) -> T:
        """What the store has, read beside the hub with the hub's own keys."""
        ring = Sealer.from_text((self.hub_dir / "secrets" / "seal.key").read_text())
        database = Database(self.store_url, self.hub_dir, ColumnCipher(ring, time.time))
        connection = database.connect(read_only=True)
        try:
            connection.begin_read()
            return unit(Txn(connection, keyless()))
        finally:
            connection.close()

    def check_at_most_once(self) -> None:
        """What must hold after every test: a job starts at most once and ends at most once, and nothing contradicts."""
        starts: dict[str, int] = {}
        for event in self.events():
            assert event["kind"] not in ("job.anomaly", "job.foreign"), event
            if event["kind"] in ("job.started", "job.ended"):
                key = f"{event['kind']} {event['subject']}"
                starts[key] = starts.get(key, 0) + 1
        assert not {key: count for key, count in starts.items() if count > 1}

    # ---- ending

    async def close(self) -> None:
        for name in [name for name in self.programs if name != "hub"]:
            await self.programs[name].stop()
        if "hub" in self.programs:
            await self.programs["hub"].stop()
        for name in [path.name.removeprefix("agent-") for path in self.folder.glob("agent-*")]:
            pid = self.runner_pid(name)
            if pid is not None:
                await asyncio.to_thread(stop_runner, pid)
        if self.session is not None:
            await self.session.close()
        await self.receiver.stop()


def stop_runner(pid: int) -> None:
    """Ends a runner with its jobs: the second SIGTERM does not wait for them, and two at once would count as one."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for _ in range(20):
            if process.status() == psutil.STATUS_ZOMBIE:
                return
            process.terminate()
            with contextlib.suppress(psutil.TimeoutExpired):
                process.wait(0.1)
                return


@contextlib.asynccontextmanager
async def running_system(
    folder: Path, *agents: str, prepare: Callable[[SystemHarness], object] = lambda made: None
) -> AsyncIterator[SystemHarness]:
    """A running hub with these machines; `prepare` edits its files before it starts."""
    async with SystemHarness(folder) as made:
        await made.init()
        prepare(made)
        await made.start_hub()
        for name in agents:
            await made.add_agent(name)
        yield made
