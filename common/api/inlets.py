"""The inlets, entrances for chats, as operators see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from common.api.constraints import MaybeMoment, MaybeSeconds, StateName


@dataclass(frozen=True, slots=True, kw_only=True)
class InletView:
    """One inlet. Counts are since the hub started, which knows nothing of what was before."""

    name: str
    platform: str
    way: Annotated[StateName, "webhook: its chat posts to the hub; outbound: the hub asks, and needs no open port"]
    answer: Annotated[StateName, "everything, mentions, commands"] = "everything"
    connected_at: Annotated[MaybeMoment, "since when an outbound one has worked; null while it does not"] = None
    problem: Annotated[str, "why it gets no messages, in one line; empty where nothing is known to be wrong"] = ""
    failed_at: Annotated[MaybeMoment, "since when it gets none"] = None
    failures: Annotated[int, "in a row"] = 0
    retry_at: Annotated[MaybeMoment, "of the next try"] = None
    delivered_at: Annotated[MaybeMoment, "of the last delivery"] = None
    quiet_after: Annotated[MaybeSeconds, "without a delivery it is quiet; null: never"] = None
    quiet: Annotated[bool, "no delivery for longer than that"] = False
    refused: Annotated[int, "deliveries turned away"] = 0
    refused_code: Annotated[str, "of the last one, as in the metrics and the audit"] = ""
    refused_at: MaybeMoment = None
    replies_waiting: Annotated[int, "that are not posted yet"] = 0
    replies_since: Annotated[MaybeMoment, "when the first of them was made"] = None
    reply_problem: Annotated[str, "why replies do not arrive, in one line"] = ""
    reply_failed_at: Annotated[MaybeMoment, "since when they do not"] = None
    replies_given_up: int = 0
    recording: Annotated[int, "deliveries still to be recorded, with what is private redacted"] = 0

    @property
    def id(self) -> str:
        return self.name

    @property
    def is_outbound(self) -> bool:
        return self.way == "outbound"
