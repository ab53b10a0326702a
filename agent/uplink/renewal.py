"""Renews the agent's certificate, over the link or, where it has run out, at the hub's renewal entrance: when, and by
which child process.

All times are the hub's, as far as it has told its clock: a machine whose clock is ahead would else take each new
certificate for one that has run out, and ask for another at once.

Short-lived children make key and signing request and check the answer, so that this process never loads `cryptography`
(common/identity/csr.py says why).
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from typing import Final

from agent import log
from agent.detach import child_environment, self_command
from agent.state import StateFolder
from agent.uplink.backoff import UniformRandom, renew_at, retry_renewal_at
from common.errors import WorkFailed
from common.identity.credential import Validity
from common.link.messages import Renew, Renewed
from common.times import format_iso

CHILD_TIMEOUT: Final = 60.0
_MAX_STDERR: Final = 2_000


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

    def record_failure(self, now: float) -> None:
        """Schedules another attempt with the same request; `now` is the wall clock's."""
        self.request_session = ""
        self.failures += 1
        self.due_at = retry_renewal_at(now - self.clock_ahead, self.validity.not_after, self.failures, self._uniform)

    async def request(self) -> Renew:
        """The message to send; the same request again while a renewal is under way. Raises WorkFailed."""
        await _run_command(self._state, "make-request")
        return Renew(self._state.credential.next_request.read_bytes(), self.validity.generation)

    async def install(self, renewed: Renewed) -> None:
        """Checks the certificate and puts it into use on disk; raises UserError where it is not for our key and
        name.
        """
        now = time.time() - self.clock_ahead
        options = ("--generation", str(renewed.generation), "--at", f"{now:.3f}")
        await _run_command(self._state, "take-certificate", *options, stdin=renewed.certificate)
        with self._state.hold_credential():
            self._state.credential.activate_renewal()
        validity = self.validity = self._state.credential.validity()
        self.due_at = renew_at(validity, self._uniform)
        self.request_session, self.failures = "", 0
        log.info("certificate.renewed", generation=validity.generation, not_after=_format_time(validity.not_after))


async def _run_command(state: StateFolder, command: str, *arguments: str, stdin: bytes = b"") -> None:
    """Runs one of the hidden commands of agent/cli.py; raises WorkFailed with its standard error."""
    try:
        child = await asyncio.create_subprocess_exec(
            *self_command(command, "--state", str(state.path), *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=child_environment(),
        )
    except OSError as error:
        raise WorkFailed(
            f"cannot start {sys.executable} ({error.strerror})", "see the limits of this service"
        ) from None
    try:
        async with asyncio.timeout(CHILD_TIMEOUT):
            _, complaint = await child.communicate(stdin)
    except TimeoutError:
        raise WorkFailed(f"{command} took longer than {CHILD_TIMEOUT:.0f} s", "is the machine overloaded?") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode != 0:
        raise WorkFailed(f"{command} failed", complaint.decode("utf-8", "replace").strip()[-_MAX_STDERR:])


def _format_time(at: float) -> str:
    return format_iso(at)
