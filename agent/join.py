"""`answerback-agent join`: the enrolment of `common/link/enrolment.py`, with the state folder around it.

The key and a trial file are on disk before the token is sent, since a token is good for one use; `agent.toml` is
written last, since its presence is what "joined" means.

A machine that joins again, under its name and at its hub, needs nothing else and may be at work: a running uplink takes
the new identity up within seconds, jobs run on, journal and policy stay. Another name or another hub needs `--force`,
and the uplink stopped. Joining is a person's word that this state folder goes on where it is: one that is a copy, or
was moved, is served again after it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from agent.machine_policy import READ_ONLY, check_profile, new_file
from agent.place import leave_word
from agent.state import StateFolder, moved_here_file
from common.errors import UserError, WorkFailed
from common.files import create_folder, write_file
from common.identity.certificates import authority_hub
from common.identity.csr import KeyAndRequest, create_key_request
from common.identity.trust import has_pin
from common.link.enrolment import Enrolment, fetch_pinned_authority, redeem_token, token_name
from common.link.messages import Joined
from common.text import toml_string


async def join(
    url: str,
    token: str,
    ca_pin: str,
    state: StateFolder,
    *,
    force: bool = False,
    profile: str = READ_ONLY,
    wall: Callable[[], float] = time.time,
) -> Joined:
    """Joins this machine to the hub at `url` and returns the hub's answer; prints nothing. Raises UserError.

    `profile` is what the machine's own policy begins with (`agent.machine_policy`); one that is there already stays.
    """
    check_profile(profile)
    name = token_name(token, "agent")
    again = _is_same_machine(state, name, ca_pin)
    if not again and not force:
        _check_free(state, name)
    authority = await fetch_pinned_authority(url, ca_pin, "agent", wall())
    if not again and _is_of_hub(state, authority_hub(authority)):
        again = state.settings().name == name  # its CA was replaced
    if not again and not force:
        _check_free(state)
    _make_folders(state)
    lock = None if again else state.acquire_lock()
    try:
        key_request = _create_key_request(state, name)
        accepted = await redeem_token(url, authority, token, key_request, "agent", wall())
        _check_job_keys(accepted.joined)
        with state.hold_credential():
            _write_state(state, url, accepted, key_request, profile)
    finally:
        _pending_key_path(state).unlink(missing_ok=True)
        if lock is not None:
            os.close(lock)
    return accepted.joined


def _is_same_machine(state: StateFolder, name: str, ca_pin: str) -> bool:
    """Whether the folder has joined already under this name, at a hub with this authority."""
    try:
        return state.settings().name == name and has_pin(state.credential.authority.read_bytes(), ca_pin)
    except (UserError, OSError, ValueError):
        return False


def _check_free(state: StateFolder, name: str = "") -> None:
    """Raises UserError where the folder has joined, under another name than this one."""
    if state.is_joined() and (settings := state.settings()).name != name:
        cure = f"it is {settings.name} of hub {settings.hub}; give --force to replace that"
        raise UserError(f"{state.path} has joined already", cure)


def _check_job_keys(joined: Joined) -> None:
    if not joined.job_keys or any(len(key) != 32 for key in joined.job_keys.values()):
        raise WorkFailed("the hub's answer has no keys to check orders with", "tell the hub's operator")


# ---- the files


def _pending_key_path(state: StateFolder) -> Path:
    return state.uplink / "key.pem.joining"


def _make_folders(state: StateFolder) -> None:
    create_folder(state.path, 0o755)
    for folder in (state.uplink, state.runner, state.run):
        create_folder(folder)


def _create_key_request(state: StateFolder, name: str) -> KeyAndRequest:
    """The key on disk before anything is sent, and a trial in the other folder: a full disk must not cost a token."""
    key_request = create_key_request("agent", name)
    write_file(_pending_key_path(state), key_request.key)
    trial = state.runner / ".joining"
    write_file(trial, b"")
    trial.unlink()
    return key_request


def _is_of_hub(state: StateFolder, hub: str) -> bool:
    """Whether this folder was joined to that hub before."""
    try:
        return state.settings().hub == hub
    except UserError:
        return False


def _write_state(state: StateFolder, url: str, enrolment: Enrolment, key_request: KeyAndRequest, profile: str) -> None:
    joined = enrolment.joined
    if not _is_of_hub(state, joined.hub):
        state.hub_position.unlink(missing_ok=True)  # what another hub told means nothing to this one
    state.settings_file.unlink(missing_ok=True)  # until the last line the folder does not count as joined
    trust = {"name": joined.name, "hub": joined.hub, "job_keys": {i: k.hex() for i, k in joined.job_keys.items()}}
    write_file(state.trust, json.dumps(trust, indent=1).encode() + b"\n")
    if not state.policy.exists():  # the machine's owner may have edited it
        write_file(state.policy, new_file(profile))
    for folder in (state.uplink, state.runner):
        leave_word(folder, moved_here_file(folder), "moved")
    state.credential.install(key_request.key, joined.certificate, enrolment.authority, enrolment.validity)
    lines = [
        f"{key} = {toml_string(value)}" for key, value in (("url", url), ("name", joined.name), ("hub", joined.hub))
    ]
    write_file(state.settings_file, ("\n".join(lines) + "\n").encode())
