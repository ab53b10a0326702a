"""A position is believed only where this hub has told it."""

from __future__ import annotations

import pytest

from common.identity.signing import SigningKey
from common.link.marks import MAX_MARK, Mark
from hub.identity.marks import MarkSealer

MARK = Mark(4, "9f0c2a7be1d35566", 1042, 45)


def test_a_position_of_this_hub_is_believed_also_after_a_restore() -> None:
    """The key on disk is all that it takes."""
    key = SigningKey.generate()
    text = MarkSealer(key).seal(MARK)
    assert len(text) <= MAX_MARK
    assert MarkSealer(SigningKey.from_pem(key.to_pem())).open(text) == MARK


@pytest.mark.parametrize("epoch", ["5", "400", "999999999999999"])
def test_no_machine_can_make_one_up(epoch: str) -> None:
    """Another number under the same seal, another hub's seal, none: each counts as nothing heard."""
    sealer = MarkSealer(SigningKey.generate())
    text = sealer.seal(MARK)
    assert sealer.open(epoch + text[1:]) is None
    assert sealer.open(MarkSealer(SigningKey.generate()).seal(MARK)) is None
    assert sealer.open(str(MARK)) is None
    for nothing in ("", "-", "x" * 500, text + "0"):
        assert sealer.open(nothing) is None
