"""One-time codes: TOTP (RFC 6238), SHA-1, six digits, 30 seconds, since that is what every authenticator speaks.

A code counts once: the time step it belongs to must be later than the last one taken, and the caller saves the person
that `check` returns in the transaction that uses the yes. A step before or after now is taken for clocks that differ.
Five wrong codes lock the person for a quarter of an hour; while it lasts no code is looked at. The secret is sealed
for its owner.
"""

from __future__ import annotations

import hmac
import math
import re
from dataclasses import dataclass, replace
from typing import Final

import pyotp

from common.catalogue import Sentence
from common.seal import CannotOpen, Sealer, context
from hub.records import Person

STEP: Final = 30  # seconds
WINDOW: Final = 1  # steps
MAX_FAILURES: Final = 5
LOCK: Final = 15 * 60.0
_SECRET_CHARS: Final = 32  # base 32: 160 bits, the length of the HMAC (RFC 4226, section 4)
_CODE: Final = re.compile(r"([0-9]{3}) ?([0-9]{3})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Checked:
    """The answer, the person as to be saved whatever the answer is, and what to say."""

    ok: bool
    person: Person
    reason: Sentence


def enrol(sealer: Sealer, name: str, issuer: str) -> tuple[bytes, str]:
    """A new secret for `name`: sealed for the store, and as the otpauth URI that is shown once, at a terminal."""
    secret = pyotp.random_base32(_SECRET_CHARS)
    uri = pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=issuer)
    return sealer.seal(secret.encode(), place_of(name)), uri


def place_of(name: str) -> str:
    """The context that a person's secret is sealed for; rotation of the sealing keys needs it."""
    return context("people", "totp_secret", name)


def check(person: Person, sealer: Sealer, code: str, now: float) -> Checked:
    """Whether `code` is one of `person`'s for now that was not used before. The returned person is to be saved."""
    who = {"person": person.name}
    if not person.totp_secret:
        return Checked(False, person, Sentence("second_factor_not_enrolled", who))
    if now < person.totp_locked_until:
        return Checked(False, person, _locked(person, now))
    match = _CODE.fullmatch(code.strip()) if len(code) <= 16 else None
    if match is None:
        return Checked(False, person, Sentence("second_factor_form", who))
    try:
        totp = pyotp.TOTP(sealer.open(person.totp_secret, place_of(person.name)).decode("ascii"))
    except CannotOpen:
        return Checked(False, person, Sentence("second_factor_unreadable", who))
    step = _step_of(totp, match[1] + match[2], int(now) // STEP)
    if step is None:
        return _failed(person, now)
    if step <= person.totp_last_step:
        return Checked(False, person, Sentence("second_factor_used", who))
    taken = replace(person, totp_last_step=step, totp_failures=0, totp_locked_until=0.0)
    return Checked(True, taken, Sentence("second_factor_taken", who))


def _step_of(totp: pyotp.TOTP, code: str, current: int) -> int | None:
    """The latest time step within the window that `code` belongs to; all are compared, in constant time."""
    steps = range(max(0, current - WINDOW), current + WINDOW + 1)
    found = [step for step in steps if hmac.compare_digest(totp.generate_otp(step), code)]
    return max(found, default=None)


def _failed(person: Person, now: float) -> Checked:
    failures = person.totp_failures + 1
    if failures >= MAX_FAILURES:
        locked = replace(person, totp_failures=0, totp_locked_until=now + LOCK)
        return Checked(False, locked, _locked(locked, now))
    values = {"person": person.name, "left": MAX_FAILURES - failures, "minutes": round(LOCK / 60)}
    return Checked(False, replace(person, totp_failures=failures), Sentence("second_factor_wrong", values))


def _locked(person: Person, now: float) -> Sentence:
    minutes = math.ceil((person.totp_locked_until - now) / 60)
    return Sentence("second_factor_locked", {"person": person.name, "minutes": minutes})
