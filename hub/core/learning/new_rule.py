"""A rule for what no rule is about, and people ask for again and again: one that asks. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from common.policy.check import DEFAULT_RULE, Verdict
from common.policy.escapes import knows_harm
from common.policy.match import RuleMatch, match_rule
from hub.core.learning.proposal import Evidence, Group, PolicyText, Proposal, Terms, build_proposal, people_words
from hub.core.learning.values import NotLearned, general_type

_PROGRAM_PLACES: Final = ("/usr/", "/bin/", "/sbin/", "/opt/")
_PROGRAM: Final = re.compile(r"/[A-Za-z0-9_.+/-]{1,255}", re.ASCII)
_SUB_COMMAND: Final = re.compile(r"[a-z][a-z0-9-]{1,30}", re.ASCII)
_FLAG: Final = re.compile(r"--?[A-Za-z0-9][A-Za-z0-9-]{0,62}", re.ASCII)
_CLUSTER: Final = re.compile(r"-[A-Za-z]{2,16}", re.ASCII)


@dataclass(frozen=True, slots=True)
class NewShape:
    path: str
    word: str
    flags: tuple[str, ...]
    options: tuple[str, ...]
    arguments: int


def find_shape(text: PolicyText, row: Evidence, verdict: Verdict, terms: Terms) -> NewShape:
    if verdict.rule != DEFAULT_RULE:
        raise NotLearned(f"{verdict.rule} denies it")
    if row.outcome == "rejected":
        raise NotLearned("people refused it")
    path = row.argv[0] if row.argv[0].startswith("/") else terms.programs.get(row.argv[0], "")
    if not path:
        raise NotLearned("nobody wrote where its program is (--program NAME=PATH does)")
    if not _PROGRAM.fullmatch(path) or posixpath.normpath(path) != path or not path.startswith(_PROGRAM_PLACES):
        raise NotLearned("its program does not lie in /usr, /bin, /sbin or /opt")
    argv = (path, *row.argv[1:])
    if knows_harm(argv):
        raise NotLearned("it is known as a way to run, write or read something else")
    for rule in text.policy.rules:
        if rule.program.path == path and isinstance(match_rule(rule, argv, row.cwd), RuleMatch):
            raise NotLearned(f"rule {rule.id} has it, for other people, machines, folders or variables")
    if row.cwd or row.env:
        raise NotLearned("it ran in a folder, or with variables of its own")
    word, flags, options, arguments = _parse(text, argv)
    return NewShape(path, word, tuple(sorted(flags)), tuple(sorted({name for name, _ in options})), len(arguments))


def _parse(text: PolicyText, argv: Sequence[str]) -> tuple[str, set[str], list[tuple[str, str]], list[str]]:
    """Sub-command, flags, options with values, and arguments of a vector that no rule reads."""
    words = list(argv[1:])
    word = words.pop(0) if words and _SUB_COMMAND.fullmatch(words[0]) else ""
    flags, options, arguments = set[str](), list[tuple[str, str]](), list[str]()
    gnu = _style(text, argv[0]) == "gnu"
    for each in words:
        name, equals, value = each.partition("=")
        if not each.startswith("-"):
            arguments.append(each)
        elif not _FLAG.fullmatch(name) or (equals and not (name.startswith("--") and value)):
            raise NotLearned("an option of a form that is not known")
        elif equals:
            options.append((name, value))
        elif gnu and _CLUSTER.fullmatch(each):
            flags |= {f"-{letter}" for letter in each[1:]}
        elif gnu and not each.startswith("--") and len(each) > 2:
            raise NotLearned("an option of a form that is not known")
        else:
            flags.add(each)
    if flags & {name for name, _ in options}:
        raise NotLearned("an option with a value and without")
    return word, flags, options, arguments


def _style(text: PolicyText, path: str) -> str:
    if path not in text.programs:
        return "plain"
    return next((rule.program.style for rule in text.policy.rules if rule.program.path == path), "gnu")


def pooled(unknown: Mapping[NewShape, Group], terms: Terms) -> Iterator[Group]:
    """Groups that are enough by themselves; of the others, those that differ in the first word alone together: there it
    was no sub-command.
    """
    pools = dict[object, Group]()
    for shape, group in unknown.items():
        if not shape.word or len(group.requests) >= terms.asked:
            key: object = shape
        else:
            key = (shape.path, shape.flags, shape.options, shape.arguments)
        pools.setdefault(key, Group()).rows.extend(group.rows)
    yield from pools.values()


def new_rule(text: PolicyText, group: Group, terms: Terms) -> Proposal:
    asking = {row.person for row, _ in group.rows if row.person}
    if len(group.requests) < terms.asked or len(asking) < terms.people:
        enough = f"{terms.asked} by {terms.people} people are needed"
        raise NotLearned(
            f"no rule is about it: asked {len(group.requests)} times by {people_words(tuple(asking))}; {enough}"
        )
    argv = group.rows[0][1]
    path = argv[0] if argv[0].startswith("/") else terms.programs[argv[0]]
    parsed = [_parse(text, (path, *argv[1:])) for _, argv in group.rows]
    words = {word for word, *_ in parsed}
    lists = [arguments if len(words) == 1 else [word, *arguments] for word, _, _, arguments in parsed]
    flags = sorted(parsed[0][1])
    names = sorted({name for name, _ in parsed[0][2]})
    word = parsed[0][0] if len(words) == 1 else ""
    known = text.programs.get(path, "")
    table: dict[str, Any] = {"id": "", "about": " ".join(filter(None, ("learned:", posixpath.basename(path), word)))}
    table |= {"program": known or path, **({} if known else {"style": "plain"}), "verdict": "ask", "approvers": 1}
    table |= {"words": [word] if word else [], "flags": flags, "required": [*flags, *names]}
    table["options"] = {name: general_type(v for _, _, o, _ in parsed for n, v in o if n == name) for name in names}
    table["arguments"] = [{"name": "VALUE", **general_type(values)} for values in map(list, zip(*lists, strict=True))]
    return build_proposal(table, group, (), "")
