"""A program in a real pty, and a person before it: keys go in, the screen is what a VT emulator (pyte) makes of what
comes out. Nothing of the program's insides is looked at.

Where $ANSWERBACK_CAPTURES names a folder, `capture` writes the screen there, to be looked at.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import struct
import termios
from collections.abc import Callable
from pathlib import Path

import pyte

from tests.end_to_end.system import ROOT
from tui.text.tables import cell_width

CAPTURES = os.environ.get("ANSWERBACK_CAPTURES", "")
TIMEOUT = 60.0
KEYS = {
    "enter": "\r",
    "escape": "\x1b",
    "tab": "\t",
    "shift+tab": "\x1b[Z",
    "space": " ",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "right": "\x1b[C",
    "left": "\x1b[D",
    "home": "\x1b[H",
    "end": "\x1b[F",
    "pagedown": "\x1b[6~",
    "pageup": "\x1b[5~",
    "f2": "\x1bOQ",
    "f4": "\x1bOS",
}


class PtyTerminal:
    """One program at a terminal of `columns` x `rows`; `key_count` counts what was pressed."""

    def __init__(self, argv: list[str], columns: int, rows: int, *, env: dict[str, str] | None = None) -> None:
        self._argv = argv
        self._env = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"}
        self._env.update(env or {})
        self.key_count = 0
        self.raw = b""  # the last that came, as it came
        self.total = 0
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._changed = asyncio.Event()
        self._master = -1
        self.process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> PtyTerminal:
        self._master, slave = os.openpty()
        size = struct.pack("HHHH", self._screen.lines, self._screen.columns, 0, 0)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, size)
        try:
            self.process = await asyncio.create_subprocess_exec(
                *self._argv,
                cwd=ROOT,
                env=self._env,
                stdin=slave,
                stdout=slave,
                stderr=slave,
                start_new_session=True,
                preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0) and None,
            )
        finally:
            os.close(slave)
        os.set_blocking(self._master, False)
        asyncio.get_running_loop().add_reader(self._master, self._read)
        return self

    async def __aexit__(self, *exc: object) -> None:
        loop = asyncio.get_running_loop()
        assert self.process is not None
        if self.process.returncode is None:
            self.process.terminate()
            try:
                async with asyncio.timeout(45):
                    await self.process.wait()
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
        loop.remove_reader(self._master)
        os.close(self._master)

    def _read(self) -> None:
        try:
            data = os.read(self._master, 65_536)
        except BlockingIOError:
            return
        except OSError:  # EIO: nobody has the other end any more
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._master)
        self.total += len(data)
        self.raw = (self.raw + data)[-400_000:]
        self._stream.feed(data)
        self._changed.set()

    # ---- the screen

    @property
    def lines(self) -> list[str]:
        return [self._line(y).rstrip() for y in range(self._screen.lines)]

    def _line(self, y: int) -> str:
        """What stands on a line; where one half of a wide character was written over, a blank, as terminals have it."""
        cells, line = self._screen.buffer[y], ""
        for x in range(self._screen.columns):
            left = cells[x - 1].data if x else ""
            line += cells[x].data or ("" if left and cell_width(left) == 2 else " ")
        return line

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def cells(self, line: int) -> int:
        """How many cells what stands on a line takes; more than the terminal has is a broken line."""
        text = self.lines[line]
        return cell_width(text)

    def colours(self, text: str) -> set[str]:
        """The colours in which the first place of `text` is written."""
        for y, line in enumerate(self.lines):
            at = line.find(text)
            if at >= 0:
                x = cell_width(line[:at])
                return {self._screen.buffer[y][x + step].fg for step in range(len(text))}
        raise AssertionError(f"{text!r} is not on the screen:\n{self.text}")

    def has_caret(self, text: str) -> bool:
        """Whether the cell to type in, the one of a colour of its own, is on the line that has `text`."""
        for y, line in enumerate(self.lines):
            if text in line:
                row = self._screen.buffer[y]
                grounds = [row[x].fg if row[x].reverse else row[x].bg for x in range(self._screen.columns)]
                if any(
                    left != here != right for left, here, right in zip(grounds, grounds[1:], grounds[2:], strict=False)
                ):
                    return True
        return False

    def line_with(self, *texts: str) -> str:
        """The first line that has all of these; "" where none has."""
        return next((line for line in self.lines if all(text in line for text in texts)), "")

    async def wait_until(self, found: Callable[[], object], what: str = "", within: float = TIMEOUT) -> None:
        """Waits for the screen to be so; looked at whenever it has changed."""
        try:
            async with asyncio.timeout(within):
                while not found():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"{what or 'it'} did not happen in {within} s:\n{self.text}") from None

    async def wait_for_line(self, *texts: str, within: float = TIMEOUT) -> str:
        """Waits until one line has all of these; that line."""
        await self.wait_until(lambda: self.line_with(*texts), f"a line with {texts}", within)
        return self.line_with(*texts)

    async def wait_no_line(self, *texts: str, within: float = TIMEOUT) -> None:
        await self.wait_until(lambda: not self.line_with(*texts), f"no line with {texts}", within)

    # ---- the person

    async def press(self, *keys: str) -> None:
        """Keys by name or as characters; each counts."""
        for key in keys:
            self.key_count += 1
            os.write(self._master, KEYS.get(key, key).encode())
            await asyncio.sleep(0)

    async def type(self, text: str) -> None:
        await self.press(*text)

    async def wait_past_guard(self, guard: float, *texts: str) -> None:
        """A dialog is there and has been read: keys within its first `guard` seconds are passed over, since they were
        typed ahead for what stood there before."""
        await self.wait_for_line(*texts)
        await self.wait_guard(guard)

    async def wait_guard(self, guard: float) -> None:
        """As long as the console passes over a key by design, since it may be one that is held down or came too early:
        no test waits for anything else by time."""
        await asyncio.sleep(guard)

    def resize(self, columns: int, rows: int) -> None:
        self._screen.resize(rows, columns)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def capture(self, name: str) -> None:
        if CAPTURES:
            with contextlib.suppress(OSError):
                folder = Path(CAPTURES)
                folder.mkdir(parents=True, exist_ok=True)
                (folder / f"{name}.txt").write_text(self.text + "\n")
