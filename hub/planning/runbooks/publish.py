"""Adds a runbook to runbooks.toml: parsed with the file's own reader first, then written atomically. Blocking I/O: call
it in a thread.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from common.config import ConfigError
from common.errors import UserError
from common.files import write_file
from common.read_file import MAX_FILE, parse_toml, read_toml
from hub.core.chat_text import inline_text
from hub.planning.runbooks.file import parse_runbooks, read_runbooks
from hub.planning.runbooks.matcher import RunbookMatcher

MAX_PROBLEMS_SHOWN: Final = 3
"""Problems shown at a time."""


def read_with_text(file: Path) -> tuple[str, dict[str, Any]]:
    """The file's text and its parsed TOML; raises UserError."""
    body = read_toml(file)
    try:
        return file.read_text(encoding="utf-8"), body
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read: {error}", "mend it first") from None


def parse_with(text: str, addition: str, file: Path) -> RunbookMatcher:
    """The runbooks of the file with the addition; raises UserError where they are invalid together."""
    data = append_text(text, addition).encode()
    if len(data) > MAX_FILE:
        raise UserError(f"{file} would be larger than {MAX_FILE} bytes", "take out runbooks that nobody uses")
    return parse_runbooks(parse_toml(data, file, "is there a runbook of this name already?"), file)


def publish(file: Path, text: str, addition: str) -> None:
    """Appends the addition and replaces the file atomically; every byte of `text`, its present content, stays. Raises
    UserError where the file has changed meanwhile, or where the reader refuses the result, which is then reverted.
    """
    target = file.resolve()  # a symbolic link stays one
    try:
        now, mode = target.read_text(encoding="utf-8"), target.stat().st_mode & 0o777
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read: {error}", "mend it first") from None
    if now != text:
        raise UserError(f"{file} was changed at this moment", "accept the draft again")
    write_file(target, append_text(text, addition).encode(), mode)
    try:
        read_runbooks(file)
    except UserError:
        write_file(target, text.encode(), mode)
        raise


def append_text(text: str, addition: str) -> str:
    """`text` with `addition` after a blank line."""
    if not text.strip():
        return text + addition
    return text + "\n" * (2 - min(2, len(text) - len(text.rstrip("\n")))) + addition


def describe_error(error: UserError, file: Path) -> str:
    """The problems without the file's path, which chat should not see."""
    problems = error.problems if isinstance(error, ConfigError) else (str(error),)
    return inline_text("; ".join(problems[:MAX_PROBLEMS_SHOWN]).replace(f"{file}: ", "").replace(str(file), file.name))
