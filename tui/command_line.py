"""The line after `:`: go somewhere with a filter, open a thing by its name, or run an act of the registry. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from tui.commands import ACTS, BY_ID
from tui.headline import MODES

Verb = Literal["go", "job", "request", "agent", "act", "set", "save", "view", "forget", "unknown", ""]
SETTINGS: Final = {
    "theme": ("dark", "light", "contrast", "ansi", "ansi-light"),
    "language": ("en", "zh"),
}
VIEWS: Final[Mapping[str, Verb]] = {"w": "save", "view": "view", "v": "view", "forget": "forget"}
"""What is done with views that are saved by name."""
_REQUEST: Final = re.compile(r"[rR#]?(\d{1,12})", re.ASCII)
_JOB: Final = re.compile(r"[0-9A-Za-z]{4,26}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Command:
    verb: Verb
    what: str = ""
    rest: str = ""


def parse(line: str) -> Command:
    """`jobs state:failed`, `job 01J…`, `r42`, `agent web-1`, `theme light`, `pause`, `w slow`, `view slow`, `q`."""
    word, _, rest = line.strip().partition(" ")
    word, rest = word.lstrip(":"), rest.strip()
    if not word:
        return Command("")
    if word in ("q", "quit", "exit"):
        return Command("act", "quit")
    if word in MODES:
        return Command("go", word, rest)
    if word == "job" and _JOB.fullmatch(rest):
        return Command("job", rest.upper())
    if word in ("request", "r") and (found := _REQUEST.fullmatch(rest)):
        return Command("request", found[1])
    if found := _REQUEST.fullmatch(word):
        return Command("request", found[1])
    if word in ("agent", "machine") and rest:
        return Command("agent", rest)
    if word in VIEWS and rest:
        return Command(VIEWS[word], rest)
    if word in SETTINGS and rest in SETTINGS[word]:
        return Command("set", word, rest)
    if word in BY_ID:
        return Command("act", word, rest)
    return Command("unknown", word)


def complete(
    line: str, agents: Sequence[str] = (), views: Sequence[str] = (), absent: Collection[str] = ()
) -> list[str]:
    """Whole lines that begin with what is typed; `absent` are acts that this hub has not, and so are the screens that
    they go to.
    """
    word, space, rest = line.partition(" ")
    if not space:
        names = [
            *(mode for mode in MODES if f"go_{mode}" not in absent),
            "job ",
            "agent ",
            *(f"{name} " for name in (*SETTINGS, "w", "view", "forget")),
            *(act.id for act in ACTS if act.id not in absent),
            "quit",
        ]
        return [name for name in names if word and name.startswith(word)]
    if word in SETTINGS:
        return [f"{word} {value}" for value in SETTINGS[word] if value.startswith(rest)]
    if word in VIEWS:
        return [f"{word} {name}" for name in views if name.startswith(rest)]
    if word in ("agent", "machine"):
        return [f"{word} {name}" for name in agents if name.startswith(rest)]
    return []
