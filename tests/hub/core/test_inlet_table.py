"""hub.core.inlet_table: the keys of every inlet, and which of them are secret files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from common.config import required, setting
from hub.core.inlet_table import InletTable, inlet_secret_files


@dataclass(frozen=True, slots=True, kw_only=True)
class Two(InletTable):
    """A platform with a second secret, and one that may be left out."""

    token_file: Path = required("The bot's token.")
    other_file: Path | None = setting(None, "Another one.")
    api_url: str = setting("https://x.example", "Where its API is.")


def test_secret_files_are_the_keys_that_end_with_file(tmp_path: Path) -> None:
    """Those that are set, in order; a backup and the check of permissions go by this list."""
    inlet = Two("two", tmp_path / "a", token_file=tmp_path / "b")
    assert list(inlet_secret_files(inlet)) == [("secret_file", tmp_path / "a"), ("token_file", tmp_path / "b")]
    assert "secrets=" not in repr(inlet)
