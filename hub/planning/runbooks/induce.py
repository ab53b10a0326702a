"""Derives a runbook from a plan: words that message and commands have in common become typed slots. Pure.

The message that led to the plan, or a phrase given with the proposal, becomes the example; the machines in it become
`{machine}`. A word of it that is also an argument, or the value of an option, becomes a slot whose type follows from
its form and position; sub-commands never do. The rest of the commands stays as it was approved: no other text gets into
a template.

The result is the TOML of one runbook. `hub.engine.runbook_drafts` checks whether it parses, clashes with others, and
leads to the same plan again.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from common.catalogue import Language, Sentence
from common.plan import Plan, Step
from common.text import toml_string
from hub.core.inventory import Inventory, NoTarget, is_selector_part, resolve
from hub.planning.runbooks.phrases import AND, EVERY, match_length
from hub.planning.runbooks.slots import MACHINE, NEVER_VALUES, SLOT_RANGES, RunbookSlot
from hub.planning.runbooks.tokens import MessageWord, join_words, tokenize

MAX_BODY: Final = 16 * 1024
"""Characters of a draft."""
_SLOT_NAMES: Final = {"int": "number", "word": "name"}
"""Names of slots, where they are not their type."""
_UNITS: Final = frozenset({"systemctl", "journalctl", "service"})
_SUFFIX: Final = re.compile(r".+\.(?:service|socket|timer|mount|target|path|slice)")
_SUFFIXED: Final = r"[A-Za-z0-9][A-Za-z0-9:_@-]{0,200}"
"""The pattern of a unit's name to which the command appends `.service`."""
_PORTS: Final = frozenset({"port", "ports", "-p", "--port", "口"})
_DOTTED: Final = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+", re.ASCII)


@dataclass(frozen=True, slots=True)
class DraftSlot:
    """A word that message and commands have in common."""

    slot: RunbookSlot
    pattern: str = ""
    suffix: str = ""  # what the command appends to it


@dataclass(frozen=True, slots=True)
class InducedRunbook:
    """A derived runbook, before `to_toml`."""

    name: str
    language: Language
    example: str
    steps: tuple[tuple[str, ...], ...]  # template arguments
    slots: tuple[DraftSlot, ...]
    changes: bool
    time_limit: int
    cwd: str


def induce_runbook(
    name: str,
    phrase: str,
    plan: Plan,
    inventory: Inventory,
    *,
    language: Language,
    changes: bool,
    subcommands: Collection[str] = (),
    never_values: Collection[str] = (),
) -> InducedRunbook | Sentence:
    """The runbook, or the reason why none can be derived. `subcommands` are words that are sub-commands, `never_values`
    those that runbooks.toml excludes as values.
    """
    first = plan.steps[0]
    if any((step.targets, step.cwd) != (first.targets, first.cwd) for step in plan.steps):
        return Sentence("draft_uneven")
    if any(step.filters for step in plan.steps):
        return Sentence("draft_filters")
    found = tokenize(phrase)
    if found is None or phrase.lstrip().startswith(("@", "＠")):
        return Sentence("draft_needs_phrase", {"name": name})
    words = found.words
    machines = _find_targets(words, inventory, first.targets)
    if machines is None:
        return Sentence("draft_needs_machine", {"name": name, "machines": ", ".join(first.targets[:3])})
    start, end = machines
    slots = _find_slots(
        words, range(start, end), plan.steps, subcommands, {*NEVER_VALUES, *(word.casefold() for word in never_values)}
    )
    example = [f"{{{slots[at].slot.name}}}" if at in slots else word.raw for at, word in enumerate(words)]
    example[start:end] = [f"{{{MACHINE}}}"]
    by_word = {words[at].raw: slot for at, slot in slots.items()}
    return InducedRunbook(
        name=name,
        language=language,
        example=join_words(example) + ("?" if found.question and not changes else ""),
        steps=tuple(_template(step.argv, by_word) for step in plan.steps),
        slots=tuple(slots[at] for at in sorted(slots)),
        changes=changes,
        time_limit=max(step.time_limit for step in plan.steps),
        cwd=first.cwd,
    )


def _find_targets(
    words: Sequence[MessageWord], inventory: Inventory, targets: tuple[str, ...]
) -> tuple[int, int] | None:
    """The range of words (start, end) that selects exactly these machines; None where there is none."""
    for start in range(len(words)):
        best = None
        every = match_length(words, start, EVERY)
        if every and _selects("*", inventory, targets):
            return start, start + every
        at, parts = start, list[str]()
        while at < len(words) and is_selector_part(part := words[at].raw.removeprefix("@")):
            parts.append(part)
            at += 1
            if _selects(",".join(parts), inventory, targets):
                best = start, at
            connector = match_length(words, at, AND)
            if not connector:
                break
            at += connector
        if best is not None:
            return best
    return None


def _selects(expression: str, inventory: Inventory, targets: tuple[str, ...]) -> bool:
    try:
        return resolve(expression, inventory) == targets
    except NoTarget:
        return False


# ---- slots


def _find_slots(
    words: Sequence[MessageWord],
    machines: range,
    steps: Sequence[Step],
    subcommands: Collection[str],
    never_values: Collection[str],
) -> dict[int, DraftSlot]:
    """Index of a word -> its slot. A word that occurs twice is left literal, since it is ambiguous."""
    places: dict[int, DraftSlot] = {}
    names: list[str] = []
    raws = [word.raw for word in words]
    for at, word in enumerate(words):
        if at in machines or raws.count(word.raw) > 1:
            continue
        before = words[at - 1].key if at else ""
        place = next(
            (
                place
                for step in steps
                for index in range(1, len(step.argv))
                if (place := _slot_of_argument(step.argv, index, word, before, subcommands, never_values)) is not None
            ),
            None,
        )
        if place is not None:
            name = _SLOT_NAMES.get(place.slot.type, place.slot.type) if not place.pattern else "unit"
            names.append(name)
            number = names.count(name)
            places[at] = replace(place, slot=replace(place.slot, name=name if number == 1 else f"{name}{number}"))
    return places


def _slot_of_argument(
    argv: Sequence[str],
    index: int,
    word: MessageWord,
    before: str,
    subcommands: Collection[str],
    never_values: Collection[str],
) -> DraftSlot | None:
    """The slot for `word`, if it is this argument; else None."""
    argument = _argument_value(argv[index])
    if argument == f"{word.raw}.service" and re.fullmatch(_SUFFIXED, word.raw) and word.key not in never_values:
        return DraftSlot(RunbookSlot("", "word", sample=word.raw, pattern=re.compile(_SUFFIXED)), _SUFFIXED, ".service")
    kind = _slot_type(argv, index, argument, word, before)
    if kind in ("unit", "host", "word"):
        named = _is_address(argument) or _DOTTED.fullmatch(argument) is not None
        if word.key in never_values or argument in subcommands or (index < 2 and not named):
            return None  # the first argument of a program is often a sub-command
    low, high = SLOT_RANGES.get(kind, (0, 0))
    slot = RunbookSlot("", kind, sample=word.raw, low=low, high=high)
    return DraftSlot(slot) if slot.convert(word.raw) == argument else None


def _argument_value(argument: str) -> str:
    """The value in an argument: 50 of `--lines=50`."""
    option, equals, value = argument.partition("=")
    return value if equals and option.startswith("--") else argument


def _slot_type(argv: Sequence[str], index: int, argument: str, word: MessageWord, before: str) -> str:
    """The type of slot that an argument would fill."""
    if argument.startswith("/"):
        return "path"
    if argument.isascii() and argument.isdigit():
        if before in _PORTS or argv[index - 1] in _PORTS or argv[index].startswith("--port="):
            return "port"
        return "int" if word.raw.isdigit() else "duration"
    if _is_address(argument):
        return "host"
    if argv[0].rpartition("/")[2] in _UNITS or _SUFFIX.fullmatch(argument):
        return "unit"
    return "host" if _DOTTED.fullmatch(argument) else "word"


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _template(argv: Sequence[str], by_word: Mapping[str, DraftSlot]) -> tuple[str, ...]:
    return (_literal(argv[0]), *(_argument(argument, by_word) for argument in argv[1:]))


def _argument(argument: str, by_word: Mapping[str, DraftSlot]) -> str:
    value = _argument_value(argument)
    for word, place in by_word.items():
        if value == (place.slot.convert(word) or word) + place.suffix:
            return f"{_literal(argument.removesuffix(value))}{{{place.slot.name}}}{place.suffix}"
    return _literal(argument)


def _literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


# ---- as TOML


def to_toml(runbook: InducedRunbook) -> str:
    """The TOML table of one runbook, one key a line."""
    lines = [
        f"[runbooks.{runbook.name}]",
        f"title = {{ {runbook.language} = {toml_string(_title(runbook.name))} }}",
        f"steps = [{', '.join(_array(argv) for argv in runbook.steps)}]",
    ]
    if runbook.changes:
        lines.append("changes = true")
    lines.append(f'timeout = "{runbook.time_limit}s"')
    if runbook.cwd:
        lines.append(f"folder = {toml_string(runbook.cwd)}")
    lines.append(f"examples.{runbook.language} = [{toml_string(runbook.example)}]")
    for place in runbook.slots:
        body = f"type = {toml_string(place.slot.type)}, sample = {toml_string(place.slot.sample)}"
        body += f", pattern = {toml_string(place.pattern)}" if place.pattern else ""
        lines.append(f"slots.{place.slot.name} = {{ {body} }}")
    return "\n".join(lines) + "\n"


def _title(name: str) -> str:
    return re.sub(r"[-_]+", " ", name).strip()


def _array(items: Sequence[str]) -> str:
    return f"[{', '.join(map(toml_string, items))}]"
