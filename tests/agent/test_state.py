"""agent.state: the folder's files, strictly read and durably written."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.state import SOCKET_VARIABLE, Settings, State, Validity, make_folder, parse_url, write_file
from common.errors import UserError

GOOD = 'url = "wss://hub.example.org:8443"\nname = "web-1"\nhub = "h1"\n'


@pytest.fixture
def state(tmp_path: Path) -> State:
    """A folder with nothing but the uplink's sub-folder."""
    make_folder(tmp_path / "state" / "uplink")
    return State(tmp_path / "state")


def test_settings_are_what_join_wrote(state: State) -> None:
    """Address, name and hub come back."""
    write_file(state.settings_file, GOOD.encode())
    assert state.joined()
    assert state.settings() == Settings("wss://hub.example.org:8443", "web-1", "h1")


def test_a_machine_that_has_not_joined_is_told_to(state: State) -> None:
    """The missing file is named, and the command that makes it."""
    assert not state.joined()
    with pytest.raises(UserError, match=r"uplink/agent\.toml is missing: run `answerback-agent join` first"):
        state.settings()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD + 'port = "8443"\n', "port: unknown key"),
        (GOOD.replace('name = "web-1"\n', ""), "name: missing"),
        (GOOD.replace('"web-1"', "3"), "name: "),
        (GOOD.replace("web-1", "../web"), "name: not a name"),
        (GOOD.replace('"h1"', '"h 1"'), "hub: not a name"),
        (GOOD.replace("wss:", "ws:"), "does not begin with wss://"),
        ("url = \n", "not TOML"),
        ("\xff", "not UTF-8"),
    ],
)
def test_settings_that_are_off_are_named(text: str, words: str, state: State) -> None:
    """Unknown and missing keys, wrong types and impossible values are refused with the file and the key."""
    write_file(state.settings_file, text.encode("latin-1"))
    with pytest.raises(UserError, match=words) as raised:
        state.settings()
    assert "agent.toml" in str(raised.value)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("wss://hub.example.org:8443", ("hub.example.org", 8443)),
        ("wss://hub.example.org:8443/", ("hub.example.org", 8443)),
        ("wss://10.0.0.1", ("10.0.0.1", 443)),
        ("wss://[fe80::1]:9", ("fe80::1", 9)),
    ],
)
def test_addresses_that_are_taken(url: str, place: tuple[str, int]) -> None:
    """Names and both kinds of addresses, with or without a port."""
    assert parse_url(url) == place


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hub:8443",
        "https://hub:8443",
        "ws://hub:8443",
        "wss://",
        "wss://hub:99999",
        "wss://hub:0",
        "wss://hub:x",
        "wss://user@hub:1",
        "wss://hub:1/path",
        "wss://hub:1?q",
        "wss://hub:1#f",
        "wss://hu b:1",
        "wss://hub\r\nX: y:1",
        "wss://[::1:8",
    ],
)
def test_addresses_that_are_not(url: str) -> None:
    """Anything but wss, a host and a port is refused with the form that is wanted."""
    with pytest.raises(UserError, match="wss://HOST:PORT"):
        parse_url(url)


@given(st.text())
def test_no_address_breaks_the_parser(text: str) -> None:
    """Whatever is given, the answer is a host and a port, or a UserError."""
    for url in (text, "wss://" + text):
        try:
            host, port = parse_url(url)
        except UserError:
            continue
        assert host
        assert 0 < port < 65_536


def test_the_socket_is_in_the_folder_or_where_it_is_said(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """$ANSWERBACK_RUNNER_SOCKET has the say."""
    monkeypatch.delenv(SOCKET_VARIABLE, raising=False)
    assert state.socket == state.path / "run" / "runner.sock"
    monkeypatch.setenv(SOCKET_VARIABLE, "/run/answerback-runner/runner.sock")
    assert state.socket == Path("/run/answerback-runner/runner.sock")


def test_a_socket_path_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's bound of 107 bytes is told before it is met."""
    monkeypatch.delenv(SOCKET_VARIABLE, raising=False)
    folder = "/" + "x" * (107 - len("/" + "/run/runner.sock"))
    assert len(os.fspath(State(Path(folder)).socket)) == 107
    with pytest.raises(UserError, match="too long for a socket"):
        assert State(Path(folder + "x")).socket


def test_files_are_private_whatever_the_umask(state: State) -> None:
    """0600 and 0700 under a umask that would hide or show more."""
    for mask in (0o000, 0o777):
        before = os.umask(mask)
        try:
            folder = state.path / f"made{mask:o}"
            make_folder(folder)
            write_file(folder / "key", b"secret")
        finally:
            os.umask(before)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "key").stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_root_gives_a_file_to_the_owner_of_its_folder(state: State) -> None:
    """What join writes as root can be read by the uplink's user."""
    os.chown(state.uplink, 12345, 12346)
    write_file(state.key, b"key")
    found = state.key.stat()
    assert (found.st_uid, found.st_gid) == (12345, 12346)


def test_a_failed_write_leaves_the_old_file(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is told of, and neither the file nor a temporary one is left half written."""
    write_file(state.key, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left on device"):
        write_file(state.key, b"new")
    assert state.key.read_bytes() == b"old"
    assert [path.name for path in state.uplink.iterdir()] == ["key.pem"]


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    """make_folder says what is in the way."""
    (tmp_path / "state").write_text("")
    with pytest.raises(UserError, match="is not a folder"):
        make_folder(tmp_path / "state")


@pytest.mark.parametrize("mode", [0o604, 0o666])
def test_a_key_that_others_can_read_is_refused(mode: int, state: State) -> None:
    """The mode is named with the command that mends it."""
    write_file(state.key, b"key")
    state.check_key()
    state.key.chmod(mode)
    with pytest.raises(UserError, match="chmod 600"):
        state.check_key()


def test_one_uplink_a_folder(state: State) -> None:
    """The second is refused with the first one's process id; after its end the folder is free."""
    lock = state.hold_lock()
    with pytest.raises(UserError, match=rf"another uplink \(process {os.getpid()}\)"):
        state.hold_lock()
    os.close(lock)
    os.close(state.hold_lock())


def test_validity_comes_back(state: State) -> None:
    """Generation and times are read as written."""
    write_file(state.validity_file, b'{"generation": 3, "not_before": 1.5, "not_after": 2.5}')
    assert state.validity() == Validity(3, 1.5, 2.5)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"generation": "x", "not_before": 1, "not_after": 2}', "[" * 900])
def test_a_generation_is_never_guessed(text: str, state: State) -> None:
    """Without a sound certificate.json the machine is told to join again: a wrong generation would lock it."""
    write_file(state.validity_file, text.encode())
    with pytest.raises(UserError, match=r"certificate\.json.*join again"):
        state.validity()
    state.validity_file.unlink()
    with pytest.raises(UserError, match=r"certificate\.json.*join again"):
        state.validity()
