"""Which inlets have been silent for long."""

from __future__ import annotations

import json

from hub.core.inlet_rhythm import HOUR, WEEK
from hub.core.quiet_inlets import WRITE_EVERY, QuietInlets


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


def learned(weeks: int = 6) -> tuple[QuietInlets, dict[str, float], float]:
    """Something came every hour of some weeks, until now."""
    heard: dict[str, float] = {}
    quiet, now = QuietInlets(heard), 0.0
    for hour in range(2_900 * WEEK, (2_900 + weeks) * WEEK):
        now = hour * HOUR
        quiet.note("ops", now)
    return quiet, heard, now


def test_a_limit_that_is_left_out_is_learned() -> None:
    """hub.toml has the last word, also to say never; what it says nothing of is known from the last weeks."""
    quiet, _, now = learned()
    quiet.note("new", now)
    assert quiet.limits({"ops": None, "new": None, "set": 60.0, "never": 0.0, "unheard": None}) == {
        "ops": 6 * HOUR,
        "new": 0.0,
        "set": 60.0,
        "never": 0.0,
        "unheard": 0.0,
    }
    limits = quiet.limits({"ops": None, "new": None})
    assert quiet.due(limits, now + 5 * HOUR) == []
    assert quiet.due(quiet.limits({"ops": None}), now + 6 * HOUR + 1) == [("ops", now)]


def test_it_outlives_the_hub() -> None:
    """With the silence that goes on, unless the hub was away for long itself; inlets that went are forgotten."""
    quiet, _, now = learned()
    quiet.note("gone", now)
    text = quiet.to_json()
    for still, known in ((True, {"ops": now}), (False, {})):
        heard: dict[str, float] = {}
        again = QuietInlets(heard)
        again.load(text, ["ops"], still_silent=still)
        assert heard == known
        assert again.limits({"ops": None})["ops"] == (6 * HOUR if still else 0.0)
        again.note("ops", now + 60)
        assert again.limits({"ops": None})["ops"] > 5 * HOUR
    for spoilt in ("", "[]", "7", "{", '{"ops": 7}', '{"ops": {"heard": "x"}}', "[" * 100_000):
        fresh = QuietInlets({})
        fresh.load(spoilt, ["ops"], still_silent=True)
        assert fresh.limits({"ops": None}) == {"ops": 0.0}


def test_it_is_written_where_it_is_news() -> None:
    """An hour that is new, and else a later delivery now and then; nothing of an idle hub."""
    quiet = QuietInlets({})
    assert quiet.to_write(100.0) is None
    quiet.note("ops", 100.0)
    assert json.loads(quiet.to_write(101.0) or "")["ops"]["heard"] == 100.0
    quiet.note("ops", 160.0)
    assert quiet.to_write(161.0) is None
    assert quiet.to_write(101.0 + WRITE_EVERY) is not None
    assert quiet.to_write(102.0 + 2 * WRITE_EVERY) is None
    quiet.note("ops", 2 * HOUR)
    assert quiet.to_write(2 * HOUR) is not None
