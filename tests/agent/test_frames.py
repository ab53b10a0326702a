"""agent.frames: a length, then the frame; a length that no frame has is refused before anything is buffered."""

from __future__ import annotations

import pytest

from agent.frames import HEADER_SIZE, decode_length, encode_frame
from common.link.codec import LINK_LIMITS, BadFrame, decode
from common.link.messages import Cancel


def test_a_frame_comes_back_as_it_went() -> None:
    """The header gives the frame's length, and what follows is the link's own frame with its epoch."""
    message = Cancel("01J00000000000000000000000", kill=False)
    data = encode_frame(message, 7)
    assert decode_length(data) == len(data) - HEADER_SIZE
    frame = decode(data[HEADER_SIZE:], "hub")
    assert (frame.message, frame.epoch) == (message, 7)


@pytest.mark.parametrize("length", [0, LINK_LIMITS.size + 1, 2**32 - 1])
def test_a_length_out_of_bounds_is_refused(length: int) -> None:
    """Empty frames, and those that the link would not take either."""
    with pytest.raises(BadFrame, match=f"a local frame of {length} bytes"):
        decode_length(length.to_bytes(HEADER_SIZE, "big"))
