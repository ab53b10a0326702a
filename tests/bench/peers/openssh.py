"""OpenSSH and asyncssh: an sshd on a loopback port with keys of its own, and three ways to run a command through it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from tests.end_to_end.system import ROOT, free_port

USER: Final = "answerback-bench"
"""Made by setup.sh: its shell reads no files of anybody's."""
CHILD: Final = Path(__file__).with_name("asyncssh_child.py")


class MissingPeer(Exception):
    """A program or package that setup.sh would have installed."""


def program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise MissingPeer(f"{name} is not installed: tests/bench/peers/setup.sh installs it")
    return found


def peers_python() -> Path:
    """The interpreter of the peers' environment."""
    found = Path(os.environ.get("ANSWERBACK_BENCH", ROOT / ".bench")) / "v" / "bin" / "python"
    if not found.exists():
        raise MissingPeer(f"{found} is not there: tests/bench/peers/setup.sh makes it")
    return found


class OpenSsh:
    """A running sshd and a master connection to it. `command` is what each run runs."""

    def __init__(self, folder: Path, command: str = "uptime") -> None:
        self._folder = folder
        self._command = command
        self._port = free_port()
        self.user = USER if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self._options = [
            *("-F", "none", "-i", str(folder / "key"), "-p", str(self._port), "-o", "BatchMode=yes"),
            *("-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={folder / 'known'}", "-o", "LogLevel=ERROR"),
        ]
        self._asyncssh: asyncio.subprocess.Process | None = None
        self.pids: list[int] = []  # sshd, the master connection, asyncssh

    def argv(self, *more: str, command: str | None = None) -> list[str]:
        words = [program("ssh"), *self._options, *more, f"{self.user}@127.0.0.1"]
        return [*words, command or self._command]

    async def new_connection(self, count: int) -> list[float]:
        return [await timed(self.argv()) for _ in range(count)]

    async def multiplexed(self, count: int) -> list[float]:
        """Through the master's open connection; the `ssh` of each is a process of its own."""
        return [await timed(self.argv("-S", str(self._folder / "mux"))) for _ in range(count)]

    async def asyncssh_open(self, count: int) -> list[float]:
        """On one connection that asyncssh keeps open, in a process of its own."""
        child = self._asyncssh
        assert child is not None
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(f"{count}\n".encode())
        line = await child.stdout.readline()
        if not line:
            raise MissingPeer("asyncssh ended; see what it said above")
        found: list[float] = json.loads(line)
        return found

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[OpenSsh]:
        folder, config = self._folder, self._folder / "sshd_config"
        folder.mkdir(mode=0o755)
        folder.chmod(0o755)
        for name in ("host", "key"):
            subprocess.run([program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        (folder / "key.pub").chmod(0o644)
        config.write_text(
            f"ListenAddress 127.0.0.1\nPort {self._port}\nHostKey {folder / 'host'}\nPidFile none\nUsePAM no\n"
            f"StrictModes no\nMaxSessions 100\nAuthorizedKeysFile {folder / 'key.pub'}\nPasswordAuthentication no\n"
        )
        with (folder / "sshd.log").open("wb") as log:
            sshd = await asyncio.create_subprocess_exec(program("sshd"), "-D", "-e", "-f", str(config), stderr=log)
        master = None
        try:
            await self._reachable()
            master = await asyncio.create_subprocess_exec(
                *self.argv("-M", "-S", str(folder / "mux"), "-N")[:-1], stdin=asyncio.subprocess.DEVNULL
            )
            async with asyncio.timeout(20):
                while not (folder / "mux").exists():
                    await asyncio.sleep(0.02)
            self._asyncssh = await asyncio.create_subprocess_exec(
                *(str(peers_python()), str(CHILD), str(self._port), self.user, str(folder / "key"), self._command),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=2**24,
            )
            self.pids = [sshd.pid, master.pid, self._asyncssh.pid]
            yield self
        finally:
            for process in (self._asyncssh, master, sshd):
                if process is not None and process.returncode is None:
                    process.terminate()
                    await process.wait()

    async def _reachable(self) -> None:
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self._port)
                    writer.close()
                    break
                await asyncio.sleep(0.02)
        ended = await asyncio.create_subprocess_exec(*self.argv(), stdout=asyncio.subprocess.DEVNULL)
        if await ended.wait():
            raise MissingPeer(f"ssh cannot log in as {self.user}; see {self._folder / 'sshd.log'}")


async def timed(argv: list[str]) -> float:
    """Seconds of a program from its start to its end, its output read; raises where it fails."""
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *argv,
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    took = time.perf_counter() - began
    if process.returncode or not out:
        raise MissingPeer(f"{argv[0]} ended with {process.returncode}: {err.decode(errors='replace')[:500]}")
    return took
