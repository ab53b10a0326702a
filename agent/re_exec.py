"""One process becomes another program: execve(2) with a document and descriptors that stay open.

The process id stays, so the running programs stay its children, and whoever watches it (systemd, the uplink that
started it) sees no end. The document is a sealed memfd, whose number the next program finds in its environment.

The next program is asked first, as a child of this one, with the document of that moment (`ask`): whether it starts at
all, and reads that version. One that does not is never become. Behind execve there is no way back: should the next one
fail there all the same, it is as if this process had been killed.

Signals are held while nobody is there to take them: they come once the next program has set its handlers (`release`).
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, NoReturn

VARIABLE: Final = "ANSWERBACK_HAND_OVER"
REQUEST: Final = signal.SIGUSR2
"""Asks a program to hand over to the one that is installed now."""
ANSWERS_WITHIN: Final = 60.0
"""Seconds for the next program to say whether it takes over."""
MAX_DOCUMENT: Final = 256 * 1024 * 1024
"""Bytes."""
_HELD: Final = frozenset({REQUEST, signal.SIGHUP, signal.SIGTERM, signal.SIGINT})
_SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
_MAX_ANSWER: Final = 65_536


class BadDocument(ValueError):
    """A document that is none; `str()` says why."""


class CannotHandOver(Exception):
    """The older program goes on; `str()` says why, and what to do."""


@dataclass(frozen=True, slots=True)
class NextProgram:
    """How the program that is installed now is started in this one's place, and how it is asked: argument vectors."""

    command: tuple[str, ...]
    question: tuple[str, ...]
    environment: Mapping[str, str]


def ignore_requests() -> None:
    """From here on a request does not end this process, which takes none yet. For the main thread."""
    signal.signal(REQUEST, lambda number, frame: None)


def make_document(data: bytes) -> int:
    """A sealed memfd with `data`; raises OSError."""
    file = os.memfd_create("answerback-hand-over", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(file, view) :]
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(file)
        raise
    return file


def read_document(file: int) -> bytes:
    """What is in a sealed memfd; raises BadDocument for any other descriptor."""
    try:
        if fcntl.fcntl(file, fcntl.F_GET_SEALS) & _SEALS != _SEALS:
            raise BadDocument("it is not sealed")
        size = os.fstat(file).st_size
        if size > MAX_DOCUMENT:
            raise BadDocument(f"{size} bytes, {MAX_DOCUMENT} at most")
        parts = bytearray()
        while len(parts) < size and (part := os.pread(file, min(size - len(parts), 1 << 24), len(parts))):
            parts += part
        return bytes(parts)
    except OSError as error:
        raise BadDocument(f"it cannot be read: {error.strerror}") from None


def take_document() -> bytes | None:
    """What the program before this one has left, once; None where there was none. Raises BadDocument."""
    number = os.environ.pop(VARIABLE, "")
    if not number:
        return None
    if not (number.isascii() and number.isdecimal() and 2 < int(number) < 1 << 20):
        raise BadDocument("its number is none")
    data = read_document(int(number))
    os.close(int(number))
    return data


def take_descriptors(descriptors: Collection[int]) -> None:
    """What was left open is there, and no child inherits it from here on; raises BadDocument."""
    for descriptor in descriptors:
        try:
            os.set_inheritable(descriptor, False)
        except OSError:
            raise BadDocument(f"descriptor {descriptor} is not open") from None


def drop_descriptors() -> None:
    """Closes all that was left open by the program before this one. For a process that has opened nothing yet."""
    os.closerange(3, 1 << 16)


async def ask(program: NextProgram, data: bytes, spared: set[int]) -> str:
    """Starts the program that is installed now and asks it whether it takes over `data`; returns its version. Its
    process id is in `spared` while it is this function's to reap. Raises CannotHandOver.
    """
    pid, answer = _start(program, data)
    spared.add(pid)
    try:
        status = await _wait_for(pid)
        said = _read(answer)
    finally:
        spared.discard(pid)
        os.close(answer)
    if status is None:
        raise CannotHandOver(f"the new program has not answered within {ANSWERS_WITHIN:g} s")
    if status != 0:
        raise CannotHandOver(f"the new program does not take over: {_last_line(said) or f'it ended with {status}'}")
    try:
        version = json.loads(_last_line(said))["version"]
    except (ValueError, KeyError, TypeError):
        raise CannotHandOver(f"the new program answered {_last_line(said)[:200]!r}") from None
    return str(version)[:80]


def _start(program: NextProgram, data: bytes) -> tuple[int, int]:
    """The process id of one that was asked, and the pipe of its answer."""
    question = list(program.question)
    try:
        document = make_document(data)
    except OSError as error:
        raise CannotHandOver(f"the document cannot be made ({error.strerror})") from None
    answer, end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        os.set_blocking(end, True)
        os.lseek(document, 0, os.SEEK_SET)
        pid = os.posix_spawn(
            question[0],
            question,
            program.environment,
            file_actions=[(os.POSIX_SPAWN_DUP2, document, 0)] + [(os.POSIX_SPAWN_DUP2, end, to) for to in (1, 2)],
            setsid=True,
            setsigmask=(),
            setsigdef=sorted(_HELD | {signal.SIGPIPE}),
        )
    except OSError as error:
        os.close(answer)
        raise CannotHandOver(f"{question[0]} cannot be started ({error.strerror})") from None
    finally:
        os.close(end)
        os.close(document)
    return pid, answer


async def _wait_for(pid: int) -> int | None:
    """The exit status of a child, negative for a signal; None where it had to be ended after `ANSWERS_WITHIN`."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    pidfd = os.pidfd_open(pid)
    loop.add_reader(pidfd, ended.set)
    late = False
    try:
        async with asyncio.timeout(ANSWERS_WITHIN):
            await ended.wait()
    except TimeoutError:
        late = True
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)
        if not ended.is_set():
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        status = _reap(pid)
    return None if late else status


def _reap(pid: int) -> int:
    """Of a child that has ended, or was killed."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _read(pipe: int) -> bytes:
    try:
        return os.read(pipe, _MAX_ANSWER)
    except BlockingIOError:
        return b""


def _last_line(said: bytes) -> str:
    lines = said.decode("utf-8", "replace").strip().splitlines()
    return "".join(char if char.isprintable() else "?" for char in lines[-1]) if lines else ""


def become(program: NextProgram, data: bytes, descriptors: Collection[int]) -> NoReturn:
    """This process goes on as `program`, with the document and the descriptors; raises OSError, and then nothing has
    changed. For the main thread.
    """
    document = make_document(data)
    kept = (document, *descriptors)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
    try:
        for descriptor in kept:
            os.set_inheritable(descriptor, True)
        command, environment = program.command, {**program.environment, VARIABLE: str(document)}
        os.execve(command[0], command, environment)  # noqa: S606 - that is what this is for
    except BaseException:
        for descriptor in kept:
            os.set_inheritable(descriptor, False)
        os.close(document)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        raise


def hold() -> None:
    """Requests wait from here on: nobody is there to take one. For the main thread."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {REQUEST})


def release() -> None:
    """Lets signals come that were held while this program began. For the main thread."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)
