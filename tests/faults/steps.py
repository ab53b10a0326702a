"""The steps of a message, S1 to S15 of the fault matrix: where each is held, and what is said to get there.

A program is stopped with SIGSTOP at its crash point, so a fault finds every message in the very same place; then it
goes on, or is killed where it stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Program = Literal["hub", "uplink", "runner"]
Said = Literal["command", "question", "approval", "cancel"]


@dataclass(frozen=True, slots=True)
class Step:
    """One row."""

    id: str
    says: str
    program: Program
    point: str
    said: Said = "command"  # what brings a message there
    started: bool = False  # a program may have begun, and nothing on the machine says how it ended
    ordered: bool = False  # the hub's word to start is on its way with the order, and in no journal


STEPS: Final = (
    Step("S1", "webhook read, not committed", "hub", "message.accepted.uncommitted"),
    Step("S2", "committed, 2xx not sent", "hub", "message.accepted.committed"),
    Step("S3", "planned, not committed", "hub", "plan.made"),
    Step("S4", "question posted, waits for a yes", "hub", "question.posted", "question"),
    Step("S5", "yes committed", "hub", "request.approved.committed", "approval"),
    Step("S6", "leased, frame not written", "hub", "job.dispatched.committed", ordered=True),
    Step("S7", "frame sent", "hub", "dispatch.sent", ordered=True),
    Step("S8", "journalled, acceptance not told", "runner", "accept.durable"),
    Step("S9", "start confirmed, no marker", "runner", "start.before_marker"),
    Step("S10", "marker made, program runs", "runner", "start.after_spawn", started=True),
    Step("S11", "program ended, result not written", "runner", "end.before_result", started=True),
    Step("S12", "result written, not sent", "uplink", "ended.from_runner"),
    Step("S13", "end committed, not acknowledged", "hub", "job.ended.committed"),
    Step("S14", "reply posted, not marked", "hub", "final.posted"),
    Step("S15", "cancel at the machine, not handed on", "uplink", "cancel.at_uplink", "cancel"),
)
BY_ID: Final = {step.id: step for step in STEPS}
