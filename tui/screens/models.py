"""The servers of language models: one row a node, and above them who waits and how much the cache of plans spares."""

from __future__ import annotations

from typing import Any

from common.api import verbs
from common.api.arguments import NoArgs
from common.api.models import ModelNode, ModelsView
from tui.model.answers import CallOutcome, call_hub
from tui.model.context import ConsoleContext
from tui.model.window import Row
from tui.screens.polled import PolledScreen
from tui.text.format import RenderContext, join_nonempty, one_line
from tui.view.models import NODES, describe_shared, down_reason, node_state, nodes_of


class ModelsScreen(PolledScreen):
    kind = "model"
    columns = NODES
    heading = "console_tab_models"
    nothing = ("console_empty_models", "console_empty_models_next")

    def __init__(self, console: ConsoleContext, mode: str = "models") -> None:
        super().__init__(console, mode)
        self._last_answer = ModelsView()
        self._visible = False

    @property
    def is_shown(self) -> bool:
        return self._visible

    def start(self) -> None:
        self._visible = True
        self.wake()
        self.flush()

    def stop(self) -> None:
        self._visible = False

    async def ask(self) -> CallOutcome[ModelsView]:
        return await call_hub(self.console.source, verbs.MODELS, NoArgs())

    def take(self, result: Any) -> list[Row]:
        self._last_answer = result
        return list(nodes_of(result))

    def summary(self, look: RenderContext) -> str:
        return describe_shared(self._last_answer, look)

    def describe_subject(self) -> str:
        row = self.table().row
        if not isinstance(row, ModelNode):
            return ""
        return join_nonempty(
            (one_line(row.name, 64), node_state(row, self.console.render_context()).text, down_reason(row))
        )
