"""Choosing at the console: what a selection means now, and what may come next in a filter."""

from __future__ import annotations

import pytest

from common.errors import Denied
from hub.api.selectors import EVENT_KINDS, SAMPLE_SIZE
from hub.links.console import InvalidArguments
from tests.hub.api_harness import ApiHarness
from tests.hub.hub_harness import NOW, HubHarness


async def test_a_selection_is_counted_by_what_a_broadcast_would_find(harness: HubHarness) -> None:
    """Machines that are online, offline and paused; of many, only the first few are named."""
    for place in range(2, 13):
        await harness.add_machine(f"web-{place}", online=place % 2 == 0)
    await harness.change_machine("web-3", paused_at=NOW, paused_by="bob")
    told = await ApiHarness(harness).call("vera", "targets", selector="web-*")
    assert {key: told[key] for key in ("count", "online", "offline", "paused")} == {
        "count": 12,
        "online": 7,
        "offline": 5,
        "paused": 1,
    }
    assert told["sample"] == sorted(f"web-{place}" for place in range(1, 13))[:SAMPLE_SIZE]


async def test_a_selection_of_nothing_says_so(harness: HubHarness) -> None:
    """In the caller's language; who has no role is not told what machines there are."""
    rooms = ApiHarness(harness)
    with pytest.raises(InvalidArguments, match="db-9") as english:
        await rooms.call("vera", "targets", selector="db-9")
    with pytest.raises(InvalidArguments, match="db-9") as chinese:
        await rooms.call("vera", "targets", selector="db-9", language="zh")
    assert str(english.value) != str(chinese.value)
    with pytest.raises(Denied, match="may not machines"):
        await rooms.call("nobody", "targets", selector="web-1")


@pytest.mark.parametrize(
    ("view", "text", "found"),
    [
        ("jobs", "agent:", ["web-1"]),
        ("jobs", "user:ver", ["vera"]),
        ("agents", "label:", ["role=web"]),
        ("agents", "version:", ["1.2.3"]),
        ("agents", "os:", ["Debian"]),
        ("requests", "src:", ["ops-of-src"]),
    ],
)
async def test_values_are_those_that_there_are_now(harness: HubHarness, view: str, text: str, found: list[str]) -> None:
    """Machines, people, labels, versions and systems from the hub; inlets and runbooks from its files."""
    await harness.change_machine("web-1", labels={"role": "web"}, version="1.2.3", facts={"os": "Debian"})
    rooms = ApiHarness(harness, lambda field: [f"ops-of-{field}"])
    told = await rooms.call("alice", "complete", view=view, text=text)
    assert [one.strip() for one in told["candidates"]] == found
    assert (told["start"], told["end"]) == (text.index(":") + 1, len(text))


async def test_the_cursor_is_where_it_is_written(harness: HubHarness) -> None:
    """What stands behind the cursor does not count; without one it is the end."""
    rooms = ApiHarness(harness)
    begun = await rooms.call("vera", "complete", view="jobs", text="age agent:web", cursor=2)
    assert (begun["start"], begun["end"]) == (0, 2)
    assert any(one.startswith("agent") for one in begun["candidates"])
    assert (await rooms.call("vera", "complete", view="jobs", text="age agent:web"))["end"] == 13
    with pytest.raises(InvalidArguments, match="cursor"):
        await rooms.call("vera", "complete", view="jobs", text="age", cursor=-1)


async def test_each_list_takes_its_own_right(harness: HubHarness) -> None:
    """The kinds of events are the audit's to tell: an operator may not, an approver may."""
    rooms = ApiHarness(harness)
    with pytest.raises(Denied, match="may not audit"):
        await rooms.call("carol", "complete", view="audit", text="kind:job.")
    told = await rooms.call("bob", "complete", view="audit", text="kind:job.")
    assert [one.strip() for one in told["candidates"]] == [kind for kind in EVENT_KINDS if kind.startswith("job.")]
    with pytest.raises(InvalidArguments, match="view: one of"):
        await rooms.call("bob", "complete", view="everything", text="")
