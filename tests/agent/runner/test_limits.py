"""agent.runner.limits"""

from __future__ import annotations

from dataclasses import fields

from agent.runner.limits import RunnerLimits
from common.link.codec import LINK_LIMITS
from common.link.messages import CHUNK_BYTES
from common.plan import MAX_OUTPUT_CAP, MAX_TTL


def test_the_bounds_fit_one_another_and_the_protocol() -> None:
    """A window takes a chunk, a report every job, the quota the largest outputs, and no good order is too far."""
    limits = RunnerLimits()
    assert limits.output_window >= 2 * CHUNK_BYTES
    assert limits.max_running <= limits.max_accepted <= limits.max_open
    assert 2 * limits.max_open < LINK_LIMITS.nodes
    assert limits.max_running * MAX_OUTPUT_CAP < limits.spool_quota
    assert limits.max_expiry_ahead > MAX_TTL
    assert limits.max_tombstones < limits.max_remembered


def test_every_bound_is_one() -> None:
    """There is no zero or negative among them that would mean "without end"."""
    assert all(getattr(RunnerLimits(), field.name) > 0 for field in fields(RunnerLimits))
