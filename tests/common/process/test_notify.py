"""common.process.notify: what the service manager hears."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.process.notify import notify, watchdog, watchdog_interval


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A service manager's datagram socket, named in the environment."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield receiver


def test_ready_and_status_are_one_datagram(manager: socket.socket) -> None:
    """READY and STATUS come together, as lines."""
    assert notify(ready=True, status="linked to h1")
    assert manager.recv(1024) == b"READY=1\nSTATUS=linked to h1"


def test_a_status_cannot_smuggle_an_assignment(manager: socket.socket) -> None:
    """A line break in a status does not begin another line."""
    notify(status="x\nWATCHDOG=trigger")
    assert manager.recv(1024) == b"STATUS=x?WATCHDOG=trigger"


def test_the_abstract_namespace_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address beginning with @ is an abstract socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(f"\0answerback-test-{os.getpid()}")
        receiver.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@answerback-test-{os.getpid()}")
        assert notify(stopping=True)
        assert receiver.recv(1024) == b"STOPPING=1"


@pytest.mark.parametrize("address", ["", "relative", "/nowhere/at/all", "vsock:2:1234"])
def test_no_manager_is_no_error(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a usable socket nothing is sent and nothing is raised."""
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    assert not notify(ready=True)


@pytest.mark.parametrize(
    ("usec", "pid", "interval"),
    [
        ("30000000", None, 15.0),
        ("30000000", "self", 15.0),
        ("30000000", "1", None),
        ("", None, None),
        ("0", None, None),
        ("soon", None, None),
        ("²", None, None),
    ],
)
def test_the_interval_is_half_of_what_is_allowed(
    usec: str, pid: str | None, interval: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """WATCHDOG_USEC counts when it is a number and meant for this process."""
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    if pid is not None:
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()) if pid == "self" else pid)
    assert watchdog_interval() == interval


async def test_signs_of_life_stop_when_unhealthy(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """A healthy loop sends WATCHDOG=1 again and again; one that says it is not sends nothing more."""
    monkeypatch.setenv("WATCHDOG_USEC", "2000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    manager.setblocking(False)
    asked = asyncio.Event()
    answers = iter([True, True, False])

    def healthy() -> bool:
        answer = next(answers, None)
        if answer is None:
            asked.set()
        return bool(answer)

    async with asyncio.timeout(45), asyncio.TaskGroup() as group:
        task = group.create_task(watchdog(healthy))
        await asked.wait()
        task.cancel()
    assert manager.recv(1024) == manager.recv(1024) == b"WATCHDOG=1"
    with pytest.raises(BlockingIOError):
        manager.recv(1024)


async def test_nobody_watching_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without WATCHDOG_USEC there is nothing to do."""
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    async with asyncio.timeout(45):
        await watchdog()
