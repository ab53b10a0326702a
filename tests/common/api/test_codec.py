"""Typed values to maps and back."""

from __future__ import annotations

from typing import Any, TypeVar

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.api.codec import decode, encode, many, one
from common.api.constraints import BadValue
from common.api.docs import shapes
from common.api.jobs import JobView
from common.api.lists import ROWS, Delta, Snapshot
from common.api.verbs import VERBS
from common.api.work import RunResult
from tests.common.api.values import objects

KINDS = [kind for kind in shapes() if kind not in (Snapshot, Delta, RunResult)]
LISTS = [form[ROWS[view]] for form in (Snapshot, Delta) for view in ("jobs", "requests", "agents", "audit")]
ARGS = list(dict.fromkeys(verb.args for verb in VERBS.values()))
R = TypeVar("R")


@pytest.mark.parametrize("kind", [*KINDS, *LISTS, *ARGS], ids=lambda kind: getattr(kind, "__name__", str(kind)))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_every_type_goes_there_and_back(kind: Any, data: st.DataObject) -> None:
    """Through msgpack, as on a link; encoded again it is the same."""
    value = data.draw(objects(kind))
    plain = encode(value)
    wire = msgpack.unpackb(msgpack.packb(plain), strict_map_key=False)
    assert wire == plain
    assert decode(kind, wire) == value
    assert encode(decode(kind, wire)) == plain


def test_shapes_of_answers() -> None:
    """One, or a list."""
    job = {"id": "j", "request": "r", "agent": "a", "person": "p", "state": "queued", "queued_at": 1}
    shape = many(JobView)
    (found,) = shape.decode([job])
    assert (found.queued_at, type(found.queued_at)) == (1.0, float)
    assert shape.encode((found,)) == [one(JobView).encode(found)]
    with pytest.raises(BadValue, match=r"^0\.state: missing$"):
        shape.decode([{key: value for key, value in job.items() if key != "state"}])
