"""The palette: acts, screens and settings by name, and machines and requests found at the hub while it is typed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any, Final, cast

from textual import on
from textual.widgets import Input

from common.catalogue import Sentence, say
from common.errors import UserError
from common.ids import is_name
from tui.command_line import parse
from tui.commands import Entry, key_signs
from tui.console import Console
from tui.dialogs.pick import PickDialog
from tui.format import one_line
from tui.rows import agent_state
from tui.widgets.choices import Choice, Choices

FOUND: Final = 10
TYPING: Final = 0.2


class PaletteDialog(PickDialog):
    """Gives a line for the command line of `:`."""

    def __init__(self, console: Console, entries: Sequence[Entry]) -> None:
        language, choices, why = console.language, [], {}
        for entry in entries:
            if entry.act.group == "move":
                continue
            name = entry.act.name(language)
            choices.append(Choice(entry.act.id, name, "dim" if entry.off else "", key_signs(entry.act.keys)))
            if entry.off is not None:
                why[entry.act.id] = say(language, "console_off_because", act=name, why=entry.off)
        choices += saved_views(console)
        super().__init__(console, Sentence("console_palette_title"), choices, search=True)
        self.why = why
        self._acts = choices

    @on(Input.Changed, "#search")
    def _search_hub(self, event: Input.Changed) -> None:
        self.choices = self._acts
        text = event.value.strip()
        command = parse(text)
        if command.verb == "request":
            self._add(
                [Choice(f"r{command.what}", say(self.console.language, "console_palette_request", number=command.what))]
            )
        if len(text) > 1 and is_name(text) and self.console.link.live:
            self.run_worker(self._machines(text), exclusive=True, group="palette")

    async def _machines(self, text: str) -> None:
        await asyncio.sleep(TYPING)
        args = {"view": "agents", "filter": f"name:*{text}*", "sort": "name", "lo": 0, "n": FOUND}
        look, found = self.console.look(), []
        try:
            async with aclosing(cast(Any, self.console.source.subscribe("view", "palette", **args))) as pushes:
                async for push in pushes:
                    for row in push["rows"][:FOUND]:
                        name = one_line(row.get("name", "?"), 64)
                        title = say(look.language, "console_palette_agent", name=name)
                        found.append(Choice(f"agent {name}", title, note=agent_state(row, look).text))
                    break
            await self.console.source.unsubscribe("palette")
        except UserError:
            return  # the hub does not know this filter, or is gone: the acts are still here
        self._add(found)

    def _add(self, found: list[Choice]) -> None:
        self.choices = [*self._acts, *found]
        choices = self.query_one("#choices", Choices)
        kept = [choice for choice in choices.choices if choice not in found]
        choices.set_choices([*kept, *found], at=choices.at)
        self.fit()


def saved_views(console: Console) -> list[Choice]:
    """Views saved by name, as lines of the command line; none where their file cannot be read."""
    try:
        views = console.saved.read()
    except UserError:
        return []
    language = console.language
    return [
        Choice(f"view {name}", say(language, "console_palette_view", name=name), note=one_line(view.filter, 100))
        for name, view in sorted(views.items())
    ]
