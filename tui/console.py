"""What every screen of the console shares: the source, the settings, who I am, the way back that is open, what was
last said.

It is no widget and knows none. Screens read it and post messages; the app owns it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from common.catalogue import Language, Sentence, say
from common.text import clean
from common.version import VERSION
from tui.commands import Kind, Scene, Undo
from tui.faults import FaultLog, fault_words
from tui.format import Look, Tone, age
from tui.model import Row
from tui.saved import Saved
from tui.source import Link, Source

SAID_FOR: Final = 8.0
"""Seconds that a message stays on the status line."""
MAX_SAID: Final = 200


@dataclass(frozen=True, slots=True)
class Settings:
    """How the console looks and what it may do; all of it can be given on the command line."""

    language: Language = "en"
    theme: str = "dark"
    ascii: bool = False
    read_only: bool = False
    slow: bool = False
    hide_codes: bool = False  # dots for digits, for recordings
    still: bool = False  # no clock, no rates: pictures and snapshot tests
    log: Path | None = None  # a file for faults of the console's own


@dataclass(frozen=True, slots=True)
class Said:
    """One line for the operator."""

    text: str
    tone: Tone
    at: float
    lasting: bool = False


def version_of(text: str) -> tuple[int, ...]:
    """The first two numbers of a version, by which what is offered differs; () where they are none."""
    found = re.match(r"(\d{1,6})\.(\d{1,6})", text, re.ASCII)
    return () if found is None else (int(found[1]), int(found[2]))


class Console:
    def __init__(self, source: Source, settings: Settings, saved: Saved | None = None) -> None:
        self.source = source
        self.settings = settings
        source.language = settings.language
        self.saved = saved or Saved()  # views by name
        self.undo: Undo | None = None
        self.said: deque[Said] = deque(maxlen=MAX_SAID)
        self.rate_out = 0.0  # bytes a second to the terminal
        self.frames = 0.0  # flushes a second
        self.has_left: Callable[[str], bool] = lambda row: False  # whether a row has left the list on the screen
        self.faults = FaultLog(settings.log)
        self.last_fault = ""  # in words; "" is none yet

    # ---- how to say it

    @property
    def language(self) -> Language:
        return self.settings.language

    def now(self) -> float:
        return self.source.now()

    def look(self) -> Look:
        return Look(self.settings.language, self.settings.ascii, self.source.now())

    def set(self, **changes: Any) -> None:
        self.settings = replace(self.settings, **changes)
        self.source.language = self.settings.language

    # ---- how it stands

    @property
    def link(self) -> Link:
        return self.source.link

    @property
    def overview(self) -> Mapping[str, Any]:
        return self.source.overview

    def other_version(self) -> Sentence | None:
        """What the hub being older or newer than this console means; None where they are alike."""
        who = self.source.who
        if who is None:
            return None
        theirs, ours = version_of(who.version), version_of(VERSION)
        if not theirs or theirs == ours:
            return None
        key = "console_hub_older" if theirs < ours else "console_hub_newer"
        return Sentence(key, {"hub": clean(who.version, limit=24), "console": VERSION})

    def lost_for(self) -> str:
        return age(max(0.0, self.now() - self.link.since))

    def scene(
        self,
        screen: str,
        kind: Kind = "",
        row: Row | None = None,
        marked: tuple[Kind, Sequence[Row]] = ("", ()),
        held: int = 0,
    ) -> Scene:
        """`row` is the one under the cursor, `marked` the marked ones that acts on several would be about."""
        who = self.source.who
        return Scene(
            screen=screen,
            kind=kind if row is not None else "",
            row=row,
            marked=len(marked[1]),
            marked_kind=marked[0],
            marked_row=marked[1][0] if marked[1] else None,
            live=self.link.live,
            lost_for=self.lost_for(),
            read_only=self.settings.read_only,
            person=who.person if who else "",
            roles=who.roles if who else (),
            verbs=who.verbs if who else frozenset(),
            denied=who.denied if who else {},
            has_undo=self.open_undo() is not None,
            held=held,
            now=self.now(),
        )

    def has(self, verb: str) -> bool:
        """Whether the hub has such a verb; False where it does not say which it has."""
        return self.source.who is not None and verb in self.source.who.verbs

    @property
    def queue_paused(self) -> Mapping[str, Any] | None:
        """By whom, since when and why the whole queue is paused."""
        hub = self.overview.get("hub")
        paused = hub.get("queue_paused") if isinstance(hub, Mapping) else None
        return paused if isinstance(paused, Mapping) else None

    # ---- what was done and said

    def open_undo(self) -> Undo | None:
        if self.undo is not None and self.now() >= self.undo.until:
            self.undo = None
        return self.undo

    def tell(self, what: Sentence | str, tone: Tone = "", *, lasting: bool = False) -> None:
        """Puts a line on the status line; text from the hub comes in as `str` and is made safe."""
        text = what.say(self.language) if isinstance(what, Sentence) else what
        self.said.append(Said(clean(text, limit=500), tone, self.now(), lasting))

    def last_said(self) -> Said | None:
        if not self.said:
            return None
        last = self.said[-1]
        return last if last.lasting or self.now() - last.at < SAID_FOR else None

    def hush(self) -> None:
        """A lasting message has been seen."""
        if self.said and self.said[-1].lasting:
            self.said[-1] = replace(self.said[-1], lasting=False, at=self.now() - SAID_FOR)

    def fault(self, what: Sentence | str, error: Exception) -> str:
        """Something of the console's own has failed: tells it and logs it; what was told. The same fault again, as a
        screen that cannot be drawn has at every beat, is not told twice.
        """
        name = what.say(self.language) if isinstance(what, Sentence) else what
        words = fault_words(error)
        text = say(self.language, "console_own_fault", act=name, what=words)
        if (fault := f"{name} {words}") != self.last_fault:
            self.last_fault = fault
            self.faults.write(name, error, self.now())
            self.tell(text, "bad", lasting=True)
        return text
