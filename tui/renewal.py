"""The next certificate of an operator, over a link that is up anyway.

An operator's certificate lives a week; once two thirds of that are over, whoever connects next asks for another.
Several programs may use one profile at once: whoever changes its files, or reads key and certificate as a pair, holds
the profile's lock for that moment. All of them send the same request, and who comes second with an answer finds it
taken.
"""

from __future__ import annotations

import fcntl
import os
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

from common.credential import Validity
from common.messages import Renew, Renewed
from common.tls import client_context
from tui.profile import Profile

RENEW_AFTER: Final = 2 / 3
"""Of a certificate's life."""


def is_due(validity: Validity, now: float) -> bool:
    return now >= validity.not_before + RENEW_AFTER * (validity.not_after - validity.not_before)


def context_of(profile: Profile) -> ssl.SSLContext:
    """What to connect with; a renewal that a crash cut in half is finished first. Raises UserError."""
    ours = profile.credential
    with locked(profile) as writable:
        if writable:
            ours.settle()
        return client_context(ours.authority.read_bytes(), ours.certificate, ours.key)


async def renew(profile: Profile, ask: Callable[[Renew], Awaitable[Renewed]], now: float) -> bool:
    """Asks for the next certificate and brings it into use; raises UserError. False where it is not ours to do.

    The request stays on disk until it is answered, so a crash at any point leaves a pair that works, and an answer that
    was lost is asked for again with the same key.
    """
    from common.certificate import prepare_renewal, take_certificate  # cryptography, which is needed once in five days

    ours = profile.credential
    with locked(profile) as writable:
        if not writable or not is_due(validity := ours.validity(), now):
            return False
        prepare_renewal(ours, "operator", profile.name)
        request = ours.next_request.read_bytes()
    renewed = await ask(Renew(request, validity.generation))
    with locked(profile):
        if not ours.next_request.exists() or ours.next_request.read_bytes() != request:
            return False  # another program was first, or somebody logged in anew
        take_certificate(ours, "operator", profile.name, renewed.certificate, renewed.generation, now)
        return ours.settle()


@contextmanager
def locked(profile: Profile) -> Iterator[bool]:
    """Holds the profile's lock, which nobody holds for longer than it takes to write a few files.

    False where this user may not write there, and so cannot change what others read.
    """
    try:
        descriptor = os.open(profile.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        yield False
        return
    try:
        if os.geteuid() == 0:  # root at work in somebody's profile: its owner is to be able to lock it too
            owner = profile.path.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield True
    finally:
        os.close(descriptor)
