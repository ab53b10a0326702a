"""hub.cli.approver_pins: approvers' keys in the one command that joins a machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.approvers import parse_approver
from common.errors import UserError
from hub.chat.inlets import load_config
from hub.cli.approver_pins import FILE, MAX_PINS, note_of, pins_of, with_pins
from hub.cli.init import init
from hub.config import HubConfig
from tests.software_authenticator import SoftwareAuthenticator


@pytest.fixture
def config(tmp_path: Path) -> HubConfig:
    """A hub made by `init`."""
    return load_config(init(tmp_path / "hub", now=1.0, admin="alice").folder.config)


BOB, ANN = "ab" * 32, "cd" * 32


def test_as_names_and_keys_or_as_files(config: HubConfig, tmp_path: Path) -> None:
    """Each key once; a passkey's line too; the hub's own file where nothing is given. The agent takes what is made."""
    line = SoftwareAuthenticator().passkey.line
    file = tmp_path / "keys"
    file.write_text(f"# ours\n\nann {ANN}  # her laptop\nbob {line}\n")
    assert pins_of(config, []) == []
    pins = pins_of(config, [f"bob:{BOB.upper()}", str(file), f"bob:{BOB}"])
    assert pins == [("bob", BOB), ("ann", ANN), ("bob", line)]
    (config.folder.path / FILE).write_text(f"ann {ANN}\n")
    assert pins_of(config, []) == [("ann", ANN)]
    assert pins_of(config, [f"bob:{BOB}"]) == [("bob", BOB)]
    made = with_pins({"command": "join"}, pins)
    words = str(made["command"]).split()
    assert words[0] == "join"
    assert words[1::2] == ["--approver"] * 3
    assert [parse_approver(word) for word in words[2::2]] == pins


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("bob", "a name and a key were expected"),
        (f"bob {BOB} more", "a name and a key were expected"),
        ("bob nonsense", "no person's name with a key"),
        (f"../bob {BOB}", "no person's name with a key"),
        (f"bob {BOB}\nann {BOB}", "one key is bob's and ann's"),
        ("\n".join(f"p{number} {number:064x}" for number in range(MAX_PINS + 1)), f"at most {MAX_PINS}"),
        ("x" * 20_000, "bytes"),
    ],
)
def test_what_is_none(config: HubConfig, tmp_path: Path, text: str, told: str) -> None:
    """Trust: told before an invitation is made; one key never makes two people."""
    file = tmp_path / "keys"
    file.write_text(text)
    with pytest.raises(UserError, match=told):
        pins_of(config, [str(file)])


def test_a_key_that_is_none(config: HubConfig, tmp_path: Path) -> None:
    """Given in the command; and a file that is not there."""
    for given in (f"bob:{BOB}0", "bob:", str(tmp_path / "missing")):
        with pytest.raises(UserError):
            pins_of(config, [given])


def test_what_is_said_beside_it(config: HubConfig) -> None:
    """Who pastes it vouches for the keys; where rules are critical and there are none, what follows and what to do."""
    assert "the keys of ann, bob: compare them" in note_of(config, [("bob", BOB), ("ann", ANN)])
    assert note_of(config, []) == ""
    policy = config.policy.file
    rule = '\n[[rule]]\nid = "mark"\nabout = "x"\nprogram = "/usr/bin/mark"\nverdict = "ask"\n'
    rule += "approvers = 2\ncritical = true\n"
    policy.write_text(policy.read_text() + rule)
    assert "rules are critical here (mark)" in note_of(config, [])
    assert "answerback whoami --approval-key" in note_of(config, [])
    policy.write_text("nonsense")
    assert note_of(config, []) == ""
