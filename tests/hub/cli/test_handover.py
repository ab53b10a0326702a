"""answerback-hub operator profile: the admin's profile to its person."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import hub.cli.main
from common.errors import UserError
from hub.cli.handover import FILES, find_owner, hand_over
from tests.run_main import run_main


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A hub's folder with alice's profile."""
    folder = tmp_path / "hub"
    assert run_main(hub.cli.main.main, "init", str(folder), "--admin", "alice").code == 0
    return folder


def test_the_profile_is_moved(made: Path, tmp_path: Path) -> None:
    """All files, private, in a folder that is made; the old one is gone, so that there is one credential."""
    target = tmp_path / "home" / ".config" / "answerback"
    ended = run_main(hub.cli.main.main, "operator", "profile", "--to", str(target), "--config", str(made / "hub.toml"))
    assert ended.code == 0, ended.err
    assert f"alice's profile is now {target}" in ended.text
    assert sorted(path.name for path in target.iterdir()) == sorted(FILES)
    assert {path.stat().st_mode & 0o777 for path in target.iterdir()} == {0o600}
    assert target.stat().st_mode & 0o777 == 0o700
    assert not (made / "profile").exists()
    again = run_main(hub.cli.main.main, "operator", "profile", "--to", str(target), "--config", str(made / "hub.toml"))
    assert again.code == 2
    assert "operator add NAME --role admin" in again.err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_root_gives_it_to_the_account(made: Path, tmp_path: Path) -> None:
    """Files, and the folders that were made for them, belong to the account; those above keep their owner."""
    target = tmp_path / "home" / ".config" / "answerback"
    (tmp_path / "home").mkdir()
    hand_over(made / "profile", target, (65534, 65534))
    owners = {path.stat().st_uid for path in (target.parent, target, *target.iterdir())}
    assert (owners, (tmp_path / "home").stat().st_uid) == ({65534}, 0)


def test_a_profile_that_is_there_is_kept(made: Path, tmp_path: Path) -> None:
    """Nothing is replaced, and nothing is lost."""
    (tmp_path / "profile.toml").touch()
    with pytest.raises(UserError, match="has a profile already"):
        hand_over(made / "profile", tmp_path, None)
    assert (made / "profile" / "key.pem").exists()


def test_whose_it_is() -> None:
    """The account that was named, else whoever used sudo, else the one of the admin's name."""
    assert find_owner("root", "alice", "nobody").pw_name == "root"
    assert find_owner("", "no-such-admin", "nobody").pw_name == "nobody"
    assert find_owner("", "root", "").pw_name == "root"
    with pytest.raises(UserError, match="there is no account no-such on this machine"):
        find_owner("no-such", "root", "root")
    with pytest.raises(UserError, match="whose is it"):
        find_owner("", "no-such-admin", "")
