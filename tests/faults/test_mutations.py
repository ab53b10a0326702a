"""tests.faults.mutations"""

from __future__ import annotations

import json
from collections import Counter
from random import Random

from common.link.codec import BadFrame, decode, encode
from tests.faults.mutations import MACHINE_SAYS, OPERATOR_SAYS, mutated, odd_body, odd_end, odd_message


def test_the_decoder_takes_or_refuses_whatever_comes() -> None:
    """Twenty thousand changed frames: a frame, or BadFrame, and nothing else; most of them are none."""
    chance, found = Random(1), Counter[bool]()
    samples = [(encode(one, seq=1), "agent") for one in (*MACHINE_SAYS, odd_end(chance))]
    samples += [(encode(one), "console") for one in OPERATOR_SAYS]
    for _ in range(20_000):
        data, sender = chance.choice(samples)
        try:
            decode(mutated(chance, data), sender)  # type: ignore[arg-type]
            found[True] += 1
        except BadFrame:
            found[False] += 1
    assert found[False] > found[True] > 0


def test_odd_messages_are_frames_and_differ() -> None:
    """Numbered as they are to be; the same seed says the same."""
    chance = Random(2)
    frames = [odd_message(chance, MACHINE_SAYS, number) for number in range(1, 300)]
    assert [decode(data, "agent").seq for data in frames] == list(range(1, 300))
    assert len(set(frames)) == len(frames)
    again = Random(2)
    assert frames == [odd_message(again, MACHINE_SAYS, number) for number in range(1, 300)]
    assert {decode(odd_message(chance, OPERATOR_SAYS, 7), "console").seq for _ in range(99)} == {0}


def test_odd_bodies_are_json_of_another_form() -> None:
    message = {"id": "m", "user": "mallory", "text": "@web-1 df"}
    bodies = [json.loads(odd_body(Random(seed), message)) for seed in range(200)]
    assert sum(body != message for body in bodies) > 150
