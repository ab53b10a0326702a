"""The hub's CA on disk, or its two while one replaces the other, and the steps from one state to the next.

    ca/ca.pem, ca.key              the CA; in a rotation the one that is to go
    ca/next.pem, next.key          the one that replaces it, from `init` on
    ca/rotation.json               the phase; without it the hub is in standby

The phase is the one file that decides, and it is written whole: killed between any two writes, what is there is the
state before or the one after. What then is left over (a new CA that no phase speaks of, files that were not renamed
yet) counts for nothing, and `settle` puts it in order.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast

from common.errors import UserError
from common.files import sync_folder, write_file
from common.identity.certificates import DAY, Authority, BadAuthority
from common.identity.trust import trust_digest
from common.read_file import read_bytes, read_secret
from hub.config import Folder
from hub.core.ca_rotation import PHASES, Phase, issuing, serving

Ending = Literal["finished", "returned"]
"""What the file says between the last step and `settle`: the new CA is the CA, or the old one stays it."""
MAX_STATE: Final = 4_096
CURE: Final = "restore it from a backup; without it this hub's machines must join anew"
_ATTEMPTS: Final = 5
_BLINK: Final = 0.02  # seconds


@dataclass(frozen=True, slots=True)
class Authorities:
    """The CAs of one hub at one moment. `next` is there in every phase but standby."""

    current: Authority
    next: Authority | None = None
    phase: Phase = "standby"
    since: float = 0.0

    @property
    def hub(self) -> str:
        return self.current.hub

    @property
    def trusted(self) -> tuple[Authority, ...]:
        return (self.current,) if self.next is None else (self.current, self.next)

    @property
    def bundle(self) -> bytes:
        """PEM of what is trusted."""
        return b"".join(authority.certificate for authority in self.trusted)

    @property
    def digest(self) -> str:
        """Of what is trusted, as machines and consoles tell theirs."""
        return trust_digest(self.bundle)

    @property
    def target(self) -> Authority:
        """The CA that everybody's certificate is to be of in this phase."""
        return self.next if self.next is not None and issuing(self.phase) == "next" else self.current

    @property
    def serving(self) -> Authority:
        """The CA of the hub's own certificate."""
        return self.next if self.next is not None and serving(self.phase) == "next" else self.current

    @property
    def state(self) -> str:
        """By which two processes compare what they have loaded."""
        return " ".join((self.phase, *(authority.key_id for authority in self.trusted)))

    def issuer_for(self, trusts: str) -> Authority:
        """The CA that signs for a holder who trusts the set of this digest: of the new one only for who knows it."""
        return self.target if trusts == self.digest else self.current

    def proof(self, now: float) -> bytes:
        """PEM of the new CA's cross-certificate by the one before; b"" in standby, or where that one has expired."""
        if self.next is None or now >= self.current.not_after:
            return b""
        return self.current.cross_sign(self.next, now)


class LiveAuthorities:
    """The CAs as they are now in a serving hub; replaced as a whole, by the event loop."""

    def __init__(self, now: Authorities) -> None:
        self.now = now
        self._proof: tuple[str, float, bytes] = ("", 0.0, b"")

    def told(self, now: float) -> bytes:
        """What is told to machines and people: the bundle with its proof, which is made anew once a day."""
        state, made_at, proof = self._proof
        if state != self.now.state or not made_at <= now < made_at + DAY:
            proof = self.now.proof(now)
            self._proof = (self.now.state, now, proof)
        return self.now.bundle + proof


# ---- reading


def load_authorities(folder: Folder) -> Authorities:
    """Raises UserError that names the file and the cure. Read beside somebody who changes it, it is one or the other
    state.
    """
    for _ in range(_ATTEMPTS - 1):
        before = stamp(folder)
        with contextlib.suppress(UserError):
            found = _load(folder)
            if stamp(folder) == before:
                return found
        if stamp(folder) == before:
            break
        time.sleep(_BLINK)
    return _load(folder)


def stamp(folder: Folder) -> tuple[tuple[int, ...], ...]:
    """Changes whenever a file of the CAs does."""
    found: list[tuple[int, ...]] = []
    for path in (folder.ca_rotation, folder.ca_certificate, folder.ca_key, folder.next_ca_certificate):
        try:
            status = os.stat(path)
        except OSError:
            found.append(())
        else:
            found.append((status.st_ino, status.st_mtime_ns, status.st_size))
    return tuple(found)


def _load(folder: Folder) -> Authorities:
    said, since = _read_state(folder)
    if said in ("finished", "returned"):
        renamed = said == "returned" or not folder.next_ca_certificate.exists()
        certificate = folder.ca_certificate if renamed else folder.next_ca_certificate
        key = folder.ca_key if said == "returned" or not folder.next_ca_key.exists() else folder.next_ca_key
        return Authorities(_authority(certificate, key), since=since)
    current = _authority(folder.ca_certificate, folder.ca_key)
    if said == "standby":
        return Authorities(current, since=since)
    following = _authority(folder.next_ca_certificate, folder.next_ca_key)
    if following.hub != current.hub:
        raise UserError(f"{folder.next_ca_certificate}: the CA of another hub", CURE)
    return Authorities(current, following, cast(Phase, said), since)


def _authority(certificate: Path, key: Path) -> Authority:
    try:
        return Authority.load(read_bytes(certificate, cure=CURE), read_secret(key, CURE))
    except BadAuthority as error:
        raise UserError(f"{certificate} and {key}: {error}", CURE) from None


def _read_state(folder: Folder) -> tuple[Phase | Ending, float]:
    if not os.path.lexists(folder.ca_rotation):
        return "standby", 0.0
    try:
        body = json.loads(read_bytes(folder.ca_rotation, MAX_STATE))
        phase, since = body["phase"], float(body["since"])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        raise UserError(f"{folder.ca_rotation}: not of its form", CURE) from None
    if phase not in (*PHASES, "finished", "returned"):
        raise UserError(f"{folder.ca_rotation}: there is no phase {str(phase)[:40]}", "was it of a newer version?")
    return phase, since


# ---- writing


@contextlib.contextmanager
def locked(folder: Folder) -> Iterator[None]:
    """Held by whoever changes the files; raises UserError where somebody does."""
    file = folder.ca_certificate.with_name("rotation.lock")
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}", "run this as the hub's user") from None
    try:
        if os.geteuid() == 0:  # the hub's user is to be able to lock it too
            owner = file.parent.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError("another command changes the CA", "wait until it has ended") from None
        yield
    finally:
        os.close(descriptor)


def make_next(folder: Folder, now: float) -> Authority:
    """A new CA beside the one there is, which no phase speaks of yet; one that is left over is replaced."""
    made = Authority.create(load_authorities(folder).hub, now)
    write_file(folder.next_ca_key, made.key_pem)
    write_file(folder.next_ca_certificate, made.certificate)
    return made


def write_phase(folder: Folder, phase: Phase | Ending, now: float) -> None:
    write_file(folder.ca_rotation, json.dumps({"phase": phase, "since": now}).encode() + b"\n")


def settle(folder: Folder) -> None:
    """Puts the files in order once a rotation has ended: the CA that was dropped, and its key, are gone then. Can be
    repeated, also after it was killed.
    """
    said, _ = _read_state(folder)
    if said == "finished":
        for fresh, old in (
            (folder.next_ca_key, folder.ca_key),
            (folder.next_ca_certificate, folder.ca_certificate),
        ):
            if fresh.exists():
                os.replace(fresh, old)
                sync_folder(old.parent)
    elif said == "returned":
        folder.next_ca_key.unlink(missing_ok=True)
        folder.next_ca_certificate.unlink(missing_ok=True)
    else:
        return
    sync_folder(folder.ca_rotation.parent)
    folder.ca_rotation.unlink(missing_ok=True)
    sync_folder(folder.ca_rotation.parent)
