"""Cuts the rules that only read out of the hub's default policy, as the profile `read-only` of a machine:
`python tests/update_read_only.py` writes common/defaults/agent-read-only.toml.

One source: what the hub allows without a yes is what a machine allows by itself. Rules that ask or deny stay behind,
with the types and programs that only they use; denials come along. `tests/agent/test_machine_policy.py` holds the file
to it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "hub" / "defaults" / "policy.toml"
TARGET = ROOT / "common" / "defaults" / "agent-read-only.toml"
HEAD = """\
# Written by tests/update_read_only.py from hub/defaults/policy.toml: what a machine lets a hub do where nobody allowed
# more. Only what reads is here. A machine's policy.toml names it as its profile "read-only" and adds to it.

"""
ANYWHERE = {"roles", "agents", "labels"}
"""Keys of a rule that mean nothing on a machine."""


def read_only(policy: str) -> str:
    """The profile's text from the policy's; raises ValueError where a rule that allows is not for everybody."""
    kept: list[str] = []
    for block in _blocks(policy[policy.index('default = "deny"') :]):
        header = next((line for line in block.splitlines() if line.startswith("[")), "")
        if header == "[[rule]]" and not re.search(r'(?m)^verdict = "allow"$', block):
            heading = re.findall(r"(?m)^# ---- .*-$", block)
            kept += [f"{line}\n\n" for line in heading]
            continue
        if header == "[[rule]]" and ANYWHERE & set(re.findall(r"(?m)^(\w+) =", block)):
            raise ValueError(f"for some people or machines only: {block}")
        kept.append(block)
    return HEAD + re.sub(r"\n{3,}", "\n\n", "".join(_used(kept)).strip()) + "\n"


def _blocks(text: str) -> Iterator[str]:
    """Each top-level table with the comment above it and the tables below it."""
    lines = text.splitlines(keepends=True)
    headers = [
        index
        for index, line in enumerate(lines)
        if re.match(r"\[", line) and not re.match(r"\[(?:rule|programs\.[\w-]+)\.[\w\".]+\]", line)
    ]
    starts = [0]
    for index in headers:
        while lines[index - 1].startswith("#") or (lines[index - 1] == "\n" and lines[index - 2].startswith("# ----")):
            index -= 1
        starts.append(index)
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield "".join(lines[start:end])


def _used(blocks: list[str]) -> Iterator[str]:
    """Without the tables [programs.NAME] and [types.NAME] that nothing names any more."""
    for block in blocks:
        match = re.search(r"(?m)^\[(?:programs|types)\.([\w-]+)\]$", block)
        if match is None or any(f'"{match[1]}"' in other for other in blocks if other is not block):
            yield block


def main() -> None:
    TARGET.write_text(read_only(SOURCE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
