"""The palette: acts, screens and settings by name, and machines and requests found at the hub while it is typed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any, Final, cast

from textual import on
from textual.widgets import Input

from common.api import verbs
from common.api.agents import AgentView
from common.api.lists import Snapshot
from common.api.subscriptions import ViewArgs
from common.catalogue import Sentence, translate
from common.errors import UserError
from common.ids import is_name
from tui.dialogs.pick import PickDialog
from tui.model.actions import ActionEntry, format_keys
from tui.model.context import ConsoleContext
from tui.text.format import one_line
from tui.view.columns import agent_state
from tui.view.command_line import parse_command
from tui.widgets.choices import ChoiceItem, ChoiceList

MAX_FOUND: Final = 10
TYPING_DEBOUNCE: Final = 0.2


class PaletteDialog(PickDialog):
    """Gives a line for the command line of `:`."""

    def __init__(self, console: ConsoleContext, entries: Sequence[ActionEntry]) -> None:
        language, choices, why = console.language, [], {}
        for entry in entries:
            if entry.action.group == "move":
                continue
            name = entry.action.label(language)
            choices.append(
                ChoiceItem(
                    entry.action.id, name, "dim" if entry.disabled_reason else "", format_keys(entry.action.keys)
                )
            )
            if entry.disabled_reason is not None:
                why[entry.action.id] = translate(language, "console_off_because", act=name, why=entry.disabled_reason)
        choices += saved_view_items(console)
        super().__init__(console, Sentence("console_palette_title"), choices, search=True)
        self.disabled_reasons = why
        self._action_items = choices

    @on(Input.Changed, "#search")
    def _search_hub(self, event: Input.Changed) -> None:
        self.choices = self._action_items
        text = event.value.strip()
        command = parse_command(text)
        if command.kind == "request":
            self._add_items(
                [
                    ChoiceItem(
                        f"r{command.argument}",
                        translate(self.console.language, "console_palette_request", number=command.argument),
                    )
                ]
            )
        if len(text) > 1 and is_name(text) and self.console.link.live:
            self.run_worker(self._search_agents(text), exclusive=True, group="palette")

    async def _search_agents(self, text: str) -> None:
        await asyncio.sleep(TYPING_DEBOUNCE)
        args = ViewArgs(view="agents", filter=f"name:*{text}*", sort="name", n=MAX_FOUND)
        found: list[ChoiceItem] = []
        try:
            async with aclosing(cast(Any, self.console.source.subscribe(verbs.VIEW, "palette", args))) as pushes:
                async for push in pushes:
                    if isinstance(push, Snapshot):
                        found = [self._agent_item(agent) for agent in push.rows[:MAX_FOUND]]
                    break
            await self.console.source.unsubscribe("palette")
        except UserError:
            return  # the hub does not know this filter, or is gone: the acts are still here
        self._add_items(found)

    def _agent_item(self, agent: AgentView) -> ChoiceItem:
        look, name = self.console.render_context(), one_line(agent.name, 64)
        title = translate(look.language, "console_palette_agent", name=name)
        return ChoiceItem(f"agent {name}", title, note=agent_state(agent, look).text)

    def _add_items(self, found: list[ChoiceItem]) -> None:
        self.choices = [*self._action_items, *found]
        choices = self.query_one("#choices", ChoiceList)
        kept = [choice for choice in choices.items if choice not in found]
        choices.set_items([*kept, *found], index=choices.index)
        self.resize_panes()


def saved_view_items(console: ConsoleContext) -> list[ChoiceItem]:
    """Views saved by name, as lines of the command line; none where their file cannot be read."""
    try:
        views = console.saved_views.read()
    except UserError:
        return []
    language = console.language
    return [
        ChoiceItem(
            f"view {name}", translate(language, "console_palette_view", name=name), note=one_line(view.filter, 100)
        )
        for name, view in sorted(views.items())
    ]
