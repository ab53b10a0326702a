"""Recovery codes: what stands in for the second factor where the telephone is lost. Each counts once.

Ten are made and shown once, at the hub's terminal; the store has their SHA-256, which is enough for 80 random bits.
They are taken over an operator's link, where a certificate has said who it is, and never in chat or on a page that chat
links to: `answerback approve r42 --code -`.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from typing import Final

COUNT: Final = 10
_BYTES: Final = 10  # 80 bits, 16 characters of base 32
PREFIX: Final = "abr"
"""Lets secret scanners and our own masks recognise one."""
_FORM: Final = re.compile(r"abr(?:[- ]?[a-z2-7]){16}", re.ASCII | re.IGNORECASE)
SAID: Final = re.compile(rf"(?<![A-Za-z0-9]){_FORM.pattern}(?![A-Za-z0-9])", re.ASCII | re.IGNORECASE)
"""One in a text, however it is written."""


def make() -> tuple[str, ...]:
    """New codes: `abr-xxxx-xxxx-xxxx-xxxx`."""
    return tuple(_shown(secrets.token_bytes(_BYTES)) for _ in range(COUNT))


def is_one(text: str) -> bool:
    """Whether somebody gives a recovery code, and not a code of an authenticator."""
    return len(text) <= 64 and _FORM.fullmatch(text.strip()) is not None


def digest(person: str, code: str) -> str:
    """Hex SHA-256 of a code for this person, however it is written: in capitals, with blanks or without dashes."""
    plain = re.sub(r"[- ]", "", code.strip()).lower()
    return hashlib.sha256(f"answerback recovery code 1\n{person}\n{plain}".encode()).hexdigest()


def _shown(data: bytes) -> str:
    text = base64.b32encode(data).decode().lower()
    return "-".join((PREFIX, *(text[at : at + 4] for at in range(0, 16, 4))))
