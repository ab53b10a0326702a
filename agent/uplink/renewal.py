"""Renews the agent's certificate, over the link or, where it has run out, at the hub's renewal entrance: when, and by
which child process.

All times are the hub's, as far as it has told its clock: a machine whose clock is ahead would else take each new
certificate for one that has run out, and ask for another at once.

Short-lived children make key and signing request and check the answer, so that this process never loads `cryptography`
(common/identity/csr.py says why).
"""

from __future__ import annotations

import random
import time

from agent import log
from agent.state import StateFolder
from agent.uplink.backoff import UniformRandom, renew_at, retry_renewal_at
from agent.uplink.child import run_child
from common.identity.credential import Validity
from common.link.messages import Renew, Renewed
from common.times import format_iso


class CertificateRenewal:
    """The renewal of this process's certificate. Each link asks it what is due and hands it the hub's answer."""

    def __init__(self, state: StateFolder, validity: Validity, uniform: UniformRandom = random.random) -> None:
        self._state = state
        self._uniform = uniform
        self.validity = validity
        self.due_at = renew_at(validity, uniform)
        self.failures = 0  # in a row
        self.clock_ahead = 0.0  # seconds that this machine's clock is ahead of the hub's, where it is clearly off
        self.request_session = ""  # the session that carries our request, which repeats it by itself

    def set_clock_ahead(self, ahead: float) -> None:
        """Takes what a link has shown of the hub's clock; a difference below a minute counts as none."""
        self.clock_ahead = ahead if abs(ahead) >= 60.0 else 0.0

    def time_left(self, now: float) -> float:
        """Seconds until the renewal is due, at the wall clock's `now`; not above 0 where it is."""
        return self.due_at - (now - self.clock_ahead)

    def is_due(self, now: float) -> bool:
        return self.time_left(now) <= 0

    def hasten(self, seconds: float, now: float) -> None:
        """Due within so many seconds, at the wall clock's `now`: the hub's CA is replaced, and it asked for it."""
        self.due_at = min(self.due_at, now - self.clock_ahead + seconds)

    def record_failure(self, now: float) -> None:
        """Schedules another attempt with the same request; `now` is the wall clock's."""
        self.request_session = ""
        self.failures += 1
        self.due_at = retry_renewal_at(now - self.clock_ahead, self.validity.not_after, self.failures, self._uniform)

    async def request(self) -> Renew:
        """The message to send; the same request again while a renewal is under way. Raises WorkFailed."""
        await run_child(self._state, "make-request")
        return Renew(self._state.credential.next_request.read_bytes(), self.validity.generation)

    async def install(self, renewed: Renewed) -> None:
        """Checks the certificate and puts it into use on disk; raises UserError where it is not for our key and
        name.
        """
        now = time.time() - self.clock_ahead
        options = ("--generation", str(renewed.generation), "--at", f"{now:.3f}")
        await run_child(self._state, "take-certificate", *options, stdin=renewed.certificate)
        with self._state.hold_credential():
            self._state.credential.activate_renewal()
        validity = self.validity = self._state.credential.validity()
        self.due_at = renew_at(validity, self._uniform)
        self.request_session, self.failures = "", 0
        log.info("certificate.renewed", generation=validity.generation, not_after=_format_time(validity.not_after))


def _format_time(at: float) -> str:
    return format_iso(at)
