"""Renewing our certificate over the link: when, and by which child process.

The key and the request are made, and the answer is checked, by short-lived children (common/certificate.py says why).
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from typing import Final

from agent import log
from agent.detach import own_command, own_environment
from agent.state import State
from agent.uplink.pace import Dice, renew_at, retry_renewal_at
from common.credential import Validity
from common.errors import WorkFailed
from common.messages import Renew, Renewed

CHILD_TIMEOUT: Final = 60.0
_MAX_COMPLAINT: Final = 2_000


class Renewal:
    """One for the process; a link asks it what is due and gives it the answer."""

    def __init__(self, state: State, validity: Validity, dice: Dice = random.random) -> None:
        self._state = state
        self._dice = dice
        self.validity = validity
        self.at = renew_at(validity.not_before, validity.not_after, dice)
        self.asked = ""  # the session that carries our request, which repeats it by itself

    def due(self, now: float) -> bool:
        return now >= self.at

    def failed(self, now: float) -> None:
        """This try came to nothing; the next is later, with the same request."""
        self.asked = ""
        self.at = retry_renewal_at(now, self.validity.not_after, self._dice)

    async def request(self) -> Renew:
        """The message to send; raises WorkFailed. The same request again while a renewal is under way."""
        await _child(self._state, "make-request")
        return Renew(self._state.credential.next_request.read_bytes(), self.validity.generation)

    async def take(self, renewed: Renewed) -> None:
        """Brings the new certificate into use on disk; raises UserError where it is not ours."""
        await _child(
            self._state, "take-certificate", "--generation", str(renewed.generation), given=renewed.certificate
        )
        self._state.credential.settle()
        validity = self.validity = self._state.credential.validity()
        self.at = renew_at(validity.not_before, validity.not_after, self._dice)
        self.asked = ""
        log.info("certificate.renewed", generation=validity.generation, not_after=_date(validity.not_after))


async def _child(state: State, command: str, *arguments: str, given: bytes = b"") -> None:
    """Runs one of the hidden commands of agent/cli.py; raises WorkFailed with what it complained of."""
    try:
        child = await asyncio.create_subprocess_exec(
            *own_command(command, "--state", str(state.path), *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=own_environment(),
        )
    except OSError as error:
        raise WorkFailed(
            f"cannot start {sys.executable} ({error.strerror})", "see the limits of this service"
        ) from None
    try:
        async with asyncio.timeout(CHILD_TIMEOUT):
            _, complaint = await child.communicate(given)
    except TimeoutError:
        raise WorkFailed(f"{command} took longer than {CHILD_TIMEOUT:.0f} s", "is the machine overloaded?") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode != 0:
        raise WorkFailed(f"{command} failed", complaint.decode("utf-8", "replace").strip()[-_MAX_COMPLAINT:])


def _date(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
