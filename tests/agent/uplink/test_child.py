"""agent.uplink.child: a hidden command, its failure, and what it says; its time limit is in test_renewal.py."""

from __future__ import annotations

import pytest

from agent.state import StateFolder
from agent.uplink.child import run_child
from common.errors import WorkFailed


async def test_it_runs_and_its_complaint_is_told(state: StateFolder) -> None:
    await run_child(state, "make-request")
    assert state.credential.next_request.exists()
    with pytest.raises(WorkFailed, match="take-trust failed") as caught:
        await run_child(state, "take-trust", stdin=b"rubbish")
    assert "does not read" in caught.value.cure
