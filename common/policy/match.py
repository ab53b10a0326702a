"""Does one rule let an argument vector through, and what would run? Pure.

`match_rule` reads the vector once from left to right, just as the program will, and writes the vector that will run:
the absolute program, what the rule inserts, and everything else in normal form. What a match returns matches again with
the same result, so the machine can check what the hub has resolved.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from common.catalogue import Sentence
from common.policy.machine_checks import PathCheck, find_paths
from common.policy.rules import NUMERIC_OPTION, Argument, Option, Rule, SubCommand
from common.policy.types import InvalidValue, ValueType, display_word

_NUMBER = re.compile(r"-[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class RuleMatch:
    argv: tuple[str, ...]
    paths: tuple[PathCheck, ...] = field(default=(), compare=False)  # those in the vector, for the machine to look at


@dataclass(frozen=True, slots=True)
class RuleMismatch:
    """Why a rule does not let the vector through; `progress` is how many words after the program it did."""

    progress: int
    reason: Sentence


@dataclass(frozen=True, slots=True)
class RuleReading:
    """A vector that a rule lets through, as the rule reads it."""

    words: tuple[str, ...]  # sub-commands as they run
    options: tuple[tuple[Option, str | None], ...]  # those given, in order, with their values
    arguments: tuple[tuple[str, ...], ...]  # of each slot
    rest: tuple[tuple[str, ...], ...]


class _MatchError(Exception):
    def __init__(self, sentence: Sentence) -> None:
        super().__init__(sentence.key)
        self.sentence = sentence


def _unknown_word(word: str, expected: str) -> _MatchError:
    return _MatchError(Sentence("policy_sub_command_unknown", {"word": display_word(word), "expected": expected}))


def match_rule(rule: Rule, argv: Sequence[str], cwd: str = "") -> RuleMatch | RuleMismatch:
    """`argv[0]` is one of the program's names, its path, or the rule's short word."""
    words = list(argv[1:])
    if rule.short and argv[0] == rule.short:
        words[:0] = [word.first for word in rule.words]
    reading = _ArgvMatcher(rule, words, cwd)
    try:
        matched = (rule.program.path, *reading.match())
        return RuleMatch(matched, tuple(dict.fromkeys(reading.paths)))
    except (_MatchError, InvalidValue) as refusal:
        return RuleMismatch(reading.position, refusal.sentence)


def read_rule(rule: Rule, argv: Sequence[str], cwd: str = "") -> RuleReading | None:
    """How the rule reads a vector that it lets through and that is written as it runs; None for any other."""
    if rule.short and argv[0] == rule.short:
        return None
    reading = _ArgvMatcher(rule, list(argv[1:]), cwd)
    try:
        if (rule.program.path, *reading.match()) != tuple(argv):
            return None
    except (_MatchError, InvalidValue):
        return None
    slots = {id(slot): tuple(words) for slot, words in reading.bound}
    return RuleReading(
        tuple(reading.sub_words),
        tuple(reading.values),
        tuple(slots.get(id(slot), ()) for slot in rule.arguments),
        tuple(slots.get(id(slot), ()) for slot in rule.rest),
    )


def forbids(rule: Rule, argv: Sequence[str], cwd: str = "") -> bool:
    """Whether a rule with the verdict deny is about this vector. One that names no options and no arguments is about
    whatever follows its program and sub-commands, in whatever directory: a denial is read widely.
    """
    if not rule.open_ended:
        return isinstance(match_rule(rule, argv, cwd), RuleMatch)
    words = list(argv[1:])
    if rule.short and argv[0] == rule.short:
        words[:0] = [word.first for word in rule.words]
    wanted = list(rule.words)
    while wanted and wanted[-1].optional and len(wanted[-1].choices) == 1:
        wanted.pop()  # it may be left out, so it does not tell this vector from another
    starts = [
        index
        for index in range(len(words))
        # what stands before the sub-command is an option or may be the value of one
        if all(word.startswith("-") or (at and words[at - 1].startswith("-")) for at, word in enumerate(words[:index]))
    ]
    return not wanted or any(_begins(wanted, words[index:]) for index in starts)


def _begins(wanted: Sequence[SubCommand], words: Sequence[str]) -> bool:
    plain = [word for word in words if not word.startswith("-")]
    return len(plain) >= len(wanted) and all(
        word.canonical(found) is not None for word, found in zip(wanted, plain, strict=False)
    )


class _ArgvMatcher:
    """One reading of the words after the program; `position` is the index of the next word."""

    def __init__(self, rule: Rule, words: list[str], cwd: str) -> None:
        self.rule = rule
        self.words = words
        self.cwd = cwd
        self.position = 0
        self.given: set[str] = set()  # spellings of the options that were given
        self.taken: list[str] = []  # first spellings of the options that were read, in order
        self.omitted: list[str] = []  # optional sub-commands that were left out
        self.paths: list[PathCheck] = []
        self.sub_words: list[str] = []  # what was read, for `read_rule`
        self.values: list[tuple[Option, str | None]] = []
        self.bound: list[tuple[Argument, list[str]]] = []

    def match(self) -> list[str]:
        rule = self.rule
        self.skip_inserted(rule.program.insert)
        before = list(self.global_options())
        sub_commands = self.sub_commands()
        self.skip_inserted(rule.insert)
        after = self.options_and_arguments()
        for choice in rule.required:
            if not self.given.intersection(choice):
                options = dict.fromkeys(rule.option_table[spelling].spellings[0] for spelling in choice)
                raise _MatchError(Sentence("policy_option_missing", {"options": display_word(" | ".join(options))}))
        for choice in rule.exclusive:
            taken = [spelling for spelling in self.taken if spelling in choice]
            if len(taken) > 1:
                raise _MatchError(
                    Sentence("policy_option_exclusive", {"options": display_word(" | ".join(dict.fromkeys(taken)))})
                )
        return [*rule.program.insert, *before, *sub_commands, *rule.insert, *self.default_options(), *after]

    def peek(self) -> str | None:
        return self.words[self.position] if self.position < len(self.words) else None

    def skip_inserted(self, inserted: tuple[str, ...]) -> None:
        """Passes over what is there as if it had been inserted already: by the hub, or by the person."""
        if tuple(self.words[self.position : self.position + len(inserted)]) == inserted:
            self.position += len(inserted)
            self.given.update(inserted)

    def global_options(self) -> Iterator[str]:
        """The options before the sub-command."""
        while self.rule.words and (word := self.peek()) and word.startswith("-") and word not in ("-", "--"):
            yield from self.option(word, self.rule.global_option_table)

    def sub_commands(self) -> list[str]:
        out: list[str] = []
        for word in self.rule.words:
            found = self.peek()
            canonical = word.canonical(found)
            if canonical is not None:
                self.position += 1
                out.append(canonical)
            elif word.optional:
                self.omitted.append(word.shape)
                out.append(word.first)
            elif found is None:
                raise _MatchError(Sentence("policy_sub_command_missing", {"expected": word.shape}))
            else:
                raise _unknown_word(found, word.shape)
        self.sub_words = out
        return out

    def options_and_arguments(self) -> list[str]:
        """Options and arguments after the sub-command, in the order in which they will run."""
        pieces: list[list[str]] = []  # as typed; an argument is a piece of its own
        spots: list[int] = []  # which pieces are arguments
        rest: list[str] = []
        ended = False
        table = self.rule.option_table
        while (word := self.peek()) is not None:
            if word == "--" and not ended and (self.rule.rest or self.rule.end_of_options):
                ended = True
                self.position += 1
                if self.rule.rest:
                    rest, self.position = self.words[self.position :], len(self.words)
            elif not ended and self.is_option(word, table):
                pieces.append(list(self.option(word, table)))
            else:
                if self.omitted:  # it stands where the sub-command would, and may be meant as another one
                    raise _unknown_word(word, self.omitted[0])
                spots.append(len(pieces))
                pieces.append([word])
                self.position += 1
        arguments = self.bind_arguments(self.rule.arguments, [pieces[spot][0] for spot in spots])
        tail = ["--", *self.bind_arguments(self.rule.rest, rest)] if rest else []
        if self.rule.end_of_options:
            options = [part for index, piece in enumerate(pieces) if index not in spots for part in piece]
            return [*options, *(["--", *arguments] if arguments else [])]
        for spot, argument in zip(spots, arguments, strict=False):
            pieces[spot] = [argument]
        return [*(part for piece in pieces for part in piece), *arguments[len(spots) :], *tail]

    def is_option(self, word: str, table: Mapping[str, Option]) -> bool:
        return (word.startswith("-") and word != "-") or (self.rule.program.style == "plain" and word in table)

    def option(self, word: str, table: Mapping[str, Option]) -> Iterator[str]:
        """Reads the option `word` with its value; yields it in normal form."""
        number = table.get(NUMERIC_OPTION)
        if number and number.value and _NUMBER.fullmatch(word) and word not in table:
            self.values.append((number, self.normalize(number.value, word[1:])))
            self.given.add(NUMERIC_OPTION)
            self.taken.append(NUMERIC_OPTION)
            self.position += 1
            yield word
        elif word.startswith("--") or self.rule.program.style == "plain":
            yield from self.long_option(word, table)
        else:
            yield from self.short_options(word, table)

    def long_option(self, word: str, table: Mapping[str, Option]) -> Iterator[str]:
        name, equals, glued = word.partition("=") if word.startswith("--") and word not in table else (word, "", "")
        option = self.find_option(name, table)
        if self.rule.program.canonical:
            name = option.spellings[0]
        if option.value is None:
            self.values.append((option, None))
            if equals:
                raise _MatchError(Sentence("policy_option_no_value", {"option": display_word(name)}))
            self.position += 1
            yield name
        elif equals:
            value = self.normalize(option.value, glued)
            self.values.append((option, value))
            self.position += 1
            yield f"{name}={value}"
        else:
            self.position += 1
            following = self.separate_value(name, option, option.value)
            self.values.append((option, following))
            if self.rule.program.canonical and following is not None and name.startswith("--"):
                yield f"{name}={following}"
                return
            yield name
            if following is not None:
                yield following

    def short_options(self, word: str, table: Mapping[str, Option]) -> Iterator[str]:
        """`-lah`, `-n5`, `-n 5`: letters that take no value, the last one may take one."""
        for index, letter in enumerate(word[1:], start=1):
            option = self.find_option("-" + letter, table, word)
            if option.value is None:
                self.values.append((option, None))
                continue
            glued = word[index + 1 :]
            if glued:
                value = self.normalize(option.value, glued)
                self.values.append((option, value))
                self.position += 1
                yield word[: index + 1] + value
                return
            self.position += 1
            following = self.separate_value("-" + letter, option, option.value)
            self.values.append((option, following))
            yield word
            if following is not None:
                yield following
            return
        self.position += 1
        yield word

    def find_option(self, name: str, table: Mapping[str, Option], word: str = "") -> Option:
        option = table.get(name)
        if option is None:
            values = {"option": display_word(name), "word": display_word(word or name)}
            longer = [
                spelling for spelling in table if name[2:] and spelling.startswith(name) and name.startswith("--")
            ]
            if longer:
                raise _MatchError(Sentence("policy_option_abbreviated", {**values, "whole": longer[0]}))
            raise _MatchError(
                Sentence("policy_letter_unknown" if word and word != name else "policy_option_unknown", values)
            )
        self.given.add(name)
        self.taken.append(option.spellings[0])
        return option

    def separate_value(self, name: str, option: Option, kind: ValueType) -> str | None:
        """The option's value from the next word, if it takes it from there."""
        word = self.peek()
        if option.when == "glued" or (option.when == "next" and word is None):
            return None
        if word is None:
            raise _MatchError(Sentence("policy_option_value_missing", {"option": name, "shape": kind.shape}))
        try:
            value = self.normalize(kind, word)
        except InvalidValue:
            if option.when == "next":
                return None
            raise
        self.position += 1
        return value

    def normalize(self, kind: ValueType, word: str) -> str:
        value = kind.normalize(word, self.cwd)
        self.paths += find_paths(kind, value)
        return value

    def default_options(self) -> Iterator[str]:
        """Options that the rule gives where the person did not."""
        for option in self.rule.options:
            if option.default and not self.given.intersection(option.spellings):
                name = option.spellings[-1]
                if name.startswith("--"):
                    yield f"{name}={option.default}"
                else:
                    yield name
                    yield option.default

    def bind_arguments(self, slots: Sequence[Argument], words: Sequence[str]) -> list[str]:
        """The words in normal form, each slot as full as the later ones let it be, and the slots' defaults."""
        out: list[str] = []
        left = list(words)
        before_is_filled = True
        for index, slot in enumerate(slots):
            needed_later = sum(later.minimum for later in slots[index + 1 :])
            count = max(0, min(slot.maximum, len(left) - needed_later))
            if count < slot.minimum:
                raise _MatchError(Sentence("policy_argument_missing", {"name": slot.name}))
            start = len(out)
            for word in left[:count]:
                if word.startswith("-"):
                    raise _MatchError(Sentence("policy_argument_dash", {"value": display_word(word)}))
                out.append(self.normalize(slot.type, word))
            if count == 0 and slot.default and before_is_filled:
                out.append(slot.default)
            self.bound.append((slot, out[start:]))
            before_is_filled = count > 0
            left = left[count:]
        if left:
            raise _MatchError(Sentence("policy_argument_surplus", {"value": display_word(left[0])}))
        return out
