"""The servers of models: what the hub answers, also before anything is known."""

from __future__ import annotations

import dataclasses

from common.api.codec import decode, encode
from common.api.models import ModelNode, ModelsView
from hub.api.models import models_view
from hub.planning.llm_servers.plan_cache import CacheStats
from tests.common.api.checked import wire
from tests.hub.api.test_models import view


def test_the_answer() -> None:
    """What is not known is null."""
    nodes = [view(), view(up=False, problem="down", breaker="open", running=4)]
    sent = wire(encode(models_view(nodes, 3, CacheStats)))
    found = decode(ModelsView, sent)
    assert encode(found) == sent
    assert [(node.up, node.is_full) for node in found.nodes] == [(True, False), (False, True)]
    assert found.nodes[0].tokens_per_second is None


def test_a_node_is_full() -> None:
    """With as many questions as it takes at once."""
    node = ModelNode(id="n", name="n", up=True, running=1, parallel=2)
    assert [dataclasses.replace(node, running=running).is_full for running in (1, 2, 3)] == [False, True, True]
