"""Hypothesis strategies: command lines that rules of a policy let through, as people type them."""

from __future__ import annotations

from hypothesis import strategies as st

from common.policy.rules import NUMERIC_OPTION, Argument, Option, Policy, Rule
from common.policy.types import (
    ChoiceType,
    IntegerType,
    ListType,
    NamedType,
    NumberType,
    PathType,
    PatternType,
    UnionType,
    ValueType,
)

_EXAMPLES = {
    "word": ["nginx", "a-b.c"],
    "text": ["some words", "错误"],
    "host": ["example.org", "10.0.0.1", "::1"],
    "address": ["10.0.0.1", "fe80::1"],
    "network": ["10.0.0.0/8"],
    "interface": ["eth0"],
    "unit": ["nginx.service"],
    "unit-pattern": ["nginx*"],
    "package": ["curl"],
    "package-pattern": ["lib*"],
    "user": ["www-data", "33"],
    "signal": ["HUP", "15"],
    "port": ["443"],
    "time": ["today", "-1 h", "2026-01-02 03:04"],
    "duration": ["5", "1.5s"],
    "size": ["10M", "1"],
    "revision": ["HEAD~2", "main"],
    "object": ["HEAD:docs/index.md"],
    "relative-path": ["src/app.py"],
}


def type_words(kind: ValueType, cwd: str) -> st.SearchStrategy[str]:
    """Words of a type, normal and not so normal ones."""
    match kind:
        case NamedType(name=name):
            return st.sampled_from(_EXAMPLES[name])
        case IntegerType(minimum=low, maximum=high):
            return st.integers(low, high).map(str)
        case NumberType(minimum=low, maximum=high):
            return st.integers(int(low) + 1, max(int(low) + 1, int(high))).map(str)
        case ChoiceType(choices=of):
            return st.sampled_from(of)
        case ListType(item_type=of, maximum=most):
            return st.lists(type_words(of, cwd), min_size=1, max_size=min(3, most)).map(",".join)
        case UnionType(types=of):
            return st.one_of([type_words(each, cwd) for each in of])
        case PatternType(pattern=pattern):
            return st.from_regex(pattern, fullmatch=True)
        case PathType(beneath=beneath, exactly=exactly):
            roots = [*beneath, *exactly]
            below = [f"{root}//x/./y" for root in beneath] + [f"{root}/z/" for root in beneath]
            return st.sampled_from([*roots, *below, *(["some/file", "./x"] if cwd else [])])
    raise AssertionError(kind)


@st.composite
def option_words(draw: st.DrawFn, one: Option, cwd: str) -> list[str]:
    name = draw(st.sampled_from(one.spellings))
    if one.value is None:
        return [name]
    value = draw(type_words(one.value, cwd))
    if name == NUMERIC_OPTION:
        return [f"-{value.removeprefix('-')}"]
    glued = f"{name}={value}" if name.startswith("--") else f"{name}{value}"
    forms = {"glued": [[name], [glued]], "next": [[name], [glued], [name, value]]}
    return draw(st.sampled_from(forms.get(one.when, [[glued], [name, value]])))


@st.composite
def argument_words(draw: st.DrawFn, slots: tuple[Argument, ...], cwd: str) -> list[str]:
    found: list[str] = []
    for slot in slots:
        most = min(slot.maximum, slot.minimum + 2)
        found += draw(st.lists(type_words(slot.type, cwd), min_size=slot.minimum, max_size=most))
    return found


@st.composite
def policy_argv(draw: st.DrawFn, policy: Policy) -> tuple[tuple[str, ...], str]:
    """An argument vector and a directory that some rule of the policy describes; another rule may say no to it."""
    rule: Rule = draw(st.sampled_from(policy.rules))
    directory = rule.program.directory
    cwd = draw(type_words(directory, "")) if directory is not None and draw(st.booleans()) else ""
    cwd = "/" + "/".join(part for part in cwd.split("/") if part not in ("", ".")) if cwd else ""
    argv = [draw(st.sampled_from([*rule.program.names, rule.program.path]))]
    for word in rule.words:
        choices = [spelling for choice in word.choices for spelling in choice]
        argv += draw(st.sampled_from([*([[]] if word.optional else []), *([spelling] for spelling in choices)]))
    needed = {draw(st.sampled_from(choice)) for choice in rule.required}
    some = [one for one in rule.options if needed.intersection(one.spellings)]
    if rule.options:
        some += draw(st.lists(st.sampled_from(rule.options), max_size=3))
    pieces = [draw(option_words(one, cwd)) for one in some]
    given = draw(argument_words(rule.arguments, cwd))
    if draw(st.booleans()):
        pieces = [*pieces, *([word] for word in given)]
    else:
        pieces = [*([word] for word in given), *pieces]
    argv += [word for piece in pieces for word in piece]
    if rule.rest and draw(st.booleans()):
        argv += ["--", *draw(argument_words(rule.rest, cwd))]
    return tuple(argv), cwd
