"""Plain values checked and made typed."""

from __future__ import annotations

from typing import Any

import pytest

from common.api.codec import decode
from common.api.constraints import BadValue
from common.api.drafts import DraftResult
from common.api.lists import Snapshot
from tests.common.api.trees import Around, Leaf, Tree
from tests.each import each_of


def test_what_a_result_says_more_is_ignored_and_what_it_lacks_has_its_default() -> None:
    """So old and new hubs are read alike."""
    assert decode(Leaf, {"word": "a", "new": [1]}) == Leaf(word="a")
    with pytest.raises(BadValue, match=r"^word: missing$"):
        decode(Leaf, {})


@each_of(
    ("data", "said"),
    [
        ({"kind": 1, "leaves": [{"word": "a"}, {"word": 7}]}, "leaves.1.word: str was expected, not int"),
        ({"kind": 1, "leaves": [{"word": "a", "state": "secret"}]}, "leaves.0.state: one of queued, .* was expected"),
        ({"kind": 1, "leaves": [{"word": "a", "side": []}]}, "leaves.0.side: one of left, right was expected"),
        ({"kind": 1, "leaves": "secret"}, "leaves: a list was expected"),
        ({"kind": 1, "named": ["secret"]}, "named: a map was expected"),
        ({"kind": 1, "named": {"x": {"word": "a", "at": -1}}}, "named.at: seconds from 1970 to 9999 were expected"),
        ({"kind": "secret"}, "kind: int was expected, not str"),
        ("secret", "a map was expected"),
        ({"leaves": [3]}, "leaves.0: a map was expected"),
    ],
)
def test_an_error_names_the_path_and_never_the_value(data: Any, said: str) -> None:
    """However deep it is."""
    with pytest.raises(BadValue, match=f"^{said}$") as caught:
        decode(Tree[int], data)
    assert "secret" not in str(caught.value)


def test_an_object_whose_keys_stand_among_others() -> None:
    """Where what it must have is not there, it is not there."""
    assert decode(Around, {"side": "mine"}) == Around(side="mine")
    found = decode(DraftResult, {"code": "ok", "text": "t", "number": 1, "name": "n"})
    assert found.draft is None


def test_what_is_not_bound_is_a_mistake_of_the_program() -> None:
    """A list's rows are of some type."""
    with pytest.raises(TypeError, match="not bound"):
        decode(Snapshot, {"seq": 1})
