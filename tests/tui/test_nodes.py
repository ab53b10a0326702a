"""What the console makes of the hub's answer to `models`."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.catalogue import LANGUAGES
from tests.tui.scripted_source import HOSTILE, NOW, node_row
from tests.tui.test_rows import ANY
from tui.format import Look
from tui.nodes import MOST, NODES, node_lines, node_state, nodes_of, shared_words
from tui.safety import is_safe

LOOK = Look("en", False, NOW)


@pytest.mark.parametrize(
    ("more", "text", "tone"),
    [
        ({}, "up", "ok"),
        ({"up": False}, "DOWN", "bad"),
        ({"up": False, "breaker": "open"}, "DOWN", "bad"),
        ({"breaker": "open"}, "BREAKER OPEN", "bad"),
        ({"breaker": "half_open"}, "trying again", "warn"),
        ({"breaker": "of a newer hub"}, "up", "ok"),
        ({"up": "yes"}, "?", ""),
    ],
)
def test_how_a_node_is_in_a_word(more: dict[str, Any], text: str, tone: str) -> None:
    """Down comes before what the breaker says; what no console knows is a question mark."""
    cell = node_state(node_row("gpu", **more), LOOK)
    assert (cell.text, cell.tone) == (text, tone)


def test_the_cells_of_a_node() -> None:
    """Under way of those at once, how fast, how soon, what came of it; a dash for what is not known."""
    row = node_row("gpu", running=2, problem="gone: refused", failed=0)
    cells = {column.key: column.cell(row, LOOK).text for column in NODES}
    assert cells["node_busy"] == "2/2"
    assert (cells["node_speed"], cells["node_p50"], cells["node_p95"]) == ("41.5", "200ms", "1.4s")
    assert (cells["node_asked"], cells["node_reason"]) == ("120/0", "gone: refused")
    new = {column.key: column.cell({"id": "gpu"}, LOOK).text for column in NODES}
    assert (new["node_speed"], new["node_p50"], new["node_asked"], new["node_model"]) == ("-", "-", "-/-", "-")


def test_the_line_above() -> None:
    """Who waits, and how much the cache spares; dashes where nothing was looked up yet or the hub does not say."""
    told = {"waiting": 2, "cache": {"memory": 34, "disk": 1_200, "hit_ratio": 0.41}}
    assert shared_words(told, LOOK) == "waiting 2  cache 41.0% hits, 34 memory, 1,200 disk"
    assert "41.0%" in shared_words(told, Look("zh", False, NOW))
    told["cache"] = {"memory": 0, "disk": 0, "hit_ratio": None}
    assert "cache - hits" in shared_words(told, LOOK)
    assert shared_words([], LOOK) == "waiting -  cache - hits, - memory, - disk"


def test_one_in_full_tells_the_reason_only_where_there_is_one() -> None:
    """Every fact has a name in both languages."""
    assert any("gone: refused" in line.text for line in node_lines(node_row("a", problem="gone: refused"), LOOK))
    assert not any(line.text.startswith("reason") for line in node_lines(node_row("a"), LOOK))
    assert len(node_lines(node_row("a"), Look("zh", False, NOW))) == len(node_lines(node_row("a"), LOOK))


def test_an_answer_is_bounded_and_has_each_node_once() -> None:
    """More rows than anybody has servers, two of one name, and what is no row."""
    rows = [node_row("a"), node_row("a", up=False), "x", None, {}, {"name": "b"}]
    assert [(row["id"], row.get("up")) for row in nodes_of({"nodes": rows})] == [("a", True), ("b", None)]
    assert len(nodes_of({"nodes": [node_row(str(index)) for index in range(MOST + 50)]})) == MOST


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(["nodes", "waiting", "cache"]), ANY) | ANY, st.sampled_from(LANGUAGES))
def test_whatever_the_hub_answers_is_rows_and_safe_words(answer: Any, language: Any) -> None:
    """A newer hub, or none at all, raises nothing."""
    look = Look(language, True, NOW)
    assert is_safe(shared_words(answer, look))
    for row in nodes_of(answer):
        assert all(is_safe(line.text) for line in node_lines(row, look))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_and_reasons(text: str) -> None:
    """What a server says of itself is words on one line, wherever it stands."""
    row = node_row(text, model=text, problem=text, kind=text, breaker=text, up=False)
    for language in LANGUAGES:
        look = Look(language, False, NOW)
        assert all(is_safe(line.text) for line in node_lines(row, look))
        assert all(is_safe(column.cell(row, look).text) for column in NODES)
