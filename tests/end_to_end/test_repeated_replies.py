"""The hub is killed between a reply's post and its mark, again and again: what the chat gets twice says so."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from tests.end_to_end.system import SystemHarness


@pytest.mark.timeout(300)
async def test_no_repeat_is_silent(rig: SystemHarness) -> None:
    """Each answer arrives, however often the hub dies while it is told. A repeat has the id of the first, is marked as
    one inside what is signed, and says the same.
    """
    await rig.start_hub()
    kills = 0

    def kill_the_hub(reply: dict[str, Any]) -> None:
        """In the receiver's own handler: the post is there, and its result is not told yet."""
        nonlocal kills
        if reply["kind"] == "final" and not reply.get("repeat"):
            kills += 1
            os.kill(rig.programs["hub"].pid, signal.SIGKILL)

    rig.receiver.on_reply = kill_the_hub
    for number in range(3):
        event = f"m-{number}"
        await rig.post("alice", "help", event=event)
        await rig.receiver.wait_for(lambda number=number: kills > number)
        await rig.programs["hub"].stop(signal.SIGKILL)
        await rig.start_hub()
        await rig.receiver.wait_for(lambda event=event: len(rig.receiver.finals[event]) == 2)
        first, again = rig.receiver.finals[event]
        assert "repeat" not in first
        assert again == {**first, "repeat": True}
    seen: set[str] = set()
    silent = 0
    for reply in rig.receiver.replies:
        silent += reply["id"] in seen and not reply.get("repeat", False)
        seen.add(reply["id"])
    assert silent == 0
    rig.receiver.on_reply = lambda reply: None
    assert "repeat" not in await rig.ask("alice", "help")
