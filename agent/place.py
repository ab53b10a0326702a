"""Where a state folder is: the machine, the folder on it, the boot. By it a copy is told from the folder itself.

A machine is known by a hash of /etc/machine-id with a key of our own, as machine-id(5) asks for (the id itself leaves
no machine). In a container the file belongs to the image, or is made anew with each container, and says nothing of the
volume that the state folder is on: there, and where the file is missing or empty, the folder alone counts. A folder is
known by its inode, where its file system keeps those, and within one boot by its disk too (a disk's number may change
with a boot, and what is no disk gets another one with every mount).

What this cannot tell apart, the copy of a whole disk on a machine with the same id, the hub does
(common/link/lineage.py).
"""

from __future__ import annotations

import hashlib
import hmac
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from agent.boot import boot_id_or_random
from common.errors import UserError
from common.files import write_file
from common.read_file import read_bytes

MACHINE_ID: Final = Path("/etc/machine-id")
CONTAINER_FILES: Final = (Path("/run/.containerenv"), Path("/.dockerenv"), Path("/run/host/container-manager"))
_KEY: Final = b"answerback state folder 1"
_MAX_ID: Final = 64
_MAX_WORD: Final = 200
_WORDS: Final[tuple[Word, ...]] = ("moved", "anew")
_MOUNTS: Final = Path("/proc/self/mountinfo")
_NO_INODES: Final = ("fuse", "9p", "virtiofs", "vboxsf", "cifs", "smb3")
"""File systems that may number the same folder anew with every mount."""


@dataclass(frozen=True, slots=True)
class Place:
    machine: str  # hash of the machine's id; "" where there is none that counts
    folder: int  # inode; 0 where it is not kept
    device: int
    boot: str

    def to_json(self) -> list[Any]:
        return [self.machine, self.folder, self.device, self.boot]

    def __str__(self) -> str:
        return f"{self.machine or '-'} {self.folder}"


class Moved(UserError):
    """A state folder that was last used elsewhere: it is a copy, or was moved."""


def place_of(folder: Path, boot: str = "") -> Place:
    """Where `folder` is now; raises OSError. `boot` is the boot's id where the caller knows it."""
    found = folder.stat()
    inode = found.st_ino if _keeps_inodes(found.st_dev) else 0
    return Place(machine_hash(), inode, found.st_dev, boot or boot_id_or_random())


def _keeps_inodes(device: int) -> bool:
    """Whether the file system on `device` is none of those that do not; proc_pid_mountinfo(5)."""
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = _MOUNTS.read_text(errors="replace").splitlines()
    except OSError:
        return True
    for line in lines:
        before, _, after = line.partition(" - ")
        fields = before.split()
        if len(fields) > 2 and fields[2] == number:
            return not after.startswith(_NO_INODES)
    return True


def parse_place(value: object) -> Place | None:
    """The place of `Place.to_json`; None where the value is none."""
    match value:
        case [str(machine), int(folder), int(device), str(boot)]:
            return Place(machine, folder, device, boot)
    return None


def machine_hash() -> str:
    """Of this machine's id; "" where there is none that counts."""
    if any(file.exists() for file in CONTAINER_FILES):
        return ""
    try:
        with MACHINE_ID.open("rb") as file:
            found = file.read(_MAX_ID).strip()
    except OSError:
        return ""
    if not found or found == b"uninitialized":
        return ""
    return hmac.new(found, _KEY, hashlib.sha256).hexdigest()[:32]


def why_moved(recorded: Place, here: Place) -> str:
    """Why a folder that was last used at `recorded` is not that folder any more; "" where it is."""
    if recorded.machine and recorded.machine != here.machine:
        return "it was last used on another machine"
    both_disks = os.major(recorded.device) and os.major(here.device)
    other_disk = recorded.boot == here.boot and both_disks and recorded.device != here.device
    if recorded.folder and here.folder and (recorded.folder != here.folder or other_disk):
        return "it is another folder than the one that was last used here"
    return ""


def moved_error(state: Path, why: str) -> Moved:
    """What is said, and how it goes on: both ways out are a person's word."""
    own = "if the machine it comes from is still in use, give this one a name of its own: run"
    cure = (
        f"{own} `answerback-hub token --agent NAME` on the hub, and here the command that it prints with --force; "
        f"if this one takes its place (moved disk, restored backup): answerback-agent take-over --state {state}"
    )
    return Moved(f"{state} is a copy, or was moved: {why}", cure)


# ---- a person's word that this folder goes on here

Word = Literal["", "moved", "anew"]
"""`moved`: where it was moved, it goes on here (join). `anew`: it begins anew here, moved or not (take-over)."""


def leave_word(folder: Path, file: Path, word: Word) -> None:
    """Writes the word for `folder` as it is now; it counts nowhere else. Raises UserError."""
    write_file(file, f"{place_of(folder)} {word}\n".encode())


def read_word(file: Path, here: Place) -> Word:
    try:
        text = read_bytes(file, _MAX_WORD).decode("ascii", "replace").strip()
    except UserError:
        return ""
    return next((word for word in _WORDS if text == f"{here} {word}"), "")


def end_word(file: Path) -> None:
    """It is good for one start. Where it cannot be removed it still names one place only."""
    with suppress(OSError):
        file.unlink()
