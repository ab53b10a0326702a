"""key=value lines on standard error, with stable event names.

    at=2026-11-22T10:03:04.120Z level=info program=uplink event=link.up hub=h1 session=3f…

An event's name is dotted, lower case and never changes; what varies is a field. A value that is not plain printable
ASCII is quoted and what cannot be printed is escaped, so a hostile value can neither start a line nor move a cursor. A
field whose name says that it is a secret is not written. Built on the standard `logging`, so that the lines of
libraries (websockets, asyncio) come out in the same form, as `event=library.NAME`.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from pathlib import Path
from typing import IO, Final

_LOGGER: Final = logging.getLogger("answerback.agent")
_SECRET: Final = frozenset({"token", "secret", "password", "private_key"})
_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
MAX_VALUE: Final = 2_048
"""Characters of one value; a longer one is cut, with a note of its length."""
MAX_FILE: Final = 1024 * 1024
"""Bytes of a log file that this process rotates itself; one older file stays beside it."""


def debug(event: str, /, **fields: object) -> None:
    _LOGGER.debug(event, extra={"fields": fields})


def info(event: str, /, **fields: object) -> None:
    _LOGGER.info(event, extra={"fields": fields})


def warning(event: str, /, **fields: object) -> None:
    _LOGGER.warning(event, extra={"fields": fields})


def error(event: str, /, **fields: object) -> None:
    _LOGGER.error(event, extra={"fields": fields})


def exception(event: str, cause: BaseException, /, **fields: object) -> None:
    """A programming error: an error line with the traceback as one escaped field."""
    _LOGGER.error(event, extra={"fields": fields}, exc_info=cause)


def configure(program: str, level: str = "info", *, file: Path | None = None, stream: IO[str] | None = None) -> None:
    """Makes every logger of the process write this format to `stream` (standard error if None).

    `file` names the file that standard error is redirected to, where nothing else rotates it: past MAX_FILE bytes it
    becomes FILE.1 and standard error continues in a new file.
    """
    handler = _Handler(stream if stream is not None else sys.stderr, file)
    handler.setFormatter(_Formatter(program))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    _LOGGER.setLevel(_LEVELS[level])


def quote(value: object) -> str:
    """One value as it appears after `key=`: bare where that is unambiguous, else quoted with escapes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}" if abs(value) < 1e6 else f"{value:.3f}"
    text = str(value)
    if len(text) > MAX_VALUE:
        text = f"{text[:MAX_VALUE]}… ({len(text)} characters)"
    if text and text.isascii() and text.isprintable() and not any(char in ' "=\\' for char in text):
        return text
    return '"' + "".join(map(_escape, text)) + '"'


def _escape(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    if char == "\n":
        return "\\n"
    if char.isprintable():  # false for controls, format characters (bidi marks), lone surrogates, line separators
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def format_line(program: str, level: str, event: str, fields: dict[str, object], now: float) -> str:
    """One log line without its newline; `now` in seconds since the epoch."""
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"
    parts = [f"at={at}", f"level={level}", f"program={program}", f"event={quote(event)}"]
    parts += [f"{key}={'[hidden]' if key in _SECRET else quote(value)}" for key, value in fields.items()]
    return " ".join(parts)


class _Formatter(logging.Formatter):
    def __init__(self, program: str) -> None:
        super().__init__()
        self._program = program

    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", None)
        if fields is None:
            event, fields = f"library.{record.name}", {"message": record.getMessage()}
        else:
            event, fields = str(record.msg), dict(fields)
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return format_line(self._program, record.levelname.lower(), event, fields, record.created)


class _Handler(logging.StreamHandler[IO[str]]):
    def __init__(self, stream: IO[str], file: Path | None) -> None:
        super().__init__(stream)
        self._file = file

    def emit(self, record: logging.LogRecord) -> None:
        super().emit(record)
        if self._file is not None:
            try:
                if os.fstat(2).st_size > MAX_FILE:
                    rotate(self._file, 2)
            except OSError:
                pass  # failing to rotate a log must not stop the work

    def handleError(self, record: logging.LogRecord) -> None:
        """A full disk or a reader that went away loses lines, never the process."""


def rotate(file: Path, descriptor: int) -> None:
    """Renames FILE to FILE.1 and points `descriptor` at a new, empty FILE."""
    os.replace(file, file.with_name(file.name + ".1"))
    fresh = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    os.dup2(fresh, descriptor)
    os.close(fresh)
