"""hub.toml changed as text: a table more or a table less, and every other byte as it was. Pure.

What comes out is parsed and compared: it says exactly what it said before, and the one change. Where it would not (the
file has `inlets = {...}` on one line, say), nothing is changed and UserError says what to write by hand.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from common.errors import UserError

_HEADER: Final = re.compile(r"[ \t]*\[{1,2}[ \t]*(?P<name>[^\[\]]+?)[ \t]*\]{1,2}[ \t]*(?:#.*)?")


def add_table(text: str, group: str, name: str, lines: str) -> str:
    """`text` with the table `lines`, which begin with their header, after the last one of its group; else at its end.

    Raises UserError.
    """
    wanted = _parsed(text)
    tables = wanted.setdefault(group, {})
    if name in tables:
        raise UserError(f"there is [{group}.{name}] already", "choose another name, or change that table")
    tables[name] = _parsed(lines)[group][name]
    rows = text.split("\n")
    ends = [end for _, end, found in _tables(rows) if found.startswith(f"{group}.")]
    for at in (*ends[-1:], len(rows)):
        before, after = "\n".join(rows[:at]).rstrip("\n"), "\n".join(rows[at:]).lstrip("\n")
        made = f"{before}\n\n{lines.rstrip(chr(10))}\n" + (f"\n{after}" if after else "")
        if _says(made, wanted):
            return made
    raise UserError("the table does not fit into the file as it is written", f"write it there by hand:\n{lines}")


def remove_table(text: str, group: str, name: str) -> tuple[str, str]:
    """`text` without a table, and without the comment right above it; and what was taken out. Raises UserError."""
    wanted = _parsed(text)
    if name not in wanted.get(group, {}):
        known = ", ".join(sorted(wanted.get(group, {}))) or "none"
        raise UserError(f"there is no [{group}.{name}]", f"there are: {known}")
    del wanted[group][name]
    if not wanted[group]:
        del wanted[group]
    rows = text.split("\n")
    for start, end, found in _tables(rows):
        if found != f"{group}.{name}":
            continue
        before, after = "\n".join(rows[:start]).rstrip("\n"), "\n".join(rows[end:]).lstrip("\n")
        made = "\n\n".join(part for part in (before, after) if part)
        made = made if made.endswith("\n") else made + "\n"
        if _says(made, wanted):
            return made, "\n".join(rows[start:end]).strip("\n") + "\n"
    raise UserError(f"[{group}.{name}] cannot be cut out of the file as it is written", "take it out by hand")


def _tables(rows: list[str]) -> Iterator[tuple[int, int, str]]:
    """First and last-but-one line of each table with the comment above it, and its name without quotes. A comment
    behind a blank line belongs to no table.
    """
    found = [(at, match["name"]) for at, row in enumerate(rows) if (match := _HEADER.fullmatch(row.rstrip("\r")))]
    starts = []
    for at, _ in found:
        while at and rows[at - 1].lstrip().startswith("#"):
            at -= 1
        starts.append(at)
    for index, (header, name) in enumerate(found):
        most = starts[index + 1] if index + 1 < len(found) else len(rows)
        keys = [at for at in range(header, most) if rows[at].strip() and not rows[at].lstrip().startswith("#")]
        end = keys[-1] + 1
        while end < most and rows[end].strip():
            end += 1
        yield starts[index], end, re.sub(r"""[\s"']""", "", name)


def _parsed(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"not TOML: {error}", "mend the file first: answerback-hub check") from None


def _says(text: str, wanted: Mapping[str, Any]) -> bool:
    try:
        return tomllib.loads(text) == wanted
    except tomllib.TOMLDecodeError:
        return False
