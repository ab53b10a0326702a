"""docs/filters.md, made of what is declared here and in `output_filters`: `python -m common.command.filter_docs` writes
it, a test holds it to be current, tries every example, and asks the reader of filters for options that are not listed.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Final

from common.command.output_filters import (
    DEFAULT_COUNT,
    FILTER_NAMES,
    MAX_COUNT,
    MAX_FIELD,
    MAX_FILTERS,
    MAX_WORD,
    MAX_WORDS,
    parse_filter,
)

FILE: Final = Path(__file__).parents[2] / "docs" / "filters.md"
MAX_LINE: Final = 64 * 1024
"""`agent.runner.output_pipeline` has these two bounds, and a test compares them: `common` does not import the agent."""
MAX_KEPT: Final = 4 * 1024 * 1024

OPTIONS: Final[dict[str, dict[str, str]]] = {
    "grep": {
        "i": "capital and small letters alike",
        "v": "the lines that do *not* hold the word",
        "w": "the word by itself: `err` is not in `error`",
        "n": "the number of each line before it",
        "c": "how many lines, instead of the lines",
        "F": "signs such as `*` and `[` as they are; `^` and `$` too",
        "e": "`-e WORD`, may be repeated: any of the words",
        "E": "`a|b` are two words",
    },
    "head": {"n": "how many lines: `-n 5`, `-5` or `--lines=5`"},
    "tail": {"n": "how many lines, as for `head`; `-n +5`: those from line 5 on"},
    "wc": {"l": "lines", "w": "words", "c": "bytes"},
    "sort": {
        "n": "by the number at the beginning",
        "h": "by sizes such as `1.5G`",
        "r": "the other way round",
        "u": "equal lines once",
        "k": "`-k 3`, `-k3nr`: by what begins at field 3; fields are separated by blanks",
    },
    "uniq": {"c": "how often, before each line", "d": "only what repeats", "u": "only what does not"},
}
"""name -> option's letter -> what it does."""

ABOUT: Final[dict[str, str]] = {
    "grep": "Lines that hold a word. `^word` is at the beginning, `word$` at the end; there are no other patterns.",
    "head": f"The first lines, {DEFAULT_COUNT} where no number is given.",
    "tail": f"The last lines, {DEFAULT_COUNT} where no number is given. It does not follow (`-f`).",
    "wc": "How many; exactly one of the options.",
    "sort": "Lines in order; one of `-n` and `-h` at most.",
    "uniq": "Lines that repeat the one before, as one; one of `-d` and `-u` at most.",
}

EXAMPLES: Final = (
    "grep error",
    "grep -iv -w debug",
    "grep -E 'error|warn'",
    "grep -c ^root",
    "grep -F 'a[0]*'",
    "head",
    "head -5",
    "tail -n 20",
    "tail -n +2",
    "wc -l",
    "sort -k3nr",
    "sort -rh",
    "uniq -c",
)

REFUSED: Final = (
    "awk '{print $1}'",
    "grep 'a.*b'",
    "grep x /etc/passwd",
    "tail -f",
    "xargs rm",
    "wc",
    "head -n 20000",
)

_HEAD: Final = """\
# Filters behind a command

Made from `common/command/filter_docs.py` by `python -m common.command.filter_docs`; a change of it goes there.

    @web-1 ps aux | grep nginx | head -5

Behind a command `|` takes these filters and nothing else: {names}.
They have the names and options that people know from POSIX and GNU, but no shell and no program runs for them. The
machine's agent applies them itself to what the command prints on standard output, line by line; standard error and the
exit status are the command's own and untouched. A filter can leave out, order and count. It cannot read a file, run
anything or change what runs: so policy judges the command in front of it, and the filters need no rule.

**Shown and hashed.** Filters are part of the plan. They stand in the question for approval, in the console, in the
audit and in the job as `| grep nginx`, are part of the plan's hash that people approve and of the signed order that the
machine verifies. Each has one spelling, into which what was typed is brought: the right column below.
"""

_TAIL: Final = """\
## Bounds

- At most {filters} filters behind a command; `grep` looks for at most {words} words of at most {word} characters each.
- `head` and `tail` give 1 to {count} lines; `sort -k` takes a field from 1 to {field}.
- A line of more than {line} KiB counts as several. `sort` and `tail` keep at most {kept} MiB of lines. Lines that found
  no room are told as lost output, in chat, in the console and by `answerback run`, which then exits with 1.
- What a filter lets through is bounded like any output: by the rule's `output_cap`.

Anything else behind `|` is refused, with what to write instead: a runbook, an option of the command that does the same,
or the filter in its right form.
"""


def document() -> str:
    """The whole of docs/filters.md."""
    names = ", ".join(f"`{name}`" for name in FILTER_NAMES)
    parts = [_HEAD.format(names=names), "## Which there are\n"]
    for name in FILTER_NAMES:
        rows = [f"| `-{letter}` | {_cell(does)} |" for letter, does in OPTIONS[name].items()]
        parts += [f"### {name}\n", f"{ABOUT[name]}\n", "| option | |", "|---|---|", *rows, ""]
    parts += ["## Examples\n", "| typed | in its one spelling |", "|---|---|"]
    parts += [f"| `{_cell(f'| {typed}')}` | `{_cell(f'| {spelling(typed)}')}` |" for typed in EXAMPLES]
    refused = ", ".join(f"`| {one}`" for one in REFUSED)
    parts += ["", f"Refused, each with its reason: {refused}.", ""]
    bounds = {"filters": MAX_FILTERS, "words": MAX_WORDS, "word": MAX_WORD, "count": f"{MAX_COUNT:,}"}
    parts.append(_TAIL.format(**bounds, field=MAX_FIELD, line=MAX_LINE >> 10, kept=MAX_KEPT >> 20))
    return "\n".join(parts)


def spelling(typed: str) -> str:
    """The one spelling of a filter; raises BadFilter."""
    return shlex.join(parse_filter(shlex.split(typed)))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    FILE.write_text(document(), encoding="utf-8")
