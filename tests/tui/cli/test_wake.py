"""answerback wake: asked for, waited for, refused."""

from __future__ import annotations

from typing import Any, cast

import pytest

from common.api.wake import WakingView
from tests.tui.live_hub import LiveHub
from tui.cli.wake import wait_for_end
from tui.client.client import Client

pytestmark = pytest.mark.xdist_group("live")


def test_a_machine_that_cannot_be_woken_is_refused(answerback: LiveHub) -> None:
    """A name that is none, and one whose cards nobody knows or that is online; --json has the code."""
    nowhere = answerback("wake", "nowhere-1")
    assert nowhere.code == 2
    assert "nowhere-1" in nowhere.err
    name = answerback("agents", "--json").json[0]["name"]
    told = answerback("wake", name, "--wait", "--json")
    assert told.json["code"] in ("ok", "no_cards", "no_neighbour")
    assert "Wake-on-LAN" in answerback("wake", "--help").text


class Told:
    """A hub that tells these states, one a call."""

    def __init__(self, *states: str) -> None:
        self.states = list(states)

    async def call(self, verb: Any, args: Any) -> WakingView:
        return WakingView(state=self.states.pop(0), text="nas woke after 14 s", seconds=14.0)


@pytest.mark.parametrize(("last", "status"), [("woke", 0), ("late", 1), ("none", 1)])
async def test_waiting_ends_with_what_the_hub_says(last: str, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    """As often as it is under way; the exit status says whether the machine came."""
    hub = Told("waking", "waking", last)
    assert await wait_for_end(cast(Client, hub), "nas", as_json=False, poll=0.0) == status
    assert hub.states == []
    shown = capsys.readouterr()
    assert "nas woke" in (shown.out if not status else shown.err)
