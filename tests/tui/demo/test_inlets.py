"""The demo world's chats."""

from __future__ import annotations

from common.api import verbs
from common.api.arguments import NoArgs
from tui.demo.cast import CHANNELS
from tui.demo.inlets import PERIOD, demo_inlets
from tui.demo.source import DemoSource

START = 1_790_000_000.0


def test_each_channel_is_one_and_works() -> None:
    """The same seed and moment give the same; each was heard a moment ago."""
    assert demo_inlets(7, START, START) == demo_inlets(7, START, START)
    for second in range(200):
        told = demo_inlets(7, START, START + second)
        assert tuple(one.name for one in told) == CHANNELS
        assert not any(one.problem or one.reply_problem or one.quiet for one in told)
        assert all(one.connected_at is not None for one in told if one.is_outbound)
        assert all(0 <= START + second - (one.delivered_at or 0.0) < PERIOD for one in told)


async def test_the_demo_hub_has_them() -> None:
    """Its time goes by for them too."""
    source = DemoSource(start=START, real_time=False)
    source.restore_link()
    assert source.who is not None
    assert "inlets" in source.who.verbs
    before = await source.call(verbs.INLETS, NoArgs())
    source.advance(PERIOD)
    after = await source.call(verbs.INLETS, NoArgs())
    assert (after[0].delivered_at or 0.0) > (before[0].delivered_at or 0.0)
