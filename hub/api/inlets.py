"""The inlets as operators see them: the verb `inlets`, and which of them need a person."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from common.api.arguments import NoArgs
from common.api.inlets import InletView
from common.api.overview import NeedView
from common.catalogue import Language, Sentence
from common.text import clean
from common.values import format_age
from hub.api.context import ApiContext
from hub.api.views import fit_items
from hub.chat.inlet_status import InletStatus
from hub.core.chat_text import inline_text
from hub.links.console import Caller
from hub.store.outbox import WaitingReplies

ReadInlets = Callable[[Mapping[str, WaitingReplies]], Sequence[InletStatus]]
"""How each inlet is, by the replies that wait for it."""
MAX_TEXT: Final = 300
"""Characters of a reason."""


class InletHandlers:
    def __init__(self, context: ApiContext, inlets: ReadInlets) -> None:
        self._store = context.store
        self._inlets = inlets

    async def inlets(self, caller: Caller, args: NoArgs) -> tuple[InletView, ...]:
        waiting = await self._store.read(lambda txn: txn.waiting_replies())
        return fit_items(map(inlet_view, self._inlets(waiting)))


def inlet_view(status: InletStatus) -> InletView:
    state = status.outbound
    return InletView(
        name=status.name,
        platform=status.platform,
        way="webhook" if state is None else "outbound",
        answer=status.answer,
        connected_at=_moment(state.connected_at) if state is not None else None,
        problem=clean(status.problem, limit=MAX_TEXT),
        failed_at=_moment(state.failed_at) if state is not None else None,
        failures=state.failures if state is not None else 0,
        retry_at=_moment(state.retry_at) if state is not None else None,
        delivered_at=_moment(status.delivered_at),
        quiet_after=status.quiet_after or None,
        quiet=status.quiet,
        refused=status.refused,
        refused_code=status.refused_code,
        refused_at=_moment(status.refused_at),
        replies_waiting=status.waiting,
        replies_since=_moment(status.waiting_since),
        reply_problem=clean(status.reply_problem, limit=MAX_TEXT),
        reply_failed_at=_moment(status.reply_failed_at),
        replies_given_up=status.given_up,
        recording=status.recording,
    )


def _moment(at: float) -> float | None:
    return at or None


def inlet_need(status: InletStatus, now: float, language: Language) -> NeedView | None:
    """What is wrong with an inlet, the worst of it: no messages come, replies do not arrive, it is quiet; None where
    nothing is.
    """
    values: dict[str, object] = {"inlet": status.name, "count": status.waiting}
    if status.problem:
        key = "need_inlet_waiting" if status.waiting else "need_inlet"
        kind, values["why"] = "inlet", inline_text(status.problem)
        since = status.outbound.failed_at if status.outbound is not None else now
    elif status.reply_problem:
        key = "need_inlet_replies" if status.waiting else "need_inlet_lost"
        kind, values["why"], since = "inlet", inline_text(status.reply_problem), status.reply_failed_at
    elif status.quiet:
        key, values["limit"] = "need_inlet_quiet", format_age(status.quiet_after)
        kind, since = "quiet", status.delivered_at
    else:
        return None
    return NeedView(
        kind=kind,
        inlet=status.name,
        since=since,
        age=max(0.0, now - since),
        text=Sentence(key, values).render(language),
        count=status.waiting or None,
    )
