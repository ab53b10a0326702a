"""What every screen of the console shares: the source, the settings, who I am, the way back that is open, what was
last said.

It is no widget and knows none. Screens read it and post messages; the app owns it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from common.catalogue import Language, Sentence
from common.text import clean
from tui.commands import Kind, Scene, Undo
from tui.format import Look, Tone, age
from tui.model import Row
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


@dataclass(frozen=True, slots=True)
class Said:
    """One line for the operator."""

    text: str
    tone: Tone
    at: float
    lasting: bool = False


class Console:
    def __init__(self, source: Source, settings: Settings) -> None:
        self.source = source
        self.settings = settings
        source.language = settings.language
        self.undo: Undo | None = None
        self.said: deque[Said] = deque(maxlen=MAX_SAID)
        self.rate_out = 0.0  # bytes a second to the terminal
        self.frames = 0.0  # flushes a second

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

    def lost_for(self) -> str:
        return age(max(0.0, self.now() - self.link.since))

    def scene(self, screen: str, kind: Kind = "", row: Row | None = None, marked: int = 0, held: int = 0) -> Scene:
        who = self.source.who
        return Scene(
            screen=screen,
            kind=kind if row is not None else "",
            row=row,
            marked=marked,
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
