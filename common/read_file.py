"""Files that people write or secrets are in, read with a bound on their size; an error names the file and the cure.

Every TOML file of the three programs is parsed here, so that encodings, line ends, nesting and broken lines are handled
the same in all of them. What the tables may hold is for `common.config` (a file of a fixed form, as dataclasses:
hub.toml, runbooks.toml, agent.toml, profile.toml) and `common.policy.table` (rules whose keys refer to one another) to
say; both tell of an unknown key with `suggest_key`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

from common.errors import UserError

MAX_FILE: Final = 1024 * 1024  # bytes
MAX_SECRET: Final = 64 * 1024  # bytes


def read_toml(path: Path, cure: str = "", *, trusted: bool = False) -> dict[str, Any]:
    """The file's TOML, at most MAX_FILE bytes; raises UserError. `cure` is what to do where it does not exist;
    `trusted` as in `read_bytes`.
    """
    return parse_toml(read_bytes(path, MAX_FILE, cure, trusted=trusted), path)


def parse_toml(data: bytes, name: Path | str, cure: str = "correct that line") -> dict[str, Any]:
    """UTF-8, with or without a byte order mark, with either kind of line ends; raises UserError that begins with `name`
    and has line and column where it is not TOML.
    """
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{name}: line {line} is not UTF-8", "save the file as UTF-8") from None
    import tomllib  # takes a while to load, and links and runners read no TOML

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{name}: not TOML: {str(error)[:200]}", cure) from None
    except RecursionError:
        raise UserError(f"{name}: not TOML: nested too deep", "take the nesting out") from None


def suggest_key(key: str, known: Collection[str]) -> str:
    """What to do about an unknown key: the nearest of those that are known, or all of them."""
    from difflib import get_close_matches  # for whoever wrote a wrong key

    near = get_close_matches(key, known, 1)
    return f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"


def read_bytes(path: Path, limit: int = MAX_FILE, cure: str = "", *, trusted: bool = False) -> bytes:
    """A regular file of at most `limit` bytes; raises UserError. `cure` is what to do where it does not exist.

    `trusted`: what stands in it decides what may be done, so it is refused where somebody else could have written it.
    """
    data, status = _read(path, limit, cure)
    if trusted:
        _check_writers(path, status)
    return data


def read_secret(path: Path, cure: str = "") -> bytes:
    """A secret's file, unchanged; raises UserError where it is empty, too large, open to more than its owner and
    group, or of somebody else's making.
    """
    data, status = _read(path, MAX_SECRET, cure)
    if status.st_mode & 0o027:
        raise UserError(f"{path}: mode {status.st_mode & 0o777:04o} lets others at a secret", f"chmod 600 {path}")
    _check_writers(path, status)
    if not data.strip():
        raise UserError(f"{path}: empty", cure or "write the secret into it")
    return data


def _check_writers(path: Path, status: os.stat_result) -> None:
    """Raises UserError where anybody but root, this process's user and (for root, who reads other users' hubs) the
    owner of the folder could have put the file there.
    """
    user, folder = os.geteuid(), os.stat(path.parent)
    mine = {0, user} | ({folder.st_uid} if user == 0 else set())
    for what, found in ((path, status), (path.parent, folder)):
        if found.st_uid not in mine:
            raise UserError(
                f"{path}: {what} belongs to user {found.st_uid}, who could change it", f"chown {user} {what}"
            )
        sticky = what != path and found.st_mode & stat.S_ISVTX  # in such a folder nobody replaces another's file
        others = found.st_mode & (0o022 if found.st_gid not in (0, os.getegid()) else 0o002)
        if others and not sticky:
            raise UserError(f"{path}: {what} can be changed by others than its owner", f"chmod go-w {what}")


def _read(path: Path, limit: int, cure: str) -> tuple[bytes, os.stat_result]:
    try:
        # Without O_NONBLOCK a FIFO in the place of a file would hang the program.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UserError(f"{path}: not a regular file", cure or "name a file")
            data = file.read(limit + 1)
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file", cure or "create it, or name another") from None
    except PermissionError:
        raise UserError(f"{path}: not readable by user {os.geteuid()}", "change its owner or mode") from None
    except OSError as error:
        raise UserError(f"{path}: not readable ({error.strerror})", cure or "name a file") from None
    except ValueError:
        raise UserError("a file name with a NUL character", "name a file") from None
    if len(data) > limit:
        raise UserError(f"{path}: larger than {limit} bytes", "this cannot be the right file")
    return data, status
