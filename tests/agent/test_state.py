"""agent.state: what the folder says, strictly read, and whom it belongs to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.state import SOCKET_VARIABLE, AgentSettings, StateFolder
from common.errors import UserError
from common.files import create_folder, write_file

GOOD = 'url = "wss://hub.example.org:8443"\nname = "web-1"\nhub = "h1"\n'


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    """A folder with nothing but the uplink's sub-folder."""
    create_folder(tmp_path / "state" / "uplink")
    return StateFolder(tmp_path / "state")


def test_settings_are_what_join_wrote(state: StateFolder) -> None:
    """Address, name and hub come back."""
    write_file(state.settings_file, GOOD.encode())
    assert state.is_joined()
    assert state.settings() == AgentSettings("wss://hub.example.org:8443", "web-1", "h1")


def test_a_machine_that_has_not_joined_is_told_to(state: StateFolder) -> None:
    """The missing file is named, and the command that makes it."""
    assert not state.is_joined()
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
def test_settings_that_are_off_are_named(text: str, words: str, state: StateFolder) -> None:
    """Unknown and missing keys, wrong types and impossible values are refused with the file and the key."""
    write_file(state.settings_file, text.encode("latin-1"))
    with pytest.raises(UserError, match=words) as raised:
        state.settings()
    assert "agent.toml" in str(raised.value)


def test_the_socket_is_in_the_folder_or_where_it_is_said(state: StateFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """$ANSWERBACK_RUNNER_SOCKET has the say."""
    monkeypatch.delenv(SOCKET_VARIABLE, raising=False)
    assert state.socket == state.path / "run" / "runner.sock"
    monkeypatch.setenv(SOCKET_VARIABLE, "/run/answerback-runner/runner.sock")
    assert state.socket == Path("/run/answerback-runner/runner.sock")


def test_a_socket_path_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's bound of 107 bytes is told before it is met."""
    monkeypatch.delenv(SOCKET_VARIABLE, raising=False)
    folder = "/" + "x" * (107 - len("/" + "/run/runner.sock"))
    assert len(os.fspath(StateFolder(Path(folder)).socket)) == 107
    with pytest.raises(UserError, match="too long for a socket"):
        assert StateFolder(Path(folder + "x")).socket


def test_one_uplink_a_folder(state: StateFolder) -> None:
    """The second is refused with the first one's process id; after its end the folder is free."""
    lock = state.acquire_lock()
    with pytest.raises(UserError, match=rf"another uplink \(process {os.getpid()}\)"):
        state.acquire_lock()
    os.close(lock)
    os.close(state.acquire_lock())


def test_on_a_read_only_disk_the_socket_is_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Socket and log need a place that can be written; it is this state's own, the same for every process."""
    monkeypatch.delenv(SOCKET_VARIABLE, raising=False)
    state, other = StateFolder(tmp_path / "a"), StateFolder(tmp_path / "b")
    assert state.socket == tmp_path / "a" / "run" / "runner.sock"
    monkeypatch.setattr("agent.state.is_read_only", lambda _: True)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert state.socket.parent.parent == Path("/run")
    assert state.runner_log.parent == state.socket.parent != other.socket.parent
    assert StateFolder(tmp_path / "a").socket == state.socket
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    assert state.socket.parent.parent == Path("/run/user/1000")
    monkeypatch.setenv(SOCKET_VARIABLE, "/elsewhere/r.sock")
    assert state.socket == Path("/elsewhere/r.sock")
