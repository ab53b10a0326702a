"""What the arguments of all verbs have in common."""

from __future__ import annotations

import pytest

from common.api.arguments import NoArgs, RequestArgs
from common.api.codec import decode, encode
from common.api.constraints import BadValue
from common.api.verbs import VERBS
from tests.each import each_of


@each_of("name", list(VERBS))
def test_every_verb_takes_a_language_and_refuses_what_it_does_not_know(name: str) -> None:
    """By name, so that a slip is not taken for silence; a name that is no word at all does no harm."""
    assert VERBS[name].args.__dataclass_fields__["language"].default == "en"
    for key in ("nubmer", 7, "x" * 1000):
        with pytest.raises(BadValue, match=r"there is no such argument$") as caught:
            VERBS[name].decode_args({key: 1})
        assert len(str(caught.value)) < 80


def test_nothing_is_no_map() -> None:
    """Arguments are a map, an empty one too."""
    assert decode(NoArgs, {}) == NoArgs()
    with pytest.raises(BadValue, match=r"^a map was expected$"):
        decode(NoArgs, None)


def test_a_request_by_number_or_id() -> None:
    """Either is left out where it is not said."""
    assert encode(RequestArgs(number=42)) == {"number": 42}
    assert decode(RequestArgs, {"number": None, "id": "r"}).id == "r"
