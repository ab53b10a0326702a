"""How each inlet is, of what the outbound modes, the hub's memory and the outbox say."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.values import Duration
from hub.chat.inlet_status import LOST_WINDOW, SETTLE, InletStatus, InletStatusReader
from hub.chat.inlets import Inlet
from hub.chat.outbound import OutboundState
from hub.chat.platforms.generic import GenericPlatform
from hub.core.inlet_activity import InletActivity
from hub.core.inlet_table import InletTable
from hub.store.outbox import WaitingReplies

SECRET = b"a secret of some length"
NOW = 10_000.0


@dataclass
class Rig:
    inlets: dict[str, Inlet] = field(default_factory=dict)
    activity: InletActivity = field(default_factory=InletActivity)
    states: list[OutboundState] = field(default_factory=list)
    now: float = NOW

    def __post_init__(self) -> None:
        for name in ("ops", "far"):
            table = InletTable("generic", Path("secrets/x"), quiet_after=Duration(60.0 if name == "ops" else 0.0))
            self.inlets[name] = Inlet(name, GenericPlatform([SECRET]), table=table)
        self.reader = InletStatusReader(self.inlets, self.activity, lambda: self.states, lambda: self.now, len)

    def ops(self, **waiting: Any) -> InletStatus:
        given = {"ops": WaitingReplies(**waiting)} if waiting else None
        return next(one for one in self.reader.read(given) if one.name == "ops")


def test_all_inlets_by_name() -> None:
    """Those with an outbound mode have its state, the others none; what nobody knows of is nothing."""
    rig = Rig(states=[OutboundState("far", error="the token is wrong", failed_at=5.0)])
    far, ops = rig.reader.read()
    assert (far.name, far.problem, far.quiet_after) == ("far", "the token is wrong", 0.0)
    assert (ops.name, ops.outbound, ops.problem, ops.refused, ops.waiting) == ("ops", None, "", 0, 0)
    assert (ops.platform, ops.answer, ops.quiet_after, ops.recording) == ("generic", "everything", 60.0, 3)


def test_quiet_beyond_its_own_limit() -> None:
    """With the moment of the last delivery; one without a limit never is."""
    rig = Rig()
    rig.activity.quiet.note("ops", NOW - 61)
    rig.activity.quiet.note("far", NOW - 9_000)
    far, ops = rig.reader.read()
    assert (ops.quiet, ops.delivered_at, far.quiet, far.delivered_at) == (True, NOW - 61, False, NOW - 9_000)
    assert rig.reader.quiet() == {"ops": True}
    rig.activity.quiet.note("ops", NOW)
    assert rig.reader.quiet() == {"ops": False}


def test_refusals() -> None:
    """How many, and the last."""
    rig = Rig()
    rig.activity.note_refusal("ops", "rate", 5.0)
    assert (rig.ops().refused, rig.ops().refused_code, rig.ops().refused_at) == (1, "rate", 5.0)


def test_replies_that_fail_for_a_while() -> None:
    """Not for a moment; once one arrives they do."""
    rig = Rig()
    rig.activity.note_reply_failure("ops", "no answer", NOW)
    assert rig.ops(pending=2, oldest=NOW, error="no answer").reply_problem == ""
    rig.now += SETTLE
    found = rig.ops(pending=2, oldest=NOW, error="no answer")
    assert (found.reply_problem, found.reply_failed_at, found.waiting) == ("no answer", NOW, 2)
    rig.activity.note_reply("ops")
    assert rig.ops().reply_problem == ""


def test_a_reply_that_was_given_up_is_told_at_once_for_an_hour() -> None:
    """A token that the chat refuses: nothing waits, and nobody would know."""
    rig = Rig()
    rig.activity.note_reply_failure("ops", "invalid_auth", NOW, given_up=True)
    assert (rig.ops().reply_problem, rig.ops().given_up) == ("invalid_auth", 1)
    rig.now += LOST_WINDOW + 1
    assert (rig.ops().reply_problem, rig.ops().given_up) == ("", 1)
    assert rig.ops(pending=1, oldest=rig.now, error="").reply_problem == "invalid_auth"


def test_replies_that_wait_since_before_the_start() -> None:
    """A hub that has just started knows of them by the outbox alone."""
    rig = Rig()
    assert rig.ops(pending=3, oldest=NOW - SETTLE, error="no answer").reply_problem == "no answer"
    assert rig.ops(pending=3, oldest=NOW - 1, error="no answer").reply_problem == ""
    assert rig.ops(pending=3, oldest=NOW - 999, error="").reply_problem == ""
