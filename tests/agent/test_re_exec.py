"""agent.re_exec: a process that becomes another program, in processes that are made for it."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent import re_exec
from agent.re_exec import (
    VARIABLE,
    BadDocument,
    CannotHandOver,
    NextProgram,
    ask,
    become,
    make_document,
    read_document,
    take_descriptors,
    take_document,
)

ROOT = Path(__file__).resolve().parents[2]

BECOMES = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from agent.re_exec import NextProgram, become, ignore_requests
ignore_requests()
kept, end = os.pipe()
os.write(end, b"from before")
next_one = (sys.executable, "-c", sys.argv[2], sys.argv[1], str(kept))
parent = os.getpid()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
os.kill(parent, signal.SIGUSR2)
print(parent, flush=True)
become(NextProgram(next_one, (), dict(os.environ)), b"a table", (kept,))
"""
BECOME = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from agent.re_exec import VARIABLE, release, take_descriptors, take_document
came = []
signal.signal(signal.SIGUSR2, lambda *_: came.append("request"))
data, kept = take_document(), int(sys.argv[2])
take_descriptors((kept,))
before = list(came)
release()
print(os.getpid(), data.decode(), os.read(kept, 99).decode(), os.get_inheritable(kept), before, came,
    VARIABLE in os.environ, flush=True)
"""


def program(*question: str) -> NextProgram:
    return NextProgram((sys.executable,), question, dict(os.environ))


def test_a_process_goes_on_as_another_program() -> None:
    """The same process, with the document, the descriptors, and what was signalled while nobody was there."""
    done = subprocess.run(
        [sys.executable, "-c", BECOMES, str(ROOT), BECOME], capture_output=True, text=True, timeout=60, check=False
    )
    first, second = done.stdout.splitlines()
    assert second == f"{first} a table from before False [] ['request'] False", done.stderr


def test_where_there_is_no_such_program_nothing_has_changed() -> None:
    """This process goes on: no descriptor is left to be inherited, no signal is held."""
    before = os.listdir("/proc/self/fd")
    kept, end = os.pipe()
    try:
        with pytest.raises(FileNotFoundError):
            become(NextProgram(("/nowhere/answerback-agent",), (), {}), b"x", (kept,))
        assert not os.get_inheritable(kept)
        assert re_exec.REQUEST not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    finally:
        os.close(kept)
        os.close(end)
    assert os.listdir("/proc/self/fd") == before


def test_a_document_cannot_be_changed_once_it_is_made() -> None:
    """Trust: what is taken over is what was handed over."""
    file = make_document(b"x" * 100_000)
    try:
        assert read_document(file) == b"x" * 100_000
        with pytest.raises(PermissionError):
            os.pwrite(file, b"y", 0)
        with pytest.raises(PermissionError):
            os.ftruncate(file, 1)
    finally:
        os.close(file)


def test_what_is_no_sealed_memory_is_no_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust: a variable that somebody has put into the environment names a file of theirs."""
    file = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    open_memory = os.memfd_create("x", os.MFD_ALLOW_SEALING)
    fcntl.fcntl(open_memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    for descriptor in (file, open_memory):
        with pytest.raises(BadDocument):
            read_document(descriptor)
        os.close(descriptor)
    for value in ("x", "-1", "2", "99999999", str(file), "٣"):
        monkeypatch.setenv(VARIABLE, value)
        with pytest.raises(BadDocument):
            take_document()
        assert VARIABLE not in os.environ
    assert take_document() is None


def test_a_document_that_is_too_large_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounded before it is read."""
    file = make_document(b"x" * 11)
    monkeypatch.setattr(re_exec, "MAX_DOCUMENT", 10)
    with pytest.raises(BadDocument, match="10 at most"):
        read_document(file)
    os.close(file)


def test_a_descriptor_that_is_not_open_is_missed() -> None:
    """Before anything is done with the others."""
    with pytest.raises(BadDocument, match="60000 is not open"):
        take_descriptors((60_000,))


async def test_the_next_program_is_asked_with_the_document() -> None:
    """On its standard input; its last line is the answer."""
    script = "import sys, json; print('a warning'); print(json.dumps({'version': sys.stdin.read()}))"
    spared: set[int] = set()
    assert await ask(program(sys.executable, "-c", script), b"1.2", spared) == "1.2"
    assert spared == set()


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("import sys; sys.exit('there is no such library')", "there is no such library"),
        ("import os; os.kill(os.getpid(), 9)", "it ended with -9"),
        ("print('hello')", "answered 'hello'"),
        ("print('[1]')", r"answered '\[1\]'"),
        ("", "answered ''"),
    ],
)
async def test_a_program_that_does_not_answer_well_is_never_become(script: str, why: str) -> None:
    """What it said last is the reason."""
    with pytest.raises(CannotHandOver, match=why):
        await ask(program(sys.executable, "-c", script), b"", set())


async def test_a_program_that_does_not_answer_in_time_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """With whatever it has started, and reaped."""
    monkeypatch.setattr(re_exec, "ANSWERS_WITHIN", 0.2)
    with pytest.raises(CannotHandOver, match=r"within 0\.2 s"):
        await ask(program("/bin/sleep", "100"), b"", set())
    with pytest.raises(CannotHandOver, match="cannot be started"):
        await ask(program("/nowhere/python"), b"", set())
