"""hub.cli.inlet_setup: which keys are asked for, and what is typed for them; whole set-ups in test_inlets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from common.config import required, setting
from common.errors import UserError
from hub.chat.platforms.base import PlatformKind
from hub.chat.platforms.generic import GenericPlatform
from hub.cli.inlet_setup import keys_of, pairs_of, setup_steps, terminal_language
from hub.core.inlet_table import InletTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Table(InletTable):
    """A platform with one key of each kind."""

    token_file: Path = required("The bot's token.")
    more_file: Path | None = setting(None, "Another secret.")
    room: str = required("Which room.")
    api_url: str = setting("https://x.example", "Where its API is.")


KIND = PlatformKind(
    "own", "Own", Table, lambda table: GenericPlatform(table.secrets), setup=(("Paste {url}", "粘贴 {url}"),)
)


def test_what_is_needed_and_every_secret_is_asked_for() -> None:
    """A secret by what it is and not by its file; what has a default is not asked for."""
    asked = [(key.label, key.secret, key.needed) for key in keys_of(KIND)]
    assert asked == [("secret", True, True), ("token", True, True), ("more", True, False), ("room", False, True)]


def test_the_steps_have_the_address_and_the_language() -> None:
    """As the terminal's locale says."""
    assert setup_steps(KIND, "https://h/webhook/x", "en") == ["Paste https://h/webhook/x"]
    assert setup_steps(KIND, "u", "zh") == ["粘贴 u"]
    assert terminal_language({"LANG": "zh_CN.UTF-8"}) == "zh"
    assert terminal_language({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}) == "en"
    assert terminal_language({}) == "en"


def test_pairs_are_split_and_a_value_is_never_shown() -> None:
    """What is not KEY=VALUE may be a secret in the wrong place."""
    assert pairs_of("--set", ["a=b=c", "d="]) == [("a", "b=c"), ("d", "")]
    with pytest.raises(UserError) as caught:
        pairs_of("--set", ["hunter2"])
    assert "hunter2" not in str(caught.value)
