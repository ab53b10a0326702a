"""What the console makes of the hub's answer to `models`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from common.api.models import ModelNode, ModelsView, PlanCacheView
from common.catalogue import LANGUAGES
from tests.common.api.values import objects
from tests.each import each_of
from tests.tui.fake_source import HOSTILE, NOW
from tests.tui.rows import node
from tui.terminal.sanitize import is_safe
from tui.text.format import RenderContext
from tui.view.models import MAX_NODES, NODES, describe_shared, node_lines, node_state, nodes_of

LOOK = RenderContext("en", False, NOW)


@each_of(
    ("more", "text", "tone"),
    [
        ({}, "up", "ok"),
        ({"up": False}, "DOWN", "bad"),
        ({"up": False, "breaker": "open"}, "DOWN", "bad"),
        ({"breaker": "open"}, "BREAKER OPEN", "bad"),
        ({"breaker": "half_open"}, "trying again", "warn"),
        ({"breaker": "of a newer hub"}, "up", "ok"),
    ],
)
def test_how_a_node_is_in_a_word(more: dict[str, Any], text: str, tone: str) -> None:
    """Down comes before what the breaker says."""
    cell = node_state(node("gpu", **more), LOOK)
    assert (cell.text, cell.tone) == (text, tone)


def test_the_cells_of_a_node() -> None:
    """Under way of those at once, how fast, how soon, what came of it; a dash for what is not known."""
    row = node("gpu", running=2, problem="gone: refused", failed=0)
    cells = {column.key: column.render(row, LOOK).text for column in NODES}
    assert cells["node_busy"] == "2/2"
    assert (cells["node_speed"], cells["node_p50"], cells["node_p95"]) == ("41.5", "200ms", "1.4s")
    assert (cells["node_asked"], cells["node_reason"]) == ("120/0", "gone: refused")
    new = ModelNode(id="gpu", name="gpu", up=True)
    cells = {column.key: column.render(new, LOOK).text for column in NODES}
    assert (cells["node_speed"], cells["node_p50"], cells["node_asked"], cells["node_model"]) == ("-", "-", "0/0", "-")


def test_the_line_above() -> None:
    """Who waits, and how much the cache spares; a dash where nothing was looked up yet."""
    told = ModelsView(waiting=2, cache=PlanCacheView(memory=34, disk=1_200, hit_ratio=0.41))
    assert describe_shared(told, LOOK) == "waiting 2  cache 41.0% hits, 34 memory, 1,200 disk"
    assert "41.0%" in describe_shared(told, RenderContext("zh", False, NOW))
    assert "cache - hits" in describe_shared(replace(told, cache=PlanCacheView()), LOOK)


def test_one_in_full_tells_the_reason_only_where_there_is_one() -> None:
    """Every fact has a name in both languages."""
    assert any("gone: refused" in line.text for line in node_lines(node("a", problem="gone: refused"), LOOK))
    assert not any(line.text.startswith("reason") for line in node_lines(node("a"), LOOK))
    assert len(node_lines(node("a"), RenderContext("zh", False, NOW))) == len(node_lines(node("a"), LOOK))


def test_an_answer_is_bounded_and_has_each_node_once() -> None:
    """More rows than anybody has servers, and two of one name."""
    rows = (node("a"), node("a", up=False), node("b", up=False))
    assert [(row.id, row.up) for row in nodes_of(ModelsView(nodes=rows))] == [("a", True), ("b", False)]
    many = tuple(node(str(index)) for index in range(MAX_NODES + 50))
    assert len(nodes_of(ModelsView(nodes=many))) == MAX_NODES


@settings(max_examples=60, deadline=None)
@given(objects(ModelsView), st.sampled_from(LANGUAGES))
def test_whatever_the_hub_answers_is_rows_and_safe_words(answer: ModelsView, language: Any) -> None:
    """Any values raise nothing."""
    look = RenderContext(language, True, NOW)
    assert is_safe(describe_shared(answer, look))
    for row in nodes_of(answer):
        assert all(is_safe(line.text) for line in node_lines(row, look))


@each_of("text", HOSTILE)
def test_hostile_names_and_reasons(text: str) -> None:
    """What a server says of itself is words on one line, wherever it stands."""
    row = node(text, model=text, problem=text, kind=text, breaker=text, up=False)
    for language in LANGUAGES:
        look = RenderContext(language, False, NOW)
        assert all(is_safe(line.text) for line in node_lines(row, look))
        assert all(is_safe(column.render(row, look).text) for column in NODES)
