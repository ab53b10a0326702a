"""What a policy is made of: programs, options, arguments, rules with verdicts; and how a rule is shown in one line.

A rule describes the argument vectors it lets through, piece by piece:

    PROGRAM [inserted] [options before] SUB-COMMAND… [inserted] [options] [--] ARGUMENTS… [-- REST…]

Everything is exact: a spelling that is not listed is refused, abbreviations with it. The values are frozen;
`policy_file` makes them from data and is the place where contradictions are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final, Literal

from common.catalogue import Sentence
from common.policy.machine_checks import ByDescriptor, DeniedPrograms, RunAs
from common.policy.protections import GIT_VARIABLES
from common.policy.types import ValueType
from common.policy.windows import Window
from common.script import ScriptWord

VerdictKind = Literal["allow", "ask", "deny"]
OptionStyle = Literal["gnu", "plain"]
Idempotence = Literal["", "unapproved", "approved"]
"""Whether a job that is unknown is tried again by itself: never, where nobody had to approve it, or also then."""
ValueForm = Literal["required", "glued", "next"]

NUMERIC_OPTION: Final = "-NUM"
"""The spelling of an option that is a number itself, as in `tail -20`."""
REPOSITORY: Final = ("ANSWERBACK_REQUIRES", "repository")
"""The variable with which a program that has `repository = true` runs: the machine starts it in a verified repository
only. A variable, since those are part of what is approved, signed and compared with the machine's own policy."""
RESTRICTING: Final = frozenset({REPOSITORY, ("GIT_ALLOW_PROTOCOL", "none"), ("GIT_ATTR_NOSYSTEM", "1")}) | {
    ("GIT_NO_LAZY_FETCH", "1"),
    ("XDG_CONFIG_HOME", "/dev/null"),
    *GIT_VARIABLES,
}
"""Variables with values that only take something away from a program: a step may always set them."""
_USAGE_LIMIT: Final = 240


@dataclass(frozen=True, slots=True)
class Option:
    """One option in all its spellings.

    `when` tells how a value is given: `required` in the same word or the next; `glued` only in the same word, or not at
    all; `next` like glued, or as the next word if that fits.
    """

    spellings: tuple[str, ...]
    value: ValueType | None = None
    when: ValueForm = "required"
    default: str = ""  # inserted where the option is not given; "" inserts nothing


@dataclass(frozen=True, slots=True)
class Argument:
    """A run of arguments of one type."""

    name: str
    type: ValueType
    minimum: int = 1
    maximum: int = 1
    default: str = ""  # added where the slot is empty and the one before it, if any, is not


@dataclass(frozen=True, slots=True)
class SubCommand:
    """A sub-command: one of several, each with its spellings, the canonical one first.

    Where it may be left out, the first of them is inserted.
    """

    choices: tuple[tuple[str, ...], ...]
    optional: bool = False

    @property
    def first(self) -> str:
        return self.choices[0][0]

    @property
    def shape(self) -> str:
        return "|".join(choice[0] for choice in self.choices)

    def canonical(self, word: str | None) -> str | None:
        """How the sub-command that `word` spells is written when it runs; None if it is none of these."""
        return next((choice[0] for choice in self.choices if word in choice), None)


@dataclass(frozen=True, slots=True)
class Program:
    """An absolute program and what all its rules share."""

    path: str
    names: tuple[str, ...]  # what people may type for it
    style: OptionStyle = (
        "gnu"  # gnu: getopt_long, with clusters of short options; plain: each option alone as it is spelled
    )
    insert: tuple[str, ...] = ()  # right after the program
    global_options: tuple[Option, ...] = ()  # options that may stand before the sub-command
    env: tuple[tuple[str, str], ...] = ()
    directory: ValueType | None = None  # where it may run; None: only in the runner's own empty folder
    real_names: frozenset[str] = frozenset()  # what the file behind its path may be called, whatever is denied
    sha256: frozenset[str] = frozenset()  # digests that the file may have; empty: any
    canonical: bool = False  # options are written in their first spelling when they run
    repository: bool = False  # runs only in a git repository that the machine has verified


@dataclass(frozen=True, slots=True)
class Script:
    """A script of the hub that a rule runs through its program: the rule's sub-command is its name."""

    name: str
    use: ScriptWord
    text: str = ""  # "" where it has not been read: on machines, and where a policy is only looked at


@dataclass(frozen=True)
class Rule:
    """What may run, who may ask for it and where, and the verdict on it."""

    id: str
    about: str
    program: Program
    verdict: VerdictKind
    words: tuple[SubCommand, ...] = ()
    short: str = ""  # one word that stands for program and sub-commands
    insert: tuple[str, ...] = ()  # after the sub-commands
    options: tuple[Option, ...] = ()
    anywhere: bool = False  # the options may stand before the sub-command too
    arguments: tuple[Argument, ...] = ()
    rest: tuple[Argument, ...] = ()  # arguments after a `--` that is typed and kept
    end_of_options: bool = False  # `--` is inserted before the arguments
    required: tuple[tuple[str, ...], ...] = ()  # of each of these sets of spellings, one must be given
    exclusive: tuple[tuple[str, ...], ...] = ()  # of each of these sets of spellings, one may be given, and once
    env: tuple[tuple[str, str], ...] = ()  # sorted; the program's with it
    approvers: int = 0
    second_factor: bool = False
    own_approval: bool = False
    critical: bool = False  # the approvals are signed by the people's own keys, and machines verify them
    wake: bool = False  # a job for a machine that sleeps wakes it: read by the hub alone
    idempotent: Idempotence = ""  # twice does no harm: what is unknown is tried again; read by the hub alone
    roles: frozenset[str] = frozenset({"operator"})
    agents: tuple[str, ...] = ()  # name patterns, `*` stands for any characters; empty: every machine
    labels: tuple[tuple[str, str], ...] = ()
    time_limit: int | None = None
    output_cap: int | None = None
    real_names: frozenset[str] = frozenset()  # the program's with them
    sha256: frozenset[str] = frozenset()  # the program's, where the rule has none of its own
    script: Script | None = None
    by_descriptor: ByDescriptor = ""  # whether the program gets the descriptor of a checked path
    run_as: RunAs = ""  # root: only where the machine's own policy says so too, and its runner is root
    when: tuple[Window, ...] = ()  # it holds within one of these; empty: always

    @property
    def open_ended(self) -> bool:
        """Names a program and maybe a sub-command, and says nothing about what may follow."""
        return not (self.options or self.arguments or self.rest or self.required)

    @cached_property
    def option_table(self) -> Mapping[str, Option]:
        return {spelling: option for option in self.options for spelling in option.spellings}

    @cached_property
    def global_option_table(self) -> Mapping[str, Option]:
        before = {spelling: option for option in self.program.global_options for spelling in option.spellings}
        return {**self.option_table, **before} if self.anywhere else before


@dataclass(frozen=True, slots=True)
class DenyRule:
    """Programs that never run: by absolute path, or by name in any folder and with any version behind the name."""

    id: str
    about: str
    programs: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Policy:
    """The rules in order. A `deny` that names the program decides first, then a rule with the verdict deny, wherever it
    stands; then the first that lets an argument vector through.
    """

    default: Literal["allow", "deny"] = "deny"
    rules: tuple[Rule, ...] = ()
    denies: tuple[DenyRule, ...] = ()
    environment: Mapping[str, ValueType] = field(default_factory=dict)  # what a step may set besides what its rule sets
    closed: Sentence | None = None  # why nothing runs at all: the file is gone, or empty
    real_names: frozenset[str] = frozenset()  # those of every program

    @cached_property
    def by_name(self) -> Mapping[str, tuple[Rule, ...]]:
        """Rules by what may stand first: the names of the program, its path, a short word."""
        found: dict[str, list[Rule]] = {}
        for rule in self.rules:
            for name in dict.fromkeys((*rule.program.names, rule.program.path, rule.short)):
                if name:
                    found.setdefault(name, []).append(rule)
        return {name: tuple(rules) for name, rules in found.items()}

    @cached_property
    def denied(self) -> DeniedPrograms:
        """What is denied whatever its arguments, for the machine to hold against the file behind a link."""
        rules = [rule for rule in self.rules if rule.verdict == "deny" and rule.open_ended and not rule.words]
        return DeniedPrograms(
            frozenset(name for deny in self.denies for name in deny.names),
            frozenset(path for deny in self.denies for path in deny.programs)
            | frozenset(rule.program.path for rule in rules),
        )

    @cached_property
    def has_windows(self) -> bool:
        return any(rule.when for rule in self.rules)

    @cached_property
    def widest(self) -> Policy:
        """The policy of the moment at which it lets most through: every permission is within its windows, no denial
        that has some is. For what looks at a policy and not at a moment.
        """
        if not self.has_windows:
            return self
        rules = tuple(replace(rule, when=()) for rule in self.rules if rule.verdict != "deny" or not rule.when)
        return replace(self, rules=rules)

    @cached_property
    def denying(self) -> Mapping[str, tuple[Rule, ...]]:
        """Those of them that forbid."""
        found = {name: tuple(rule for rule in rules if rule.verdict == "deny") for name, rules in self.by_name.items()}
        return {name: rules for name, rules in found.items() if rules}


def usage(rule: Rule) -> str:
    """The rule's shape in one line, as in `df [-ahT] [--total] [-t WORD] [PATH…]`; at most 240 characters."""
    wanted = [_choice(rule, choice) for choice in rule.required]
    free = [option for option in rule.options if not any(option in choice for choice in wanted)]
    parts = [rule.program.names[0], *_options_usage(rule.program.global_options)]
    parts += [word.shape if not word.optional else f"[{word.shape}]" for word in rule.words]
    parts += [_alternatives(choice) for choice in wanted if choice]
    parts += _options_usage(free)
    parts += [_argument_usage(slot) for slot in rule.arguments]
    if rule.rest:
        parts.append(f"[-- {' '.join(_argument_usage(slot) for slot in rule.rest)}]")
    line = " ".join(parts)
    return line if len(line) <= _USAGE_LIMIT else line[: _USAGE_LIMIT - 1] + "…"


def _choice(rule: Rule, spellings: tuple[str, ...]) -> list[Option]:
    """The options of which one must be given; none where they are so many that they are shown as free ones."""
    options = [option for option in rule.options if option.spellings[0] in spellings]
    return options if len(options) <= 6 else []


def _alternatives(options: Sequence[Option]) -> str:
    shown = [option.spellings[0] + _value_usage(option) for option in options]
    return shown[0] if len(shown) == 1 else f"({'|'.join(shown)})"


def _options_usage(options: Sequence[Option]) -> Iterator[str]:
    letters = "".join(option.spellings[0][1] for option in options if _is_letter(option))
    if letters:
        yield f"[-{letters}]"
    for option in options:
        if not _is_letter(option):
            yield f"[{option.spellings[0]}{_value_usage(option)}]"


def _is_letter(option: Option) -> bool:
    name = option.spellings[0]
    return option.value is None and len(name) == 2 and name[0] == "-"


def _value_usage(option: Option) -> str:
    name = option.spellings[0]
    if option.value is None or name == NUMERIC_OPTION:
        return ""
    joint = "=" if name.startswith("--") else "" if option.when == "glued" else " "
    shape = joint + option.value.shape
    return shape if option.when == "required" else f"[{shape}]"


def _argument_usage(slot: Argument) -> str:
    shown = slot.name + ("…" if slot.maximum > 1 else "")
    return shown if slot.minimum else f"[{shown}]"
