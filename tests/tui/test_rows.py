"""What stands in the cells of every table."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.catalogue import LANGUAGES
from tests.tui.scripted_source import HOSTILE, NOW, agent_row, event_row, job_row, node_row, request_row
from tui.format import Look
from tui.nodes import NODES
from tui.rows import (
    ACTIVITY,
    AGENTS,
    AUDIT,
    JOB_TONES,
    JOBS,
    LANES,
    NEEDS,
    REQUEST_TONES,
    REQUESTS,
    agent_state,
    event_words,
    job_age,
    job_state,
    machines_of,
    need_rows,
    number_or_none,
    request_command,
    request_left,
    request_state,
    steps_of,
    title_of,
    who,
)
from tui.safety import is_safe

TABLES = {
    "jobs": JOBS,
    "requests": REQUESTS,
    "agents": AGENTS,
    "audit": AUDIT,
    "activity": ACTIVITY,
    "lanes": LANES,
    "needs": NEEDS,
    "models": NODES,
}
LOOK = Look("en", False, NOW)
FIELDS = sorted(
    {*job_row(1), *request_row(1), *agent_row("a"), *event_row(1), *node_row("a")}
    | {
        "cancel_asked_at",
        "agent_paused",
        "agent_online",
        "signal",
        "exit_code",
        "duration",
        "stage",
        "note",
        "p50",
        "trend",
    }
    | {"need", "since", "count", "oldest", "rate"}
)
VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(HOSTILE)
)
ANY = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), ANY, max_size=25), st.sampled_from(LANGUAGES))
def test_whatever_the_hub_says_a_cell_is_safe_text(row: dict[str, Any], language: Any) -> None:
    """A row with any fields of any type gives one safe line a column and raises nothing."""
    for columns in TABLES.values():
        for column in columns:
            cell = column.cell({**row, "id": "01J"}, Look(language, True, NOW))
            assert is_safe(cell.text), (column.key, cell.text)


STRANGE = (
    1e300,
    -1e300,
    float("nan"),
    float("inf"),
    2**64 - 1,
    -(2**63),
    "x",
    [],
    {},
    [None],
    {1: 2, "a": 3},
    True,
    None,
)


def test_a_field_that_is_no_such_thing() -> None:
    """Numbers beyond any calendar, lists for words, nothing for a list: every column still has one safe line."""
    whole = {**event_row(1), **agent_row("a"), **request_row(1), **job_row(1)}
    whole["plan"] = {"steps": [{"argv": 1, "targets": None}]}
    for field in FIELDS:
        for value in STRANGE:
            row = {**whole, field: value, "id": "01J"}
            for columns in TABLES.values():
                assert all(is_safe(column.cell(row, LOOK).text) for column in columns), (field, value)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_in_the_usual_fields(text: str) -> None:
    """Names, commands, reasons and labels are shown as words on one line."""
    rows = [
        job_row(1, agent=text, person=text, inlet=text, argv=[text, text], reason=text),
        request_row(1, person=text, text=text, plan={"steps": [{"argv": [text], "targets": [text]}]}),
        agent_row(text, labels={text: text}, version=text),
        node_row(text, model=text, problem=text, up=False),
        event_row(1, kind=text, actor=text, subject=text, data={text: text, "argv": [text]}),
    ]
    for row in rows:
        for columns in TABLES.values():
            assert all(is_safe(column.cell(row, LOOK).text) for column in columns)


def test_titles_fit_their_columns_in_both_languages() -> None:
    """A title is never cut."""
    from rich.cells import cell_len

    for columns in TABLES.values():
        for column in columns:
            for language in LANGUAGES:
                assert cell_len(column.title(language)) <= column.width, (column.key, language)


def test_every_state_has_a_word_and_a_newer_one_is_shown() -> None:
    """Words of the catalogue for what is known; what a newer hub says stands as it is, made safe."""
    for state in JOB_TONES:
        assert job_state(job_row(1, state, started_at=NOW, leased_at=NOW), LOOK).text not in ("", "?")
    for state in REQUEST_TONES:
        assert request_state(request_row(1, state=state), LOOK).text
    assert job_state(job_row(1, "teleported"), LOOK).text == "teleported"
    assert request_state({"id": "x"}, LOOK).text == "?"


def test_why_a_job_waits() -> None:
    """Asked to cancel, its machine paused or away, stuck: the state says which, and none of it is invented."""

    def said(job: dict[str, Any]) -> str:
        return job_state(job, LOOK).text

    running, queued = job_row(1, started_at=NOW, leased_at=NOW), job_row(1, "queued")
    words = [
        said(running),
        said(running | {"cancel_asked_at": NOW}),
        said(queued),
        said(queued | {"agent_paused": True}),
        said(queued | {"agent_online": False}),
        said(job_row(1, started_at=NOW - 10_000)),
    ]
    assert len(set(words)) == len(words)
    assert said(job_row(1, "cancelled", cancel_asked_at=NOW)) == said(job_row(1, "cancelled"))


def test_how_long() -> None:
    """What runs has run since its start, what waits since it was queued, what ended took its time."""
    assert job_age(job_row(1), LOOK).text == "58s"
    assert job_age(job_row(1, "queued"), LOOK).text == "60s" or job_age(job_row(1, "queued"), LOOK).text == "1m00s"
    assert job_age(job_row(1, "failed", duration=0.31), LOOK).text == "310ms"
    assert job_age(job_row(1, "failed"), LOOK).text == "-"
    assert request_left(request_row(1), LOOK).text == "10m"
    soon = request_left(request_row(1, decide_by=NOW + 5), LOOK)
    assert (soon.text, soon.tone) == ("5s", "bad")
    assert request_left(request_row(1, decide_by=NOW - 5), LOOK).text == "0s"
    assert request_left(request_row(1, state="done"), LOOK).text == "-"


def test_who_and_what() -> None:
    """The person with their chat; the first command of a plan and how many more; its machines once each."""
    assert who(job_row(1), LOOK).text == "bob@slack"
    assert who({"person": "bob", "inlet": "console"}, LOOK).text == "bob"
    plan = {"steps": [{"argv": ["id"], "targets": ["b", "a"]}, {"argv": ["ls"], "targets": ["a"]}]}
    row = request_row(1, plan=plan)
    assert machines_of(row) == ["a", "b"]
    assert len(steps_of(row)) == 2
    assert "id" in request_command(row, LOOK).text
    assert "1" in request_command(row, LOOK).text
    assert steps_of({"plan": {"steps": ["x", None, {}]}}) == [{}]
    assert steps_of({"plan": "no"}) == []


def test_a_machines_worst_fact_is_its_state() -> None:
    """Revoked before draining before paused before its link."""
    words = [
        agent_state(agent_row("a", state="revoked", draining={}, paused_by="bob"), LOOK).text,
        agent_state(agent_row("a", draining={"left": 1}, paused_by="bob"), LOOK).text,
        agent_state(agent_row("a", paused_by="bob", online=False), LOOK).text,
        agent_state(agent_row("a", online=False), LOOK).text,
        agent_state(agent_row("a"), LOOK).text,
    ]
    assert len(set(words)) == 5


def test_numbers() -> None:
    """Only numbers that can be shown are numbers: no text, no yes or no, none that is infinite or none."""
    assert (number_or_none(3), number_or_none(2.5)) == (3, 2.5)
    assert [number_or_none(value) for value in ("3", True, None, [], float("nan"), float("inf"))] == [None] * 6


def test_an_events_data_on_one_line() -> None:
    """The command first, hashes short; without what is empty or stands in another column."""
    assert (
        event_words({"data": {"reason": "fine", "old": "", "new": None, "argv": ["ls", "-l"]}}) == "ls -l  reason=fine"
    )
    assert event_words({"data": {"plan_hash": "ab" * 32, "at": 1.5}, "argv": ["df"]}) == "df  plan_hash=abababab"
    assert event_words({"data": None}) == ""


def test_what_needs_a_person_becomes_rows_that_acts_take() -> None:
    """Each with an id, the kind of need and until when; what is no entry is left out, and there is a bound."""
    found = need_rows(
        [
            {"kind": "approve", "number": 41, "who": "bob", "expires": NOW + 60, "second_factor": True},
            {"kind": "unknown", "job": "01J", "number": 7, "agent": "web-1"},
            {"kind": "offline", "agent": "web-2"},
            {},
            None,
            "x",
        ]
    )
    assert [row["id"] for row in found[:3]] == ["r41", "01J", "web-2"]
    assert (found[0]["state"], found[0]["decide_by"], found[1]["state"]) == ("asking", NOW + 60, "unknown")
    assert [need_rows(value) for value in (None, {}, 7, "rows")] == [[]] * 4
    assert len(need_rows([{"kind": "approve", "number": index} for index in range(1, 1_000)])) == 200


def test_what_an_event_says_is_read_by_people() -> None:
    """What was done comes first, from where last; moments are dates, counts are words, what is not so is left out."""
    said = event_words(
        {
            "data": {
                "from": "10.0.0.1",
                "verb": "reject",
                "why": "not now",
                "late": False,
                "expires_at": 1_790_000_000.5,
                "jobs": {"failed": 2, "done": 1},
                "labels": ["a", "b"],
                "load": 0.123456,
                "before": "x",
                "after": "y",
            }
        }
    )
    assert said.startswith("verb=reject  why=not now  ")
    assert said.endswith("  from=10.0.0.1")
    for part in ("expires_at=2026-09-21 14:13:20Z", "jobs=failed:2 done:1", "labels=a,b", "load=0.123"):
        assert part in said
    assert "late" not in said
    assert "before" not in said


def test_a_long_folder_does_not_hide_what_runs() -> None:
    """In tables; a short one stays, and with ASCII alone the sign is another."""
    row = job_row(1, argv=["/opt/somewhere/far/away/dump-db", "nightly"])
    column = next(column for column in JOBS if column.key == "command")
    assert column.cell(row, LOOK).text == "…/dump-db nightly"
    assert column.cell(row, Look("en", True, NOW)).text == "~/dump-db nightly"
    assert column.cell({**row, "argv": ["/opt/x/run"]}, LOOK).text == "/opt/x/run"


@pytest.mark.parametrize(
    ("kind", "row", "title"),
    [
        ("request", {"id": "x", "number": 41}, "r41"),
        ("request", {"id": "x"}, "r?"),
        ("job", {"id": "01J0000000000000000000J001", "agent": "web-1"}, "web-1 00j001"),
        ("agent", {"id": "web-1", "name": "web-1"}, "web-1"),
        ("lane", {"id": "queued", "stage": "queued"}, "queued"),
        ("event", {"id": "7"}, "7"),
        ("agent", {"id": "x", "name": "a\x1b[31m\nb"}, "a\\x1b[31m\\nb"),
    ],
)
def test_what_a_row_is_called(kind: Any, row: dict[str, Any], title: str) -> None:
    """Short, safe, and enough to tell it from its neighbours."""
    assert title_of(kind, row) == title
