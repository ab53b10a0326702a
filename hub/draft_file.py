"""runbooks.toml with one runbook more: tried out with its own reader, and written whole. Blocking: for a thread."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final

from common.config import MAX_FILE, ConfigError, read_toml
from common.errors import UserError
from common.files import write_file
from hub.plan.match import Runbooks
from hub.plan.runbook_file import parse, read_runbooks
from hub.wording import prose

SHOWN: Final = 3
"""Problems that are told; the rest shows when these are cured."""


def read(file: Path) -> tuple[str, dict[str, Any]]:
    """The file as it is: its text, and what it says. Raises UserError."""
    body = read_toml(file)
    try:
        return file.read_text(encoding="utf-8"), body
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read: {error}", "mend it first") from None


def tried(text: str, addition: str, file: Path) -> Runbooks:
    """The runbooks of the file with one more; raises UserError where they do not hold together."""
    whole = appended(text, addition)
    if len(whole.encode()) > MAX_FILE:
        raise UserError(f"{file} would be larger than {MAX_FILE} bytes", "take out runbooks that nobody uses")
    try:
        return parse(tomllib.loads(whole), file)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{file}: {error}", "is there a runbook of this name already?") from None


def publish(file: Path, text: str, addition: str) -> None:
    """Replaces the file, whose text was `text`, whole by itself and the addition: every byte of its own stays. Refuses
    where somebody has written it meanwhile; puts it back where the reader then refuses it. Raises UserError.
    """
    place = file.resolve()  # a link stays one
    try:
        now, mode = place.read_text(encoding="utf-8"), place.stat().st_mode & 0o777
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read: {error}", "mend it first") from None
    if now != text:
        raise UserError(f"{file} was changed at this moment", "accept the draft again")
    write_file(place, appended(text, addition).encode(), mode)
    try:
        read_runbooks(file)
    except UserError:
        write_file(place, text.encode(), mode)
        raise


def appended(text: str, addition: str) -> str:
    """`addition` behind a blank line."""
    if not text.strip():
        return text + addition
    return text + "\n" * (2 - min(2, len(text) - len(text.rstrip("\n")))) + addition


def told(error: UserError, file: Path) -> str:
    """What is wrong, without where the file lies: that is not everybody's business."""
    problems = error.problems if isinstance(error, ConfigError) else (str(error),)
    return prose("; ".join(problems[:SHOWN]).replace(f"{file}: ", "").replace(str(file), file.name))
