"""The demo world's servers of language models."""

from __future__ import annotations

from common.api import verbs
from common.api.arguments import NoArgs
from tui.demo.nodes import demo_nodes
from tui.demo.source import DemoSource

START = 1_790_000_000.0


def test_three_of_which_one_is_down() -> None:
    """The same seed and moment give the same; none ever has more under way than it takes at once."""
    assert demo_nodes(7, 12.5) == demo_nodes(7, 12.5)
    assert demo_nodes(7, 12.5) != demo_nodes(8, 12.5)
    for second in range(200):
        told = demo_nodes(7, float(second))
        assert [node.up for node in told.nodes] == [True, True, False]
        assert all(0 <= node.running <= node.parallel for node in told.nodes)
        assert all(node.problem for node in told.nodes if not node.up)
        assert told.waiting >= 0


async def test_they_live_with_the_world() -> None:
    """As its time goes by more is asked of them; the hub of the demo says that it has them."""
    source = DemoSource(start=START, real_time=False)
    source.restore_link()
    assert source.who is not None
    assert "models" in source.who.verbs
    before = await source.call(verbs.MODELS, NoArgs())
    assert await source.call(verbs.MODELS, NoArgs()) == before
    source.advance(60.0)
    after = await source.call(verbs.MODELS, NoArgs())
    assert after.nodes[0].ok > before.nodes[0].ok
