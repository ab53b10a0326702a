"""The words of `answerback chat`: what a typed line means, and a reply as lines and numbered choices. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from common.text import clean, clean_output

HELP: Final = (
    "write as in a chat: @web-1 df -h, disk on web-1, help",
    "a number takes the choice of that number; a code may follow: 1 123456",
    "/as NAME        speak as another person of this hub, to approve for one",
    "/picture FILE [WORDS]    send a screenshot; a line that is only a picture's path does too",
    "/quit           or Ctrl-D",
)
PICTURES: Final = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp")
MAX_LINE: Final = 8_000
MAX_TEXT: Final = 65_536


@dataclass(frozen=True, slots=True)
class Say:
    text: str


@dataclass(frozen=True, slots=True)
class Picture:
    path: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class SpeakAs:
    name: str


@dataclass(frozen=True, slots=True)
class Show:
    """Lines for the person at the terminal; nothing is sent."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Quit:
    pass


Typed = Say | Picture | SpeakAs | Show | Quit


def read_line(line: str, choices: Sequence[str]) -> Typed | None:
    """What a line means while these choices are open; None for an empty one."""
    text = line.strip()
    if not text:
        return None
    if len(text) > MAX_LINE:
        return Show((f"that line has {len(text)} characters; {MAX_LINE} at most",))
    number = re.fullmatch(r"(\d{1,2})(?:\s+(\S.*))?", text, re.ASCII)
    if number is not None and choices:
        at = int(number[1])
        if not 1 <= at <= len(choices):
            return Show((f"there is no choice {at}; there are 1 to {len(choices)}",))
        return Say(f"{choices[at - 1]} {number[2] or ''}".rstrip())
    if text.startswith("/") and not re.match(r"/\S*[/.]", text):
        return _read_command(text)
    if text.lower().endswith(PICTURES) and re.match(r"[/.~]\S*$", text):
        return Picture(text)
    return Say(text)


def _read_command(text: str) -> Typed:
    word, _, rest = text[1:].partition(" ")
    rest = rest.strip()
    match word.lower():
        case "quit" | "exit" | "q":
            return Quit()
        case "as":
            return SpeakAs(rest) if rest else Show(("say who: /as NAME",))
        case "picture" | "image":
            path, _, words = rest.partition(" ")
            return Picture(path, words.strip()) if path else Show(("say which: /picture FILE [WORDS]",))
        case "help" | "?":
            return Show(HELP)
    return Show((f"there is no /{clean(word, limit=40)}", *HELP))


def reply_choices(reply: Mapping[str, Any]) -> tuple[str, ...]:
    """What the buttons of a reply would say, in order: "approve r42". An approval takes along the plan's code where the
    reply has one.
    """
    request, actions = reply.get("request"), reply.get("actions")
    if not isinstance(request, dict) or not isinstance(actions, list):
        return ()
    number = request.get("number")
    if not isinstance(number, int):
        return ()
    known = [action for action in actions[:9] if isinstance(action, str) and action.isalpha() and action.isascii()]
    text = str(reply.get("text", ""))
    return tuple(_approval(number, text) if action == "approve" else f"{action} r{number}" for action in known)


def _approval(number: int, text: str) -> str:
    """The words that approve, as the reply itself writes them: `approve r42`, with the plan's code if it has one."""
    found = re.search(rf"(?:approve|批准) r{number} ([a-z][0-9][a-z][0-9])(?![0-9a-z])", text, re.ASCII)
    return f"approve r{number} {found[1]}" if found else f"approve r{number}"


def reply_lines(reply: Mapping[str, Any], choices: Sequence[str] = ()) -> list[str]:
    """A reply as safe lines, its choices numbered below."""
    text = clean_output(str(reply.get("text", "")), limit=MAX_TEXT)
    lines = [clean(line, limit=MAX_TEXT) for line in text.rstrip("\n").split("\n")]
    if choices:
        lines.append("   ".join(f"[{at}] {choice}" for at, choice in enumerate(choices, 1)))
    return lines


def request_state(reply: Mapping[str, Any]) -> str:
    request = reply.get("request")
    return str(request.get("state", "")) if isinstance(request, dict) else ""


def is_settled(reply: Mapping[str, Any]) -> bool:
    """Whether the message needs no more waiting: it has ended, or it waits for a person."""
    return reply.get("kind") in ("final", "question") and request_state(reply) not in ("received", "working")


def exit_status(reply: Mapping[str, Any]) -> int:
    """0 where it was done, 3 where it was refused or rejected, else 1: also where it waits for an approval."""
    state = request_state(reply)
    if state in ("refused", "rejected"):
        return 3
    jobs = reply.get("jobs")
    states = [job.get("state") for job in jobs if isinstance(job, dict)] if isinstance(jobs, list) else []
    return 0 if state == "done" and all(found == "succeeded" for found in states) else 1
