"""Filters behind a command, as people write them after `|`; the agent's own code applies them to standard output.

    grep [-i] [-v] [-w] [-n] [-c] [-F] WORD        lines that hold WORD; -e WORD may be repeated; WORD may begin with ^
                                                   and end with $, and a|b are two words with -E: no other pattern
    head [-n N | -N]                               the first lines, 10 where no number is given
    tail [-n N | -n +N | -N]                       the last lines, or those from line N on
    wc -l | -w | -c                                how many lines, words or bytes
    sort [-n | -h] [-r] [-u] [-k N]                by text, by number, by size such as 1.5G; by what begins at field N
    uniq [-c] [-d] [-u]                            lines that repeat the one before, as one

Names and options are those of POSIX and GNU coreutils, but no program and no shell runs: a filter can only leave out,
order and count what the command printed. It is part of the plan, of its hash and of the signed order, in one spelling
each (`parse_filter`). `agent.runner.output_pipeline` applies them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from common.catalogue import Sentence
from common.command.grammar import is_printable_text

FilterWords = tuple[str, ...]
"""One filter in its one spelling, its name first: ("head", "-n", "5")."""

DEFAULT_OUTPUT_CAP: Final = 1024 * 1024
"""Bytes of a step's output that are kept, where its plan does not say."""
MAX_FILTERS: Final = 4
MAX_WORDS: Final = 8
"""Words that one `grep` looks for."""
MAX_WORD: Final = 256
"""Characters of each."""
MAX_COUNT: Final = 10_000
"""Lines that `head` and `tail` give at the most."""
MAX_FIELD: Final = 100
FILTER_NAMES: Final = ("grep", "head", "tail", "wc", "sort", "uniq")
DEFAULT_COUNT: Final = 10
_PATTERN_SIGNS: Final = frozenset("*[]()+?{}\\")


class BadFilter(ValueError):
    """What stands behind a `|` and is no filter; the sentence names the cure."""

    def __init__(self, key: str, **values: object) -> None:
        super().__init__(key)
        self.sentence = Sentence(key, dict(values))

    def __str__(self) -> str:
        return str(self.sentence)


# ---- reading


def parse_filters(stages: Iterable[Sequence[str]]) -> tuple[FilterWords, ...]:
    """Filters in their one spelling; raises BadFilter."""
    found = tuple(map(parse_filter, stages))
    if len(found) > MAX_FILTERS:
        raise BadFilter("filter_too_many", limit=MAX_FILTERS)
    return found


def check_filters(filters: Iterable[FilterWords]) -> None:
    """Raises BadFilter unless these are filters in their one spelling, so that a hash has one meaning."""
    filters = tuple(filters)
    if parse_filters(filters) != filters:
        raise BadFilter("filter_spelling")


def parse_filter(words: Sequence[str]) -> FilterWords:
    """One filter in its one spelling; raises BadFilter."""
    if not words:
        raise BadFilter("filter_nothing")
    name, options = words[0], list(words[1:])
    match name:
        case "grep":
            return _parse_grep(options)
        case "head" | "tail":
            return _parse_lines(name, options)
        case "wc":
            return _parse_wc(options)
        case "sort":
            return _parse_sort(options)
        case "uniq":
            letters, _ = _letters("uniq", options, "cdu")
            if {"d", "u"} <= letters:
                raise BadFilter("filter_option", filter="uniq", option="-d -u", known="-c, -d or -u")
            return ("uniq", *_spelt(letters, "cdu"))
    raise BadFilter("filter_unknown", name=name[:MAX_WORD], known=", ".join(FILTER_NAMES))


def _letters(name: str, options: Sequence[str], known: str) -> tuple[set[str], list[str]]:
    """The one-letter options, and the words that are none. Everything after `--` is a word."""
    letters: set[str] = set()
    rest: list[str] = []
    for index, option in enumerate(options):
        if option == "--":
            return letters, [*rest, *options[index + 1 :]]
        if len(option) < 2 or not option.startswith("-"):
            rest.append(option)
            continue
        for letter in option[1:]:
            if letter not in known:
                raise BadFilter("filter_option", filter=name, option=option[:MAX_WORD], known=_listed(known))
            letters.add(letter)
    if rest and name != "grep":
        raise BadFilter("filter_file", filter=name, word=rest[0][:MAX_WORD])
    return letters, rest


def _listed(letters: str) -> str:
    return ", ".join(f"-{letter}" for letter in letters)


def _spelt(letters: set[str], order: str) -> list[str]:
    return [f"-{letter}" for letter in order if letter in letters]


_GREP: Final = "ivwncF"


def _parse_grep(options: Sequence[str]) -> FilterWords:
    named, others, extended = _named_words(options)
    letters, rest = _letters("grep", others, _GREP)
    if not named:
        if not rest:
            raise BadFilter("filter_grep_word")
        named, rest = [rest[0]], rest[1:]
    if rest:
        raise BadFilter("filter_file", filter="grep", word=rest[0][:MAX_WORD])
    if "F" not in letters:
        named = [part for word in named for part in _alternatives(word, extended)]
    for word in named:
        _check_word(word, fixed="F" in letters)
    if len(named) > MAX_WORDS:
        raise BadFilter("filter_grep_words", limit=MAX_WORDS)
    words = list(dict.fromkeys(named))
    if len(words) == 1 and not words[0].startswith("-"):
        return ("grep", *_spelt(letters, _GREP), words[0])
    return ("grep", *_spelt(letters, _GREP), *(part for word in words for part in ("-e", word)))


def _named_words(options: Sequence[str]) -> tuple[list[str], list[str], bool]:
    """The words given with -e, the other options, and whether -E was among them."""
    named: list[str] = []
    others: list[str] = []
    extended = False
    given = iter(options)
    for option in given:
        if option == "--":
            others += [option, *given]
        elif option == "-e":
            if (word := next(given, None)) is None:
                raise BadFilter("filter_grep_word")
            named.append(word)
        elif re.fullmatch(r"-[A-Za-z]*E[A-Za-z]*", option):
            extended = True
            others += [option.replace("E", "")] if len(option) > 2 else []
        else:
            others.append(option)
    return named, others, extended


def _alternatives(word: str, extended: bool) -> list[str]:
    """`error|warn` with -E, and `error\\|warn` without, are two words."""
    return word.split("|") if extended else word.split("\\|")


def _check_word(word: str, *, fixed: bool) -> None:
    body = word if fixed else word.removeprefix("^").removesuffix("$")
    if not body:
        raise BadFilter("filter_grep_word")
    if len(word) > MAX_WORD:
        raise BadFilter("filter_grep_long", limit=MAX_WORD)
    if not is_printable_text(word):
        raise BadFilter("filter_grep_control")
    if not fixed and (signs := sorted(_PATTERN_SIGNS.intersection(body))):
        raise BadFilter("filter_grep_pattern", sign=signs[0])


def _parse_lines(name: str, options: Sequence[str]) -> FilterWords:
    said = " ".join(options)
    if name == "tail" and re.fullmatch(r"(?:.* )?(?:-[a-zA-Z]*[fF][0-9a-zA-Z]*|--follow.*)", said):
        raise BadFilter("filter_follow")
    found = re.fullmatch(r"(?:-n ?|--lines=|-)?(\+?)(\d{1,9})", said, re.ASCII) if said else None
    if said and (found is None or (found[1] and (name == "head" or not said.startswith(("-n", "--lines"))))):
        raise BadFilter("filter_lines", filter=name, word=said[:MAX_WORD])
    if found is not None and not said.startswith("-"):
        raise BadFilter("filter_file", filter=name, word=said[:MAX_WORD])
    count = int(found[2]) if found else DEFAULT_COUNT
    if not 1 <= count <= MAX_COUNT:
        raise BadFilter("filter_count", filter=name, limit=MAX_COUNT)
    return (name, "-n", f"+{count}" if found and found[1] else str(count))


def _parse_wc(options: Sequence[str]) -> FilterWords:
    letters, _ = _letters("wc", options, "lwc")
    if len(letters) != 1:
        raise BadFilter("filter_wc")
    return ("wc", *_spelt(letters, "lwc"))


def _parse_sort(options: Sequence[str]) -> FilterWords:
    """`-k3`, `-k 3` and `-k3nr`, as people write it."""
    said = " ".join(options)
    key = re.search(r"-([a-jl-z]*)k ?(\d{1,9})(?:,\d{1,9})?([a-z]*)(?= |$)", said, re.ASCII)
    number = 0
    if key is not None:
        number = int(key[2])
        letters_there = key[1] + key[3]
        said = said[: key.start()] + (f"-{letters_there}" if letters_there else "") + said[key.end() :]
        if not 1 <= number <= MAX_FIELD:
            raise BadFilter("filter_field", limit=MAX_FIELD)
    letters, _ = _letters("sort", said.split(), "nhru")
    if {"n", "h"} <= letters:
        raise BadFilter("filter_option", filter="sort", option="-n -h", known="-n or -h")
    return ("sort", *_spelt(letters, "nhru"), *(("-k", str(number)) if number else ()))
