"""Later defaults merged into an edited policy file: three-way, a table at a time, as text. Pure.

    base     the defaults that the file was made from, or None where nobody knows them any more
    mine     the file as it is
    theirs   the defaults of this version

A table that nobody touched becomes theirs; one that only people touched stays; one that both changed stays as people
have it, and is a conflict that is told with both texts. What people took out stays out. Comments belong to the table
below them, and order is kept: a new table goes behind the one that it follows in the defaults.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_HEADER: Final = re.compile(r"^\s*(\[{1,2})\s*([A-Za-z0-9_.\"'-]+)\s*\]{1,2}\s*(?:#.*)?$")
_ID: Final = re.compile(r"""^\s*id\s*=\s*["']([^"']*)["']""")
HEAD: Final = "the beginning of the file"


@dataclass(frozen=True, slots=True)
class Block:
    """A table of the file with the comments above it; sub-tables of a [[rule]] belong to it."""

    name: str  # "rule disk-free", "types.count", "environment"
    text: str  # whole lines

    @property
    def sense(self) -> str:
        """What counts when two are compared: nobody cares for blanks at the ends of lines and between tables."""
        return "\n".join(line.rstrip() for line in self.text.strip().splitlines())


@dataclass(frozen=True, slots=True)
class Conflict:
    """A table that both have changed, or that people took out and that changed since."""

    name: str
    mine: str  # "" where it was taken out
    theirs: str  # "" where the defaults have it no more


@dataclass(frozen=True, slots=True)
class Merged:
    """`text` is the file to be; each name stands in at most one of the others."""

    text: str
    updated: tuple[str, ...]  # untouched tables that have the new text
    added: tuple[str, ...]
    removed: tuple[str, ...]  # untouched tables that the defaults have no more
    conflicts: tuple[Conflict, ...]


def split_blocks(text: str) -> list[Block]:
    """The file's tables in their order; the first one, HEAD, is what stands before them all. Two tables of one name are
    told apart by a number.
    """
    lines = text.splitlines(keepends=True)
    starts = [(number, _name(lines, number)) for number in range(len(lines)) if _begins(lines[number])]
    blocks, names = list[Block](), dict[str, int]()
    edges = [(_with_comments(lines, number), name) for number, name in starts]
    for index, (start, name) in enumerate([(0, HEAD), *edges]):
        end = edges[index][0] if index < len(edges) else len(lines)
        names[name] = names.get(name, 0) + 1
        unique = name if names[name] == 1 else f"{name} ({names[name]})"
        blocks.append(Block(unique, "".join(lines[start:end])))
    return blocks


def _begins(line: str) -> bool:
    """Whether a table of its own begins here; [rule.options] goes on with the rule above it."""
    found = _HEADER.match(line)
    return found is not None and not (found[1] == "[" and found[2].split(".")[0] in ("rule", "deny"))


def _name(lines: Sequence[str], number: int) -> str:
    found = _HEADER.match(lines[number])
    assert found is not None  # noqa: S101 - `_begins` was asked
    if found[1] == "[":
        return found[2]
    for line in lines[number + 1 :]:
        if (given := _ID.match(line)) is not None:
            return f"{found[2]} {given[1]}"
        if _HEADER.match(line):
            break
    return found[2]


def _with_comments(lines: Sequence[str], number: int) -> int:
    """Where the comments directly above a table begin; what is before a blank line is the table's above."""
    while number > 0 and lines[number - 1].lstrip().startswith("#"):
        number -= 1
    return number


def merge(base: str | None, mine: str, theirs: str) -> Merged:
    """The defaults' changes in the people's file. Without a base a table that differs is a conflict, since nobody can
    say who changed it, and one that people do not have counts as new.
    """
    before = {block.name: block for block in split_blocks(base)} if base is not None else None
    ours, defaults = split_blocks(mine), split_blocks(theirs)
    new = {block.name: block for block in defaults}
    kept, updated, removed, conflicts = list[Block](), list[str](), list[str](), list[Conflict]()
    for block in ours:
        choice = _choose(block, before, new.get(block.name))
        if isinstance(choice, Conflict):
            conflicts.append(choice)
            kept.append(block)
        elif choice is None:
            removed.append(block.name)
        else:
            kept.append(choice)
            if choice.sense != block.sense:
                updated.append(block.name)
    added = _add_new(kept, defaults, {block.name for block in ours}, before, conflicts)
    text = "".join(block.text if block.text.endswith("\n") else f"{block.text}\n" for block in kept if block.text)
    return Merged(text, tuple(updated), tuple(added), tuple(removed), tuple(conflicts))


def _choose(mine: Block, before: Mapping[str, Block] | None, theirs: Block | None) -> Block | Conflict | None:
    """What becomes of a table that people have; None where it goes."""
    if theirs is not None and theirs.sense == mine.sense:
        return mine
    if before is None:
        return mine if theirs is None else Conflict(mine.name, mine.text, theirs.text)
    was = before.get(mine.name)
    if was is None:
        return mine if theirs is None else Conflict(mine.name, mine.text, theirs.text)
    if was.sense == mine.sense:
        return theirs
    if theirs is not None and was.sense == theirs.sense:
        return mine
    return Conflict(mine.name, mine.text, theirs.text if theirs is not None else "")


def _add_new(
    kept: list[Block],
    defaults: Sequence[Block],
    mine: set[str],
    before: Mapping[str, Block] | None,
    conflicts: list[Conflict],
) -> list[str]:
    """Puts the defaults' new tables into `kept`, each behind the one that it follows there; their names."""
    added: list[str] = []
    place = 0
    for block in defaults:
        at = next((index for index, one in enumerate(kept) if one.name == block.name), None)
        if at is not None:
            place = at + 1
            continue
        if block.name in mine:
            continue  # it goes, or is a conflict already
        was = (before or {}).get(block.name)
        if was is not None:
            if was.sense != block.sense:
                conflicts.append(Conflict(block.name, "", block.text))
            continue  # taken out by people
        kept.insert(place, block if block.text.endswith("\n\n") else Block(block.name, f"{block.text.rstrip()}\n\n"))
        place += 1
        added.append(block.name)
    return added
