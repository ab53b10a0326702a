"""The elements of a policy file, one at a time: types, programs, rules, denials. The unknown, contradictory and
ambiguous is refused with a PolicyMistake: file, line, rule, key, cure. `common.policy.file` puts them together.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final, cast

from common.plan import MAX_OUTPUT_CAP, MAX_TIME_LIMIT
from common.policy.rule_parts import (
    agent_patterns,
    by_descriptor,
    check_program,
    check_rule,
    check_spelling,
    checked_default,
    digests,
    fixed_variables,
    idempotence,
    labels_of,
    merge_variables,
    option_sets,
    path_type,
    pattern_type,
    real_names,
    roles_of,
    run_as,
    script_name,
    script_of,
    sub_command,
    windows,
)
from common.policy.rules import (
    REPOSITORY,
    Argument,
    DenyRule,
    Option,
    OptionStyle,
    Program,
    Rule,
    ValueForm,
    VerdictKind,
)
from common.policy.table import TableReader
from common.policy.types import (
    BUILT_IN_TYPES,
    ChoiceType,
    IntegerType,
    ListType,
    NumberType,
    UnionType,
    ValueType,
)
from common.read_file import suggest_key

MAX_APPROVERS: Final = 10
NO_REASON: Final = "denied by name"
"""What a denial that gives no reason tells people."""
_OPTION_KEYS: Final = ("when", "default")
_KINDS: Final = ("any", "choice", "integer", "list", "number", "path", "pattern")
_MERGED: Final = (("/usr/bin/", "/bin/"), ("/usr/sbin/", "/sbin/"))
"""Folders that are one and the same on most systems, by a link."""


class Consequence(Exception):
    """What cannot be read since it names something that could not: that one has been told."""


class ElementParser:
    """Types and programs first, then the rules that name them. While `repairing`, keys with mistakes have been taken
    out of the table, and what compares several keys is not looked at.
    """

    def __init__(self) -> None:
        self.types: dict[str, ValueType] = dict(BUILT_IN_TYPES)
        self.programs: dict[str, Program] = {}
        self.broken_types: set[str] = set()
        self.broken_programs: set[str] = set()
        self.repairing = False

    def new_type(self, types: TableReader, name: str) -> ValueType:
        if name in BUILT_IN_TYPES or name in _KINDS:
            types.fail(name, "there is a built-in type of this name", "choose another name")
        return self.parse_type(types, name)

    # Types

    def parse_type(self, table: TableReader, key: str, without: tuple[str, ...] = ()) -> ValueType:
        """The type under `key`: a name, or a table of `type` and parameters; the keys `without` are the caller's."""
        value = table.value(key)
        if isinstance(value, str):
            return self.named_type(table, key, value)
        inner = table.table(key)
        kind = self.parametric_type(inner)
        inner.read_keys.update(without)
        inner.check_unknown_keys()
        return kind

    def named_type(self, table: TableReader, key: str, name: str) -> ValueType:
        if name not in self.types:
            if name in self.broken_types:
                raise Consequence
            table.fail(key, f"{name!r} is not a type", suggest_key(name, sorted((*self.types, *_KINDS))))
        return self.types[name]

    def parametric_type(self, table: TableReader) -> ValueType:
        name = table.text("type")
        if name == "integer":
            lowest, highest = -(2**62), 2**62
            minimum = table.integer("minimum", lowest, highest)
            return IntegerType(minimum, table.integer("maximum", minimum, highest))
        if name == "number":
            least = table.number("minimum", 0, 1e9)
            return NumberType(least, table.number("maximum", least, 1e9))
        if name == "choice":
            return ChoiceType(table.text_list("of", None))
        if name == "list":
            return ListType(self.parse_type(table, "of"), table.integer("max_items", 1, 256, 32))
        if name == "any":
            return UnionType(tuple(self.named_type(table, "of", each) for each in table.text_list("of", None)))
        if name == "pattern":
            return pattern_type(table)
        if name == "path":
            return path_type(table)
        return self.named_type(table, "type", name)

    # Programs and rules

    def parse_program(self, table: TableReader, name: str) -> Program:
        path = table.text("path")
        check_program(table, "path", path)
        repository = table.boolean("repository")
        program = Program(
            path=path,
            names=table.text_list("names", (posixpath.basename(path),)),
            style=cast(OptionStyle, table.choice("style", ("gnu", "plain"), "gnu")),
            insert=table.word_list("insert"),
            env=tuple(sorted((*fixed_variables(table), *((REPOSITORY,) if repository else ())))),
            directory=self.parse_type(table, "directory") if table.has("directory") else None,
            real_names=real_names(table),
            sha256=digests(table),
            canonical=table.boolean("canonical"),
            repository=repository,
        )
        if program.canonical and program.style == "gnu":
            table.fail("canonical", "means nothing where letters stand in clusters", 'write style = "plain"')
        program = replace(program, global_options=self.parse_options(table, program.style))
        table.check_unknown_keys()
        return program

    def parse_rule(self, table: TableReader) -> Rule:
        denying = table.data.get("verdict") == "deny"
        rule_id = table.name("id") if table.has("id") or not denying else table.location.replace(" ", "-")
        table.location = f"rule {rule_id}"
        program = self.rule_program(table)
        verdict = cast(VerdictKind, table.choice("verdict", ("allow", "ask", "deny")))
        options = self.parse_options(table, program.style)
        rule = Rule(
            id=rule_id,
            about=table.text("about", NO_REASON if denying else None),
            program=program,
            verdict=verdict,
            words=tuple(sub_command(table, text) for text in table.word_list("words")),
            short=table.text("short", script_name(table)),
            insert=table.word_list("insert"),
            options=options,
            anywhere=table.boolean("anywhere"),
            arguments=self.parse_arguments(table, "arguments"),
            rest=self.parse_arguments(table, "rest"),
            end_of_options=table.boolean("end_of_options"),
            required=self.parse_sets(table, "required", options),
            exclusive=self.parse_sets(table, "exclusive", options),
            env=merge_variables(table, program.env, fixed_variables(table)),
            approvers=table.integer("approvers", 1, MAX_APPROVERS, 1) if verdict == "ask" else 0,
            second_factor=verdict == "ask" and table.boolean("second_factor"),
            own_approval=verdict == "ask" and table.boolean("own_approval"),
            critical=verdict == "ask" and table.boolean("critical"),
            wake=table.boolean("wake"),
            idempotent=idempotence(table),
            roles=roles_of(table),
            agents=agent_patterns(table),
            labels=labels_of(table),
            time_limit=table.seconds("time_limit", 1, MAX_TIME_LIMIT) if table.has("time_limit") else None,
            output_cap=table.size("output_cap", 1, MAX_OUTPUT_CAP) if table.has("output_cap") else None,
            real_names=program.real_names | real_names(table),
            sha256=digests(table) or program.sha256,
            by_descriptor=by_descriptor(table),
            script=script_of(table, program),
            run_as=run_as(table),
            when=windows(table),
        )
        if verdict != "ask":
            for key in ("approvers", "second_factor", "own_approval", "critical"):
                if table.has(key):
                    table.fail(key, f"means nothing with verdict {verdict}", 'leave it out, or write verdict = "ask"')
        for key in ("wake", "idempotent"):
            if denying and table.has(key):
                table.fail(key, "means nothing with verdict deny", "leave it out")
        if rule.critical and rule.idempotent:
            table.fail("idempotent", "critical: what people sign there is good for one start", "leave one of them out")
        table.check_unknown_keys()
        if not self.repairing:
            check_rule(table, rule)
        return rule

    def parse_sets(self, table: TableReader, key: str, options: tuple[Option, ...]) -> tuple[tuple[str, ...], ...]:
        return option_sets(table, key, options) if table.has(key) and not self.repairing else ()

    def rule_program(self, table: TableReader) -> Program:
        name = table.text("program")
        if not name.startswith("/"):
            if name in self.broken_programs:
                raise Consequence
            if name not in self.programs:
                table.fail("program", f"{name!r} is not absolute", f"write its path, or add [programs.{name}]")
            for key in ("names", "style", "directory", "canonical", "repository"):
                if table.has(key):
                    table.fail(key, f"belongs to [programs.{name}]", "move it there")
            return self.programs[name]
        check_program(table, "program", name)
        return Program(
            path=name,
            names=table.text_list("names", (posixpath.basename(name),)),
            style=cast(OptionStyle, table.choice("style", ("gnu", "plain"), "gnu")),
            directory=self.parse_type(table, "directory") if table.has("directory") else None,
        )

    def parse_options(self, table: TableReader, style: OptionStyle) -> tuple[Option, ...]:
        """`flags` and `parse_options` of a rule or a program; every spelling once, and of a form the style can read."""
        found = [Option(tuple(text.split())) for text in table.text_list("flags")]
        inner = table.table("options")
        for key, value in inner.items():
            when, default = "required", ""
            if isinstance(value, Mapping):
                entry = TableReader(table.file, f"{inner.location}: {key}", value, table.span)
                when = entry.choice("when", ("required", "glued", "next"), "required")
                default = entry.text("default", "")
            kind = self.parse_type(inner, key, _OPTION_KEYS)
            found.append(
                Option(tuple(key.split()), kind, cast(ValueForm, when), checked_default(inner, key, kind, default))
            )
        seen: set[str] = set()
        for option in found:
            for spelling in option.spellings or ("",):
                check_spelling(table, spelling, option, style)
                if spelling in seen:
                    table.fail(spelling, "stands there twice", "leave one of them out")
                seen.add(spelling)
        return tuple(found)

    def parse_arguments(self, table: TableReader, key: str) -> tuple[Argument, ...]:
        found: list[Argument] = []
        for entry in table.tables(key):
            kind = self.parametric_type(entry)
            minimum = entry.integer("min", 0, 64, 1)
            slot = Argument(
                entry.text("name"), kind, minimum, entry.integer("max", max(1, minimum), 64, max(1, minimum))
            )
            slot = replace(slot, default=checked_default(entry, "default", kind, entry.text("default", "")))
            if slot.default and slot.minimum:
                entry.fail("default", "means nothing for an argument that must be given", "write min = 0")
            entry.check_unknown_keys()
            if any(each.maximum > 1 and each.maximum > each.minimum for each in found) and slot.maximum > slot.minimum:
                entry.fail("max", "two arguments of open number follow one another", "give one of them a fixed number")
            found.append(slot)
        return tuple(found)

    # Denials

    def parse_deny(self, table: TableReader) -> DenyRule:
        """Names alone are enough: who has to stop something fast need not think of an id."""
        deny_id = table.name("id") if table.has("id") else table.location.replace(" ", "-")
        table.location = f"deny {deny_id}"
        programs, names = table.text_list("programs"), table.text_list("names")
        deny = deny_rule(deny_id, table.text("about", NO_REASON), programs, names)
        for path in programs:
            check_program(table, "programs", path)
        for name in names:
            if "/" in name or name != name.lower():
                table.fail("names", f"{name!r} is not a lower-case name without a folder", "a path goes to programs")
        if not programs and not names:
            table.fail("names", "missing", "name the programs")
        table.check_unknown_keys()
        return deny


def deny_rule(deny_id: str, about: str, programs: Iterable[str], names: Iterable[str]) -> DenyRule:
    """A path in /bin is denied in /usr/bin too, and the other way round."""
    paths = set(programs)
    for usr, root in _MERGED:
        paths |= {root + path.removeprefix(usr) for path in paths if path.startswith(usr)}
        paths |= {usr + path.removeprefix(root) for path in paths if path.startswith(root)}
    return DenyRule(deny_id, about, frozenset(paths), frozenset(name.lower() for name in names))
