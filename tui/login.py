"""answerback login: a person's first contact with the hub; makes the profile."""

from __future__ import annotations

from pathlib import Path

from common.errors import UserError
from tui.profile import Profile


async def login(url: str, token: str, ca_pin: str, path: Path, *, force: bool) -> Profile:
    raise UserError("login is not there yet")
