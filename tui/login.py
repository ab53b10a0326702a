"""A person's first contact with a hub: what `common/joining.py` does, with the profile's folder around it.

The key is on disk before the token is sent, since that is good for one use; `profile.toml` is written last.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from common.certificate import new_request
from common.config import parse_url
from common.errors import UserError
from common.files import make_folder, write_file
from common.joining import believe, exchange, name_in
from tui.profile import Profile, file_in, read_profile
from tui.renewal import locked


async def login(
    url: str, token: str, ca_pin: str, folder: Path, *, force: bool = False, wall: Callable[[], float] = time.time
) -> Profile:
    """Makes the profile in the absolute `folder`; raises UserError, and then leaves what was there as it was."""
    name = name_in(token, "operator")
    if file_in(folder).exists() and not force:
        raise UserError(f"there is a profile in {folder} already", _cure(folder))
    authority = await believe(url, ca_pin, "operator", wall())
    make_folder(folder)
    made, key = new_request("operator", name), folder / "key.pem.joining"
    try:
        write_file(key, made.key)
        accepted = await exchange(url, authority, token, made, "operator", wall())
        profile = Profile(folder, name, f"wss://{parse_url(url)}", accepted.joined.hub)
        with locked(profile):
            file_in(folder).unlink(missing_ok=True)
            profile.credential.keep(made.key, accepted.joined.certificate, authority.encode(), accepted.validity)
            write_file(file_in(folder), profile.to_bytes())
    finally:
        key.unlink(missing_ok=True)
    return profile


def _cure(folder: Path) -> str:
    cure = "give --force to replace it, or name another folder with --profile"
    try:
        before = read_profile(folder)
    except UserError:
        return cure
    return f"it is {before.name}'s of hub {before.hub}; {cure}"
