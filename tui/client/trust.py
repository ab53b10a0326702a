"""The CAs that a profile trusts, and what the hub says to trust from now on while it replaces its own."""

from __future__ import annotations

from common.errors import UserError
from common.files import write_file
from common.identity.trust import MAX_BUNDLE, fingerprint, trust_digest
from common.link.messages import Trust, Trusted
from common.read_file import read_bytes
from tui.client.profile import LOGIN_HINT, Profile
from tui.client.renewal import locked


def trusted_digest(profile: Profile) -> str:
    """Of what the profile trusts now, as the hub is told; "" where that cannot be read."""
    try:
        return trust_digest(read_bytes(profile.credential.authority, MAX_BUNDLE))
    except (UserError, ValueError):
        return ""


def answer(profile: Profile) -> Trusted:
    """What the profile trusts and holds now; raises UserError."""
    certificate = read_bytes(profile.credential.certificate, MAX_BUNDLE)
    try:
        return Trusted(trusted_digest(profile), fingerprint(certificate))
    except ValueError as error:
        raise UserError(f"{profile.credential.certificate}: {error}", LOGIN_HINT) from None


def take_bundle(profile: Profile, message: Trust, now: float) -> bool:
    """Trusts what the hub says, where it may be; raises UserError, and then nothing has changed. False where it is not
    this user's to write. `now` is the hub's.
    """
    from common.identity.trust_check import check_bundle  # cryptography, which is needed once in a rotation

    with locked(profile) as writable:
        if message.digest == trusted_digest(profile):
            return True
        if not writable:
            return False
        file = profile.credential.authority
        write_file(file, check_bundle(message.bundle, read_bytes(file, MAX_BUNDLE), profile.hub, now))
    return True
