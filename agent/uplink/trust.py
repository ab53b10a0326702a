"""The CAs that this machine trusts, and what the hub says to trust from now on while it replaces its own.

Whether that may be is decided in a short-lived child (common/identity/trust_check.py), which writes `ca.pem` whole.
"""

from __future__ import annotations

from agent import log
from agent.state import REJOIN_HINT, StateFolder
from agent.uplink.child import run_child
from common.errors import UserError
from common.identity.trust import MAX_BUNDLE, fingerprint, trust_digest
from common.link.messages import Trust, Trusted
from common.read_file import read_bytes


class TrustedAuthorities:
    def __init__(self, state: StateFolder) -> None:
        self._state = state

    def digest(self) -> str:
        """Of what is trusted now, as the hub is told; "" where that cannot be read."""
        try:
            return trust_digest(read_bytes(self._state.credential.authority, MAX_BUNDLE))
        except (UserError, ValueError):
            return ""

    async def take(self, message: Trust, now: float) -> Trusted:
        """Trusts what the hub says, where it may be, and gives the answer; raises UserError, and then nothing has
        changed. `now` is the hub's.
        """
        if message.digest != self.digest():
            await run_child(self._state, "take-trust", "--at", f"{now:.3f}", stdin=message.bundle)
            log.info("authorities.taken", digest=self.digest())
        certificate = read_bytes(self._state.credential.certificate, MAX_BUNDLE)
        try:
            return Trusted(self.digest(), fingerprint(certificate))
        except ValueError as error:
            raise UserError(f"{self._state.credential.certificate}: {error}", REJOIN_HINT) from None
