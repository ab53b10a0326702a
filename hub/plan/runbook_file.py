"""runbooks.toml: read strictly, compiled, and tried out before anyone relies on it.

    never_values = ["disk"]             words never taken for the name of a service, a host or the like

    [runbooks.NAME]
    title = { en = "…", zh = "…" }      what it does, in a few words; one language is enough
    description = { en = "…" }
    steps = [["df", "-h", "{path}"]]    argument vectors; "{slot}" stands alone or within an argument, "{{" is a brace
    changes = true                      it changes the machine: a question is never taken for the wish
    timeout = "90s"
    folder = "/srv/app"
    examples.en = ["disk on {machine}"] every example names {machine} and every slot without a default
    examples.zh = ["{machine} 的磁盘"]
    [runbooks.NAME.slots.SLOT]
    type = "path"                       path unit port host int enum duration size word
    default = "/"                       makes the slot optional
    sample = "/srv"                     what examples show
    values = ["a", "b"]                 of enum
    pattern = "[a-z]+"                  of word
    low = 1                             of int, port, duration (seconds)
    high = 500

At load each example is filled with samples and planned like a message: one that two runbooks would answer, or that its
own does not, is refused.
"""

# ruff: noqa: RUF009  `setting` and its like make dataclass fields; they are no values shared between instances
from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal

from common.catalogue import Language
from common.config import ConfigError, Duration, build, read_toml, required, setting, table, tables
from common.plan import DEFAULT_TIME_LIMIT, MAX_ARGS, MAX_STEPS, MAX_TIME_LIMIT, BadPlan
from hub.machines import Inventory, Machine
from hub.plan.match import Runbooks, Unreadable, compile_example
from hub.plan.outcome import Context, Planned
from hub.plan.runbook import PLACE, BadTemplate, Runbook, Template
from hub.plan.slots import BOUNDS, MACHINE, SAMPLES, Slot

MAX_RUNBOOKS: Final = 500
MAX_EXAMPLES: Final = 60
MAX_PATTERN: Final = 200
RESERVED: Final = frozenset(
    {"approve", "reject", "cancel", "status", "machines", "help", "whoami", "explicit", "model"}
)
_SLOT_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
_TRIED_ON: Final = "machine-1"


@dataclass(frozen=True)
class Texts:
    en: str = setting("", "in English")
    zh: str = setting("", "in Chinese")

    def by_language(self) -> dict[Language, str]:
        return {"en": self.en, "zh": self.zh}


@dataclass(frozen=True)
class Examples:
    en: tuple[str, ...] = setting((), "English phrasings")
    zh: tuple[str, ...] = setting((), "Chinese phrasings")


@dataclass(frozen=True)
class SlotTable:
    type: Literal["path", "unit", "port", "host", "int", "enum", "duration", "size", "word"] = required(
        "the type of its values"
    )
    default: str | None = setting(None, "taken where the message does not say")
    sample: str = setting("", "shown in examples")
    values: tuple[str, ...] = setting((), "the values of an enum")
    pattern: str | None = setting(None, "a regular expression that a whole word must fit")
    low: int | None = setting(None, "the least", low=0)
    high: int | None = setting(None, "the most", low=0, high=1_000_000_000)


@dataclass(frozen=True)
class RunbookTable:
    title: Texts = required("what it does, in a few words")
    examples: Examples = required("how people ask for it")
    description: Texts = table(Texts)
    changes: bool = setting(False, "it changes the machine")
    timeout: Duration = setting(Duration(DEFAULT_TIME_LIMIT), "time limit of each command", low=1, high=MAX_TIME_LIMIT)
    folder: str = setting("", "working directory")
    slots: Mapping[str, SlotTable] = tables()


@dataclass(frozen=True)
class File:
    never_values: tuple[str, ...] = setting((), "words never taken for a value")
    runbooks: Mapping[str, RunbookTable] = tables()


def read_runbooks(path: Path) -> Runbooks:
    """Raises UserError; a ConfigError carries every problem of the file."""
    return parse(read_toml(path, "answerback-hub init writes one"), path)


def default_text() -> str:
    """The file that `answerback-hub init` writes."""
    return resources.files("hub").joinpath("defaults", "runbooks.toml").read_text(encoding="utf-8")


def parse(body: Mapping[str, Any], path: Path) -> Runbooks:
    """The runbooks of a parsed file; raises ConfigError."""
    problems: list[str] = []
    steps, rest = _take_steps(body, path, problems)
    try:
        file = build(rest, File, path)
    except ConfigError as error:
        raise ConfigError([*error.problems, *problems]) from None
    if len(file.runbooks) > MAX_RUNBOOKS:
        raise ConfigError([f"{path}: {len(file.runbooks)} runbooks: keep at most {MAX_RUNBOOKS}"])
    reader = _Reader(path, problems)
    runbooks = [reader.runbook(name, table, steps.get(name, ())) for name, table in file.runbooks.items()]
    if problems:
        raise ConfigError(problems)
    compiled = Runbooks(runbooks, file.never_values)
    for runbook in runbooks:
        for language, examples in runbook.examples.items():
            for example in examples:
                _try_out(compiled, runbook, language, example, reader)
    if problems:
        raise ConfigError(problems)
    return compiled


def _take_steps(
    body: Mapping[str, Any], path: Path, problems: list[str]
) -> tuple[dict[str, tuple[tuple[str, ...], ...]], dict[str, Any]]:
    """The argument vectors of each runbook, and the file without them: lists of lists are not `common.config`'s."""
    runbooks = body.get("runbooks")
    if not isinstance(runbooks, dict):
        return {}, dict(body)
    steps: dict[str, tuple[tuple[str, ...], ...]] = {}
    rest: dict[str, Any] = {}
    for name, body_of in runbooks.items():
        if not isinstance(body_of, dict):
            rest[name] = body_of
            continue
        given: Any = body_of.get("steps")
        rest[name] = {key: value for key, value in body_of.items() if key != "steps"}
        if _are_steps(given):
            steps[name] = tuple(tuple(argv) for argv in given)
        else:
            expected = f'1 to {MAX_STEPS} lists of strings were expected, such as [["df", "-h"]]'
            problems.append(f"{path}: [runbooks.{name[:64]}] steps: {expected}")
    return steps, {**body, "runbooks": rest}


def _are_steps(given: Any) -> bool:
    return (
        isinstance(given, list)
        and 1 <= len(given) <= MAX_STEPS
        and all(isinstance(argv, list) and 1 <= len(argv) <= MAX_ARGS for argv in given)
        and all(isinstance(arg, str) and arg.isprintable() for argv in given for arg in argv)
        and all(argv[0] for argv in given)
    )


class _Reader:
    """Turns tables into runbooks and notes what does not hold together."""

    def __init__(self, path: Path, problems: list[str]) -> None:
        self.path = path
        self.problems = problems

    def problem(self, runbook: str, key: str, text: str) -> None:
        self.problems.append(f"{self.path}: [runbooks.{runbook}] {key}: {text}")

    def runbook(self, name: str, table: RunbookTable, steps: tuple[tuple[str, ...], ...]) -> Runbook:
        if name in RESERVED:
            self.problem(name, "name", "this word is Answerback's own; choose another")
        if not any(table.title.by_language().values()):
            self.problem(name, "title", 'empty; write title = { en = "…" }')
        if table.folder and not table.folder.startswith("/"):
            self.problem(name, "folder", "an absolute path was expected")
        slots = {slot: self.slot(name, slot, entry) for slot, entry in table.slots.items()}
        runbook = Runbook(
            name=name,
            title=table.title.by_language(),
            description=table.description.by_language(),
            steps=tuple(self.templates(name, argv, slots) for argv in steps),
            examples={"en": table.examples.en, "zh": table.examples.zh},
            slots=slots,
            changes=table.changes,
            time_limit=int(table.timeout),
            cwd=table.folder,
        )
        used = {slot for argv in runbook.steps for argument in argv for slot in argument.slots}
        for slot in slots.keys() - used:
            self.problem(name, f"slots.{slot}", f'no step uses it; put "{{{slot}}}" into steps or take the slot out')
        self.examples(runbook)
        return runbook

    def slot(self, runbook: str, name: str, table: SlotTable) -> Slot:
        key = f"slots.{name}"
        if not _SLOT_NAME.fullmatch(name):
            self.problem(runbook, key, "a slot's name is small letters, digits and underscores, a letter first")
        if name == MACHINE:
            self.problem(runbook, key, "{machine} is always there and means the targets; take this slot out")
        if (table.type == "enum") != bool(table.values):
            self.problem(runbook, f"{key}.values", "an enum, and only an enum, has values")
        if any(value.startswith("-") for value in (*table.values, table.default or "", table.sample)):
            self.problem(runbook, key, "no value may begin with a dash: it would be read as an option")
        if table.pattern is not None and table.type != "word":
            self.problem(runbook, f"{key}.pattern", "only a word has a pattern")
        low, high = BOUNDS.get(table.type, (0, 0))
        if table.type not in BOUNDS and (table.low is not None or table.high is not None):
            self.problem(runbook, key, f"low and high are for {', '.join(BOUNDS)}")
        slot = Slot(
            name,
            table.type,
            sample=table.sample,
            values=table.values,
            pattern=self.pattern(runbook, f"{key}.pattern", table.pattern),
            low=low if table.low is None else table.low,
            high=high if table.high is None else table.high,
        )
        if slot.low > slot.high:
            self.problem(runbook, key, f"low is {slot.low} and high is {slot.high}; nothing lies between")
        for what, word in (("sample", table.sample), ("default", table.default)):
            if word and slot.value(word) is None:
                self.problem(runbook, f"{key}.{what}", f"{word[:80]} is not of the type {table.type} within its bounds")
        if table.default is not None:
            default = slot.value(table.default) or table.default
            return Slot(name, slot.type, default, slot.sample, slot.values, slot.pattern, slot.low, slot.high)
        if not table.sample and table.type not in SAMPLES and not table.values:
            self.problem(runbook, f"{key}.sample", "needed: what should an example show?")
        return slot

    def pattern(self, runbook: str, key: str, text: str | None) -> re.Pattern[str] | None:
        if text is None:
            return None
        try:
            if len(text) > MAX_PATTERN:
                raise re.error(f"longer than {MAX_PATTERN} characters")
            return re.compile(text, re.ASCII)
        except re.error as error:
            self.problem(runbook, key, f"not a regular expression: {error}")
            return None

    def templates(self, runbook: str, argv: tuple[str, ...], slots: Mapping[str, Slot]) -> tuple[Template, ...]:
        found: list[Template] = []
        for index, argument in enumerate(argv):
            try:
                template = Template.parse(argument)
            except BadTemplate as error:
                text = f"{argument[:80]}: {error} is not a slot; write {{{{ and }}}} for braces"
                self.problem(runbook, "steps", text)
                continue
            if index == 0 and template.slots:
                self.problem(runbook, "steps", f"{argument[:80]}: the program cannot come from a message")
            for slot in template.slots:
                if slot == MACHINE:
                    text = "{machine} means the targets and is no argument; name a slot of the type host instead"
                    self.problem(runbook, "steps", text)
                elif slot not in slots:
                    known = ", ".join(slots) or "none"
                    self.problem(runbook, "steps", f"{{{slot}}} is no slot of this runbook; its slots: {known}")
            found.append(template)
        return tuple(found)

    def examples(self, runbook: Runbook) -> None:
        if not any(runbook.examples.values()):
            self.problem(runbook.name, "examples", 'none; write examples.en = ["disk on {machine}"]')
        needed = {MACHINE} | {name for name, slot in runbook.slots.items() if slot.default is None}
        for language, examples in runbook.examples.items():
            key = f"examples.{language}"
            if len(examples) > MAX_EXAMPLES:
                self.problem(runbook.name, key, f"{len(examples)} examples; keep at most {MAX_EXAMPLES}")
            for example in examples[:MAX_EXAMPLES]:
                places = PLACE.findall(example)
                shown = f"“{example[:80]}”"
                if len(set(places)) < len(places):
                    self.problem(runbook.name, key, f"{shown} has a place twice")
                for place in sorted(set(places) - runbook.slots.keys() - {MACHINE}):
                    self.problem(runbook.name, key, f"{shown}: {{{place}}} is no slot of this runbook")
                for place in sorted(needed - set(places)):
                    self.problem(runbook.name, key, f"{shown} does not have {{{place}}}")
                try:
                    compile_example(runbook, example)
                except Unreadable as error:
                    self.problem(runbook.name, key, f"{shown}: {error}")


def _try_out(compiled: Runbooks, runbook: Runbook, language: Language, example: str, reader: _Reader) -> None:
    """The example as a message: it must give this runbook's plan and nobody else's."""
    text = runbook.fill_example(example, {MACHINE: _TRIED_ON})
    inventory = Inventory({_TRIED_ON: Machine(_TRIED_ON)})
    key, shown = f"examples.{language}", f"“{example[:80]}”"
    try:
        outcome = compiled.plan(Context(text, language, "", (), inventory, 0.0))
    except BadPlan as error:
        reader.problem(runbook.name, "steps", f"no plan can be made of it: {error}")
        return
    if isinstance(outcome, Planned):
        taken_by = outcome.plan.source.removeprefix("runbook:")
        if taken_by != runbook.name:
            reader.problem(
                runbook.name, key, f"{shown} is answered by [runbooks.{taken_by}]; word one of them differently"
            )
        return
    others = compiled.rivals(text) - {runbook.name}
    if others:
        names = ", ".join(f"[runbooks.{other}]" for other in sorted(others))
        reader.problem(runbook.name, key, f"{shown} fits {names} as well; word one of them differently")
    elif runbook.changes:
        reader.problem(runbook.name, key, f"{shown} reads as a question, and a change must be asked for; reword it")
    else:
        reader.problem(
            runbook.name,
            key,
            f"{shown} with its samples (“{text[:120]}”) does not fit itself; look at samples and never_values",
        )
