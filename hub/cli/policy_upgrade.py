"""`answerback-hub policy upgrade`: this version's default rules merged into the policy file that people have edited.

Beside policy.toml stands policy.toml.base, the defaults that it was made from: `init` writes it, and each upgrade. A
hub that was set up before there was such a file has none; there a table that differs is a conflict.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from common.errors import UserError
from common.files import write_file
from common.policy.file import load_policy_bytes
from common.policy.merge import Merged, merge
from common.read_file import read_bytes


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What an upgrade does to the file."""

    file: Path
    before: str
    merged: Merged
    has_base: bool

    @property
    def changes(self) -> bool:
        return self.merged.text != self.before

    def diff(self) -> list[str]:
        """A unified diff of the file."""
        lines = self.before.splitlines(), self.merged.text.splitlines()
        return list(difflib.unified_diff(*lines, f"{self.file.name} (now)", f"{self.file.name} (merged)", lineterm=""))

    def to_json(self) -> dict[str, Any]:
        merged = self.merged
        return {
            "changes": self.changes,
            "updated": merged.updated,
            "added": merged.added,
            "removed": merged.removed,
            "conflicts": [{"table": one.name, "mine": one.mine, "defaults": one.theirs} for one in merged.conflicts],
            "base": self.has_base,
        }


def defaults() -> bytes:
    """The rules that `init` of this version writes."""
    return resources.files("hub").joinpath("defaults", "policy.toml").read_bytes()


def base_file(policy: Path) -> Path:
    return policy.with_name(f"{policy.name}.base")


def plan_upgrade(file: Path) -> Upgrade:
    """What would change; writes nothing. Raises UserError where the file, or what it would become, does not read."""
    mine = read_bytes(file, trusted=True)
    load_policy_bytes(mine, str(file))
    base = read_bytes(base_file(file), trusted=True).decode() if base_file(file).exists() else None
    before = mine.decode("utf-8-sig").replace("\r\n", "\n")
    merged = merge(base, before, defaults().decode())
    try:
        load_policy_bytes(merged.text.encode(), str(file))
    except UserError as error:
        raise UserError(
            f"the merged file would not read: {error.problem}", "nothing was changed; merge the defaults by hand"
        ) from None
    return Upgrade(file, before, merged, base is not None)


def apply(upgrade: Upgrade) -> Path:
    """Writes the merged file, whole or not at all, and remembers these defaults; the file from before is kept at the
    path returned.
    """
    old = upgrade.file.with_name(f"{upgrade.file.name}.before")
    mode = upgrade.file.stat().st_mode & 0o777
    write_file(old, upgrade.file.read_bytes(), mode)
    write_file(upgrade.file, upgrade.merged.text.encode(), mode)
    write_file(base_file(upgrade.file), defaults(), mode)
    return old
