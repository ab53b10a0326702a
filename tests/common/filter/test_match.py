"""Filters on rows in memory."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.api.codec import encode
from common.api.lists import ROWS as TYPED_ROWS
from common.filter.fields import FIELDS_BY_NAME, VIEWS, ViewName
from common.filter.match import (
    FLAG_PREDICATES,
    ascii_lower,
    compile_filter,
    is_stuck,
    row_value,
    search_text,
)
from common.filter.parser import parse
from common.lifecycle import STUCK_AFTER
from tests.common.api.values import objects
from tests.each import each_of

NOW = 1_800_000_000.0
JOB: dict[str, Any] = {
    "id": "01J0000000000000000000AB12",
    "agent": "web-eu-1",
    "person": "bob",
    "state": "running",
    "number": 42,
    "inlet": "ops",
    "source": "runbook:disk",
    "queued_at": NOW - 60,
    "started_at": NOW - 50,
    "leased_at": NOW - 55,
    "ended_at": None,
    "exit_code": None,
    "priority": 5,
    "output_bytes": 20_000,
    "time_limit": 60,
    "not_after": NOW + 90,
    "argv": ["/usr/bin/df", "-h", "/srv/my data"],
    "reason": "",
    "labels": {"env": "prod", "role": "web"},
    "cancel_asked_at": None,
}
AGENT: dict[str, Any] = {
    "name": "web-eu-1",
    "labels": {"env": "prod"},
    "state": "active",
    "online": True,
    "paused_by": "",
    "draining": None,
    "running": 2,
    "queued": 0,
    "version": "0.3.1",
    "facts": {"os": "Debian 12"},
    "vitals": {"load1": 2.5, "memory": 91.0},
    "rtt": 0.02,
    "last_seen": NOW - 5,
}
EVENT: dict[str, Any] = {
    "kind": "job.ended",
    "subject": "01J0000000000000000000AB12",
    "actor": "web-1",
    "seq": 7,
    "at": NOW - 1,
    "data": {"outcome": "failed", "reason": "磁盘 full"},
}
ROWS: dict[ViewName, dict[str, Any]] = {"jobs": JOB, "agents": AGENT, "audit": EVENT}


def fits(text: str, row: Any, view: ViewName = "jobs", now: float = NOW) -> bool:
    return compile_filter(parse(view, text))(row, now)


@each_of(
    ("view", "yes", "no"),
    [
        ("jobs", "state:running,queued", "state:queued"),
        ("jobs", "agent:web-*", "agent:WEB-*"),
        ("jobs", "agent:web-eu-?", "agent:web-eu"),
        ("jobs", "user:bob src:ops rb:disk", "rb:disks"),
        ("jobs", "plan:runbook:*", "plan:explicit"),
        ("jobs", "id:ab12", "id:cd34"),
        ("jobs", "r:r42", "r>42"),
        ("jobs", "age>59s age<61s", "age>1h"),
        ("jobs", "left<2m", "left<1m"),
        ("jobs", "pri:5", "pri>5"),
        ("jobs", "output>10k", "output>1M"),
        ("jobs", "label:env=prod -l role=w*", "label:env=pro"),
        ("jobs", "label:env", "label:zone"),
        ("jobs", '"df -h"', '"df  -h"'),
        ("jobs", "DF", "ls"),
        ("jobs", "my", "yours"),
        ("jobs", "-f dfhsrv", "-f srvdf"),
        ("jobs", "is:open", "is:ended,bad,held,cancelling"),
        ("agents", "name:web-* os:Debian* version:0.3.*", "os:Ubuntu*"),
        ("agents", "load>2 mem>=91 rtt<1s seen<10s", "load>2.5"),
        ("agents", "state:online,offline is:busy", "state:paused,draining,bad"),
        ("agents", '"env=prod"', '"env=dev"'),
        ("audit", "kind:job.* actor:web-1 seq:7", "kind:request.*"),
        ("audit", "FAILED", "succeeded"),
        ("audit", "磁盘", "内存"),
        ("audit", "outcome", "comeout"),
    ],
)
def test_what_fits_and_what_does_not(view: ViewName, yes: str, no: str) -> None:
    """Each kind of field, one filter that fits the row and one that does not; negated, it is the other way round."""
    row = ROWS[view]
    assert fits(yes, row, view)
    assert not fits(no, row, view)
    assert fits("!" + no if not no.startswith("-") else "!fuzz", row, view)


@each_of("text", ["exit:0", "exit!=0", "exit>0", "ended<1h"])
def test_a_row_without_a_value_fits_no_comparison(text: str) -> None:
    """Not even `!=`; and so it fits every negation."""
    assert not fits(text, JOB)
    assert fits("!" + text, JOB)


def test_all_terms_must_hold() -> None:
    """One that does not is enough."""
    assert fits("state:running user:bob", JOB)
    assert not fits("state:running user:alice", JOB)
    assert fits("", JOB)


def test_what_is_stuck() -> None:
    """Running past its limit and the grace of a kill; handed out and not taken up; never what waits or has no limit."""
    assert not is_stuck(JOB, NOW + 10 + STUCK_AFTER)
    assert is_stuck(JOB, NOW + 10 + STUCK_AFTER + 1)
    assert not is_stuck({**JOB, "time_limit": 0}, NOW + 10**6)
    for state, wanted in (("leased", True), ("accepted", True), ("queued", False), ("succeeded", False)):
        assert is_stuck({**JOB, "state": state}, NOW + STUCK_AFTER) is wanted
    assert fits("is:stuck", {**JOB, "state": "leased"}, now=NOW + STUCK_AFTER)


def test_held_and_cancelling() -> None:
    """A hold is over by time alone; a cancel that was asked for is no cancelling once the job has ended."""
    held = {**JOB, "state": "queued", "not_before": NOW + 5}
    assert fits("is:held", held)
    assert not fits("is:held", held, now=NOW + 5)
    asked = {**JOB, "cancel_asked_at": NOW}
    assert fits("is:cancelling", asked)
    assert not fits("is:cancelling", {**asked, "state": "cancelled"})
    assert fits("is:bad is:ended", {**asked, "state": "failed"})


def test_every_flag_that_can_be_written_is_known() -> None:
    """The fields and the conditions name the same."""
    for view in VIEWS:
        written = {name for field in FIELDS_BY_NAME[view].values() if field.kind == "flag" for name in field.choices}
        assert written == set(FLAG_PREDICATES[view])


def test_keys_go_into_maps() -> None:
    """A dot is one step; what is not there is None, whatever is in the way."""
    assert row_value(AGENT, "vitals.load1") == 2.5
    assert row_value(AGENT, "vitals.nothing") is None
    assert row_value({"vitals": "hostile"}, "vitals.load1") is None


def test_text_of_values() -> None:
    """A vector as a command line, labels as they are written, other maps as JSON in ASCII; only ASCII is folded."""
    assert search_text("argv", ["a", "b c"]) == "a 'b c'"
    assert search_text("labels", {"b": "2", "a": "1"}) == "a=1 b=2"
    assert search_text("data", {"名": 1}) == '{"\\u540d":1}'
    assert search_text("x", None) == ""
    assert ascii_lower("ÄBC") == "Äbc"


TYPED: dict[ViewName, tuple[str, ...]] = {
    "jobs": ("is:open", "is:bad,stuck", "is:held,cancelling", "agent:*a*", "age>1h", "exit!=0", "pri>=5", "a", "-f ab"),
    "requests": ("is:open", "is:edited", "user:*a*", "left<1d", "plan:*", "a"),
    "agents": ("is:bad,busy", "state:paused,draining", "load>2", "os:*", "label:a", "seen<1d", "a"),
    "audit": ("kind:*a*", "actor:*", "seq>5", "age>1h", "a"),
    "activity": ("kind:*a*", "a"),
}


@pytest.mark.parametrize("view", VIEWS)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_typed_row_fits_as_its_map_does(view: ViewName, data: st.DataObject) -> None:
    """By its attributes, what they have within, and the conditions on them."""
    row = data.draw(objects(TYPED_ROWS[view]))
    for text in TYPED[view]:
        assert fits(text, row, view) == fits(text, encode(row), view), text
