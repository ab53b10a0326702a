"""tui.client.profile: where it is, what it says, and how to get one that is sound."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

import tui.cli.main
from common.errors import UserError
from common.files import write_file
from tests.common.fake_hub import FakeHub
from tests.forked import NOBODY, Setting, run_forked
from tests.tui.profiles import create_profile
from tui.client.profile import PROFILE_VARIABLE, Profile, default_path, file_in, read_profile


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    """alice's, of hub h1 at port 8443."""
    hub = FakeHub(tmp_path / "hub")
    hub.port = 8443
    return create_profile(hub, tmp_path / "profile")


def test_what_was_written_is_read(profile: Profile) -> None:
    """Name, address and hub; the folder is absolute, whatever was given."""
    assert (profile.name, profile.url, profile.hub) == ("alice", "wss://127.0.0.1:8443", "h1")
    assert profile.path.is_absolute()
    assert read_profile(profile.path) == profile


def test_the_default_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """$ANSWERBACK_PROFILE, else under $XDG_CONFIG_HOME, else under ~/.config."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv(PROFILE_VARIABLE, raising=False)
    assert default_path() == tmp_path / ".config" / "answerback"
    monkeypatch.setenv("XDG_CONFIG_HOME", "/xdg")
    assert default_path() == Path("/xdg/answerback")
    monkeypatch.setenv(PROFILE_VARIABLE, "/mine")
    assert default_path() == Path("/mine")


def test_without_a_profile_one_is_told_how_to_get_it(tmp_path: Path) -> None:
    """The folder is named, and both ways out."""
    with pytest.raises(UserError, match=r"there is no profile in .*none: .*operator add.*--profile"):
        read_profile(tmp_path / "none")


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("name = ", "names = ", "names: unknown key"),
        ('"alice"', '"../alice"', "name: not a name"),
        ('"h1"', '"h 1"', "hub: not a name"),
        ("wss:", "https:", "does not begin with wss://"),
        ("8443", "843333", "url is not an address"),
        ("url = ", "#", "url: missing"),
    ],
)
def test_a_profile_that_is_off_is_named(before: str, after: str, words: str, profile: Profile) -> None:
    """Each mistake with the file and the key."""
    file = file_in(profile.path)
    write_file(file, file.read_text().replace(before, after).encode())
    with pytest.raises(UserError, match=words) as raised:
        read_profile(profile.path)
    assert str(file) in str(raised.value)


@pytest.mark.parametrize("name", ["key.pem", "cert.pem", "ca.pem"])
def test_a_missing_file_is_named(name: str, profile: Profile) -> None:
    """With how to get another."""
    (profile.path / name).unlink()
    with pytest.raises(UserError, match=rf"{name}.*operator add"):
        read_profile(profile.path)


def test_a_key_that_others_can_read_is_refused(profile: Profile) -> None:
    """The command that mends it is told."""
    profile.credential.key.chmod(0o604)
    with pytest.raises(UserError, match="chmod 600"):
        read_profile(profile.path)


def test_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user whom the system does not know: how to name a folder, and no traceback."""

    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("XDG_CONFIG_HOME", PROFILE_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", unknown)
    with pytest.raises(UserError, match=r"no home folder: name one with --profile or \$ANSWERBACK_PROFILE"):
        default_path()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
def test_a_profile_in_a_folder_of_another_user() -> None:
    """What this user may not read is said, and how the admin gets it."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        words = ["--profile", f"{folder}/profile", "agents"]
        ended = run_forked(tui.cli.main.main, words, Setting({"PATH": "/usr/bin:/bin"}, user=NOBODY))
    assert ended.status == 2
    assert f"{folder}/profile is not this user's to read" in ended.err
    assert "sudo answerback-hub operator profile" in ended.err
