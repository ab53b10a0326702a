"""One event without the rest; a log that only grew."""

from __future__ import annotations

import json
from typing import Any

import pytest

from common.audit.event import event_bytes
from common.audit.proof import ProofFailed, check_proof
from common.audit.tree import consistency_ranges, inclusion_ranges, range_roots
from common.identity.signing import SigningKey
from tests.common.audit.logs import HUB, KEY, a_log

LOG = a_log()
LEAVES = [event_bytes(row) for row in LOG.rows]
NOTES = [mark.note(HUB, KEY.public) for mark in LOG.marks]


def included(seq: int) -> dict[str, Any]:
    proof = range_roots(LEAVES, inclusion_ranges(seq - 1, 9))
    return {"hub": HUB, "checkpoint": NOTES[2], "event": list(LOG.rows[seq - 1][:7]), "proof": proof}


def grown() -> dict[str, Any]:
    return {
        "hub": HUB,
        "checkpoint": NOTES[2],
        "before": NOTES[1],
        "proof": range_roots(LEAVES, consistency_ranges(7, 9)),
    }


def test_an_event_and_a_growth_are_proven_with_the_key_alone() -> None:
    for seq in range(1, 10):
        assert f"event {seq} (job.started of j{seq - 1} by alice)" in check_proof(json.dumps(included(seq)), LOG.keys)
    assert "up to 7 is unchanged" in check_proof(json.dumps(grown()), LOG.keys)


@pytest.mark.parametrize("which", [lambda: included(5), grown])
def test_nothing_else_is_proven(which: Any) -> None:
    """Trust: A7, another event, another tree, another key, junk."""
    good = which()
    changes: list[dict[str, Any]] = [
        {"proof": good["proof"][::-1]},
        {"proof": []},
        {"checkpoint": NOTES[0]},
        {"checkpoint": NOTES[2].replace("chain", "chaim")},
        {"hub": "hub-2"},
        {"proof": 5},
    ]
    if "event" in good:
        changes += [{"event": [5, *good["event"][1:4], "mallory", *good["event"][5:]]}, {"event": []}]
    for change in changes:
        with pytest.raises(ProofFailed):
            check_proof(json.dumps({**good, **change}), LOG.keys)
    other = SigningKey.generate()
    for text, keys in ((json.dumps(good), {other.id: other.public}), ("{", LOG.keys), ("[" * 100_000, LOG.keys)):
        with pytest.raises(ProofFailed):
            check_proof(text, keys)
