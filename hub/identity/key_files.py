"""Creates the folders and files of keys, never over another."""

from __future__ import annotations

import os
from pathlib import Path


def make_folder(path: Path, created: list[Path], mode: int = 0o700) -> None:
    """Makes the folder where it is missing, and its parents with mode 0755; an existing one is left as it is. Appends
    what it made to `created`.
    """
    if path.is_dir():
        return
    if not path.parent.exists():
        make_folder(path.parent, created, 0o755)
    path.mkdir(mode=mode)
    created.append(path)


def create_file(path: Path, data: bytes, created: list[Path]) -> None:
    """Creates the file with mode 0600 and fsyncs it; raises FileExistsError. Appends it to `created`."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    created.append(path)
    with open(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
