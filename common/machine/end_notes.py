"""What is to be told of a job's end besides how it ended: what it left behind, and what of it is lost. Pure.

A machine sends notes with the end of a job (`Ended.notes`), each a code and, after a space, its detail:

    left 4711 python3, 4712 sh   processes of the job that go on without us
    unrecorded                   such a process keeps the output open: what it writes from now on is not recorded
    lost 12345                   bytes of output that found no room
    filtered 12345               bytes of output that a filter behind `|` had no room for
    dropped                      output that was kept, and gone before the hub had it
    memory                       it ran without a durable record: a crash would have left nothing of it
    disk                         the disk with the agent's state is full, and its reserve was used
    digest                       the digest of its output is over a digest and what came behind: its runner was upgraded
                                 while it printed more than is stored. Nothing is missing, so this is kept and not shown

    again 2 3                    the hub's own: an attempt of so many, since the one before is unknown

A code that a later version sends is kept and not shown. The rule: what of a command's result is missing is told
wherever its end is told (chat, command line, console), never left to be noticed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from common.catalogue import Sentence
from common.values import format_rounded_size

MAX_NOTES: Final = 8
MAX_NOTE: Final = 300
"""Characters of one note."""
LOSSES: Final = frozenset({"lost", "filtered", "dropped"})
"""Codes that say that something of the output is missing."""
_MAX_DIGITS: Final = 15
_CODES: Final = ("lost", "filtered", "dropped", "again", "left", "unrecorded", "memory", "disk")


def make_note(code: str, detail: str = "") -> str:
    return f"{code} {detail}".rstrip()[:MAX_NOTE]


def clean_notes(notes: Iterable[str]) -> tuple[str, ...]:
    """Notes from outside within bounds: few, short, each on one line."""
    lines = ("".join(char if char.isprintable() else "?" for char in note[:MAX_NOTE]) for note in notes)
    return tuple(line for line in lines if line)[:MAX_NOTES]


def are_valid_notes(notes: Sequence[str]) -> bool:
    return len(notes) <= MAX_NOTES and all(0 < len(note) <= MAX_NOTE for note in notes)


def has_code(notes: Iterable[str], codes: Iterable[str]) -> bool:
    return not frozenset(codes).isdisjoint(note.partition(" ")[0] for note in notes)


def note_sentences(
    notes: Sequence[str], machine: str, safe: Callable[[str], str] = str, *, chat: bool = False
) -> Iterator[Sentence]:
    """The notes as sentences, losses first. `safe` makes text from the machine fit to be shown; in `chat` a sentence
    names the message that looks closer.
    """
    found = dict(reversed([(note.partition(" ")[0], note.partition(" ")[2]) for note in notes]))
    for code in _CODES:
        if code not in found:
            continue
        detail = found[code]
        values = {"machine": machine}
        if code in ("lost", "filtered"):
            size = format_rounded_size(int(detail)) if _is_number(detail) else "?"
            yield Sentence(f"note_{code}", {**values, "size": size})
        elif code == "again":
            attempt, _, most = detail.partition(" ")
            if _is_number(attempt) and _is_number(most):
                yield Sentence("note_again", {**values, "attempt": int(attempt), "most": int(most)})
        elif code == "left":
            first = detail.partition(" ")[0]
            pid = first if _is_number(first) else "PID"
            where = "note_left_chat" if chat else "note_left"
            yield Sentence(where, {**values, "processes": safe(detail) or "?", "pid": pid})
        else:
            yield Sentence(f"note_{code}", values)


def _is_number(text: str) -> bool:
    """Whether a machine's text is a number that something can have so many of."""
    return text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS


def fold_notes(reason: str, notes: Sequence[str]) -> str:
    """Reason and notes as one reason in English, for a hub that knows no notes."""
    return "; ".join(filter(None, (reason, *map(str, note_sentences(notes, "this machine")))))
