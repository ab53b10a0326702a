"""What every screen of the console shares: the source, the settings, who I am, the open undo, the last messages.

It is no widget and knows none. Screens read it and post messages; the app owns it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from common.api.overview import Overview, QueuePause
from common.catalogue import Language, Sentence, translate
from common.text import clean
from common.version import VERSION
from tui.client.approval_key import ApprovalSigner
from tui.client.faults import FaultLog, describe_fault
from tui.client.source import LinkStatus, Source
from tui.model.actions import ActionContext, Kind, Undo
from tui.model.saved_views import SavedViews
from tui.model.settings import ConsoleSettings
from tui.model.window import Row
from tui.text.format import RenderContext, Tone, format_age

MESSAGE_SECONDS: Final = 8.0
"""Seconds that a message stays on the status line."""
MAX_MESSAGES: Final = 200


@dataclass(frozen=True, slots=True)
class StatusMessage:
    """One line for the operator."""

    text: str
    tone: Tone
    shown_at: float
    sticky: bool = False


def parse_version(text: str) -> tuple[int, ...]:
    """The first two numbers of a version, by which what is offered differs; () where they are none."""
    found = re.match(r"(\d{1,6})\.(\d{1,6})", text, re.ASCII)
    return () if found is None else (int(found[1]), int(found[2]))


class ConsoleContext:
    def __init__(
        self,
        source: Source,
        settings: ConsoleSettings,
        saved: SavedViews | None = None,
        signer: ApprovalSigner | None = None,
    ) -> None:
        self.source = source
        self.signer = signer  # of what is critical; None where there is no profile
        self.settings = settings
        source.language = settings.language
        self.saved_views = saved or SavedViews()  # views by name
        self.undo: Undo | None = None
        self.messages: deque[StatusMessage] = deque(maxlen=MAX_MESSAGES)
        self.bytes_out_rate = 0.0  # bytes a second to the terminal
        self.frame_rate = 0.0  # flushes a second
        self.row_removed: Callable[[str], bool] = lambda row: False  # whether a row has left the list on the screen
        self.faults = FaultLog(settings.log)
        self.last_fault = ""  # in words; "" is none yet

    # ---- how to say it

    @property
    def language(self) -> Language:
        return self.settings.language

    def now(self) -> float:
        return self.source.now()

    def render_context(self) -> RenderContext:
        return RenderContext(self.settings.language, self.settings.ascii, self.source.now(), self.settings.zone)

    def update_settings(self, **changes: Any) -> None:
        self.settings = replace(self.settings, **changes)
        self.source.language = self.settings.language

    # ---- how it stands

    @property
    def link(self) -> LinkStatus:
        return self.source.link

    @property
    def overview(self) -> Overview | None:
        return self.source.overview

    def version_mismatch(self) -> Sentence | None:
        """What the hub being older or newer than this console means; None where they are alike."""
        who = self.source.who
        if who is None:
            return None
        theirs, ours = parse_version(who.version), parse_version(VERSION)
        if not theirs or theirs == ours:
            return None
        key = "console_hub_older" if theirs < ours else "console_hub_newer"
        return Sentence(key, {"hub": clean(who.version, limit=24), "console": VERSION})

    def lost_duration(self) -> str:
        return format_age(max(0.0, self.now() - self.link.since))

    def action_context(
        self,
        screen: str,
        kind: Kind = "",
        row: Row | None = None,
        marked: tuple[Kind, Sequence[Row]] = ("", ()),
        pending_moves: int = 0,
    ) -> ActionContext:
        """`row` is the one under the cursor, `marked` the marked ones that acts on several would be about."""
        who = self.source.who
        return ActionContext(
            screen=screen,
            kind=kind if row is not None else "",
            row=row,
            marked=len(marked[1]),
            marked_kind=marked[0],
            marked_row=marked[1][0] if marked[1] else None,
            linked=self.link.live,
            lost_duration=self.lost_duration(),
            read_only=self.settings.read_only,
            person=who.person if who else "",
            roles=who.roles if who else (),
            verbs=who.verbs if who else (),
            denied=who.denied if who else {},
            has_undo=self.open_undo() is not None,
            pending_moves=pending_moves,
            now=self.now(),
        )

    def supports(self, verb: str) -> bool:
        """Whether the hub has such a verb; False where it does not say which it has."""
        return self.source.who is not None and verb in self.source.who.verbs

    @property
    def queue_paused(self) -> QueuePause | None:
        """By whom, since when and why the whole queue is paused."""
        return self.overview.hub.queue_paused if self.overview is not None else None

    # ---- what was done and said

    def open_undo(self) -> Undo | None:
        if self.undo is not None and self.now() >= self.undo.expires_at:
            self.undo = None
        return self.undo

    def notify(self, message: Sentence | str, tone: Tone = "", *, sticky: bool = False, about: str = "") -> None:
        """Puts a line on the status line; text from the hub comes in as `str` and is made safe. `about` is the row that
        it is about, which is named where the text does not do so.
        """
        text = message.render(self.language) if isinstance(message, Sentence) else message
        if about and about.partition(" ")[0] not in text:
            text = translate(self.language, "console_about", row=about, text=text)
        self.messages.append(StatusMessage(clean(text, limit=500), tone, self.now(), sticky))

    def current_message(self) -> StatusMessage | None:
        if not self.messages:
            return None
        last = self.messages[-1]
        return last if last.sticky or self.now() - last.shown_at < MESSAGE_SECONDS else None

    def dismiss_message(self) -> None:
        """A lasting message has been seen."""
        if self.messages and self.messages[-1].sticky:
            self.messages[-1] = replace(self.messages[-1], sticky=False, shown_at=self.now() - MESSAGE_SECONDS)

    def report_fault(self, what: Sentence | str, error: Exception) -> str:
        """Something of the console's own has failed: tells it and logs it; what was told. The same fault again, as a
        screen that cannot be drawn has at every beat, is not told twice.
        """
        name = what.render(self.language) if isinstance(what, Sentence) else what
        words = describe_fault(error)
        text = translate(self.language, "console_own_fault", act=name, what=words)
        if (fault := f"{name} {words}") != self.last_fault:
            self.last_fault = fault
            self.faults.write(name, error, self.now())
            self.notify(text, "bad", sticky=True)
        return text
