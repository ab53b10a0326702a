"""Approvers' keys in a machine's join command, so that it knows from the first moment whose own signatures count.

The command is pasted by a person, who vouches for what is in it: so the keys stand there whole, and the machine takes
none from the hub. They are given as `NAME:KEY`, or as files of the lines that `answerback whoami --approval-key`
prints; without any the file `approvers` in the hub's folder is read, where there is one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from common.errors import UserError
from common.ids import is_name
from common.key_change import is_key
from common.read_file import read_bytes
from hub.config import HubConfig
from hub.planning.watched_files import load_policy

MAX_PINS: Final = 16
"""Keys in one command, which people paste."""
MAX_FILE: Final = 16 * 1024
FILE: Final = "approvers"
HINT: Final = "write NAME:KEY, or a file of the lines that `answerback whoami --approval-key` prints to each person"


def pins_of(config: HubConfig, given: Sequence[str]) -> list[tuple[str, str]]:
    """Names and keys, each key once; raises UserError."""
    usual = config.folder.path / FILE
    found = [pin for one in given or ([str(usual)] if usual.exists() else []) for pin in _read(one)]
    owners: dict[str, str] = {}
    for name, key in found:
        if owners.setdefault(key, name) != name:
            raise UserError(f"--approver: one key is {owners[key]}'s and {name}'s", "one key is one person's")
    if len(owners) > MAX_PINS:
        raise UserError(f"--approver: {len(owners)} keys, at most {MAX_PINS}", "two people can add others from afar")
    return [(name, key) for key, name in owners.items()]


def _read(given: str) -> list[tuple[str, str]]:
    name, colon, key = given.partition(":")
    if colon and is_name(name):
        return [_pin(name, key, "--approver")]
    lines = read_bytes(Path(given), MAX_FILE).decode("utf-8", "replace").splitlines()
    wanted = [(number, line.split("#")[0].split()) for number, line in enumerate(lines, 1)]
    return [
        _pin(*_two(words, f"{given}: line {number}"), f"{given}: line {number}") for number, words in wanted if words
    ]


def _two(words: Sequence[str], where: str) -> tuple[str, str]:
    if len(words) != 2:
        raise UserError(f"{where}: a name and a key were expected", HINT)
    return words[0], words[1]


def _pin(name: str, key: str, where: str) -> tuple[str, str]:
    key = key if key.startswith("passkey:") else key.lower()
    if not is_name(name) or not is_key(key):
        raise UserError(f"{where}: that is no person's name with a key", HINT)
    return name, key


def with_pins(invitation: Mapping[str, object], pins: Sequence[tuple[str, str]]) -> dict[str, object]:
    """The invitation with the keys in its command."""
    more = "".join(f" --approver {name}:{key}" for name, key in pins)
    named = [{"name": name, "key": key} for name, key in pins]
    return {**invitation, "approvers": named, "command": f"{invitation['command']}{more}"}


def note_of(config: HubConfig, pins: Sequence[tuple[str, str]]) -> str:
    """What to say beside the command, "" where there is nothing: that whoever pastes it vouches for the keys, or that
    none are in it although rules want them.
    """
    if pins:
        people = ", ".join(sorted({name for name, _ in pins}))
        return f"it has the keys of {people}: compare them with these people, since the machine takes your word for it"
    try:
        critical = [rule.id for rule in load_policy(config.policy.file).rules if rule.critical]
    except UserError:
        return ""  # which `check` tells
    if not critical:
        return ""
    return (
        f"rules are critical here ({', '.join(critical[:3])}), and the command has nobody's key: the machine starts"
        f" none of that until somebody adds one there. Give --approver NAME:KEY, or write {config.folder.path / FILE}"
        " with the lines that `answerback whoami --approval-key` prints"
    )
