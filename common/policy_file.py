"""A policy from the data of its TOML file. The unknown, contradictory and ambiguous is refused: file, rule, key, cure.

The file's form is described where people write it: at the head of the default policy. Reading the file itself is the
caller's: `data` is what `tomllib` gives.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, Literal, cast

from common.ids import is_label_value
from common.plan import MAX_OUTPUT_CAP, MAX_TIME_LIMIT
from common.policy_pattern import BadPattern, check_pattern
from common.policy_rules import NUMBER, ROLES, Deny, Kind, Option, Policy, Program, Rule, Slot, Style, When, Word
from common.policy_table import Table
from common.policy_values import (
    BUILT_IN,
    AnyOf,
    Choice,
    Integer,
    Items,
    Misfit,
    Number,
    Path,
    Pattern,
    Type,
    is_beneath,
)

MAX_APPROVERS: Final = 10
_OPTION_KEYS: Final = ("when", "default")
_KINDS: Final = ("any", "choice", "integer", "list", "number", "path", "pattern")


def parse_policy(data: Mapping[str, Any], file: str) -> Policy:
    """Raises UserError naming the file, the rule, the key and the cure."""
    return _File(Table(file, "", data)).policy()


class _File:
    """One reading of a file: types and programs first, then the rules that name them."""

    def __init__(self, top: Table) -> None:
        self.top = top
        self.types: dict[str, Type] = dict(BUILT_IN)
        self.programs: dict[str, Program] = {}

    def policy(self) -> Policy:
        top = self.top
        default = cast(Literal["allow", "deny"], top.one_of("default", ("deny", "allow")))
        types = top.table("types")
        for name in types.names():
            if name in self.types or name in _KINDS:
                types.refuse(name, "there is a built-in type of this name", "choose another name")
            self.types[name] = self.type_of(types, name)
        programs = top.table("programs")
        for name in programs.names():
            self.programs[name] = self.program(programs.table(name), name)
        rules = tuple(self.rule(table) for table in top.tables("rule"))
        denies = tuple(_deny(table) for table in top.tables("deny"))
        environment = top.table("environment")
        variables = {name: self.type_of(environment, name) for name in environment.names()}
        top.done()
        policy = Policy(default, rules, denies, variables)
        _refuse_contradictions(top, policy)
        return policy

    # Types

    def type_of(self, table: Table, key: str, without: tuple[str, ...] = ()) -> Type:
        """The type under `key`: a name, or a table of `type` and parameters; the keys `without` are the caller's."""
        value = table.raw(key)
        if isinstance(value, str):
            return self.named_type(table, key, value)
        inner = table.table(key)
        kind = self.parametric_type(inner)
        inner.asked.update(without)
        inner.done()
        return kind

    def named_type(self, table: Table, key: str, name: str) -> Type:
        if name not in self.types:
            table.refuse(key, f"{name!r} is not a type", f"use one of {', '.join(sorted((*self.types, *_KINDS)))}")
        return self.types[name]

    def parametric_type(self, table: Table) -> Type:
        name = table.text("type")
        if name == "integer":
            lowest, highest = -(2**62), 2**62
            minimum = table.integer("minimum", lowest, highest)
            return Integer(minimum, table.integer("maximum", minimum, highest))
        if name == "number":
            least = table.number("minimum", 0, 1e9)
            return Number(least, table.number("maximum", least, 1e9))
        if name == "choice":
            return Choice(table.texts("of", None))
        if name == "list":
            return Items(self.type_of(table, "of"), table.integer("max_items", 1, 256, 32))
        if name == "any":
            return AnyOf(tuple(self.named_type(table, "of", each) for each in table.texts("of", None)))
        if name == "pattern":
            return _pattern(table)
        if name == "path":
            return _path(table)
        return self.named_type(table, "type", name)

    # Programs and rules

    def program(self, table: Table, name: str) -> Program:
        path = table.text("path")
        _check_program(table, "path", path)
        program = Program(
            path=path,
            names=table.texts("names", (posixpath.basename(path),)),
            style=cast(Style, table.one_of("style", ("gnu", "plain"), "gnu")),
            insert=table.words("insert"),
            env=_env(table),
            directory=self.type_of(table, "directory") if table.has("directory") else None,
        )
        program = replace(program, before=self.options(table, program.style))
        table.done()
        return program

    def rule(self, table: Table) -> Rule:
        rule_id = table.name("id")
        table.where = f"rule {rule_id}"
        program = self.rule_program(table)
        verdict = cast(Kind, table.one_of("verdict", ("allow", "ask", "deny")))
        options = self.options(table, program.style)
        rule = Rule(
            id=rule_id,
            about=table.text("about"),
            program=program,
            verdict=verdict,
            words=tuple(_word(table, text) for text in table.words("words")),
            short=table.text("short", ""),
            insert=table.words("insert"),
            options=options,
            anywhere=table.flag("anywhere"),
            arguments=self.slots(table, "arguments"),
            rest=self.slots(table, "rest"),
            end_of_options=table.flag("end_of_options"),
            required=_required(table, options),
            env=_merged(table, program.env, _env(table)),
            approvers=table.integer("approvers", 1, MAX_APPROVERS, 1) if verdict == "ask" else 0,
            second_factor=verdict == "ask" and table.flag("second_factor"),
            own_approval=verdict == "ask" and table.flag("own_approval"),
            roles=_roles(table),
            agents=_agents(table),
            labels=_labels(table),
            time_limit=table.integer("time_limit", 1, MAX_TIME_LIMIT) if table.has("time_limit") else None,
            output_cap=table.integer("output_cap", 1, MAX_OUTPUT_CAP) if table.has("output_cap") else None,
        )
        if verdict != "ask":
            for key in ("approvers", "second_factor", "own_approval"):
                if table.has(key):
                    table.refuse(key, f"means nothing with verdict {verdict}", 'leave it out, or write verdict = "ask"')
        table.done()
        _check_rule(table, rule)
        return rule

    def rule_program(self, table: Table) -> Program:
        name = table.text("program")
        if not name.startswith("/"):
            if name not in self.programs:
                table.refuse("program", f"{name!r} is not absolute", f"write its path, or add [programs.{name}]")
            for key in ("names", "style", "directory"):
                if table.has(key):
                    table.refuse(key, f"belongs to [programs.{name}]", "move it there")
            return self.programs[name]
        _check_program(table, "program", name)
        return Program(
            path=name,
            names=table.texts("names", (posixpath.basename(name),)),
            style=cast(Style, table.one_of("style", ("gnu", "plain"), "gnu")),
            directory=self.type_of(table, "directory") if table.has("directory") else None,
        )

    def options(self, table: Table, style: Style) -> tuple[Option, ...]:
        """`flags` and `options` of a rule or a program; every spelling once, and of a form the style can read."""
        found = [Option(tuple(text.split())) for text in table.texts("flags")]
        inner = table.table("options")
        for key, value in inner.items():
            when, default = "required", ""
            if isinstance(value, Mapping):
                entry = Table(table.file, f"{inner.where}: {key}", value)
                when = entry.one_of("when", ("required", "glued", "next"), "required")
                default = entry.text("default", "")
            kind = self.type_of(inner, key, _OPTION_KEYS)
            found.append(Option(tuple(key.split()), kind, cast(When, when), _fitting(inner, key, kind, default)))
        seen: set[str] = set()
        for option in found:
            for spelling in option.spellings or ("",):
                _check_spelling(table, spelling, option, style)
                if spelling in seen:
                    table.refuse(spelling, "stands there twice", "leave one of them out")
                seen.add(spelling)
        return tuple(found)

    def slots(self, table: Table, key: str) -> tuple[Slot, ...]:
        found: list[Slot] = []
        for entry in table.tables(key):
            kind = self.parametric_type(entry)
            minimum = entry.integer("min", 0, 64, 1)
            slot = Slot(entry.text("name"), kind, minimum, entry.integer("max", max(1, minimum), 64, max(1, minimum)))
            slot = replace(slot, default=_fitting(entry, "default", kind, entry.text("default", "")))
            if slot.default and slot.minimum:
                entry.refuse("default", "means nothing for an argument that must be given", "write min = 0")
            entry.done()
            if any(each.maximum > 1 and each.maximum > each.minimum for each in found) and slot.maximum > slot.minimum:
                entry.refuse(
                    "max", "two arguments of open number follow one another", "give one of them a fixed number"
                )
            found.append(slot)
        return tuple(found)


# Parts of a rule


def _pattern(table: Table) -> Pattern:
    pattern = table.text("pattern")
    maximum = table.integer("max_length", 1, 4096, 256)
    try:
        check_pattern(pattern, maximum)
    except BadPattern as error:
        table.refuse("pattern", str(error), "write it simpler, or use a built-in type")
    return Pattern(pattern, maximum, table.text("shape", "VALUE"))


def _path(table: Table) -> Path:
    kind = Path(
        beneath=table.texts("beneath"),
        exactly=table.texts("exactly"),
        excluding=table.texts("except"),
        endings=table.texts("except_endings"),
        hidden=table.flag("hidden"),
        shape=table.text("shape", "PATH"),
    )
    for key, paths in (("beneath", kind.beneath), ("exactly", kind.exactly), ("except", kind.excluding)):
        for path in paths:
            if not _is_normal(path):
                table.refuse(
                    key, f"{path!r} is not an absolute path in its shortest form", "write it from / on, without .."
                )
    if not kind.beneath and not kind.exactly:
        table.refuse("beneath", "missing", "name the folders that paths may lie in")
    for path in kind.excluding:
        if not any(is_beneath(path, root) for root in kind.beneath):
            table.refuse("except", f"{path} lies beneath none of `beneath`", "leave it out, or look for a slip")
    return kind


def _is_normal(path: str) -> bool:
    return path.startswith("/") and not path.startswith("//") and posixpath.normpath(path) == path


def _check_program(table: Table, key: str, path: str) -> None:
    if not _is_normal(path) or path == "/":
        table.refuse(
            key, f"{path!r} is not an absolute program", "write its path from / on, as `type -P NAME` tells it"
        )


def _check_spelling(table: Table, spelling: str, option: Option, style: Style) -> None:
    if spelling == NUMBER:
        if not isinstance(option.value, Integer) or option.value.minimum < 0 or option.spellings != (NUMBER,):
            table.refuse(spelling, "must be alone and an integer", 'write "-NUM" = { type = "integer", … }')
        return
    bare = spelling.strip("-")
    dashes = len(spelling) - len(spelling.lstrip("-"))
    if not bare or dashes > 2 or (dashes == 0 and style == "gnu") or ("=" in spelling and style == "gnu"):
        table.refuse(spelling or "options", "not the spelling of an option", "write it as -x or --long")
    if style == "gnu" and dashes == 1 and len(spelling) != 2:
        cure = 'write -x or --long, or style = "plain" where the program has no clusters'
        table.refuse(spelling, "could be read as a cluster of letters", cure)
    if dashes == 1 and style == "gnu" and bare in "-=":
        table.refuse(spelling, "not the spelling of an option", "write it as -x or --long")


def _fitting(table: Table, key: str, kind: Type, default: str) -> str:
    if not default:
        return ""
    try:
        return kind.fit(default, "")
    except Misfit as misfit:
        table.refuse(key, f"the default does not fit: {misfit.sentence}", "write one that does")


def _word(table: Table, text: str) -> Word:
    optional = text.startswith("?")
    choices = tuple(tuple(choice.split()) for choice in text.removeprefix("?").split("|"))
    spellings = [spelling for choice in choices for spelling in choice]
    if not all(choices) or any(spelling.startswith("-") for spelling in spellings):
        table.refuse("words", f"{text!r} is not a sub-command", 'write ["show list ls"], the full word first')
    if len(set(spellings)) != len(spellings):
        table.refuse("words", f"{text!r} has a word twice", "leave one of them out")
    return Word(choices, optional)


def _required(table: Table, options: tuple[Option, ...]) -> tuple[tuple[str, ...], ...]:
    by_spelling = {spelling: option for option in options for spelling in option.spellings}
    found: list[tuple[str, ...]] = []
    for text in table.texts("required"):
        for spelling in text.split():
            if spelling not in by_spelling:
                table.refuse("required", f"{spelling} is not an option of the rule", "add it to flags or options")
        found.append(tuple(dict.fromkeys(s for spelling in text.split() for s in by_spelling[spelling].spellings)))
    return tuple(found)


def _env(table: Table) -> tuple[tuple[str, str], ...]:
    inner = table.table("env")
    found: list[tuple[str, str]] = []
    for name, value in inner.items():
        if (
            not name.replace("_", "a").isalnum()
            or not name.isascii()
            or name[0].isdigit()
            or not isinstance(value, str)
        ):
            inner.refuse(name, "not an environment variable", 'write NAME = "text"')
        found.append((name, value))
    return tuple(sorted(found))


def _merged(
    table: Table, a: tuple[tuple[str, str], ...], b: tuple[tuple[str, str], ...]
) -> tuple[tuple[str, str], ...]:
    for name, _ in b:
        if name in dict(a):
            table.refuse(f"env: {name}", "the program sets it already", "set it in one place")
    return tuple(sorted((*a, *b)))


def _roles(table: Table) -> frozenset[str]:
    roles = table.texts("roles", ("operator",))
    for role in roles:
        if role not in ROLES:
            table.refuse("roles", f"{role!r} is not a role", f"use one of {', '.join(ROLES)}")
    if not roles:
        table.refuse("roles", "empty: nobody could run it", 'leave it out, or write verdict = "deny"')
    return frozenset(roles)


def _agents(table: Table) -> tuple[str, ...]:
    patterns = table.texts("agents")
    for pattern in patterns:
        plain = pattern.replace("*", "a")
        if (
            pattern.count("*") > 3
            or len(pattern) > 64
            or not plain.replace("-", "a").replace(".", "a").replace("_", "a").isalnum()
        ):
            table.refuse("agents", f"{pattern!r} is not a name pattern", "write a machine's name, with at most three *")
    if table.has("agents") and not patterns:
        table.refuse("agents", "empty: no machine could run it", "leave it out for every machine")
    return patterns


def _labels(table: Table) -> tuple[tuple[str, str], ...]:
    inner = table.table("labels")
    for name, value in inner.items():
        if not isinstance(value, str) or not is_label_value(value):
            inner.refuse(name, "not a label's value", 'write it as text, as in role = "web"')
    return tuple(sorted((name, str(value)) for name, value in inner.items()))


def _deny(table: Table) -> Deny:
    deny_id = table.name("id")
    table.where = f"deny {deny_id}"
    deny = Deny(deny_id, table.text("about"), frozenset(table.texts("programs")), frozenset(table.texts("names")))
    for path in deny.programs:
        _check_program(table, "programs", path)
    for name in deny.names:
        if "/" in name or name != name.lower():
            table.refuse("names", f"{name!r} is not a lower-case name without a folder", "a path goes to programs")
    if not deny.programs and not deny.names:
        table.refuse("names", "missing", "name the programs")
    table.done()
    return deny


def _check_rule(table: Table, rule: Rule) -> None:
    if rule.rest and rule.end_of_options:
        table.refuse("rest", "cannot be told from arguments after an inserted --", "leave end_of_options out")
    if any(word.optional for word in rule.words[:-1]):
        table.refuse("words", "only the last sub-command may be left out", "write two rules")
    if rule.short and (
        not rule.words or "/" in rule.short or any(word.optional or len(word.choices) > 1 for word in rule.words)
    ):
        table.refuse("short", "stands for sub-commands", "give the rule words without a choice")
    if rule.anywhere and not rule.words:
        table.refuse("anywhere", "means nothing without sub-commands", "leave it out")
    if rule.program.before and not rule.words:
        table.refuse("words", "missing, and the program has options before the sub-command", "add the sub-command")
    for name in rule.program.names:
        if "/" in name:
            table.refuse("names", f"{name!r} has a folder", "names are what people type; the path is the program's")


def _refuse_contradictions(top: Table, policy: Policy) -> None:
    """What only shows when all rules are seen together."""
    ids: set[str] = set()
    for taken in (*(rule.id for rule in policy.rules), *(deny.id for deny in policy.denies)):
        if taken in ids or taken in ("default", "grammar"):
            top.refuse(taken, "the id is taken", "give every rule an id of its own")
        ids.add(taken)
    for name, rules in policy.by_name.items():
        paths = {rule.program.path for rule in rules}
        if len(paths) > 1:
            top.refuse(name, f"means more than one program: {', '.join(sorted(paths))}", "give each its own names")
        for deny in policy.denies:
            if name in deny.names or rules[0].program.path in deny.programs:
                top.refuse(f"deny {deny.id}", f"names {name}, which rule {rules[0].id} lets run", "drop one of the two")
