"""A policy from its file. The unknown, contradictory and ambiguous is refused: file, line, rule, key, cure.

The file's form is described where people write it: at the head of the default policy. Reading the file itself is the
caller's.

A file is read to its end: a mistake in one table is told, and the next table is read all the same. `read_policy` never
raises. Where there is any problem there is no policy, and `denied` holds what the readable part forbids: a caller whose
old policy stays in force puts it on top (`with_denials`), so that a protective change holds at once although something
else in the file is wrong. What forbids something and is itself broken forbids more than was meant, never less.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeVar, cast

from common.errors import UserError
from common.policy.elements import NO_REASON, Consequence, ElementParser, deny_rule
from common.policy.machine_checks import MAX_DENIED
from common.policy.rule_parts import is_normal_path, real_names
from common.policy.rules import DenyRule, Policy, Rule
from common.policy.source import MAX_PROBLEMS, DenyLine, PolicySource, Span, read_source
from common.policy.table import MAX_TEXT, PolicyMistake, TableReader

T = TypeVar("T")

_LINE: Final = re.compile(r": line ([0-9]+): ")
_MAX_REPAIRS: Final = 8  # mistakes that are told of one table
_PLACEHOLDERS: Final = {
    "about": "-",
    "id": "unnamed",
    "name": "X",
    "path": "/program",
    "program": "/program",
    "type": "word",
    "verdict": "allow",
}
"""What stands in for a key that is missing, so that the rest of its table can be looked at."""


class PolicyErrors(UserError):
    """All problems of one file, a line each, with its cure."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems), "correct the lines that are named")
        self.problems = problems

    def __str__(self) -> str:
        return self.problem  # each line has its own cure


@dataclass(frozen=True, slots=True)
class PolicyReading:
    """What a file says. `policy` is None where there is any problem; `denied` has no rule that lets anything run."""

    policy: Policy | None
    denied: Policy
    problems: tuple[str, ...] = ()  # "file: line 7: rule x: key: what is wrong: what to do"
    notes: tuple[str, ...] = ()  # not wrong, but good to know: a rule that a denial takes the effect of
    empty: bool = False


def parse_policy(data: Mapping[str, Any], file: str) -> Policy:
    """The policy of parsed TOML; raises UserError with every problem."""
    return whole_policy(_read(PolicySource(dict(data), Span()), file))


def load_policy_bytes(data: bytes, file: str) -> Policy:
    """The policy of a file's bytes; raises UserError with every problem."""
    return whole_policy(read_policy(data, file))


def read_policy(data: bytes, file: str) -> PolicyReading:
    return _read(read_source(data), file)


def read_policy_source(source: PolicySource, file: str) -> PolicyReading:
    """What a file says whose tables the caller has added some of its own to."""
    return _read(source, file)


def with_denials(policy: Policy, denied: Policy) -> Policy:
    """The policy with what another one forbids on top of it."""
    return replace(policy, rules=(*denied.rules, *policy.rules), denies=(*denied.denies, *policy.denies))


def whole_policy(reading: PolicyReading) -> Policy:
    """The policy of a file without a problem; raises UserError with every problem of another."""
    if reading.policy is None:
        raise PolicyErrors(reading.problems)
    return reading.policy


def _read(source: PolicySource, file: str) -> PolicyReading:
    parser = _PolicyParser(source, file)
    policy = parser.parse()
    problems = tuple(f"{place}: {problem}: {cure}" for place, problem, cure in parser.source_problems())
    problems = tuple(sorted((*problems, *parser.problems), key=_line_of)[:MAX_PROBLEMS])
    denying = tuple(rule for rule in policy.rules if rule.verdict == "deny")
    denied = Policy(rules=denying, denies=(*policy.denies, *parser.salvaged))
    return PolicyReading(None if problems else policy, denied, problems, tuple(parser.notes), source.empty)


def _line_of(problem: str) -> int:
    match = _LINE.search(problem)
    return int(match[1]) if match else 0


class _PolicyParser:
    """One reading of a file, element by element, with the problems of all of them."""

    def __init__(self, source: PolicySource, file: str) -> None:
        self.source = source
        self.file = file
        self.top = TableReader(file, "", source.data, lambda: source.span)
        self.elements = ElementParser()
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.salvaged: list[DenyRule] = []  # of denials that could not be read whole

    def source_problems(self) -> Iterator[tuple[str, str, str]]:
        for line, problem, cure in self.source.problems:
            yield f"{self.file}: line {line}", problem, cure

    def parse(self) -> Policy:
        top, elements = self.top, self.elements
        default: Literal["allow", "deny"] = "deny"
        with self.telling():
            default = cast(Literal["allow", "deny"], top.choice("default", ("deny", "allow")))
        self.named("types", elements.new_type, elements.types, elements.broken_types)
        self.named(
            "programs",
            lambda table, name: elements.parse_program(table.table(name), name),
            elements.programs,
            elements.broken_programs,
        )
        lines = [self.line_denial(line) for line in self.source.denies]
        denies = [*self.denies(), *lines]
        rules = self.listed("rule", elements.parse_rule, _salvage_rule)
        environment: dict[str, Any] = {}
        self.named("environment", elements.parse_type, environment, set())
        permitted: frozenset[str] = frozenset()
        with self.telling():
            permitted = real_names(top)
            top.check_unknown_keys()
        policy = Policy(default, tuple(rules), tuple(denies), environment, real_names=permitted)
        self.check_conflicts(policy)
        self.note_shadowed(policy)
        return policy

    # ---- elements

    def named(self, key: str, parse: Callable[[TableReader, str], T], into: dict[str, T], broken: set[str]) -> None:
        """Every entry of a table whose keys are names."""
        names: list[str] = []
        with self.telling():
            names = self.top.table(key).names()
        for name in names:
            found = self.element(lambda: self.top.table(key), lambda table, name=name: parse(table, name))  # type: ignore[misc]
            if found is None:
                broken.add(name)
            else:
                into[name] = found

    def denies(self) -> Iterator[DenyRule]:
        """The tables [[deny]], or the list of names that `deny = […]` of more than one line is."""
        value = self.source.data.get("deny")
        names = _texts(value)
        if isinstance(value, str) or (isinstance(value, list) and names and len(names) == len(value)):
            self.top.has("deny")
            yield self.line_denial(DenyLine(self.source.span.line_of("deny"), names))
            return
        yield from self.listed("deny", self.elements.parse_deny, _salvage_deny)

    def listed(
        self, key: str, parse: Callable[[TableReader], T], salvage: Callable[[str, Mapping[str, Any]], DenyRule | None]
    ) -> list[T]:
        """Every table [[key]]. Of one that cannot be read, what it forbids is kept."""
        count = 0
        with self.telling():
            count = self.top.count(key)
        found: list[T] = []
        for index in range(count):
            item = self.element(lambda index=index: self.top.entry(key, index), parse)  # type: ignore[misc]
            if item is not None:
                found.append(item)
                continue
            data = self.source.data[key][index]
            if isinstance(data, Mapping):
                kept = (salvage(f"{key}-{index + 1}", data), _salvage_deny("deny", {"names": data.get("deny")}))
                self.salvaged.extend(filter(None, kept))
        return found

    def line_denial(self, line: DenyLine) -> DenyRule:
        programs = {name for name in line.names if "/" in name}
        names = set(line.names) - programs
        for path in sorted(programs):
            if not is_normal_path(path):
                place = f"{self.file}: line {line.line}: deny: "
                self.tell(place + f"{path!r} is neither a name nor an absolute path: write rm, or /usr/bin/rm")
                names.add(path.rsplit("/", 1)[-1])
        about = line.comment[:MAX_TEXT] if line.comment and line.comment.isprintable() else NO_REASON
        return deny_rule(f"deny-line-{line.line}", about, programs, filter(None, names))

    # ---- problems

    def tell(self, problem: str) -> None:
        if problem not in self.problems and len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)

    def report(self, mistake: PolicyMistake) -> None:
        """A table with a line that is no TOML has been told: what is missing in it may be on that line."""
        if mistake.line not in self.source.broken:
            self.tell(str(mistake))

    @contextmanager
    def telling(self) -> Iterator[None]:
        try:
            yield
        except PolicyMistake as mistake:
            self.report(mistake)

    def element(self, make: Callable[[], TableReader], parse: Callable[[TableReader], T]) -> T | None:
        """One element, or None with all its problems told: a key with a mistake is taken out, and the rest read again,
        as long as that finds another.
        """
        try:
            return parse(make())
        except Consequence:
            return None
        except PolicyMistake as mistake:
            self.report(mistake)
        self.elements.repairing = True
        dropped: set[tuple[int, str]] = set()
        try:
            table = make()
            data = deepcopy(table.data)
            for _ in range(_MAX_REPAIRS):
                try:
                    parse(TableReader(table.file, table.location, data, table.span))
                    break
                except PolicyMistake as mistake:
                    if (id(mistake.table), mistake.key) not in dropped:
                        self.report(mistake)
                    if not _repair(mistake, dropped):
                        break
        except (Consequence, PolicyMistake):
            pass
        finally:
            self.elements.repairing = False
        return None

    # ---- all together

    def check_conflicts(self, policy: Policy) -> None:
        """What only shows when all rules are seen together. A denial and a rule for the same program are no conflict:
        the denial counts.
        """
        denied = policy.denied
        if len(denied.names) > MAX_DENIED or len(denied.programs) > MAX_DENIED:
            self.tell(f'{self.file}: deny: more than {MAX_DENIED} names or programs: say less by default = "deny"')
        ids: set[str] = set()
        for taken in (*(rule.id for rule in policy.rules), *(deny.id for deny in policy.denies)):
            if taken in ids or taken in ("default", "grammar"):
                self.tell(self.place(taken) + "the id is taken: give every rule an id of its own")
            ids.add(taken)
        for name, rules in policy.by_name.items():
            paths = {rule.program.path for rule in rules}
            if len(paths) > 1:
                means = f"means more than one program: {', '.join(sorted(paths))}"
                self.tell(f"{self.place(rules[-1].id)}{name}: {means}: give each its own names")

    def place(self, rule: str) -> str:
        """Where the last rule of this id stands."""
        pattern = f'id = "{rule}"'
        numbers = [n for n, line in enumerate(self.source.span.lines, start=1) if line.strip().startswith(pattern)]
        return f"{self.file}: " + (f"line {numbers[-1]}: " if numbers else "") + f"{rule}: "

    def note_shadowed(self, policy: Policy) -> None:
        for rule in policy.rules:
            deny = next((deny for deny in policy.denies if _forbids(deny, rule)), None)
            if deny is not None and rule.verdict != "deny":
                self.notes.append(f"{self.file}: rule {rule.id} lets nothing run: deny {deny.id} names its program")


def _forbids(deny: DenyRule, rule: Rule) -> bool:
    names = rule.program.names if rule.script is None else (rule.script.name,)
    return rule.program.path in deny.programs or bool(deny.names.intersection(names))


def _repair(mistake: PolicyMistake, dropped: set[tuple[int, str]]) -> bool:
    """Takes the key out, or puts something in where it is missing; False where neither helps."""
    table, key = mistake.table, mistake.key
    if not isinstance(table, dict):
        return False
    dropped.add((id(table), key))
    if key in table:
        del table[key]
        return True
    if key.startswith("-"):  # the spelling of an option in one of two lists
        lists = [name for name in ("flags", "options") if name in table]
        for name in lists:
            del table[name]
        return bool(lists)
    if key in _PLACEHOLDERS and mistake.missing:
        table[key] = _PLACEHOLDERS[key]
        return True
    return False


def _salvage_rule(name: str, data: Mapping[str, Any]) -> DenyRule | None:
    """A rule that forbids something and cannot be read forbids its whole program."""
    program = data.get("program")
    if data.get("verdict") != "deny" or not isinstance(program, str):
        return None
    return _salvage_deny(name, {**data, "programs": [program], "names": [*_texts(data.get("names")), program]})


def _salvage_deny(name: str, data: Mapping[str, Any]) -> DenyRule | None:
    """What can be read of the names of a denial."""
    programs = [path for path in _texts(data.get("programs")) if is_normal_path(path)]
    names = [text.rsplit("/", 1)[-1] for text in _texts(data.get("names"))]
    if not programs and not any(names):
        return None
    about = data.get("about")
    about = about if isinstance(about, str) and about.isprintable() and len(about) <= MAX_TEXT else NO_REASON
    return deny_rule(name, about, programs, filter(None, names))


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
