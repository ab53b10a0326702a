"""A runbook learned from a plan: what of the message is also in the commands becomes a typed place. Pure.

The message that led to the plan, or a phrase given with the proposal, becomes the example; the machines in it become
`{machine}`. A word of it that is an argument too, or the value of an option, becomes a slot whose type follows from
what it looks like and where it stands; sub-commands never do. All else of the commands stays as it was approved: no
word of anybody gets into a template otherwise.

What comes out is the TOML of one runbook. Whether it holds together, clashes with others, and gives the same plan
again, is for `hub.acts_drafts` to try out.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from common.catalogue import Language, Sentence
from common.plan import Plan, Step
from hub.machines import Inventory, NoTarget, is_expression, resolve
from hub.plan.phrases import AND, EVERY, fits
from hub.plan.slots import BOUNDS, MACHINE, NEVER_VALUES, Slot
from hub.plan.words import Word, split

MAX_BODY: Final = 16 * 1024
"""Characters of a draft."""
_NAMES: Final = {"int": "number", "word": "name"}
"""What a slot is called, where that is not its type."""
_UNITS: Final = frozenset({"systemctl", "journalctl", "service"})
_SUFFIX: Final = re.compile(r".+\.(?:service|socket|timer|mount|target|path|slice)")
_SUFFIXED: Final = r"[A-Za-z0-9][A-Za-z0-9:_@-]{0,200}"
"""The pattern of a unit's name where the command has `.service` behind it."""
_PORTS: Final = frozenset({"port", "ports", "-p", "--port", "口"})
_DOTTED: Final = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+", re.ASCII)
_HAN: Final = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
_NO_BLANK_BEFORE: Final = frozenset({",", ";", "'s"})


@dataclass(frozen=True, slots=True)
class Place:
    """A word of the message that the commands have too."""

    slot: Slot
    pattern: str = ""
    suffix: str = ""  # what the command has behind it


@dataclass(frozen=True, slots=True)
class Lesson:
    """One runbook as it goes into the file."""

    name: str
    language: Language
    example: str
    steps: tuple[tuple[str, ...], ...]  # template arguments
    places: tuple[Place, ...]
    changes: bool
    time_limit: int
    cwd: str


def learn(
    name: str,
    phrase: str,
    plan: Plan,
    inventory: Inventory,
    *,
    language: Language,
    changes: bool,
    fixed: Collection[str] = (),
    never: Collection[str] = (),
) -> Lesson | Sentence:
    """The runbook, or why there can be none. `fixed` are words that are sub-commands, `never` those that the file says
    are no values.
    """
    first = plan.steps[0]
    if any((step.targets, step.cwd) != (first.targets, first.cwd) for step in plan.steps):
        return Sentence("draft_uneven")
    found = split(phrase)
    if found is None or phrase.lstrip().startswith(("@", "＠")):
        return Sentence("draft_needs_phrase", {"name": name})
    words = found.words
    machines = _machines(words, inventory, first.targets)
    if machines is None:
        return Sentence("draft_needs_machine", {"name": name, "machines": ", ".join(first.targets[:3])})
    start, end = machines
    places = _places(words, range(start, end), plan.steps, fixed, {*NEVER_VALUES, *(word.casefold() for word in never)})
    said = [f"{{{places[at].slot.name}}}" if at in places else word.raw for at, word in enumerate(words)]
    said[start:end] = [f"{{{MACHINE}}}"]
    by_word = {words[at].raw: place for at, place in places.items()}
    return Lesson(
        name=name,
        language=language,
        example=_joined(said) + ("?" if found.question and not changes else ""),
        steps=tuple(_template(step.argv, by_word) for step in plan.steps),
        places=tuple(places[at] for at in sorted(places)),
        changes=changes,
        time_limit=max(step.time_limit for step in plan.steps),
        cwd=first.cwd,
    )


def _machines(words: Sequence[Word], inventory: Inventory, targets: tuple[str, ...]) -> tuple[int, int] | None:
    """Where the words name exactly these machines: from, and up to."""
    for start in range(len(words)):
        best = None
        every = fits(words, start, EVERY)
        if every and _means("*", inventory, targets):
            return start, start + every
        at, parts = start, list[str]()
        while at < len(words) and is_expression(part := words[at].raw.removeprefix("@")):
            parts.append(part)
            at += 1
            if _means(",".join(parts), inventory, targets):
                best = start, at
            connector = fits(words, at, AND)
            if not connector:
                break
            at += connector
        if best is not None:
            return best
    return None


def _means(expression: str, inventory: Inventory, targets: tuple[str, ...]) -> bool:
    try:
        return resolve(expression, inventory) == targets
    except NoTarget:
        return False


# ---- places


def _places(
    words: Sequence[Word], machines: range, steps: Sequence[Step], fixed: Collection[str], never: Collection[str]
) -> dict[int, Place]:
    """Index of a word -> its place. A word that the message has twice stays as it is: which is meant is not known."""
    places: dict[int, Place] = {}
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
                if (place := _place(step.argv, index, word, before, fixed, never)) is not None
            ),
            None,
        )
        if place is not None:
            name = _NAMES.get(place.slot.type, place.slot.type) if not place.pattern else "unit"
            names.append(name)
            number = names.count(name)
            places[at] = replace(place, slot=replace(place.slot, name=name if number == 1 else f"{name}{number}"))
    return places


def _place(
    argv: Sequence[str], index: int, word: Word, before: str, fixed: Collection[str], never: Collection[str]
) -> Place | None:
    """The place that `word` is, where it is this argument."""
    argument = _value(argv[index])
    if argument == f"{word.raw}.service" and re.fullmatch(_SUFFIXED, word.raw) and word.key not in never:
        return Place(Slot("", "word", sample=word.raw, pattern=re.compile(_SUFFIXED)), _SUFFIXED, ".service")
    kind = _kind(argv, index, argument, word, before)
    if kind in ("unit", "host", "word"):
        named = _is_address(argument) or _DOTTED.fullmatch(argument) is not None
        if word.key in never or argument in fixed or (index < 2 and not named):
            return None  # the first word behind a program is its sub-command as often as not
    low, high = BOUNDS.get(kind, (0, 0))
    slot = Slot("", kind, sample=word.raw, low=low, high=high)
    return Place(slot) if slot.value(word.raw) == argument else None


def _value(argument: str) -> str:
    """What an argument carries: of `--lines=50` the 50."""
    option, equals, value = argument.partition("=")
    return value if equals and option.startswith("--") else argument


def _kind(argv: Sequence[str], index: int, argument: str, word: Word, before: str) -> str:
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


def _template(argv: Sequence[str], by_word: Mapping[str, Place]) -> tuple[str, ...]:
    return (_literal(argv[0]), *(_argument(argument, by_word) for argument in argv[1:]))


def _argument(argument: str, by_word: Mapping[str, Place]) -> str:
    value = _value(argument)
    for word, place in by_word.items():
        if value == (place.slot.value(word) or word) + place.suffix:
            return f"{_literal(argument.removesuffix(value))}{{{place.slot.name}}}{place.suffix}"
    return _literal(argument)


def _literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _joined(words: Sequence[str]) -> str:
    """Words as a person writes them: no blank between two Han characters, nor before a comma."""
    text = ""
    for word in words:
        blank = text and word not in _NO_BLANK_BEFORE and not (_HAN.match(text[-1]) and _HAN.match(word))
        text += f" {word}" if blank else word
    return text


# ---- as TOML


def to_toml(lesson: Lesson) -> str:
    """The tables of one runbook, a key a line."""
    lines = [
        f"[runbooks.{lesson.name}]",
        f"title = {{ {lesson.language} = {_string(_title(lesson.name))} }}",
        f"steps = [{', '.join(_array(argv) for argv in lesson.steps)}]",
    ]
    if lesson.changes:
        lines.append("changes = true")
    lines.append(f'timeout = "{lesson.time_limit}s"')
    if lesson.cwd:
        lines.append(f"folder = {_string(lesson.cwd)}")
    lines.append(f"examples.{lesson.language} = [{_string(lesson.example)}]")
    for place in lesson.places:
        body = f"type = {_string(place.slot.type)}, sample = {_string(place.slot.sample)}"
        body += f", pattern = {_string(place.pattern)}" if place.pattern else ""
        lines.append(f"slots.{place.slot.name} = {{ {body} }}")
    return "\n".join(lines) + "\n"


def _title(name: str) -> str:
    return re.sub(r"[-_]+", " ", name).strip()


def _array(items: Sequence[str]) -> str:
    return f"[{', '.join(map(_string, items))}]"


def _string(text: str) -> str:
    """A TOML basic string: JSON's escapes are a subset of TOML's, but for DEL, which TOML wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
