"""common.api.wake: the machine has to be named; a hub that does not say `waking` is read."""

from __future__ import annotations

import pytest

from common.api.constraints import BadValue
from common.api.verbs import WAKE, WAKING


def test_a_machine_is_named() -> None:
    assert WAKE.decode_args({"agent": "nas"}).agent == "nas"
    for verb in (WAKE, WAKING):
        with pytest.raises(BadValue, match="machine"):
            verb.decode_args({"agent": ""})


def test_results_are_read() -> None:
    assert WAKE.decode_result({"code": "no_neighbour", "text": "x"}).waking is None
    assert WAKING.decode_result({"state": "woke", "text": "x", "seconds": 14.0}).seconds == 14.0
