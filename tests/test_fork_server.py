"""tests.fork_server: what it starts is a process like any other."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import psutil
import pytest

from common.version import VERSION
from tests import fork_server
from tests.fork_server import ForkedProcess


@contextmanager
def forked(*argv: str, given: bytes = b"") -> Iterator[tuple[ForkedProcess, IO[bytes]]]:
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as out:
        stdin.write(given)
        stdin.seek(0)
        process = fork_server.start(argv, stdin=stdin, stdout=out, stderr=out)
        try:
            yield process, out
        finally:
            process.abandon()


def text_of(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


async def test_each_ends_as_the_program_does() -> None:
    """Several at once: output, standard error and exit status of the right one."""
    with (
        forked("hub", "--version") as (good, out),
        forked("hub", "check", "--config", "/nonexistent/hub.toml") as (bad, said),
    ):
        assert len({good.pid, bad.pid, os.getpid()}) == 3
        assert await asyncio.gather(good.wait(), bad.wait()) == [0, 2]
        assert text_of(out) == f"answerback-hub, version {VERSION}\n"
        assert text_of(said).startswith("answerback-hub: ")
        assert (good.returncode, await good.wait()) == (0, 0)


async def test_it_has_our_environment_and_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they are when it starts, not when its server did."""
    monkeypatch.setenv("ANSWERBACK_CONFIG", str(tmp_path / "canary.toml"))
    with forked("hub", "check") as (process, out):
        assert await process.wait() == 2
        assert "canary.toml" in text_of(out)
    words = ("hub", "init", str(tmp_path / "hub"), "--store", "-")
    with forked(*words, given=b"telepathy://nowhere\n") as (process, out):
        assert await process.wait() == 2
        assert "[store] url" in text_of(out)


async def test_it_takes_signals(tmp_path: Path) -> None:
    """SIGINT is Ctrl-C from the first moment on, and it can be killed; its server is a child of ours."""
    reading, writing = os.pipe()
    with open(reading, "rb") as nothing_yet, open(writing, "wb"), tempfile.TemporaryFile() as out:
        for number, status in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
            words = ("hub", "init", str(tmp_path / "hub"), "--store", "-")  # waits for its standard input
            process = fork_server.start(words, stdin=nothing_yet, stdout=out, stderr=out)
            process.send_signal(number)
            async with asyncio.timeout(60):
                assert await process.wait() == status
    with forked("hub", "--version") as (process, _):
        parent = psutil.Process(process.pid).ppid()
        assert await process.wait() == 0
        assert psutil.Process(parent).ppid() == os.getpid()


def test_its_server_ends_with_whoever_asks() -> None:
    """And so do the programs that it forked."""
    server = fork_server._Server()
    with tempfile.TemporaryFile() as out, open(os.devnull, "rb") as nothing:
        process = server.start(("hub", "--version"), nothing, out, out)
        server.close()
        process.abandon()
    assert not psutil.pid_exists(process.pid)


def test_a_program_has_what_it_is_given_besides(tmp_path: Path) -> None:
    """An environment of its own, beside that of whoever asks."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as nothing:
        told = {"ANSWERBACK_CONFIG": str(tmp_path / "told.toml")}
        process = fork_server.start(("hub", "check"), stdin=nothing, stdout=out, stderr=out, env=told)
        assert process.join() == 2
        assert told["ANSWERBACK_CONFIG"] in text_of(out)
        assert "ANSWERBACK_CONFIG" not in os.environ
