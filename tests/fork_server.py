"""Starts our programs by forking a process that has loaded them already.

A hub's process takes two to three seconds of a core before its own work begins, nearly all of it imports, and the tests
start some hundreds. So each process of tests has one server: it has imported the programs, has one thread, and for each
request forks a child that becomes the program: a process of its own in every way that tests look at (id, signals,
descriptors, environment, working folder), with `main()` run as `python -m hub` runs it.

What it does not show is how a program loads, and what it reads from its environment while it does: start those as
processes of their own (`SystemHarness.forks = False`, or with `env`). The demo and the benches always do.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Final

ROOT = Path(__file__).resolve().parents[1]
_LOADED = ("hub.cli.main", "hub.app", "agent.cli", "agent.uplink.app", "tui.cli.main")
_LOADED_LATER = (
    "agent.join",
    "alembic.autogenerate.api",
    "alembic.command",
    "alembic.config",
    "alembic.op",
    "cryptography.hazmat.backends.openssl.backend",
    "encodings.idna",
    "mako.template",
    "psycopg",
    "uvicorn.lifespan.off",
)
"""What programs import when they come to need it, and their starts are not what these tests look at."""
_MAX_REQUEST = 128 * 1024
NO_MORE: Final[Mapping[str, str]] = MappingProxyType({})
_NUMBER = struct.Struct("i")  # what the server says of a child: its process id, then how it ended


class ForkedProcess:
    """One program, as `asyncio.subprocess.Process` shows it."""

    def __init__(self, pid: int, status: int) -> None:
        """`status` is a pipe on which the server says how it ended; it is closed then."""
        self.pid = pid
        self._status = status
        self._returncode: int | None = None
        self._waiting = asyncio.Lock()

    @property
    def returncode(self) -> int | None:
        if self._returncode is None:
            with contextlib.suppress(BlockingIOError):
                said = os.read(self._status, _NUMBER.size)
                os.close(self._status)
                # Nothing is said where the server itself was ended, and its children with it.
                self._returncode = _NUMBER.unpack(said)[0] if said else -signal.SIGKILL
        return self._returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        loop = asyncio.get_running_loop()
        async with self._waiting:
            while self.returncode is None:
                readable = asyncio.Event()
                loop.add_reader(self._status, readable.set)
                try:
                    await readable.wait()
                finally:
                    loop.remove_reader(self._status)
        assert self._returncode is not None
        return self._returncode

    def join(self) -> int:
        """Waits for its end, for whoever has no event loop."""
        if self._returncode is None:
            os.set_blocking(self._status, True)
        assert self.returncode is not None
        return self.returncode

    def abandon(self) -> None:
        """Ends it now, for whoever cannot wait for it."""
        self.kill()
        self.join()


class _Server:
    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, str(Path(__file__).resolve()), str(theirs.fileno())],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        atexit.register(self.close)

    def start(
        self,
        argv: tuple[str, ...],
        stdin: IO[bytes],
        stdout: IO[bytes],
        stderr: IO[bytes],
        env: Mapping[str, str] = NO_MORE,
    ) -> ForkedProcess:
        request = json.dumps({"argv": argv, "env": {**os.environ, **env}}).encode()
        reading, writing = os.pipe()
        try:
            files = [file.fileno() for file in (stdin, stdout, stderr)]
            socket.send_fds(self._ours, [request], [*files, writing])
            os.close(writing)
            said = os.read(reading, _NUMBER.size)
            if not said:
                raise RuntimeError("the server that forks programs has ended")
        except BaseException:
            os.close(reading)
            raise
        os.set_blocking(reading, False)
        return ForkedProcess(_NUMBER.unpack(said)[0], reading)

    def close(self) -> None:
        self._ours.close()
        self._process.wait()


_server: _Server | None = None


def start(
    argv: tuple[str, ...], *, stdin: IO[bytes], stdout: IO[bytes], stderr: IO[bytes], env: Mapping[str, str] = NO_MORE
) -> ForkedProcess:
    """A process that does what `python -m ARGV` does, from the root of the sources, in this process' environment and
    `env`; or `main()` of a module of the tests, where the first of ARGV is its dotted name.
    """
    global _server
    if _server is None:
        _server = _Server()
    return _server.start(argv, stdin, stdout, stderr, env)


# ---- the server


def serve(control: socket.socket) -> None:
    """Forks what is asked for, and says how each ended, until nobody can ask any more; its children end with it."""
    sys.path.insert(0, str(ROOT))
    for name in (*_LOADED, *_LOADED_LATER):
        importlib.import_module(name)
    _load_defaults()
    gc.collect()
    gc.freeze()  # the children share it
    assert threading.active_count() == 1, threading.enumerate()
    ended, note = os.pipe()
    for descriptor in (ended, note):
        os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(note)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    # A terminal's Ctrl-C is for pytest. In a child it waits until the program is about to begin.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    children: dict[int, int] = {}  # process id -> where to say how it ended
    selector = selectors.DefaultSelector()
    selector.register(control, selectors.EVENT_READ)
    selector.register(ended, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is control:
                message, descriptors = _receive(control)
                if not message:
                    for pid in children:
                        os.kill(pid, signal.SIGKILL)
                    for pid in children:
                        os.waitpid(pid, 0)
                    return
                pid = os.fork()
                if pid == 0:
                    _become(json.loads(message), descriptors)
                *files, status = descriptors
                for file in files:
                    os.close(file)
                children[pid] = status
                os.write(status, _NUMBER.pack(pid))
            else:
                os.read(ended, 4096)
        while children:
            pid, code = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            status = children.pop(pid, None)
            if status is not None:
                with contextlib.suppress(BrokenPipeError):  # nobody waits for it
                    os.write(status, _NUMBER.pack(os.waitstatus_to_exitcode(code)))
                os.close(status)


def _load_defaults() -> None:
    """What every hub reads as it starts: the chat platforms, the default policy and runbooks."""
    from hub.chat.platforms.registry import built_in
    from tests import read_once

    built_in()
    read_once.install()
    read_once.default_policy()
    read_once.default_runbooks()


def _receive(control: socket.socket) -> tuple[bytes, list[int]]:
    message, descriptors, _, _ = socket.recv_fds(control, _MAX_REQUEST, 4)
    return message, list(descriptors)


def _become(request: dict[str, Any], descriptors: list[int]) -> None:
    """In the child: goes on as the program, and does not return."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number, file in enumerate(descriptors[:3]):
            os.dup2(file, number)
        os.closerange(3, 256)
        os.environ.clear()
        os.environ.update(request["env"])
        importlib.import_module("common.crashpoints").configure(os.environ)
        name, *words = request["argv"]
        module = name if "." in name else f"{name}.__main__"
        sys.argv = [str(ROOT.joinpath(*module.split("."))) + ".py", *words]
        main = importlib.import_module(module).main
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except KeyboardInterrupt:  # before the program's first line
        code = 130
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            threading._shutdown()  # type: ignore[attr-defined]  # what the interpreter does before it ends
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as asked:
        serve(asked)
