"""The inlets: one row a chat. It stands before the screen from which it was opened, and is closed to go back there."""

from __future__ import annotations

from typing import Any

from common.api import verbs
from common.api.arguments import NoArgs
from common.api.inlets import InletView
from tui.model.answers import CallOutcome, call_hub
from tui.model.context import ConsoleContext
from tui.model.window import Row
from tui.screens.polled import PolledScreen
from tui.text.format import RenderContext, join_nonempty, one_line
from tui.view.inlets import INLETS, describe_inlets, inlet_state, inlet_trouble, inlets_of


class InletsScreen(PolledScreen):
    kind = "inlet"
    columns = INLETS
    heading = "console_inlets"
    nothing = ("console_empty_inlets", "console_empty_inlets_next")

    def __init__(self, console: ConsoleContext, mode: str, select: str = "") -> None:
        """`select` is the name of the inlet that the cursor begins on."""
        super().__init__(console, mode)
        self._select = select

    @property
    def is_shown(self) -> bool:
        return self in self.app.screen_stack

    def on_screen_resume(self) -> None:
        self.wake()

    async def ask(self) -> CallOutcome[tuple[InletView, ...]]:
        return await call_hub(self.console.source, verbs.INLETS, NoArgs())

    def take(self, result: Any) -> list[Row]:
        return list(inlets_of(result))

    async def _fetch(self) -> None:
        await super()._fetch()
        if self._select and self.window.loaded:
            self.table().move_to_id(self._select)
            self._select = ""

    def summary(self, look: RenderContext) -> str:
        rows = [self.window.row_at(index) for index in range(self.window.total)]
        return describe_inlets([row for row in rows if isinstance(row, InletView)], look)

    def describe_subject(self) -> str:
        row, look = self.table().row, self.console.render_context()
        if not isinstance(row, InletView):
            return ""
        return join_nonempty((one_line(row.name, 64), inlet_state(row, look).text, inlet_trouble(row, look)))

    def go_back(self) -> None:
        self.dismiss(None)
