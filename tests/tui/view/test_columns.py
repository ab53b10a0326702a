"""What stands in the cells of every table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from common.api.agents import AgentView
from common.api.codec import decode
from common.api.constraints import BadValue
from common.api.events import EventView
from common.api.hints import hints_of
from common.api.jobs import JobView
from common.api.models import ModelNode
from common.api.overview import LaneView, NeedView, Overview
from common.api.requests import RequestRow
from common.catalogue import LANGUAGES, translate
from tests.common.api.values import objects
from tests.tui.fake_source import HOSTILE, NOW, agent_row, event_row, job_row, node_row, request_row
from tests.tui.rows import agent, event, job, lane, listed_request, need, node
from tui.terminal.sanitize import is_safe
from tui.text.format import RenderContext
from tui.view.column import fitted_columns, layout_columns, measure_content
from tui.view.columns import (
    AGENTS,
    ATTENTION,
    JOBS,
    LANES,
    REQUEST_TONES,
    REQUESTS,
    agent_state,
    attention_subject,
    job_age,
    job_state,
    lane_rows,
    machine_names,
    pressing_first,
    request_command,
    request_state,
    requester,
    row_title,
    time_to_decide,
    why_away,
)
from tui.view.events import ACTIVITY, AUDIT
from tui.view.models import NODES
from tui.view.states import JOB_TONES

TABLES = {
    "jobs": JOBS,
    "requests": REQUESTS,
    "agents": AGENTS,
    "audit": AUDIT,
    "activity": ACTIVITY,
    "lanes": LANES,
    "needs": ATTENTION,
    "models": NODES,
}
LOOK = RenderContext("en", False, NOW)
DRAIN = {"by": "bob", "at": NOW, "left": 1, "of": 2}
ROWS: dict[str, type[Any]] = {
    "jobs": JobView,
    "requests": RequestRow,
    "agents": AgentView,
    "audit": EventView,
    "activity": EventView,
    "lanes": LaneView,
    "needs": NeedView,
    "models": ModelNode,
}
STRANGE = (
    1e300,
    -1e300,
    float("nan"),
    float("inf"),
    2**64 - 1,
    -(2**63),
    "x",
    "teleported",
    [],
    {},
    [None],
    {1: 2, "a": 3},
    True,
    None,
    *HOSTILE,
)


def strange_rows(kind: type[Any], whole: dict[str, Any]) -> Iterator[Any]:
    """Rows whose fields are in turn what they should not be, as far as they are read as rows at all."""
    for field in hints_of(kind):
        for value in STRANGE:
            try:
                yield decode(kind, {**whole, field: value})
            except BadValue:
                continue


@pytest.mark.parametrize("name", TABLES)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_whatever_the_hub_says_a_cell_is_safe_text(name: str, data: st.DataObject) -> None:
    """A row with any values gives one safe line a column and raises nothing."""
    row, language = data.draw(objects(ROWS[name])), data.draw(st.sampled_from(LANGUAGES))
    for column in TABLES[name]:
        cell = column.render(row, RenderContext(language, True, NOW))
        assert is_safe(cell.text), (column.key, cell.text)


def test_a_field_that_is_no_such_thing() -> None:
    """Numbers beyond any calendar, lists for words, nothing for a list: it is no row, or has one safe line a column."""
    wholes = {
        "jobs": job_row(1),
        "requests": {"machines": 1, **request_row(1)},
        "agents": agent_row("a"),
        "audit": event_row(1),
        "activity": event_row(1),
        "lanes": {"stage": "queued"},
        "needs": {"kind": "approve", "since": NOW},
        "models": node_row("a"),
    }
    for name, columns in TABLES.items():
        rows = list(strange_rows(ROWS[name], wholes[name]))
        assert len(rows) > len(HOSTILE)
        for row in rows:
            assert all(is_safe(column.render(row, LOOK).text) for column in columns), row


def plan_of(*steps: tuple[list[str], list[str]]) -> dict[str, Any]:
    """A plan as a row of the list has it: commands, each with its machines."""
    rows = [{"argv": argv, "targets": names, "target_count": len(names)} for argv, names in steps]
    return {"steps": rows, "step_count": len(rows)}


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_in_the_usual_fields(text: str) -> None:
    """Names, commands, reasons and labels are shown as words on one line."""
    rows = {
        "jobs": job(1, agent=text, person=text, inlet=text, argv=[text, text], reason=text),
        "requests": listed_request(1, person=text, text=text, plan=plan_of(([text], [text]))),
        "agents": agent(text, labels={text: text}, version=text),
        "models": node(text, model=text, problem=text, up=False),
        "audit": event(1, kind=text, actor=text, subject=text, data={text: text, "argv": [text]}),
        "needs": need("stuck", job="01J", agent=text, who=text, inlet=text, text=text),
        "lanes": lane(text, note=text, state=text),
    }
    for name, row in rows.items():
        assert all(is_safe(column.render(row, LOOK).text) for column in TABLES[name])


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
        assert job_state(job(1, state, started_at=NOW, leased_at=NOW), LOOK).text not in ("", "?")
    for state in REQUEST_TONES:
        assert request_state(listed_request(1, state=state), LOOK).text
    assert job_state(job(1, "teleported"), LOOK).text == "teleported"
    assert request_state(listed_request(1, state="?"), LOOK).text == "?"


def test_a_job_whose_machine_is_not_heard_of_does_not_look_as_if_it_ran() -> None:
    """The flag stands before the state, and before that it is stuck."""
    lost = replace(job(1, started_at=NOW), lost_contact=NOW - 60, stuck=True)
    assert job_state(lost, LOOK).text == "lost contact"
    assert job_state(replace(lost, lost_contact=None, stuck=False), LOOK).text == "running"


def test_why_a_job_waits() -> None:
    """Asked to cancel, its machine paused or away, stuck: the state says which, and none of it is invented."""

    def said(job: JobView) -> str:
        return job_state(job, LOOK).text

    running, queued = job(1, started_at=NOW, leased_at=NOW), job(1, "queued")
    words = [
        said(running),
        said(replace(running, cancel_asked_at=NOW)),
        said(queued),
        said(replace(queued, agent_paused=True)),
        said(replace(queued, agent_online=False)),
        said(job(1, started_at=NOW - 10_000)),
    ]
    assert len(set(words)) == len(words)
    assert said(job(1, "cancelled", cancel_asked_at=NOW)) == said(job(1, "cancelled"))


def test_how_long() -> None:
    """A job's age is since it was asked for, in every state; a plan has until its time to decide is over."""
    assert {job_age(job(1, state, duration=0.31), LOOK).text for state in ("running", "queued", "failed")} == {"1m00s"}
    assert time_to_decide(listed_request(1), LOOK).text == "10m"
    soon = time_to_decide(listed_request(1, decide_by=NOW + 5), LOOK)
    assert (soon.text, soon.tone) == ("5s", "bad")
    assert time_to_decide(listed_request(1, decide_by=NOW - 5), LOOK).text == "0s"
    assert time_to_decide(listed_request(1, state="done"), LOOK).text == "-"


def test_who_and_what() -> None:
    """The person with their chat; the first command of a plan and how many more; its machines once each."""
    assert requester("bob", "slack").text == "bob@slack"
    assert requester("bob", "console").text == "bob"
    row = listed_request(1, plan=plan_of((["id"], ["b", "a"]), (["ls"], ["a"])))
    assert machine_names(row) == ["a", "b"]
    assert len(row.steps) == 2
    assert "id" in request_command(row, LOOK).text
    assert "1" in request_command(row, LOOK).text


def test_a_machines_worst_fact_is_its_state() -> None:
    """Revoked before draining before paused before its link."""
    words = [
        agent_state(agent("a", state="revoked", draining=DRAIN, paused_by="bob"), LOOK).text,
        agent_state(agent("a", draining=DRAIN, paused_by="bob"), LOOK).text,
        agent_state(agent("a", paused_by="bob", online=False), LOOK).text,
        agent_state(agent("a", online=False), LOOK).text,
        agent_state(agent("a"), LOOK).text,
    ]
    assert len(set(words)) == 5


def test_what_needs_a_person_becomes_rows_that_acts_take() -> None:
    """A request, a job or a machine, each with an id, its state and until when."""
    needs = [
        need("approve", number=41, who="bob", expires=NOW + 60, second_factor=True),
        need("unknown", job="01J", number=7, agent="web-1"),
        need("offline", agent="web-2"),
        need("drain", agent="web-3", draining=DRAIN),
        need("file", file="policy.toml"),
        need("file", file="web-4:policy.toml", agent="web-4"),
    ]
    found = [attention_subject(one) for one in needs]
    assert [(kind, row.id) for kind, row in found] == [
        ("request", "r41"),
        ("job", "01J"),
        ("agent", "web-2"),
        ("agent", "web-3"),
        ("", "policy.toml"),
        ("agent", "web-4"),
    ]
    asking, unknown, _, drained, *_ = (row for _, row in found)
    assert isinstance(asking, RequestRow)
    assert (asking.state, asking.decide_by, asking.second_factor, asking.person) == ("asking", NOW + 60, True, "bob")
    assert isinstance(unknown, JobView)
    assert (unknown.state, unknown.agent, unknown.number) == ("unknown", "web-1", 7)
    assert isinstance(drained, AgentView)
    assert drained.is_draining


def test_a_long_folder_does_not_hide_what_runs() -> None:
    """In tables; a short one stays, and with ASCII alone the sign is another."""
    row = job(1, argv=["/opt/somewhere/far/away/dump-db", "nightly"])
    column = next(column for column in JOBS if column.key == "command")
    assert column.render(row, LOOK).text == "…/dump-db nightly"
    assert column.render(row, RenderContext("en", True, NOW)).text == "~/dump-db nightly"
    assert column.render(replace(row, argv=("/opt/x/run",)), LOOK).text == "/opt/x/run"


@pytest.mark.parametrize(
    ("row", "title"),
    [
        (listed_request(41), "r41"),
        (listed_request(0), "-"),
        (job(7, id="01J0000000000000000000J001", agent="web-1"), "r7 web-1 00j001"),
        (need("unknown", job="01J0000000000000000000J001", number=7), "r7"),
        (need("offline", agent="web-2"), "web-2"),
        (agent("web-1"), "web-1"),
        (lane("queued"), "queued"),
        (event(7), "S7"),
        (agent("a\x1b[31m\nb"), "a\\x1b[31m\\nb"),
    ],
)
def test_what_a_row_is_called(row: Any, title: str) -> None:
    """Short, safe, and enough to tell it from its neighbours."""
    assert row_title(row) == title


def test_red_stands_before_orange() -> None:
    """What has gone wrong, and what runs out of time; then what waits; then the rest, each part in the hub's order."""
    needs = [
        need("approve", number=1, expires=NOW + 900),
        need("offline", agent="web-1"),
        need("approve", number=2, expires=NOW + 30),
        need("drain", agent="web-2", draining=DRAIN),
        need("stuck", number=3, job="01J"),
        need("newer", number=4),
        need("unknown", number=5, job="01K"),
    ]
    order = [one.number or one.agent for one in pressing_first(needs, NOW)]
    assert order == [2, 3, 5, 1, 4, "web-2", "web-1"]


def test_every_entry_has_its_number_or_none() -> None:
    """A job without a request's number goes by the end of its id; a machine has neither. Never `r?`."""
    column = next(column for column in ATTENTION if column.key == "request")
    said = [
        column.render(one, LOOK).text
        for one in (
            need("approve", number=41),
            need("anomaly", job="01J0000000000000000000J0AB"),
            need("offline", agent="a"),
        )
    ]
    assert said == ["r41", "00j0ab", "-"]


def test_age_is_age_and_took_is_how_long_it_took() -> None:
    """For a job in every state: since it was asked for, and for how long its command ran."""
    cells = {column.key: column for column in JOBS}
    ended = job(1, "succeeded", queued_at=NOW - 7_200, started_at=NOW - 7_190, duration=3.2)
    running = job(2, "running", queued_at=NOW - 100, started_at=NOW - 42)
    queued = job(3, "queued", queued_at=NOW - 8, started_at=None)
    assert [cells["age"].render(row, LOOK).text for row in (ended, running, queued)] == ["2h00m", "1m40s", "8s"]
    assert [cells["took"].render(row, LOOK).text for row in (ended, running, queued)] == ["3.2s", "42s", "-"]
    assert [cells["started"].render(row, LOOK).text for row in (ended, queued)] == ["12:13:30", "-"]
    older = job(4, "succeeded", queued_at=NOW - 200_000, started_at=NOW - 200_000)
    assert cells["started"].render(older, LOOK).text == "09-19 06:40"


def test_a_paused_queue_says_who_until_when_and_why_in_its_lane() -> None:
    """In the reader's zone; the other lanes keep the hub's remarks."""
    hub = {"queue_paused": {"by": "dave", "at": NOW, "reason": "migration", "until": NOW + 600}}
    lanes = [{"stage": "queued", "state": "paused", "note": "by dave"}, {"stage": "running", "note": "fine"}]
    rows = lane_rows(decode(Overview, {"lanes": lanes, "hub": hub}), LOOK)
    assert [row.note for row in rows] == ["by dave until 14:23:20Z: migration", "fine"]


def test_a_trend_uses_its_cells_and_has_a_scale() -> None:
    column = next(column for column in LANES if column.key == "trend")
    row = lane("queued", trend=[0, 1, 2, 4])
    assert column.draw is not None
    assert column.draw(row, LOOK, 10).text == "\u2581\u2583\u2585\u2588 0-4  "
    assert column.draw(row, LOOK, 14).text == "\u2581\u2581\u2583\u2583\u2585\u2585\u2588\u2588 0-4  "


def test_what_ends_a_recovery_is_read_at_every_width() -> None:
    """The command comes first: at 80 columns there is room for it and for little else."""
    for language in LANGUAGES:
        look = RenderContext(language, True, NOW)
        entry = need("recovery", since=NOW, text=translate(language, "recovery_now"))
        placed = layout_columns(ATTENTION, 80)
        cells = [[place.render(entry, look) for place in placed]]
        content = measure_content(placed, fitted_columns(ATTENTION), cells, {}, language)
        (place,) = (one for one in layout_columns(ATTENTION, 80, content) if one.column.key == "command")
        assert "answerback-hub recover" in place.render(entry, look).text[: place.width - 2], language


AWAY = (
    (agent("web-1"), "", ""),
    (agent("web-2", online=False, away="silent", away_since=NOW - 300), "not heard since 07:55", "自 07:55 无消息"),
    (agent("web-3", online=False, away="expired", away_since=NOW - 300), "expired", "已过期"),
    (agent("web-4", online=False, away="clock", clock_ahead=-7_500.0), "clock off by 2 h", "时钟偏差 2 h"),
    (agent("web-5", online=True, clock_ahead=7_500.0), "clock off by 2 h", "时钟偏差 2 h"),
    (agent("web-6", online=False, away="epoch", away_since=NOW), "older epoch", "纪元较旧"),
    (agent("web-7", online=False, away="revoked", state="active"), "revoked", "已吊销"),
    (agent("web-8", online=False, away="revoked", state="revoked"), "", ""),  # the state says it
)


@pytest.mark.parametrize("width", [80, 120, 160])
def test_the_list_of_machines_says_why_one_is_away(width: int) -> None:
    """In full at every width; where nobody is away it takes no room."""
    zone = lambda at: (8 * 3_600 - (int(NOW) % 86_400), "CET")  # noqa: E731 - NOW is eight o'clock there
    for at, language in enumerate(LANGUAGES):
        look = RenderContext(language, True, NOW, zone=zone)
        for rows in (AWAY, AWAY[:1]):
            content: dict[str, int] = {}
            for _ in range(2):  # as a table does: once to measure, once to place
                placed = layout_columns(AGENTS, width, content)
                cells = [[place.column.render(row, look) for place in placed] for row, *_ in rows]
                content = measure_content(placed, fitted_columns(AGENTS), cells, content, language)
                placed = layout_columns(AGENTS, width, content)
            (why,) = (place for place in placed if place.column.key == "why")
            assert {"state", "queued", "name", "labels"} <= {place.column.key for place in placed}
            for row, *texts in rows:
                text = why_away(row, look).text
                assert text == texts[at]
                assert cell_len(text) <= why.width
            assert len(rows) > 1 or why.width <= 4
