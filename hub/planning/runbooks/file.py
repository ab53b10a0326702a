"""runbooks.toml: read strictly, compiled, and checked against its own examples.

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

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal

from common.catalogue import Language
from common.config import ConfigError, build, custom, required, setting, table, tables
from common.plan import DEFAULT_TIME_LIMIT, MAX_ARGS, MAX_STEPS, MAX_TIME_LIMIT, BadPlan
from common.read_file import read_toml
from common.values import Duration
from hub.core.inventory import Inventory, Machine
from hub.core.outcome import Planned, PlanningContext
from hub.planning.runbooks.matcher import RunbookMatcher, compile_example
from hub.planning.runbooks.pattern import BadExample
from hub.planning.runbooks.runbook import PLACEHOLDER, BadTemplate, Runbook, Template
from hub.planning.runbooks.slots import DEFAULT_SAMPLES, MACHINE, SLOT_RANGES, RunbookSlot

MAX_RUNBOOKS: Final = 500
MAX_EXAMPLES: Final = 60
MAX_PATTERN: Final = 200
RESERVED: Final = frozenset(
    {"approve", "reject", "cancel", "status", "machines", "help", "whoami", "explicit", "model"}
)
_SLOT_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
_SAMPLE_MACHINE: Final = "machine-1"


@dataclass(frozen=True)
class TitleTable:
    en: str = setting("", "in English")
    zh: str = setting("", "in Chinese")

    def by_language(self) -> dict[Language, str]:
        return {"en": self.en, "zh": self.zh}


@dataclass(frozen=True)
class ExamplesTable:
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


_STEPS_FORM: Final = f'1 to {MAX_STEPS} lists of strings were expected, such as [["df", "-h"]]'


def _read_steps(given: Any) -> tuple[tuple[str, ...], ...] | None:
    """Argument vectors, each with a program; an argument may be empty."""
    if (
        isinstance(given, list)
        and 1 <= len(given) <= MAX_STEPS
        and all(isinstance(argv, list) and 1 <= len(argv) <= MAX_ARGS for argv in given)
        and all(isinstance(arg, str) and arg.isprintable() for argv in given for arg in argv)
        and all(argv[0] for argv in given)
    ):
        return tuple(tuple(argv) for argv in given)
    return None


@dataclass(frozen=True)
class RunbookTable:
    title: TitleTable = required("what it does, in a few words")
    steps: tuple[tuple[str, ...], ...] = custom("argument vectors", _read_steps, _STEPS_FORM)
    examples: ExamplesTable = required("how people ask for it")
    description: TitleTable = table(TitleTable)
    changes: bool = setting(False, "it changes the machine")
    timeout: Duration = setting(Duration(DEFAULT_TIME_LIMIT), "time limit of each command", low=1, high=MAX_TIME_LIMIT)
    folder: str = setting("", "working directory")
    slots: Mapping[str, SlotTable] = tables()


@dataclass(frozen=True)
class RunbooksFile:
    never_values: tuple[str, ...] = setting((), "words never taken for a value")
    runbooks: Mapping[str, RunbookTable] = tables()


def read_runbooks(path: Path) -> RunbookMatcher:
    """Raises UserError; a ConfigError carries every problem of the file."""
    return parse_runbooks(read_toml(path, "answerback-hub init writes one", trusted=True), path)


def default_text() -> str:
    """The file that `answerback-hub init` writes."""
    return resources.files("hub").joinpath("defaults", "runbooks.toml").read_text(encoding="utf-8")


def parse_runbooks(body: Mapping[str, Any], path: Path) -> RunbookMatcher:
    """The runbooks of a parsed file; raises ConfigError."""
    file = build(body, RunbooksFile, path)
    if len(file.runbooks) > MAX_RUNBOOKS:
        raise ConfigError([f"{path}: {len(file.runbooks)} runbooks: keep at most {MAX_RUNBOOKS}"])
    problems: list[str] = []
    reader = _Reader(path, problems)
    runbooks = [reader.runbook(name, table) for name, table in file.runbooks.items()]
    if problems:
        raise ConfigError(problems)
    compiled = RunbookMatcher(runbooks, file.never_values)
    for runbook in runbooks:
        for language, examples in runbook.examples.items():
            for example in examples:
                _check_example(compiled, runbook, language, example, reader)
    if problems:
        raise ConfigError(problems)
    return compiled


class _Reader:
    """Makes runbooks of tables and collects the problems that need more than one key to see."""

    def __init__(self, path: Path, problems: list[str]) -> None:
        self.path = path
        self.problems = problems

    def problem(self, runbook: str, key: str, text: str) -> None:
        self.problems.append(f"{self.path}: [runbooks.{runbook}] {key}: {text}")

    def runbook(self, name: str, table: RunbookTable) -> Runbook:
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
            steps=tuple(self.templates(name, argv, slots) for argv in table.steps),
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

    def slot(self, runbook: str, name: str, table: SlotTable) -> RunbookSlot:
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
        low, high = SLOT_RANGES.get(table.type, (0, 0))
        if table.type not in SLOT_RANGES and (table.low is not None or table.high is not None):
            self.problem(runbook, key, f"low and high are for {', '.join(SLOT_RANGES)}")
        slot = RunbookSlot(
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
            if word and slot.convert(word) is None:
                self.problem(runbook, f"{key}.{what}", f"{word[:80]} is not of the type {table.type} within its bounds")
        if table.default is not None:
            default = slot.convert(table.default) or table.default
            return RunbookSlot(name, slot.type, default, slot.sample, slot.values, slot.pattern, slot.low, slot.high)
        if not table.sample and table.type not in DEFAULT_SAMPLES and not table.values:
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

    def templates(self, runbook: str, argv: tuple[str, ...], slots: Mapping[str, RunbookSlot]) -> tuple[Template, ...]:
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
                places = PLACEHOLDER.findall(example)
                shown = f"“{example[:80]}”"
                if len(set(places)) < len(places):
                    self.problem(runbook.name, key, f"{shown} has a place twice")
                for place in sorted(set(places) - runbook.slots.keys() - {MACHINE}):
                    self.problem(runbook.name, key, f"{shown}: {{{place}}} is no slot of this runbook")
                for place in sorted(needed - set(places)):
                    self.problem(runbook.name, key, f"{shown} does not have {{{place}}}")
                try:
                    compile_example(runbook, example)
                except BadExample as error:
                    self.problem(runbook.name, key, f"{shown}: {error}")


def _check_example(
    compiled: RunbookMatcher, runbook: Runbook, language: Language, example: str, reader: _Reader
) -> None:
    """The example as a message: it must give this runbook's plan and nobody else's."""
    text = runbook.fill_example(example, {MACHINE: _SAMPLE_MACHINE})
    inventory = Inventory({_SAMPLE_MACHINE: Machine(_SAMPLE_MACHINE)})
    key, shown = f"examples.{language}", f"“{example[:80]}”"
    try:
        outcome = compiled.plan(PlanningContext(text, language, "", (), inventory, 0.0))
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
    others = compiled.clashing_runbooks(text) - {runbook.name}
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
