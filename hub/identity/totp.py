"""One-time codes: TOTP (RFC 6238) with SHA-1, six digits, 30 seconds, which every authenticator app supports.

A code is valid once: its time step must be later than the last one used, and the caller saves the person that
`check_code` returns in the transaction that relies on the answer. One step before and after now is accepted, for clocks
that differ. Five wrong codes lock the person for a quarter of an hour, during which no code is checked; those of the
console are counted apart, where a certificate has said already who it is: so a chat account in wrong hands locks its
owner out of chat and not of the console. The secret is sealed for its owner.

A new factor does not take the place of the old one before a code of it has been seen: `offer` keeps both, and the first
code of the new one, wherever it is asked for, ends the old one. A picture that could not be shown, or a telephone that
did not take it, so costs nobody their factor. An offer that nobody takes up is void after PENDING_SECONDS.
"""

from __future__ import annotations

import hmac
import math
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, Literal

import pyotp

from common.catalogue import Sentence
from common.identity.sealing import Sealer, UnsealError, context
from hub.core.records import Person

STEP: Final = 30  # seconds
WINDOW: Final = 1  # steps
KNOWN: Final = 4  # steps either way, in which a code is known as one
MAX_FAILURES: Final = 5
LOCK_SECONDS: Final = 15 * 60.0
PENDING_SECONDS: Final = 24 * 3600.0
_SECRET_CHARS: Final = 32  # base 32: 160 bits, the length of the HMAC (RFC 4226, section 4)
Place = Literal["chat", "console"]
"""Where a code is given; a page that chat links to is chat."""
_CODE: Final = re.compile(r"([0-9]{3}) ?([0-9]{3})", re.ASCII)


@dataclass(frozen=True, slots=True)
class CodeCheck:
    """The result; `person` must be saved whatever it is; `reason` is for the person."""

    ok: bool
    person: Person
    reason: Sentence
    code: Literal["", "not_enrolled", "code_needed", "bad_code"] = ""  # for programs; "" where the code is taken
    confirmed: bool = False  # the code was the first of a new factor, which now counts alone


def enrol(sealer: Sealer, name: str, issuer: str) -> tuple[bytes, str]:
    """A new secret for `name`: sealed for the store, and as the otpauth URI to show once, at a terminal."""
    secret = pyotp.random_base32(_SECRET_CHARS)
    uri = pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=issuer)
    return sealer.seal(secret.encode(), seal_context(name)), uri


def offer(before: Person, sealed: bytes, now: float) -> Person:
    """The person with a new factor: at once where they have none, else with its first code. Wrong codes are forgiven,
    since an admin at the hub's terminal has seen to it.
    """
    free = forgiven(forgiven(before, "chat"), "console")
    if not before.totp_secret:
        return replace(free, totp_secret=sealed, totp_last_step=0, totp_pending=b"", totp_pending_until=0.0)
    return replace(free, totp_pending=sealed, totp_pending_until=now + PENDING_SECONDS)


def has_pending(person: Person, now: float) -> bool:
    return bool(person.totp_pending) and now < person.totp_pending_until


def without_factor(before: Person) -> Person:
    """Neither the old one nor one that was offered: where a telephone is lost."""
    return replace(before, totp_secret=b"", totp_last_step=0, totp_pending=b"", totp_pending_until=0.0)


def seal_context(name: str) -> str:
    """The context that a person's secret is sealed for; rotation of the sealing keys needs it."""
    return context("people", "totp_secret", name)


def check_code(person: Person, sealer: Sealer, code: str, now: float, place: Place = "chat") -> CodeCheck:
    """Whether `code` is valid for `person` at `now` and unused. Save the returned person."""
    who = {"person": person.name}
    if not person.totp_secret:
        return CodeCheck(False, person, Sentence("second_factor_not_enrolled", who), "not_enrolled")
    if not code:
        return CodeCheck(False, person, Sentence("second_factor_form", who), "code_needed")
    if now < locked_until(person, place):
        return _wrong(person, _locked(person, now, place))
    match = _CODE.fullmatch(code.strip()) if len(code) <= 16 else None
    if match is None:
        return _wrong(person, Sentence("second_factor_form", who))
    digits, current = match[1] + match[2], int(now) // STEP
    step: int | None = None
    if has_pending(person, now):
        with suppress(UnsealError):
            step = _step_of(person.totp_pending, person, sealer, digits, current)
        if step is not None:
            fresh = replace(person, totp_secret=person.totp_pending, totp_last_step=0)
            fresh = replace(fresh, totp_pending=b"", totp_pending_until=0.0)
            return replace(_take(fresh, step, place), confirmed=True)
    try:
        step = _step_of(person.totp_secret, person, sealer, digits, current)
    except UnsealError:
        return _wrong(person, Sentence("second_factor_unreadable", who))
    if step is None:
        return failed(person, now, place)
    if step <= person.totp_last_step:
        return _wrong(person, Sentence("second_factor_used", who))
    return _take(person, step, place)


def known_codes(person: Person, sealer: Sealer, now: float) -> dict[str, int]:
    """The codes of `person` around `now`, used or not, each with its step; 0 for one of a factor that is not confirmed
    yet. By them a code is known that was said where others read it. A little more than what counts, for clocks that
    differ more.
    """
    current, found = int(now) // STEP, dict[str, int]()
    for sealed, counts in ((person.totp_pending if has_pending(person, now) else b"", 0), (person.totp_secret, 1)):
        with suppress(UnsealError):
            if sealed:
                totp = pyotp.TOTP(sealer.open(sealed, seal_context(person.name)).decode("ascii"))
                steps = range(max(0, current - KNOWN), current + KNOWN + 1)
                found |= {totp.generate_otp(step): counts * step for step in steps}
    return found


def spend(person: Person, step: int) -> Person:
    """The code of this step, and those before it, count no more. Save the returned person."""
    return replace(person, totp_last_step=max(person.totp_last_step, step))


def forgiven(person: Person, place: Place) -> Person:
    """Without the wrong codes of this place."""
    if place == "console":
        return replace(person, totp_console_failures=0, totp_console_locked_until=0.0)
    return replace(person, totp_failures=0, totp_locked_until=0.0)


def locked_until(person: Person, place: Place) -> float:
    """Until when no code of the person's is checked there; 0 where that never was."""
    return person.totp_console_locked_until if place == "console" else person.totp_locked_until


def failures(person: Person, place: Place) -> int:
    """Wrong codes since the last right one."""
    return person.totp_console_failures if place == "console" else person.totp_failures


def _take(person: Person, step: int, place: Place) -> CodeCheck:
    taken = forgiven(replace(person, totp_last_step=step), place)
    return CodeCheck(True, taken, Sentence("second_factor_taken", {"person": person.name}))


def _step_of(sealed: bytes, person: Person, sealer: Sealer, digits: str, current: int) -> int | None:
    """The step of a code of this factor; raises UnsealError."""
    totp = pyotp.TOTP(sealer.open(sealed, seal_context(person.name)).decode("ascii"))
    return _matching_step(totp, digits, current)


def _matching_step(totp: pyotp.TOTP, code: str, current: int) -> int | None:
    """The latest time step of the window that `code` belongs to; all are compared, in constant time."""
    steps = range(max(0, current - WINDOW), current + WINDOW + 1)
    found = [step for step in steps if hmac.compare_digest(totp.generate_otp(step), code)]
    return max(found, default=None)


def _wrong(person: Person, reason: Sentence) -> CodeCheck:
    return CodeCheck(False, person, reason, "bad_code")


def failed(person: Person, now: float, place: Place) -> CodeCheck:
    """One more wrong code; the last one that is forgiven locks the person there."""
    count, until = failures(person, place) + 1, 0.0
    if count >= MAX_FAILURES:
        count, until = 0, now + LOCK_SECONDS
    if place == "console":
        after = replace(person, totp_console_failures=count, totp_console_locked_until=until)
    else:
        after = replace(person, totp_failures=count, totp_locked_until=until)
    if until:
        return _wrong(after, _locked(after, now, place))
    values = {"person": person.name, "left": MAX_FAILURES - count, "minutes": round(LOCK_SECONDS / 60)}
    return _wrong(after, Sentence("second_factor_wrong", values))


def _locked(person: Person, now: float, place: Place) -> Sentence:
    minutes = math.ceil((locked_until(person, place) - now) / 60)
    return Sentence("second_factor_locked", {"person": person.name, "minutes": minutes})
