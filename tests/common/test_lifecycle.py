"""The two lifecycles: every row, every move that is not in a row, the ways to an end, and the README's pictures."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from common.lifecycle import (
    JOB_DISPATCHED,
    JOB_SETTLED,
    JOB_TERMINAL,
    JOB_TRANSITIONS,
    REQUEST_TERMINAL,
    REQUEST_TRANSITIONS,
    InvalidTransition,
    JobEvent,
    JobState,
    RequestEvent,
    RequestState,
    diagram,
    next_job_state,
    next_request_state,
)
from tests.each import each_of
from tests.update_readme import PICTURES, ROOT, picture, updated

# The tables a second time, as one would say them: state, then what each event makes of it. A change of a row is a
# change here, in the prose at the head of common/lifecycle.py and in the README's picture.
REQUEST_ROWS = {
    "received": {"answered": "done", "refused": "refused", "asked": "asking", "allowed": "working"},
    "asking": {
        **{"approved": "asking", "approved_enough": "working", "rejected": "rejected"},
        **{"lapsed": "expired", "cancelled": "cancelled", "refused": "refused"},
    },
    "working": {"step_ended": "working", "ended": "done"},
}
TRUTH = {"succeed": "succeeded", "fail": "failed", "time_out": "timed_out", "cancel": "cancelled"}
JOB_ROWS = {
    "queued": {"lease": "leased", "cancel": "cancelled", "lapse": "expired"},
    "leased": {
        **{"accept": "accepted", "start": "running", "release": "queued", "refuse": "not_started", "lose": "unknown"},
        **TRUTH,
    },
    "accepted": {"start": "running", "release": "queued", "refuse": "not_started", "lose": "unknown", **TRUTH},
    "running": {"lose": "unknown", **TRUTH},
    "unknown": {
        **{"start": "running", "refuse": "not_started", "settle_done": "succeeded", "settle_failed": "failed"},
        **TRUTH,
    },
}

REQUEST_PAIRS = list(itertools.product(RequestState, RequestEvent))
JOB_PAIRS = list(itertools.product(JobState, JobEvent))


@each_of(("state", "event"), REQUEST_PAIRS)
def test_a_request_moves_as_its_table_says_and_no_other_way(state: RequestState, event: RequestEvent) -> None:
    """Every pair of state and event: the row's next state, or a refusal that names both."""
    target = REQUEST_ROWS.get(state.value, {}).get(event.value)
    if target is not None:
        assert next_request_state(state, event).value == target
    else:
        with pytest.raises(InvalidTransition, match=f"no move from {state} on {event}") as caught:
            next_request_state(state, event)
        assert (caught.value.state, caught.value.event) == (state, event)


@each_of(("state", "event"), JOB_PAIRS)
def test_a_job_moves_as_its_table_says_and_no_other_way(state: JobState, event: JobEvent) -> None:
    """Every pair of state and event: the row's next state, or a refusal that names both."""
    target = JOB_ROWS.get(state.value, {}).get(event.value)
    if target is not None:
        assert next_job_state(state, event).value == target
    else:
        with pytest.raises(InvalidTransition, match=f"no move from {state} on {event}") as caught:
            next_job_state(state, event)
        assert (caught.value.state, caught.value.event) == (state, event)


Table = Mapping[tuple[Any, Any], Any]
BOTH = [
    pytest.param(REQUEST_TRANSITIONS, RequestState, RequestEvent, REQUEST_TERMINAL, id="request"),
    pytest.param(JOB_TRANSITIONS, JobState, JobEvent, JOB_TERMINAL, id="job"),
]


def reachable(table: Table, start: Iterable[Any]) -> set[Any]:
    seen = set(start)
    while more := {target for (state, _), target in table.items() if state in seen} - seen:
        seen |= more
    return seen


@pytest.mark.parametrize(("table", "states", "events", "ends"), BOTH)
def test_every_state_is_reached_from_the_first(table: Table, states: Any, events: Any, ends: Any) -> None:
    """No state is there for nothing."""
    assert reachable(table, [next(iter(states))]) == set(states)


@pytest.mark.parametrize(("table", "states", "events", "ends"), BOTH)
def test_every_waiting_state_has_a_way_to_an_end(table: Table, states: Any, events: Any, ends: Any) -> None:
    """Nothing waits for ever by design."""
    for state in set(states) - ends:
        assert reachable(table, [state]) & ends, state


@pytest.mark.parametrize(("table", "states", "events", "ends"), BOTH)
def test_an_end_is_an_end(table: Table, states: Any, events: Any, ends: Any) -> None:
    """The ends are exactly the states that no row leaves: a job has one terminal state (delivery P3)."""
    assert set(states) - {state for state, _ in table} == ends


@pytest.mark.parametrize(("table", "states", "events", "ends"), BOTH)
def test_every_event_is_in_a_row(table: Table, states: Any, events: Any, ends: Any) -> None:
    """No event is there for nothing."""
    assert {event for _, event in table} == set(events)


def test_a_job_is_never_handed_out_again_once_it_may_have_started() -> None:
    """From running and unknown there is no way back to the queue (delivery P2 and P4); from leased and accepted only by
    the machine's proof that there is no start marker.
    """
    maybe_started = reachable(JOB_TRANSITIONS, [JobState.RUNNING, JobState.UNKNOWN])
    assert not maybe_started & {JobState.QUEUED, JobState.LEASED, JobState.ACCEPTED}
    assert [pair for pair, target in JOB_TRANSITIONS.items() if target is JobState.QUEUED] == [
        (JobState.LEASED, JobEvent.RELEASE),
        (JobState.ACCEPTED, JobEvent.RELEASE),
    ]


def test_only_a_lease_hands_out() -> None:
    """There is one way from the queue to a machine."""
    assert [pair for pair, target in JOB_TRANSITIONS.items() if target is JobState.LEASED] == [
        (JobState.QUEUED, JobEvent.LEASE)
    ]


def test_nobody_settles_what_is_known() -> None:
    """A person's word counts for an unknown outcome and for nothing else."""
    for event in (JobEvent.SETTLE_DONE, JobEvent.SETTLE_FAILED):
        assert [state for state, on in JOB_TRANSITIONS if on is event] == [JobState.UNKNOWN]


def test_the_sets_of_states_are_what_their_names_say() -> None:
    """Handed out is not settled, settled is ended or unknown, and all together with the queue are all states."""
    assert not JOB_DISPATCHED & JOB_SETTLED
    assert JOB_TERMINAL | {JobState.UNKNOWN} == JOB_SETTLED
    assert JOB_DISPATCHED | JOB_SETTLED | {JobState.QUEUED} == set(JobState)


class Light(StrEnum):
    RED = "red"
    GREEN = "green"
    BROKEN = "broken"


class Press(StrEnum):
    ONCE = "once"
    TWICE = "twice"
    HARD = "hard"


def test_the_picture_is_drawn_from_the_table() -> None:
    """One edge a pair of states with all its events, the first state from the start, every end to the end."""
    table = {
        (Light.RED, Press.ONCE): Light.GREEN,
        (Light.RED, Press.TWICE): Light.GREEN,
        (Light.GREEN, Press.ONCE): Light.RED,
        (Light.GREEN, Press.HARD): Light.BROKEN,
    }
    assert diagram(table).splitlines() == [
        "stateDiagram-v2",
        "    [*] --> red",
        "    red --> green: once, twice",
        "    green --> red: once",
        "    green --> broken: hard",
        "    broken --> [*]",
    ]


@pytest.mark.parametrize(("name", "table"), [("request", REQUEST_TRANSITIONS), ("job", JOB_TRANSITIONS)])
def test_the_readme_shows_the_table(name: str, table: Table) -> None:
    """README.md's picture is the one drawn from the table: a row changed and not drawn fails here."""
    path = ROOT / "README.md"
    assert path.exists(), "README.md is missing"
    shown = picture(path.read_text(encoding="utf-8"), name)
    assert shown is not None, f"README.md has no mermaid block behind <!-- {name} lifecycle -->"
    assert shown == diagram(table), "the table has changed: run python tests/update_readme.py"


EMPTY = """# Title

<!-- request lifecycle -->
```mermaid
```

Words.

<!-- job lifecycle -->

```mermaid
old: not this
```

```sh
make demo
```
"""


def test_the_pictures_are_put_in_their_places_and_nothing_else_is_touched() -> None:
    """From empty or old blocks; a second time changes nothing; the rest of the text stays."""
    readme = updated(EMPTY)
    assert {name: picture(readme, name) for name in PICTURES} == PICTURES
    assert updated(readme) == readme
    assert "old: not this" not in readme
    assert len(readme.splitlines()) == len(EMPTY.splitlines()) - 1 + sum(len(p.splitlines()) for p in PICTURES.values())
    for words in ("# Title", "Words.", "```sh\nmake demo\n```"):
        assert words in readme


def test_a_readme_without_a_marker_is_not_touched() -> None:
    """The cure is said rather than a guess made."""
    with pytest.raises(ValueError, match="<!-- job lifecycle -->"):
        updated(EMPTY.replace("<!-- job lifecycle -->", ""))


def test_a_changed_row_changes_the_picture() -> None:
    """Without this the comparison with the README could not fail."""
    changed = {**JOB_TRANSITIONS, (JobState.RUNNING, JobEvent.LOSE): JobState.FAILED}
    assert diagram(changed) != diagram(JOB_TRANSITIONS)
    assert picture(updated(EMPTY), "job") != diagram(changed)


def test_the_script_rewrites_a_file(tmp_path: Path) -> None:
    """Run as a person runs it."""
    path = tmp_path / "README.md"
    path.write_text(EMPTY, encoding="utf-8")
    script = ROOT / "tests" / "update_readme.py"
    subprocess.run([sys.executable, script, path], check=True, cwd=tmp_path)
    assert path.read_text(encoding="utf-8") == updated(EMPTY)
