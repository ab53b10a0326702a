"""The hub as a process: starts, says when it is ready, ends in order, and is taken up again."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.end_to_end.rig import Rig


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with Rig(tmp_path) as made:
        await made.init()
        yield made


async def test_a_hub_ends_on_term_and_is_taken_up_again(rig: Rig) -> None:
    """SIGTERM: the agent is told, the process ends with 0, and after a restart the machine is back and works."""
    hub = await rig.start_hub()
    await rig.add_agent("web-1")
    assert (await rig.ask("carol", "@web-1 true"))["jobs"][0]["state"] == "succeeded"
    assert await hub.end() == 0
    assert "bye" in rig.programs["web-1"].log.read_text() or "link.down" in rig.programs["web-1"].log.read_text()
    await rig.start_hub()
    assert (await rig.ask("carol", "@web-1 true"))["jobs"][0]["state"] == "succeeded"
    kinds = [event["kind"] for event in rig.events()]
    assert kinds.count("hub.started") == 2
    assert kinds.count("hub.stopped") == 1


async def test_health_and_metrics(rig: Rig) -> None:
    """The pages that operators' tools look at: alive, ready, and the figures that the issue names."""
    await rig.start_hub()
    await rig.add_agent("web-1")
    await rig.ask("carol", "@web-1 true")
    assert rig.session is not None
    base = f"http://127.0.0.1:{rig.http}"
    async with rig.session.get(f"{base}/healthz") as answer:
        assert await answer.json() == {"ok": True}
    async with rig.session.get(f"{base}/readyz") as answer:
        assert await answer.json() == {"ready": True, "reasons": []}
    async with rig.session.get(f"{base}/metrics") as answer:
        text = await answer.text()
    for line in (
        'answerback_messages_total{inlet="ops",result="accepted"} 1.0',
        'answerback_jobs{state="succeeded"} 1.0',
        'answerback_links{kind="agent"} 1.0',
        'answerback_stage_seconds_count{stage="total"} 1.0',
        "answerback_queue_age_seconds 0.0",
    ):
        assert line in text, line


async def test_webhooks_find_nobody_after_the_end(rig: Rig) -> None:
    """A stopped hub takes no messages."""
    hub = await rig.start_hub()
    await hub.end()
    with pytest.raises(aiohttp.ClientError):
        await rig.post("carol", "help")
