"""Private files, written whole or not at all, and folders with an exact mode."""

from __future__ import annotations

import os
from pathlib import Path

from common.errors import UserError


def create_folder(path: Path, mode: int = 0o700) -> None:
    """Makes the folder, and those above it, where they are missing; an existing one is left as it is. Raises
    UserError.
    """
    if not path.parent.exists():
        create_folder(path.parent, 0o755)
    try:
        path.mkdir(mode=mode)
        path.chmod(mode)  # whatever the umask
    except FileExistsError:
        if not path.is_dir():
            raise UserError(f"{path} is not a folder", "move it away, or name another folder") from None
    except OSError as error:
        cure = "run this as the user who may, or name another folder"
        raise UserError(f"cannot make {path} ({error.strerror})", cure) from None


def write_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replaces a file whole: readers see the old bytes or the new ones, also after a power cut.

    As root the file is given to the owner of its folder, who is to read it. Raises UserError.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                if os.geteuid() == 0:
                    owner = path.parent.stat()
                    os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise UserError(f"cannot write {path} ({error.strerror})", "make room or give this user the right to") from None


def sync_folder(path: Path) -> None:
    """fsyncs a folder, so that renames and deletions in it survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
