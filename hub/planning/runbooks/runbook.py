"""A runbook: a named, typed command template with example phrases.

`{machine}` in an example stands for the target machines; every other placeholder is a slot. A template's argument
consists of literal text and checked slot values and is never split again: one argument stays one argument.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from common.catalogue import LANGUAGES, Language
from common.plan import DEFAULT_TIME_LIMIT, Plan, Step
from hub.planning.runbooks.slots import DEFAULT_SAMPLES, MACHINE, RunbookSlot

PLACEHOLDER: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_PARTS: Final = re.compile(r"\{\{|\}\}|\{[^{}]*\}|[{}]")


class BadTemplate(ValueError):
    """A template argument with a brace that is neither a placeholder nor doubled."""


@dataclass(frozen=True, slots=True)
class Template:
    """One argument: literal texts and slot names in alternation, beginning and ending with a text, which may be
    empty.
    """

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
            elif place := PLACEHOLDER.fullmatch(found[0]):
                slots.append(place[1])
                texts.append("")
            else:
                raise BadTemplate(found[0])
        texts[-1] += argument[at:]
        return cls(tuple(texts), tuple(slots))

    def render(self, values: Mapping[str, str]) -> str:
        first, *rest = self.texts
        return first + "".join(values[slot] + text for slot, text in zip(self.slots, rest, strict=True))


@dataclass(frozen=True, slots=True)
class Runbook:
    name: str
    title: Mapping[Language, str]
    steps: tuple[tuple[Template, ...], ...]
    examples: Mapping[Language, tuple[str, ...]]
    description: Mapping[Language, str] = field(default_factory=dict)
    slots: Mapping[str, RunbookSlot] = field(default_factory=dict)
    changes: bool = False  # it changes the machine: a question about it is never taken for a request
    time_limit: int = DEFAULT_TIME_LIMIT  # seconds
    cwd: str = ""

    def title_in(self, language: Language) -> str:
        return _in(self.title, language)

    def plan(self, values: Mapping[str, str], targets: Sequence[str], language: Language) -> Plan:
        """The plan with `values` (each from `RunbookSlot.convert`), defaults for the other slots; raises BadPlan."""
        filled = {name: slot.default for name, slot in self.slots.items() if slot.default is not None} | dict(values)
        steps = tuple(
            Step(
                argv=tuple(argument.render(filled) for argument in argv),
                targets=tuple(sorted(set(targets))),
                cwd=self.cwd,
                time_limit=self.time_limit,
            )
            for argv in self.steps
        )
        return Plan(steps, source=f"runbook:{self.name}", explanation=self.title_in(language))

    def sample_phrase(self, language: Language, machine: str) -> str:
        """Its first example in `language` (else in another) for `machine`, samples in its slots."""
        for tongue in (language, *LANGUAGES):
            if found := self.examples.get(tongue):
                return self.fill_example(found[0], {MACHINE: machine})
        raise ValueError(f"{self.name} has no example")  # the file's reader refuses this

    def fill_example(self, example: str, words: Mapping[str, str]) -> str:
        """`example` with `words` for its placeholders, samples for the others."""

        def word(found: re.Match[str]) -> str:
            name = found[1]
            if name in words:
                return words[name]
            slot = self.slots[name]
            return (
                slot.sample or slot.default or (slot.values[0] if slot.values else DEFAULT_SAMPLES.get(slot.type, name))
            )

        return PLACEHOLDER.sub(word, example)


def _in(texts: Mapping[Language, str], language: Language) -> str:
    for tongue in (language, *LANGUAGES):
        if text := texts.get(tongue):
            return text
    return ""
