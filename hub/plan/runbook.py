"""A runbook: a named, typed command template with example phrasings; the plan that needs no model.

`{machine}` in an example is the place of the targets; every other place is a slot. A template's argument is made of
literal text and the checked values of slots, and is never read again as words: one argument stays one argument.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from common.catalogue import LANGUAGES, Language
from common.plan import DEFAULT_TIME_LIMIT, Plan, Step
from hub.plan.slots import MACHINE, SAMPLES, Slot

PLACE: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_PARTS: Final = re.compile(r"\{\{|\}\}|\{[^{}]*\}|[{}]")


class BadTemplate(ValueError):
    """A template argument with a brace that is neither a place nor doubled."""


@dataclass(frozen=True, slots=True)
class Template:
    """One argument: literal texts and slot names in turn; the first is a text, maybe an empty one."""

    texts: tuple[str, ...]
    slots: tuple[str, ...]

    @classmethod
    def parse(cls, argument: str) -> Template:
        """`{name}` is a slot, `{{` and `}}` are braces; raises BadTemplate."""
        texts, slots, at = [""], [], 0
        for found in _PARTS.finditer(argument):
            texts[-1] += argument[at : found.start()]
            at = found.end()
            if found[0] in ("{{", "}}"):
                texts[-1] += found[0][0]
            elif place := PLACE.fullmatch(found[0]):
                slots.append(place[1])
                texts.append("")
            else:
                raise BadTemplate(found[0])
        texts[-1] += argument[at:]
        return cls(tuple(texts), tuple(slots))

    def fill(self, values: Mapping[str, str]) -> str:
        first, *rest = self.texts
        return first + "".join(values[slot] + text for slot, text in zip(self.slots, rest, strict=True))


@dataclass(frozen=True, slots=True)
class Runbook:
    name: str
    title: Mapping[Language, str]
    steps: tuple[tuple[Template, ...], ...]
    examples: Mapping[Language, tuple[str, ...]]
    description: Mapping[Language, str] = field(default_factory=dict)
    slots: Mapping[str, Slot] = field(default_factory=dict)
    changes: bool = False  # it changes the machine: a question is never taken for the wish
    time_limit: int = DEFAULT_TIME_LIMIT  # seconds
    cwd: str = ""

    def titled(self, language: Language) -> str:
        return _in(self.title, language)

    def plan(self, values: Mapping[str, str], targets: Sequence[str], language: Language) -> Plan:
        """The plan with `values` (each from its `Slot.value`) put in, else defaults; raises BadPlan."""
        filled = {name: slot.default for name, slot in self.slots.items() if slot.default is not None} | dict(values)
        steps = tuple(
            Step(
                argv=tuple(argument.fill(filled) for argument in argv),
                targets=tuple(sorted(set(targets))),
                cwd=self.cwd,
                time_limit=self.time_limit,
            )
            for argv in self.steps
        )
        return Plan(steps, source=f"runbook:{self.name}", explanation=self.titled(language))

    def phrase(self, language: Language, machine: str) -> str:
        """Its first example in `language` (else in another) as a person would write it for `machine`."""
        for tongue in (language, *LANGUAGES):
            if found := self.examples.get(tongue):
                return self.fill_example(found[0], {MACHINE: machine})
        raise ValueError(f"{self.name} has no example")  # the file's reader refuses this

    def fill_example(self, example: str, words: Mapping[str, str]) -> str:
        """`example` with `words` in their places, samples in the others."""

        def word(found: re.Match[str]) -> str:
            name = found[1]
            if name in words:
                return words[name]
            slot = self.slots[name]
            return slot.sample or slot.default or (slot.values[0] if slot.values else SAMPLES.get(slot.type, name))

        return PLACE.sub(word, example)


def _in(texts: Mapping[Language, str], language: Language) -> str:
    for tongue in (language, *LANGUAGES):
        if text := texts.get(tongue):
            return text
    return ""
