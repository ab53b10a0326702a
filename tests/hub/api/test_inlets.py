"""The verb `inlets`, and the inlets that need a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from common.api.codec import encode
from common.api.inlets import InletView
from common.catalogue import LANGUAGES
from hub.api.inlets import inlet_need, inlet_view
from hub.chat.inlet_status import InletStatus
from hub.chat.outbound import OutboundState
from hub.store.outbox import WaitingReplies
from tests.hub.api_harness import ApiHarness
from tests.hub.hub_harness import HubHarness

DOWN = OutboundState("ops", error="no answer\x1b[31m", failed_at=70.0, failures=3, retry_at=130.0)


def status(**more: Any) -> InletStatus:
    return InletStatus("ops", "made-up", **more)


async def test_what_anybody_is_answered(harness: HubHarness) -> None:
    """Each inlet of the hub, with the replies that wait for it; also in the list of what needs a person."""
    await harness.submit("@web-1 bash")
    seen: list[Mapping[str, WaitingReplies]] = []

    def read(waiting: Mapping[str, WaitingReplies]) -> list[InletStatus]:
        seen.append(waiting)
        return [status(outbound=DOWN, waiting=waiting["ops"].pending)]

    api = ApiHarness(harness, inlets=read)
    (told,) = await api.call("vera", "inlets")
    assert (told["name"], told["replies_waiting"], seen[0]["ops"].pending) == ("ops", 1, 1)
    await api.api.overview.refresh()
    overview = api.api.overview.view("en")
    assert overview is not None
    assert overview["needs_you"][0]["text"].endswith("; replies that wait: 1")


def test_an_inlet_of_webhooks() -> None:
    """What did not happen is null and not 1970."""
    assert inlet_view(status()) == InletView(name="ops", platform="made-up", way="webhook")
    found = inlet_view(status(delivered_at=5.0, quiet_after=60.0, quiet=True, refused=2, refused_code="rate"))
    assert (found.delivered_at, found.quiet_after, found.quiet, found.refused) == (5.0, 60.0, True, 2)
    assert found.id == "ops"


def test_an_inlet_that_asks() -> None:
    """Since when it works, or why not and when it is tried again, without what a terminal would obey."""
    well = inlet_view(status(outbound=OutboundState("ops", connected_at=9.0)))
    assert (well.way, well.is_outbound, well.connected_at, well.problem, well.retry_at) == (
        *("outbound", True, 9.0),
        *("", None),
    )
    down = inlet_view(status(outbound=DOWN))
    assert (down.connected_at, down.failed_at, down.failures, down.retry_at) == (None, 70.0, 3, 130.0)
    assert "\x1b" not in encode(down)["problem"]


def test_what_needs_a_person() -> None:
    """The worst of it alone, in both languages: one row an inlet."""
    replies = {"reply_problem": "invalid_auth", "reply_failed_at": 80.0}
    cases: list[tuple[dict[str, Any], str, float, str]] = [
        ({"outbound": DOWN, "quiet": True}, "inlet", 30.0, "the inlet ops gets no messages: no answer"),
        ({"outbound": DOWN, "waiting": 3}, "inlet", 30.0, "; replies that wait: 3"),
        ({**replies, "waiting": 2, "quiet": True}, "inlet", 20.0, "replies to the inlet ops do not arrive: inv"),
        (replies, "inlet", 20.0, "do not arrive: invalid_auth"),
        ({"quiet": True, "quiet_after": 5_400.0, "delivered_at": 40.0}, "quiet", 60.0, "for longer than 1h30m"),
    ]
    for more, kind, age, words in cases:
        need = inlet_need(status(**more), 100.0, "en")
        assert need is not None
        assert (need.kind, need.inlet, need.id, need.age, need.count) == (
            *(kind, "ops", "ops", age),
            more.get("waiting"),
        )
        assert words in need.text
        told = {language: inlet_need(status(**more), 100.0, language) for language in LANGUAGES}
        assert len({need.text for need in told.values() if need is not None}) == len(LANGUAGES)
    assert inlet_need(status(waiting=4), 100.0, "en") is None
    works = replace(DOWN, error="", connected_at=90.0)
    assert inlet_need(status(outbound=works), 100.0, "en") is None
