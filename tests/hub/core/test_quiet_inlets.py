"""Which inlets have been silent for long."""

from __future__ import annotations

from hub.core.quiet_inlets import QuietInlets


def test_a_quiet_inlet_is_told_once_until_it_is_heard_again() -> None:
    """Beyond its own limit; without one never, and never where nothing was heard yet."""
    heard: dict[str, float] = {}
    quiet, limits = QuietInlets(heard), {"ops": 60.0, "dev": 0.0, "new": 60.0}
    assert not quiet.note("ops", 100.0)
    assert not quiet.note("dev", 100.0)
    assert quiet.due(limits, 160.0) == []
    assert quiet.due(limits, 161.0) == [("ops", 100.0)]
    assert quiet.due(limits, 9_999.0) == []
    assert quiet.silent(limits, 9_999.0) == {"ops": 100.0}
    assert quiet.silent(limits, 160.0) == {}
    assert quiet.note("ops", 10_000.0)
    assert not quiet.note("ops", 10_001.0)
    assert quiet.due(limits, 10_062.0) == [("ops", 10_001.0)]
    quiet.keep(["dev"])
    assert heard == {"dev": 100.0}
