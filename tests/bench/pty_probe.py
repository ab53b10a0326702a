"""Runs a full-screen program in a real pty and measures it from outside: first paint, key to paint, bytes, CPU, memory.

The terminal's end can be made slow: then it reads only so many bytes a second, as a bad link would.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from dataclasses import dataclass, field
from types import TracebackType

import psutil

KEPT = 400_000


@dataclass
class Probe:
    """One program at a terminal of `columns` x `rows`. Times are seconds."""

    argv: list[str]
    columns: int = 120
    rows: int = 36
    rate: float | None = None  # bytes a second that the terminal takes; None is all of them
    env: dict[str, str] = field(default_factory=dict)

    def __enter__(self) -> Probe:
        self.began = time.perf_counter()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update({"TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8", **self.env})
            os.execv(self.argv[0], self.argv)  # noqa: S606 - the program under test
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", self.rows, self.columns, 0, 0))
        os.set_blocking(self.fd, False)
        self.process = psutil.Process(self.pid)
        self.total = 0
        self.text = bytearray()  # the last of what came
        self._allowance, self._filled = 0.0, time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            os.kill(self.pid, signal.SIGTERM)
            for _ in range(50):
                self.read(0.05)
                if os.waitpid(self.pid, os.WNOHANG)[0]:
                    return
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError, OSError):
            pass
        finally:
            os.close(self.fd)

    def read(self, seconds: float) -> int:
        """Reads for so long; how many bytes came."""
        end, count = time.perf_counter() + seconds, 0
        while (left := end - time.perf_counter()) > 0:
            most = 65_536
            if self.rate is not None:
                now = time.perf_counter()
                self._allowance = min(self.rate / 4, self._allowance + (now - self._filled) * self.rate)
                self._filled = now
                most = int(self._allowance)
                if most < 64:
                    time.sleep(min(left, 0.01))
                    continue
            if not select.select([self.fd], [], [], left)[0]:
                continue
            try:
                data = os.read(self.fd, most)
            except BlockingIOError:
                continue
            except OSError:
                break
            self._allowance -= len(data)
            count += len(data)
            self.total += len(data)
            self.text += data
            if len(self.text) > 2 * KEPT:
                del self.text[:-KEPT]
        return count

    def until(self, text: bytes, within: float = 30.0) -> float:
        """Seconds from the start until `text` has been painted."""
        deadline = time.perf_counter() + within
        while text not in self.text:
            if time.perf_counter() > deadline:
                raise TimeoutError(f"{text!r} was not painted in {within} s: {bytes(self.text[-300:])!r}")
            self.read(0.005)
        return time.perf_counter() - self.began

    def key(self, keys: bytes, answer: bytes = b"", within: float = 5.0) -> float:
        """Seconds from a key to the text that answers it; where no text tells, to the first byte after a still
        moment. `within` where none came.
        """
        until = time.perf_counter() + 1
        while self.read(0.03) and not answer and time.perf_counter() < until:
            pass
        self.text.clear()
        began = time.perf_counter()
        os.write(self.fd, keys)
        while time.perf_counter() - began < within:
            if self.read(0.002) and (not answer or answer in self.text):
                return time.perf_counter() - began
        return within

    def spent(self) -> float:
        """Processor time since the start."""
        return float(sum(self.process.cpu_times()[:2]))

    def over(self, seconds: float) -> tuple[float, float]:
        """Share of one core, and bytes a second to the terminal, over so long."""
        before, total, began = self.spent(), self.total, time.perf_counter()
        self.read(seconds)
        took = time.perf_counter() - began
        return (self.spent() - before) / took, (self.total - total) / took

    def alive(self) -> bool:
        return self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE

    def memory(self) -> float:
        """Resident, MiB."""
        return float(self.process.memory_info().rss) / 2**20


def python(*words: str) -> list[str]:
    return [sys.executable, *words]
