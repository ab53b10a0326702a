"""A person's first contact with a hub: what `common/link/enrolment.py` does, with the profile's folder around it.

The key is on disk before the token is sent, since that is good for one use; `profile.toml` is written last.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from common.errors import UserError
from common.files import create_folder, write_file
from common.identity.certificates import authority_hub
from common.identity.csr import create_key_request
from common.identity.trust import has_pin
from common.link.enrolment import fetch_pinned_authority, redeem_token, token_name
from common.values import parse_url
from tui.client.profile import Profile, file_in, read_profile
from tui.client.renewal import locked


async def login(
    url: str, token: str, ca_pin: str, folder: Path, *, force: bool = False, clock: Callable[[], float] = time.time
) -> Profile:
    """Makes the profile in the absolute `folder`; raises UserError, and then leaves what was there as it was."""
    name = token_name(token, "operator")
    there = file_in(folder).exists()
    same = there and _is_same_person(folder, name, ca_pin)
    free = force or not there or same
    if not free and not _is_same_person(folder, name):
        raise UserError(f"there is a profile in {folder} already", _login_hint(folder))
    authority = await fetch_pinned_authority(url, ca_pin, "operator", clock())
    if not free and read_profile(folder).hub != authority_hub(authority):  # else its CA was replaced
        raise UserError(f"there is a profile in {folder} already", _login_hint(folder))
    create_folder(folder)
    made, key = create_key_request("operator", name), folder / "key.pem.joining"
    try:
        write_file(key, made.key)
        accepted = await redeem_token(url, authority, token, made, "operator", clock())
        profile = Profile(folder, name, f"wss://{parse_url(url)}", accepted.joined.hub)
        with locked(profile):
            if same:  # programs that run with this profile meanwhile have one login or the other
                profile.credential.replace(made.key, accepted.joined.certificate, accepted.validity)
            else:
                file_in(folder).unlink(missing_ok=True)
                profile.credential.install(made.key, accepted.joined.certificate, accepted.authority, accepted.validity)
            write_file(file_in(folder), profile.to_bytes())
    finally:
        key.unlink(missing_ok=True)
    return profile


def _is_same_person(folder: Path, name: str, ca_pin: str = "") -> bool:
    """Whether the profile is already this person's, with `ca_pin` at a hub with this authority: then a login only
    brings it up to date.
    """
    try:
        before = read_profile(folder)
        known = not ca_pin or has_pin(before.credential.authority.read_bytes(), ca_pin)
        return before.name == name and known
    except (UserError, OSError, ValueError):
        return False


def _login_hint(folder: Path) -> str:
    cure = "give --force to replace it, or name another folder with --profile"
    try:
        before = read_profile(folder)
    except UserError:
        return cure
    return f"it is {before.name}'s of hub {before.hub}; {cure}"
