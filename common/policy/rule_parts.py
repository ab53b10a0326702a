"""The parts of a rule, each read and checked by itself; a mistake names the table, the key and the cure."""

from __future__ import annotations

import posixpath
import re
from typing import Final

from common.ids import is_label_value
from common.policy.machine_checks import ByDescriptor, RunAs, is_digest
from common.policy.rules import NUMERIC_OPTION, Idempotence, Option, OptionStyle, Program, Rule, Script, SubCommand
from common.policy.safe_regex import BadPattern, check_pattern
from common.policy.table import TableReader
from common.policy.types import IntegerType, InvalidValue, PathType, PatternType, ValueType, is_beneath
from common.policy.windows import BadWindow, Window, parse_window
from common.roles import ROLES
from common.script import ScriptWord

MAX_WINDOWS: Final = 16
_SCRIPT_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", re.ASCII)


def pattern_type(table: TableReader) -> PatternType:
    pattern = table.text("pattern")
    maximum = table.integer("max_length", 1, 4096, 256)
    try:
        check_pattern(pattern, maximum)
    except BadPattern as error:
        table.fail("pattern", str(error), "write it simpler, or use a built-in type")
    return PatternType(pattern, maximum, table.text("shape", "VALUE"))


def path_type(table: TableReader) -> PathType:
    kind = PathType(
        beneath=table.text_list("beneath"),
        exactly=table.text_list("exactly"),
        excluding=table.text_list("except"),
        endings=table.text_list("except_endings"),
        hidden=table.boolean("hidden"),
        secrets=table.boolean("secrets"),
        shape=table.text("shape", "PATH"),
    )
    for key, paths in (("beneath", kind.beneath), ("exactly", kind.exactly), ("except", kind.excluding)):
        for path in paths:
            if not is_normal_path(path):
                table.fail(
                    key, f"{path!r} is not an absolute path in its shortest form", "write it from / on, without .."
                )
    if not kind.beneath and not kind.exactly:
        table.fail("beneath", "missing", "name the folders that paths may lie in")
    for path in kind.excluding:
        if not any(is_beneath(path, root) for root in kind.beneath):
            table.fail("except", f"{path} lies beneath none of `beneath`", "leave it out, or look for a slip")
    return kind


def is_normal_path(path: str) -> bool:
    return path.startswith("/") and not path.startswith("//") and posixpath.normpath(path) == path


def check_program(table: TableReader, key: str, path: str) -> None:
    if not is_normal_path(path) or path == "/":
        table.fail(key, f"{path!r} is not an absolute program", "write its path from / on, as `type -P NAME` tells it")


def check_spelling(table: TableReader, spelling: str, option: Option, style: OptionStyle) -> None:
    if spelling == NUMERIC_OPTION:
        if (
            not isinstance(option.value, IntegerType)
            or option.value.minimum < 0
            or option.spellings != (NUMERIC_OPTION,)
        ):
            table.fail(spelling, "must be alone and an integer", 'write "-NUM" = { type = "integer", … }')
        return
    bare = spelling.strip("-")
    dashes = len(spelling) - len(spelling.lstrip("-"))
    if not bare or dashes > 2 or (dashes == 0 and style == "gnu") or ("=" in spelling and style == "gnu"):
        table.fail(spelling or "options", "not the spelling of an option", "write it as -x or --long")
    if style == "gnu" and dashes == 1 and len(spelling) != 2:
        cure = 'write -x or --long, or style = "plain" where the program has no clusters'
        table.fail(spelling, "could be read as a cluster of letters", cure)
    if dashes == 1 and style == "gnu" and bare in "-=":
        table.fail(spelling, "not the spelling of an option", "write it as -x or --long")


def checked_default(table: TableReader, key: str, kind: ValueType, default: str) -> str:
    if not default:
        return ""
    try:
        return kind.normalize(default, "")
    except InvalidValue as misfit:
        table.fail(key, f"the default does not fit: {misfit.sentence}", "write one that does")


def sub_command(table: TableReader, text: str) -> SubCommand:
    optional = text.startswith("?")
    choices = tuple(tuple(choice.split()) for choice in text.removeprefix("?").split("|"))
    spellings = [spelling for choice in choices for spelling in choice]
    if not all(choices) or any(spelling.startswith("-") for spelling in spellings):
        table.fail("words", f"{text!r} is not a sub-command", 'write ["show list ls"], the full word first')
    if len(set(spellings)) != len(spellings):
        table.fail("words", f"{text!r} has a word twice", "leave one of them out")
    return SubCommand(choices, optional)


def option_sets(table: TableReader, key: str, options: tuple[Option, ...]) -> tuple[tuple[str, ...], ...]:
    """Sets of options, each named by one of its spellings and given with all of them: `required`, `exclusive`."""
    by_spelling = {spelling: option for option in options for spelling in option.spellings}
    found: list[tuple[str, ...]] = []
    for text in table.text_list(key):
        for spelling in text.split():
            if spelling not in by_spelling:
                table.fail(key, f"{spelling} is not an option of the rule", "add it to flags or options")
        found.append(tuple(dict.fromkeys(s for spelling in text.split() for s in by_spelling[spelling].spellings)))
    return tuple(found)


def fixed_variables(table: TableReader) -> tuple[tuple[str, str], ...]:
    inner = table.table("env")
    found: list[tuple[str, str]] = []
    for name, value in inner.items():
        if (
            not name.replace("_", "a").isalnum()
            or not name.isascii()
            or name[0].isdigit()
            or not isinstance(value, str)
        ):
            inner.fail(name, "not an environment variable", 'write NAME = "text"')
        found.append((name, value))
    return tuple(sorted(found))


def merge_variables(
    table: TableReader, a: tuple[tuple[str, str], ...], b: tuple[tuple[str, str], ...]
) -> tuple[tuple[str, str], ...]:
    for name, _ in b:
        if name in dict(a):
            table.fail(f"env: {name}", "the program sets it already", "set it in one place")
    return tuple(sorted((*a, *b)))


def roles_of(table: TableReader) -> frozenset[str]:
    roles = table.text_list("roles", ("operator",))
    for role in roles:
        if role not in ROLES:
            table.fail("roles", f"{role!r} is not a role", f"use one of {', '.join(ROLES)}")
    if not roles:
        table.fail("roles", "empty: nobody could run it", 'leave it out, or write verdict = "deny"')
    return frozenset(roles)


def agent_patterns(table: TableReader) -> tuple[str, ...]:
    patterns = table.text_list("agents")
    for pattern in patterns:
        plain = pattern.replace("*", "a")
        if (
            pattern.count("*") > 3
            or len(pattern) > 64
            or not plain.replace("-", "a").replace(".", "a").replace("_", "a").isalnum()
        ):
            table.fail("agents", f"{pattern!r} is not a name pattern", "write a machine's name, with at most three *")
    if table.has("agents") and not patterns:
        table.fail("agents", "empty: no machine could run it", "leave it out for every machine")
    return patterns


def labels_of(table: TableReader) -> tuple[tuple[str, str], ...]:
    inner = table.table("labels")
    for name, value in inner.items():
        if not isinstance(value, str) or not is_label_value(value):
            inner.fail(name, "not a label's value", 'write it as text, as in role = "web"')
    return tuple(sorted((name, str(value)) for name, value in inner.items()))


def real_names(table: TableReader) -> frozenset[str]:
    """What the file behind a program's name may be called: names, or absolute programs."""
    found = table.text_list("real_names")
    for name in found:
        if "/" in name and not is_normal_path(name):
            problem = f"{name!r} is neither a name nor an absolute program"
            table.fail("real_names", problem, "write mawk, or /usr/bin/mawk")
    return frozenset(found)


def digests(table: TableReader) -> frozenset[str]:
    """SHA-256 digests that a program's file may have: one, or a list of them."""
    if not table.has("sha256"):
        return frozenset()
    found = (table.text("sha256"),) if isinstance(table.data["sha256"], str) else table.text_list("sha256", None)
    for digest in found:
        if not is_digest(digest):
            table.fail("sha256", f"{digest[:80]!r} is no SHA-256", "write the 64 digits that `sha256sum FILE` prints")
    return frozenset(found)


def script_name(table: TableReader) -> str:
    """The name of the script that a rule runs, "" where it runs none."""
    words = table.word_list("words")
    return words[0] if table.has("script") and words else ""


def script_of(table: TableReader, program: Program) -> Script | None:
    """The script of a rule: its name is the sub-command, and the key has its digest."""
    if not table.has("script"):
        return None
    digest, words = table.text("script"), table.word_list("words")
    if not is_digest(digest):
        table.fail(
            "script", f"{digest[:80]!r} is no SHA-256", "write the 64 digits that `sha256sum scripts/NAME` prints"
        )
    if len(words) != 1 or not _SCRIPT_NAME.fullmatch(words[0]):
        table.fail("words", "not the name of a script", 'write words = ["backup.py"], a file of the folder scripts')
    if program.global_options:
        table.fail("script", "the program has options before the sub-command", "give it a [programs.NAME] without")
    return Script(words[0], ScriptWord(1 + len(program.insert), digest))


def by_descriptor(table: TableReader) -> ByDescriptor:
    """Whether the program gets the descriptor of a checked path instead of its name."""
    if (value := _yes_or_word(table, "by_descriptor", "single", "where one path is given")) is True:
        return "always"
    return "single" if value else ""


def idempotence(table: TableReader) -> Idempotence:
    """Whether what became of a command may be unknown, and it is tried again."""
    if (value := _yes_or_word(table, "idempotent", "approved", "also what people have approved")) is True:
        return "unapproved"
    return "approved" if value else ""


def _yes_or_word(table: TableReader, name: str, word: str, means: str) -> bool | str:
    """A key that is true, false, which is as if it were not there, or this one word."""
    value = table.data[name] if table.has(name) else False
    if not isinstance(value, bool) and value != word:
        table.fail(name, "not known", f'write true, or "{word}": {means}')
    return value if isinstance(value, bool) else word


def windows(table: TableReader) -> tuple[Window, ...]:
    """When the rule holds."""
    if not table.has("when"):
        return ()
    texts = (table.text("when"),) if isinstance(table.data["when"], str) else table.text_list("when", None)
    if len(texts) > MAX_WINDOWS:
        table.fail("when", f"more than {MAX_WINDOWS} windows", "say it with fewer")
    found: list[Window] = []
    for text in texts:
        try:
            found.append(parse_window(text))
        except BadWindow as error:
            table.fail("when", f"{text[:80]!r}: {error}", 'write ["mon-fri 08:00-18:00 Europe/Berlin"]')
    return tuple(found)


def run_as(table: TableReader) -> RunAs:
    """Whom the command needs to be: "" is whoever the machine's runner is."""
    if table.has("run_as") and table.choice("run_as", ("root",)):
        return "root"
    return ""


def check_rule(table: TableReader, rule: Rule) -> None:
    if rule.rest and rule.end_of_options:
        table.fail("rest", "cannot be told from arguments after an inserted --", "leave end_of_options out")
    if any(word.optional for word in rule.words[:-1]):
        table.fail("words", "only the last sub-command may be left out", "write two rules")
    if rule.verdict == "deny":
        for key in ("real_names", "sha256", "by_descriptor", "script", "run_as"):
            if table.has(key):
                table.fail(key, "means nothing with verdict deny", "leave it out")
    if rule.short and (
        not rule.words or "/" in rule.short or any(word.optional or len(word.choices) > 1 for word in rule.words)
    ):
        table.fail("short", "stands for sub-commands", "give the rule words without a choice")
    if rule.script and (rule.anywhere or rule.short != rule.script.name):
        table.fail("script", "its name is what people type", "leave `short` and `anywhere` out")
    if rule.anywhere and not rule.words:
        table.fail("anywhere", "means nothing without sub-commands", "leave it out")
    if rule.program.global_options and not rule.words:
        table.fail("words", "missing, and the program has options before the sub-command", "add the sub-command")
    for name in rule.program.names:
        if "/" in name:
            table.fail("names", f"{name!r} has a folder", "names are what people type; the path is the program's")
