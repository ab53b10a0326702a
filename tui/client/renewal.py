"""The next certificate of an operator, over a link that is up anyway.

An operator's certificate lives a week; once half of that is over, whoever connects next asks for another. One that has
run out is renewed by the next program that is refused because of it, at the hub's renewal entrance (`renew_late`).
Several programs may use one profile at once: whoever changes its files, or reads key and certificate as a pair, holds
the profile's lock for that moment. All of them send the same request, and who comes second with an answer finds it
taken.
"""

from __future__ import annotations

import fcntl
import os
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from common.errors import UserError
from common.identity.credential import Validity
from common.identity.tls import client_context
from common.link.dial import ask_successor
from common.link.messages import Renew, Renewed
from tui.client.profile import Profile


def is_due(validity: Validity, now: float) -> bool:
    return now >= validity.renew_at


def ssl_context(profile: Profile) -> ssl.SSLContext:
    """What to connect with, for `common.link.dial`, which looks at the time; a renewal that a crash cut in half is
    finished first. Raises UserError.
    """
    ours = profile.credential
    with locked(profile) as writable:
        if writable:
            ours.activate_renewal()
        return client_context(ours.authority.read_bytes(), ours.certificate, ours.key, check_time=False)


async def renew(
    profile: Profile,
    send_renewal: Callable[[Renew], Awaitable[Renewed]],
    hub_clock: Callable[[], float],
    *,
    needed: bool = False,
) -> bool:
    """Asks for the next certificate and brings it into use; raises UserError. False where it is not ours to do.
    `hub_clock` is read when the answer is there; `needed` means that the hub has said that it is time.

    The request stays on disk until it is answered, so a crash at any point leaves a pair that works, and an answer that
    was lost is asked for again with the same key.
    """
    from common.identity.csr import (
        prepare_renewal,
        stage_renewal,  # cryptography, which is needed once in half a week
    )

    ours = profile.credential
    with locked(profile) as writable:
        validity = ours.validity()
        if not writable or not (needed or is_due(validity, hub_clock())):
            return False
        prepare_renewal(ours, "operator", profile.name)
        request = ours.next_request.read_bytes()
    renewed = await send_renewal(Renew(request, validity.generation))
    with locked(profile):
        if not ours.next_request.exists() or ours.next_request.read_bytes() != request:
            return False  # another program was first, or somebody logged in anew
        stage_renewal(ours, "operator", profile.name, renewed.certificate, renewed.generation, hub_clock())
        return ours.activate_renewal()


async def renew_late(profile: Profile) -> bool:
    """The next certificate for one that the hub says has run out, from its renewal entrance. False where another
    program was first. Raises UserError, or HubRefused where the hub gives none.
    """
    with locked(profile) as writable:
        if not writable:
            problem = f"the certificate of {profile.name} has run out, and this user may not write to {profile.path}"
            raise UserError(problem, f"run `answerback --profile {profile.path} agents` as its owner, which renews it")
    context, ahead = ssl_context(profile), 0.0

    async def ask(request: Renew) -> Renewed:
        nonlocal ahead
        successor = await ask_successor(profile.url, profile.hub, context, request)
        ahead = successor.clock_ahead
        return successor.renewed

    return await renew(profile, ask, lambda: time.time() - ahead, needed=True)


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
