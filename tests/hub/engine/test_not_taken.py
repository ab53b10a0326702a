"""Who is told that a message was not taken."""

from __future__ import annotations

import json

import pytest

from tests.hub.hub_harness import HubHarness


async def test_who_is_not_taken_and_does_not_come_again_by_itself_is_told(
    harness: HubHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In chat, in their language, once a minute; of the message itself nothing is kept. A stranger is told nothing,
    nor whoever sends it again anyway.
    """
    intake = harness.engine.intake
    monkeypatch.setattr(intake._line, "refuse", lambda turn: 7.2)

    async def say(text: str, user: str, *, retried: bool = False) -> None:
        assert (await intake.accept("ops", harness.make_incoming(text, user), retried=retried)).status == "busy"

    await say("@web-1 uptime", "carol", retried=True)
    await say("@web-1 uptime", "mallory")
    assert harness.replies() == []
    for _ in range(3):
        await say("@web-1 uptime", "carol")
        await say("看一下磁盘", "dave")
    said = [json.loads(reply.body)["text"] for reply in harness.replies()]
    assert len(said) == 2
    assert "again in 8 s" in said[0]
    assert "8 秒" in said[1]
    harness.clock.advance(61)
    await say("@web-1 uptime", "carol")
    assert len(harness.replies()) == 3
    assert (harness.read(lambda txn: txn.requests()), harness.events("message")) == ([], [])
