from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hub.planning.llm_servers.router import (
    DEFAULT_HEDGE_DELAY,
    MAX_HEDGE_BURST,
    MIN_HEDGE_DELAY,
    HedgeBudget,
    NodeState,
    RequestNeeds,
    assign,
    eligible,
    fits,
    hedge_after,
    hedge_node,
)


def node(name: str, **more: Any) -> NodeState:
    values = {
        "priority": 1,
        "up": True,
        "free": 2,
        "parallel": 2,
        "load": 0.0,
        "pace": 0.01,
        "p95": None,
        "context": 8_000,
    }
    return NodeState(name, **{**values, **more})


def wanted(**more: Any) -> RequestNeeds:
    return RequestNeeds(**{"cost": 100.0, "prompt_cost": 50.0, "tokens": 300, **more})


def test_the_least_loaded_is_asked() -> None:
    """By work under way, not by the number of requests."""
    nodes = [node("a", load=500.0, free=1), node("b", load=10.0, free=1)]
    assert assign([wanted()], nodes) == [(0, "b")]


def test_a_burst_is_spread() -> None:
    """Each one that is assigned counts for the next; who has no slot waits."""
    nodes = [node("a"), node("b")]
    got = assign([wanted()] * 6, nodes)
    assert [index for index, _ in got] == [0, 1, 2, 3]
    assert sorted(name for _, name in got) == ["a", "a", "b", "b"]


def test_a_cached_prefix_is_worth_its_prompt() -> None:
    """The node that has it is asked, until its load outweighs that."""
    has = {"prefixes": ("p",)}
    assert assign([wanted(affinity="p")], [node("a"), node("b", **has)]) == [(0, "b")]
    assert assign([wanted(affinity="p")], [node("a"), node("b", load=80.0, **has)]) == [(0, "b")]
    assert assign([wanted(affinity="p")], [node("a"), node("b", load=120.0, **has)]) == [(0, "a")]
    assert assign([wanted(affinity="other")], [node("a"), node("b", load=1.0, **has)]) == [(0, "a")]


def test_waiting_for_a_fast_node_can_be_faster() -> None:
    """A slow node that is free is not asked while the fast one is about to be; once the line is long, it is."""
    fast, slow = node("fast", free=0, parallel=1, load=50.0), node("slow", pace=0.1, parallel=1, free=1)
    assert assign([wanted()], [fast, slow]) == []
    assert assign([wanted()] * 20, [fast, slow]) == [(9, "slow")]


def test_a_node_that_is_not_known_is_tried() -> None:
    """It is taken to be as fast as the fastest."""
    assert assign([wanted()], [node("a", load=1.0, pace=0.001), node("b", pace=None)]) == [(0, "b")]


def test_priorities_are_the_failover_order() -> None:
    """A higher number only while none of a lower one may be asked, however busy those are."""
    first, other = node("first", free=0, load=900.0), node("other", priority=2)
    assert assign([wanted()], [first, other]) == []
    for away in (node("first", up=False), node("first", context=100)):
        assert assign([wanted()], [away, other]) == [(0, "other")]
    assert assign([wanted(excluded=frozenset({"first"}))], [node("first"), other]) == [(0, "other")]


def test_what_is_down_tried_or_too_small_is_not_asked() -> None:
    """Nor counted as able; whether it fits at all does not ask who is up."""
    nodes = [node("a", up=False), node("b", context=200), node("c")]
    assert [one.name for one in eligible(wanted(), nodes)] == ["c"]
    assert eligible(wanted(excluded=frozenset({"c"})), nodes) == []
    assert fits(wanted(tokens=8_000), nodes[:1])
    assert not fits(wanted(tokens=8_001), nodes)


def test_a_node_that_fails_often_is_worth_less() -> None:
    """As much as it has to be asked more often; and for a request whose answer broke off there, once more."""
    half = node("half", reliability=0.5)
    assert assign([wanted()], [half, node("b", pace=0.019)]) == [(0, "b")]
    assert assign([wanted()], [half, node("b", pace=0.021)]) == [(0, "half")]
    assert assign([wanted(interruptions={"half": 1})], [half, node("b", pace=0.039)]) == [(0, "b")]
    assert assign([wanted(interruptions={"half": 1})], [half, node("b", pace=0.041)]) == [(0, "half")]
    assert assign([wanted()], [node("a", reliability=0.0)]) == [(0, "a")]


def test_who_cannot_go_does_not_keep_the_others() -> None:
    """The first in line has no node; the second has."""
    assert assign([wanted(excluded=frozenset({"a"})), wanted()], [node("a")]) == [(1, "a")]


def test_the_second_request_waits_for_the_percentile_of_the_fastest() -> None:
    """By its own cost; not too soon; a slow node does not make it late; alone there is none."""
    nodes = [node("asked", p95=9.0), node("b", p95=0.02), node("c", p95=5.0)]
    assert hedge_after(wanted(), nodes, "asked") == 2.0
    assert hedge_after(wanted(cost=1.0), nodes, "asked") == MIN_HEDGE_DELAY
    assert hedge_after(wanted(), [node("asked", p95=0.1), node("b")], "asked") == DEFAULT_HEDGE_DELAY
    assert hedge_after(wanted(), [node("asked", p95=0.1), node("b", up=False)], "asked") is None


def test_the_second_goes_where_a_slot_is_to_spare() -> None:
    """Of any priority, never to the same node, a full one or one that failed it."""
    assert hedge_node(wanted(), [node("a"), node("b", priority=9)], "a") == "b"
    assert hedge_node(wanted(), [node("a"), node("b", free=0)], "a") is None
    assert hedge_node(wanted(excluded=frozenset({"b"})), [node("a"), node("b")], "a") is None


def test_second_requests_are_one_in_ten() -> None:
    """A few at once, then as they are earned."""
    hedges = HedgeBudget()
    assert sum(hedges.try_take() for _ in range(50)) == MAX_HEDGE_BURST
    got = 0
    for _ in range(1_000):
        hedges.on_request()
        got += hedges.try_take()
    assert 95 <= got <= 105


@given(
    st.lists(st.tuples(st.floats(1, 1e4), st.sampled_from(["", "p", "q"]), st.booleans()), max_size=20),
    st.lists(
        st.tuples(
            st.booleans(), st.integers(0, 3), st.floats(0, 1e4), st.none() | st.floats(1e-6, 10), st.integers(1, 2)
        ),
        min_size=1,
        max_size=5,
    ),
)
def test_assignments_are_possible(asks: list[Any], given_nodes: list[Any]) -> None:
    """Nobody twice, no node beyond its slots, none that is down; and while a slot is free somebody goes or all wait
    for a node that is better.
    """
    nodes = [
        node(str(n), up=up, free=free, load=work, pace=pace, priority=priority, prefixes=("p",))
        for n, (up, free, work, pace, priority) in enumerate(given_nodes)
    ]
    line = [wanted(cost=cost, prompt_cost=cost / 2, affinity=key) for cost, key, _ in asks]
    got = assign(line, nodes)
    assert len({index for index, _ in got}) == len(got)
    by_name = {one.name: one for one in nodes}
    for name in {name for _, name in got}:
        assert by_name[name].up
        assert sum(other == name for _, other in got) <= by_name[name].free
    if line and not got:
        able = eligible(line[0], nodes)
        assert not able or any(not one.free for one in able)
