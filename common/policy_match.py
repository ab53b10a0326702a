"""Does one rule let an argument vector through, and what would run? Pure.

`match` reads the vector once from left to right, just as the program will, and writes the vector that will run: the
absolute program, what the rule inserts, and everything else in normal form. What a match returns matches again with the
same result, so the machine can check what the hub has resolved.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from common.catalogue import Sentence
from common.policy_rules import NUMBER, Option, Rule, Slot
from common.policy_values import Misfit, Type, shown

_NUMBER = re.compile(r"-[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Match:
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Miss:
    """Why a rule does not let the vector through; `progress` is how many words after the program it did."""

    progress: int
    why: Sentence


class _Refusal(Exception):
    def __init__(self, sentence: Sentence) -> None:
        super().__init__(sentence.key)
        self.sentence = sentence


def _unknown_word(word: str, expected: str) -> _Refusal:
    return _Refusal(Sentence("policy_sub_command_unknown", {"word": shown(word), "expected": expected}))


def match(rule: Rule, argv: Sequence[str], cwd: str = "") -> Match | Miss:
    """`argv[0]` is one of the program's names, its path, or the rule's short word."""
    words = list(argv[1:])
    if rule.short and argv[0] == rule.short:
        words[:0] = [word.first for word in rule.words]
    reading = _Reading(rule, words, cwd)
    try:
        return Match((rule.program.path, *reading.read()))
    except (_Refusal, Misfit) as refusal:
        return Miss(reading.at, refusal.sentence)


class _Reading:
    """One reading of the words after the program; `at` is the index of the next word."""

    def __init__(self, rule: Rule, words: list[str], cwd: str) -> None:
        self.rule = rule
        self.words = words
        self.cwd = cwd
        self.at = 0
        self.given: set[str] = set()  # spellings of the options that were given
        self.omitted: list[str] = []  # optional sub-commands that were left out

    def read(self) -> list[str]:
        rule = self.rule
        self.skip(rule.program.insert)
        before = list(self.before())
        sub_commands = self.sub_commands()
        self.skip(rule.insert)
        after = self.after()
        for choice in rule.required:
            if not self.given.intersection(choice):
                options = dict.fromkeys(rule.option_table[spelling].spellings[0] for spelling in choice)
                raise _Refusal(Sentence("policy_option_missing", {"options": shown(" | ".join(options))}))
        return [*rule.program.insert, *before, *sub_commands, *rule.insert, *self.defaults(), *after]

    def next(self) -> str | None:
        return self.words[self.at] if self.at < len(self.words) else None

    def skip(self, inserted: tuple[str, ...]) -> None:
        """Passes over what is there as if it had been inserted already: by the hub, or by the person."""
        if tuple(self.words[self.at : self.at + len(inserted)]) == inserted:
            self.at += len(inserted)
            self.given.update(inserted)

    def before(self) -> Iterator[str]:
        """The options before the sub-command."""
        while self.rule.words and (word := self.next()) and word.startswith("-") and word not in ("-", "--"):
            yield from self.option(word, self.rule.before_table)

    def sub_commands(self) -> list[str]:
        out: list[str] = []
        for word in self.rule.words:
            found = self.next()
            canonical = word.canonical(found)
            if canonical is not None:
                self.at += 1
                out.append(canonical)
            elif word.optional:
                self.omitted.append(word.shape)
                out.append(word.first)
            elif found is None:
                raise _Refusal(Sentence("policy_sub_command_missing", {"expected": word.shape}))
            else:
                raise _unknown_word(found, word.shape)
        return out

    def after(self) -> list[str]:
        """Options and arguments after the sub-command, in the order in which they will run."""
        pieces: list[list[str]] = []  # as typed; an argument is a piece of its own
        spots: list[int] = []  # which pieces are arguments
        rest: list[str] = []
        ended = False
        table = self.rule.option_table
        while (word := self.next()) is not None:
            if word == "--" and not ended and (self.rule.rest or self.rule.end_of_options):
                ended = True
                self.at += 1
                if self.rule.rest:
                    rest, self.at = self.words[self.at :], len(self.words)
            elif not ended and self.is_option(word, table):
                pieces.append(list(self.option(word, table)))
            else:
                if self.omitted:  # it stands where the sub-command would, and may be meant as another one
                    raise _unknown_word(word, self.omitted[0])
                spots.append(len(pieces))
                pieces.append([word])
                self.at += 1
        arguments = self.fill(self.rule.arguments, [pieces[spot][0] for spot in spots])
        tail = ["--", *self.fill(self.rule.rest, rest)] if rest else []
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
        number = table.get(NUMBER)
        if number and number.value and _NUMBER.fullmatch(word) and word not in table:
            self.fit(number.value, word[1:])
            self.given.add(NUMBER)
            self.at += 1
            yield word
        elif word.startswith("--") or self.rule.program.style == "plain":
            yield from self.whole_word(word, table)
        else:
            yield from self.cluster(word, table)

    def whole_word(self, word: str, table: Mapping[str, Option]) -> Iterator[str]:
        name, equals, glued = word.partition("=") if word.startswith("--") and word not in table else (word, "", "")
        option = self.look_up(name, table)
        if option.value is None:
            if equals:
                raise _Refusal(Sentence("policy_option_no_value", {"option": shown(name)}))
            self.at += 1
            yield name
        elif equals:
            value = self.fit(option.value, glued)
            self.at += 1
            yield f"{name}={value}"
        else:
            self.at += 1
            following = self.following(name, option, option.value)
            yield name
            if following is not None:
                yield following

    def cluster(self, word: str, table: Mapping[str, Option]) -> Iterator[str]:
        """`-lah`, `-n5`, `-n 5`: letters that take no value, the last one may take one."""
        for index, letter in enumerate(word[1:], start=1):
            option = self.look_up("-" + letter, table, word)
            if option.value is None:
                continue
            glued = word[index + 1 :]
            if glued:
                value = self.fit(option.value, glued)
                self.at += 1
                yield word[: index + 1] + value
                return
            self.at += 1
            following = self.following("-" + letter, option, option.value)
            yield word
            if following is not None:
                yield following
            return
        self.at += 1
        yield word

    def look_up(self, name: str, table: Mapping[str, Option], word: str = "") -> Option:
        option = table.get(name)
        if option is None:
            values = {"option": shown(name), "word": shown(word or name)}
            longer = [
                spelling for spelling in table if name[2:] and spelling.startswith(name) and name.startswith("--")
            ]
            if longer:
                raise _Refusal(Sentence("policy_option_abbreviated", {**values, "whole": longer[0]}))
            raise _Refusal(
                Sentence("policy_letter_unknown" if word and word != name else "policy_option_unknown", values)
            )
        self.given.add(name)
        return option

    def following(self, name: str, option: Option, kind: Type) -> str | None:
        """The option's value from the next word, if it takes it from there."""
        word = self.next()
        if option.when == "glued" or (option.when == "next" and word is None):
            return None
        if word is None:
            raise _Refusal(Sentence("policy_option_value_missing", {"option": name, "shape": kind.shape}))
        try:
            value = self.fit(kind, word)
        except Misfit:
            if option.when == "next":
                return None
            raise
        self.at += 1
        return value

    def fit(self, kind: Type, word: str) -> str:
        return kind.fit(word, self.cwd)

    def defaults(self) -> Iterator[str]:
        """Options that the rule gives where the person did not."""
        for option in self.rule.options:
            if option.default and not self.given.intersection(option.spellings):
                name = option.spellings[-1]
                if name.startswith("--"):
                    yield f"{name}={option.default}"
                else:
                    yield name
                    yield option.default

    def fill(self, slots: Sequence[Slot], words: Sequence[str]) -> list[str]:
        """The words in normal form, each slot as full as the later ones let it be, and the slots' defaults."""
        out: list[str] = []
        left = list(words)
        before_is_filled = True
        for index, slot in enumerate(slots):
            needed_later = sum(later.minimum for later in slots[index + 1 :])
            count = max(0, min(slot.maximum, len(left) - needed_later))
            if count < slot.minimum:
                raise _Refusal(Sentence("policy_argument_missing", {"name": slot.name}))
            for word in left[:count]:
                if word.startswith("-"):
                    raise _Refusal(Sentence("policy_argument_dash", {"value": shown(word)}))
                out.append(self.fit(slot.type, word))
            if count == 0 and slot.default and before_is_filled:
                out.append(slot.default)
            before_is_filled = count > 0
            left = left[count:]
        if left:
            raise _Refusal(Sentence("policy_argument_surplus", {"value": shown(left[0])}))
        return out
