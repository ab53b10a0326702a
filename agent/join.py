"""The first contact of a machine with its hub: what `common/joining.py` does, with this machine's folders around it.

The key and a trial file are on disk before the token is sent, since it is good for one use; `agent.toml` is written
last, since its presence is what "joined" means.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from agent.state import State
from common.certificate import KeyAndRequest, new_request
from common.errors import UserError, WorkFailed
from common.files import make_folder, write_file
from common.joining import Accepted, believe, exchange, name_in
from common.messages import Joined


async def join(
    url: str, token: str, ca_pin: str, state: State, *, force: bool = False, wall: Callable[[], float] = time.time
) -> Joined:
    """Joins this machine to the hub at `url`; raises UserError. Says nothing: the answer names machine and hub."""
    name = name_in(token, "agent")
    if state.joined() and not force:
        settings = state.settings()
        cure = f"it is {settings.name} of hub {settings.hub}; give --force to replace that"
        raise UserError(f"{state.path} has joined already", cure)
    authority = await believe(url, ca_pin, "agent", wall())
    _make_folders(state)
    lock = state.hold_lock()
    try:
        made = _prepare(state, name)
        accepted = await exchange(url, authority, token, made, "agent", wall())
        _check_job_keys(accepted.joined)
        _keep(state, url, accepted, made, authority)
    finally:
        _joining_key(state).unlink(missing_ok=True)
        os.close(lock)
    return accepted.joined


def _check_job_keys(joined: Joined) -> None:
    if not joined.job_keys or any(len(key) != 32 for key in joined.job_keys.values()):
        raise WorkFailed("the hub's answer has no keys to check orders with", "tell the hub's operator")


# ---- the files


def _joining_key(state: State) -> Path:
    return state.uplink / "key.pem.joining"


def _make_folders(state: State) -> None:
    make_folder(state.path, 0o755)
    for folder in (state.uplink, state.runner, state.run):
        make_folder(folder)


def _prepare(state: State, name: str) -> KeyAndRequest:
    """The key on disk before anything is sent, and a trial in the other folder: a full disk must not cost a token."""
    made = new_request("agent", name)
    write_file(_joining_key(state), made.key)
    trial = state.runner / ".joining"
    write_file(trial, b"")
    trial.unlink()
    return made


def _keep(state: State, url: str, accepted: Accepted, made: KeyAndRequest, authority: str) -> None:
    joined = accepted.joined
    state.settings_file.unlink(missing_ok=True)  # from here to the last line nobody mistakes this for a joined machine
    trust = {"name": joined.name, "hub": joined.hub, "job_keys": {i: k.hex() for i, k in joined.job_keys.items()}}
    write_file(state.trust, json.dumps(trust, indent=1).encode() + b"\n")
    if not state.policy.exists():  # the machine's owner may have edited it
        default = resources.files("common").joinpath("defaults", "agent-policy.toml")
        write_file(state.policy, default.read_bytes())
    state.credential.keep(made.key, joined.certificate, authority.encode(), accepted.validity)
    # A TOML basic string is a JSON string for the characters that names and addresses are made of.
    lines = [
        f"{key} = {json.dumps(value)}" for key, value in (("url", url), ("name", joined.name), ("hub", joined.hub))
    ]
    write_file(state.settings_file, ("\n".join(lines) + "\n").encode())
