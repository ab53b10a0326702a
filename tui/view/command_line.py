"""The line after `:`: go somewhere with a filter, open a thing by its name, or run an act of the registry. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from common.catalogue import Language, sentences, translate
from tui.model.actions import ACTION_BY_ID, ACTIONS, format_keys
from tui.text.format import join_nonempty
from tui.view.bars import SCREEN_MODES

CommandKind = Literal["go", "job", "request", "agent", "act", "set", "save", "view", "forget", "unknown", ""]
SETTINGS: Final = {
    "theme": ("dark", "light", "contrast", "ansi", "ansi-light"),
    "language": ("en", "zh"),
}
VIEW_COMMANDS: Final[Mapping[str, CommandKind]] = {"w": "save", "view": "view", "v": "view", "forget": "forget"}
"""What is done with views that are saved by name."""
_REQUEST: Final = re.compile(r"[rR#]?(\d{1,12})", re.ASCII)
_JOB: Final = re.compile(r"[0-9A-Za-z]{4,26}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ParsedCommand:
    kind: CommandKind
    argument: str = ""
    rest: str = ""


def parse_command(line: str) -> ParsedCommand:
    """`jobs state:failed`, `job 01J…`, `r42`, `agent web-1`, `theme light`, `pause`, `w slow`, `view slow`, `q`."""
    word, _, rest = line.strip().partition(" ")
    word, rest = word.lstrip(":"), rest.strip()
    if not word:
        return ParsedCommand("")
    if word in ("q", "quit", "exit"):
        return ParsedCommand("act", "quit")
    if word in SCREEN_MODES:
        return ParsedCommand("go", word, rest)
    if word == "job" and _JOB.fullmatch(rest):
        return ParsedCommand("job", rest.upper())
    if word in ("request", "r") and (found := _REQUEST.fullmatch(rest)):
        return ParsedCommand("request", found[1])
    if found := _REQUEST.fullmatch(word):
        return ParsedCommand("request", found[1])
    if word in ("agent", "machine") and rest:
        return ParsedCommand("agent", rest)
    if word in VIEW_COMMANDS and rest:
        return ParsedCommand(VIEW_COMMANDS[word], rest)
    if word in SETTINGS and rest in SETTINGS[word]:
        return ParsedCommand("set", word, rest)
    if word in ACTION_BY_ID:
        return ParsedCommand("act", word, rest)
    return ParsedCommand("unknown", word)


def complete_command(
    line: str, agents: Sequence[str] = (), views: Sequence[str] = (), unavailable: Collection[str] = ()
) -> list[str]:
    """Whole lines that begin with what is typed, all of them where that is nothing; `unavailable` are acts that this
    hub has not, and so are the screens that they go to.
    """
    word, space, rest = line.partition(" ")
    if not space:
        names = [
            *(mode for mode in SCREEN_MODES if f"go_{mode}" not in unavailable),
            "job ",
            "agent ",
            "r",
            *(f"{name} " for name in (*SETTINGS, "w", "view", "forget")),
            *(act.id for act in ACTIONS if act.id not in unavailable and act.group not in ("move", "go")),
        ]
        return [name for name in dict.fromkeys(names) if name.startswith(word.lstrip(":"))]
    if word in SETTINGS:
        return [f"{word} {value}" for value in SETTINGS[word] if value.startswith(rest)]
    if word in VIEW_COMMANDS:
        return [f"{word} {name}" for name in views if name.startswith(rest)]
    if word in ("agent", "machine"):
        return [f"{word} {name}" for name in agents if name.startswith(rest)]
    return []


def describe_command(line: str, language: Language) -> str:
    """What a line of `complete_command` does, in words: with the key that does the same."""
    word, _, rest = line.partition(" ")
    if word in SCREEN_MODES:
        act = ACTION_BY_ID[f"go_{word}"]
    elif word in ACTION_BY_ID and not rest and not (word in SETTINGS and line.endswith(" ")):
        act = ACTION_BY_ID[word]
    elif f"console_command_{word}" in sentences():
        return translate(language, f"console_command_{word}")
    else:
        return ""
    return join_nonempty((act.label(language), format_keys(act.keys)))
