"""Which machines there are, and which of them an expression means. Pure.

An expression is one of

    web-1               a name; case is ignored where that leaves one machine
    web-*  db-?         a pattern over names: `*` any characters, `?` one
    *                   every machine; said, never assumed
    role=web,env=prod   labels, all of which must fit
    web-1,db-*          a list of names and patterns

A list of labels narrows and a list of names widens, so the two do not mix in one expression. Every part must find a
machine: an empty set is refused, and never means all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from typing import Final

from common.catalogue import Sentence
from common.command.lookalikes import find_suspicious, with_oddity
from common.ids import is_label_value, is_name
from common.machine.absence import Absence
from common.text import clean

MAX_TARGETS: Final = 1_000
MAX_SELECTOR: Final = 8_192
MAX_PARTS: Final = MAX_TARGETS
MAX_SEARCHES: Final = 16  # patterns or labels: each looks at every machine
MAX_QUOTED: Final = 80  # characters of what a person wrote, in an answer
ALL_WORDS: Final = frozenset({"all", "any", "every", "everything", "所有", "全部"})
"""Words that look like "all of them" and are not taken as that; the answer tells how to say it."""
MAX_SUGGESTIONS: Final = 3  # suggestions in an answer
SUGGESTION_POOL: Final = 500  # names compared for them: comparing is slow, and a hub has many


@dataclass(frozen=True, slots=True)
class Machine:
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    online: bool = False
    paused: str = ""  # who paused it; "" where nobody did
    facts: Mapping[str, str] = field(default_factory=dict)
    away: Absence | None = None  # why it is not here


@dataclass(frozen=True)
class Inventory:
    """The machines that may be meant, by name; and the states of those that are known and may not be."""

    machines: Mapping[str, Machine] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def by_casefold(self) -> dict[str, tuple[str, ...]]:
        """Lower-case name -> the names that it may mean."""
        found: dict[str, tuple[str, ...]] = {}
        for name in self.machines:
            found[name.casefold()] = (*found.get(name.casefold(), ()), name)
        return found


class NoTarget(Exception):
    """An expression that means no machine, or not clearly which. `written` is the part that is at fault, where one is:
    a character in it that is not what it seems is named.
    """

    def __init__(self, sentence: Sentence, written: str = "") -> None:
        super().__init__(sentence)
        oddity = find_suspicious(written)
        self.sentence = sentence if oddity is None else with_oddity(sentence, oddity)

    def __str__(self) -> str:
        return str(self.sentence)


def resolve(selector: str, inventory: Inventory, limit: int = MAX_TARGETS) -> tuple[str, ...]:
    """The names that `expression` means, sorted, never empty, at most `limit`; raises NoTarget."""
    parts = [part.strip() for part in selector.split(",")]
    if not any(parts):
        raise NoTarget(Sentence("target_empty"))
    if len(selector) > MAX_SELECTOR or len(parts) > MAX_PARTS:
        raise NoTarget(Sentence("target_too_long", {"limit": MAX_PARTS}))
    if not all(parts):
        raise NoTarget(Sentence("target_gap", {"expression": clean(selector, limit=MAX_QUOTED)}))
    if not inventory.machines:
        raise NoTarget(Sentence("target_no_machines"))
    labels = [part for part in parts if "=" in part]
    if len(labels) > MAX_SEARCHES or sum(map(_is_pattern, parts)) > MAX_SEARCHES:
        raise NoTarget(Sentence("target_too_many_searches", {"limit": MAX_SEARCHES}))
    if labels and len(labels) < len(parts):
        raise NoTarget(Sentence("target_mixed", {"expression": clean(selector, limit=MAX_QUOTED)}))
    if labels:
        found = _by_labels(labels, inventory)
    else:
        found = {name for part in parts for name in _by_name(part, inventory)}
    if len(found) > limit:
        raise NoTarget(Sentence("target_too_many", {"count": len(found), "limit": limit}))
    return tuple(sorted(found))


def is_selector_part(part: str) -> bool:
    """Whether one part of an expression is of the form: a name, a pattern, or a label; the machine need not exist."""
    key, equals, value = part.partition("=")
    if equals:
        return is_label_value(key) and is_label_value(value)
    return is_name(part) or (_is_pattern(part) and _PATTERN.fullmatch(part) is not None)


def nearest(name: str, names: Iterable[str]) -> list[str]:
    """Up to `MAX_SUGGESTIONS` names that look like `name`, the most alike first."""
    wanted = name.casefold()
    pool = [other for other in names if other[:1].casefold() == wanted[:1] or len(other) == len(name)]
    by_folded = {other.casefold(): other for other in pool[:SUGGESTION_POOL]}
    return [by_folded[folded] for folded in get_close_matches(wanted, by_folded, MAX_SUGGESTIONS)]


_PATTERN: Final = re.compile(r"[A-Za-z0-9._*?-]{1,64}", re.ASCII)


def _is_pattern(word: str) -> bool:
    return "*" in word or "?" in word


def _by_labels(conditions: list[str], inventory: Inventory) -> set[str]:
    wanted = []
    for condition in conditions:
        key, _, value = condition.partition("=")
        if not is_label_value(key) or not is_label_value(value):
            raise NoTarget(Sentence("target_label_form", {"label": clean(condition, limit=MAX_QUOTED)}), condition)
        wanted.append((key, value))
    machines = inventory.machines.values()
    found = {one.name for one in machines if all(one.labels.get(key) == value for key, value in wanted)}
    if found:
        return found
    for key, value in wanted:
        known = sorted({one.labels[key] for one in machines if key in one.labels})
        if not known:
            keys = sorted({key for one in machines for key in one.labels})
            raise NoTarget(Sentence("target_label_key", {"key": key, "known": _join_names(keys)}))
        if value not in known:
            raise NoTarget(Sentence("target_label_value", {"label": f"{key}={value}", "known": _join_names(known)}))
    raise NoTarget(Sentence("target_labels_none", {"labels": ", ".join(conditions)}))


def _by_name(part: str, inventory: Inventory) -> Iterable[str]:
    if _is_pattern(part):
        return _by_pattern(part, inventory)
    if part in inventory.machines:
        return (part,)
    alike = inventory.by_casefold.get(part.casefold(), ())
    if len(alike) == 1:
        return alike
    if alike:
        raise NoTarget(
            Sentence("target_ambiguous", {"name": clean(part, limit=MAX_QUOTED), "names": _join_names(sorted(alike))})
        )
    if part.casefold() in ALL_WORDS:
        raise NoTarget(Sentence("target_every"))
    if part in inventory.absent:
        key = "target_revoked" if inventory.absent[part] == "revoked" else "target_never_joined"
        raise NoTarget(Sentence(key, {"name": part}))
    near = nearest(part, inventory.machines)
    if near:
        values = {"name": clean(part, limit=MAX_QUOTED), "near": _join_names(near)}
        raise NoTarget(Sentence("target_unknown_near", values), part)
    raise NoTarget(Sentence("target_unknown", {"name": clean(part, limit=MAX_QUOTED)}), part)


def _by_pattern(part: str, inventory: Inventory) -> list[str]:
    if _PATTERN.fullmatch(part) is None:
        raise NoTarget(Sentence("target_pattern_form", {"pattern": clean(part, limit=MAX_QUOTED)}), part)
    for flags in (re.NOFLAG, re.IGNORECASE):  # a telephone's keyboard begins with a capital
        matches = re.compile(_glob(part), flags).fullmatch
        if found := [name for name in inventory.machines if matches(name)]:
            return found
    raise NoTarget(Sentence("target_pattern_none", {"pattern": clean(part, limit=MAX_QUOTED)}))


def _glob(pattern: str) -> str:
    """The pattern as a regular expression that cannot backtrack: each piece between two `*` is found once, leftmost."""
    first, *rest = [
        "".join("." if char == "?" else re.escape(char) for char in piece) for piece in re.split(r"\*+", pattern)
    ]
    if not rest:
        return first
    *middle, last = rest
    return first + "".join(f"(?>.*?{piece})" for piece in middle) + ".*" + last


def _join_names(names: list[str], most: int = 10) -> str:
    """Names for a sentence; never a thousand of them."""
    more = f" … (+{len(names) - most})" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def sample_machine(inventory: Inventory) -> str:
    """A machine for an example: one that is online, if any is."""
    names = (name for name, machine in inventory.machines.items() if machine.online)
    return next(names, "") or next(iter(inventory.machines), "")
