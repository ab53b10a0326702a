"""Typed values made plain."""

from __future__ import annotations

from common.api.codec import encode
from common.api.lists import Snapshot
from common.lifecycle import JobState
from tests.common.api.trees import Around, Leaf, Tree


def test_the_plain_form() -> None:
    """Keys as the fields are named and in their order, lists for tuples, values of enums, what is optional left out."""
    tree = Tree(leaves=(Leaf(word="a", state=JobState.RUNNING),), named={"b": Leaf(word="c")}, kind=1)
    leaf = {"word": "a", "state": "running", "side": "left", "at": 0.0}
    named = {"b": {**leaf, "word": "c", "state": "queued"}}
    assert encode(tree) == {"leaves": [leaf], "named": named, "kind": 1}
    assert list(encode(tree)) == ["leaves", "named", "kind"]
    assert type(encode(tree)["leaves"][0]["state"]) is str
    assert encode(Tree(kind="x", few=("y",)))["few"] == ["y"]
    assert encode(Snapshot(seq=1, total=1, all=1, lo=0, rows=({"id": "made before"},)))["rows"] == [
        {"id": "made before"}
    ]


def test_an_object_whose_keys_stand_among_others() -> None:
    """Own keys win."""
    whole = Around(leaf=Leaf(word="a", side="right"), side="mine")
    assert encode(whole) == {"word": "a", "state": "queued", "side": "mine", "at": 0.0}
    assert encode(Around(side="mine")) == {"side": "mine"}


def test_what_is_plain_stays() -> None:
    """Lists and states too."""
    assert encode(({"a": 1}, [Leaf(word="a").state], b"x", None)) == [{"a": 1}, ["queued"], b"x", None]
