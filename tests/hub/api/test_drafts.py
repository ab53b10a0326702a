"""The operators' room for drafts: the same acts, answers for programs."""

from __future__ import annotations

import pytest

from hub.links.console import InvalidArguments
from tests.hub.api_harness import REMOTE, ApiHarness
from tests.hub.hub_harness import HubHarness, ended_message


async def done(harness: HubHarness) -> int:
    """The number of a request that ran well."""
    request = await harness.submit("@web-1 uptime")
    (job,) = harness.jobs(request)
    await harness.claim()
    await harness.handle_agent_events("web-1", ended_message(job.id))
    return request.number


async def test_the_whole_way(harness: HubHarness) -> None:
    """Proposed, listed, shown, accepted; each answer has the draft, each row where it came from."""
    rooms, number = ApiHarness(harness), await done(harness)
    told = await rooms.call("carol", "propose", number=number, name="Breathing", say="is web-1 still breathing")
    assert (told["code"], told["number"], told["name"], told["state"]) == ("ok", 1, "breathing", "proposed")
    assert "[runbooks.breathing]" in told["body"]
    (listed,) = await rooms.call("carol", "drafts")
    assert (listed["number"], listed["by"]) == (1, "carol")
    shown = await rooms.call("bob", "draft", number=1)
    assert (shown["code"], shown["body"]) == ("ok", told["body"])
    accepted = await rooms.call("alice", "accept_draft", number=1, language="zh")
    assert (accepted["code"], accepted["state"], accepted["decided_by"]) == ("ok", "accepted", "alice")
    assert "已采纳" in accepted["text"]
    assert await rooms.call("carol", "drafts") == []
    assert {row.data["from"] for row in harness.events("runbook.")} == {REMOTE}
    assert (await rooms.call("alice", "reject_draft", number=1))["code"] == "already_decided"


async def test_a_no_of_each_kind(harness: HubHarness) -> None:
    """Answers and not failures: the code says which."""
    rooms, number = ApiHarness(harness), await done(harness)
    ask = {"number": number, "name": "x"}
    assert (await rooms.call("carol", "propose", **ask))["code"] == "phrase"
    assert (await rooms.call("carol", "propose", **{**ask, "number": 99}, say="y web-1"))["code"] == "unknown"
    assert (await rooms.call("dave", "propose", **ask, say="y web-1"))["code"] == "no_right"
    assert (await rooms.call("vera", "propose", **ask, say="y web-1"))["code"] == "no_right"
    assert (await rooms.call("carol", "propose", **ask, say="disk on web-1"))["code"] == "clash"
    assert (await rooms.call("carol", "propose", **{**ask, "name": "disk"}, say="y web-1"))["code"] == "name"
    assert (await rooms.call("carol", "propose", **ask, say="is web-1 still breathing"))["code"] == "ok"
    assert (await rooms.call("bob", "accept_draft", number=1))["code"] == "no_right"
    assert (await rooms.call("dave", "reject_draft", number=1))["code"] == "no_right"
    assert (await rooms.call("alice", "reject_draft", number=1, why="no"))["code"] == "ok"


@pytest.mark.parametrize("name", ["", "two words", "../x", "名字", "-x", "x" * 49, "a.b", "x\n"])
async def test_a_name_that_is_none(harness: HubHarness, name: str) -> None:
    """It becomes a table's name in a file, so it is checked here too."""
    with pytest.raises(InvalidArguments, match="name"):
        await ApiHarness(harness).call("carol", "propose", number=1, name=name, say="x web-1")
