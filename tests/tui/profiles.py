"""Profiles of people at a hub that the test plays by hand (tests/common/fake_hub.py)."""

from __future__ import annotations

from pathlib import Path

from common.files import write_file
from tests.common.fake_hub import FakeHub
from tui.client.profile import Profile, file_in, read_profile


def create_profile(
    hub: FakeHub, folder: Path, name: str = "alice", *, now: float | None = None, lifetime: float | None = None
) -> Profile:
    """What `login` leaves in `folder`; the hub must be serving, so that its port is known."""
    hub.create_credential(folder, name, kind="operator", now=now, lifetime=lifetime)
    write_file(file_in(folder), Profile(folder, name, hub.url, hub.hub_id).to_bytes())
    return read_profile(folder)
