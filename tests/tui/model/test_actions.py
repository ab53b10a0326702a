"""The registry of acts: what is on, what is off and why, and what keys, help and command line are made of it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from common.api.agents import AgentView
from common.api.events import EventView
from common.api.jobs import JobView
from common.api.overview import LaneView, NeedView
from common.api.requests import RequestRow
from common.catalogue import Sentence, sentences
from tests.common.api.values import objects
from tests.each import each_of
from tests.tui.fake_source import NOW, VERBS
from tests.tui.rows import agent, job, lane, request
from tui.model.actions import (
    ACTION_BY_ID,
    ACTIONS,
    ROLES,
    Action,
    ActionContext,
    ActionEntry,
    Confirmation,
    cli_command_for,
    confirmation_for,
    disabled_reason,
    first_key,
    format_keys,
    has_role,
    is_available,
    key_bar_entries,
    list_entries,
)
from tui.model.window import Row

ALL = ActionContext(screen="jobs", person="alice", roles=("admin",), now=NOW)


def scene(kind: Any, row: Row | None, **more: Any) -> ActionContext:
    return replace(ALL, kind=kind, row=row, **more)


def why(act: str, where: ActionContext) -> str:
    """The key of the reason; "" where the act is on."""
    off = disabled_reason(ACTION_BY_ID[act], where)
    return "" if off is None else off.key.removeprefix("console_off_")


def test_every_act_has_its_names_in_both_languages() -> None:
    """In full, and short where it stands in the bottom line."""
    for act in ACTIONS:
        names = [f"console_act_{act.id}", *([f"console_do_{act.id}"] if act.rank else [])]
        assert all(set(sentences()[name]) >= {"en", "zh"} for name in names)


def test_no_key_means_two_things_in_one_place() -> None:
    """Within the table, the text, the output, and the screen with the app, each key has one act."""
    seen: dict[str, dict[str, str]] = defaultdict(dict)
    for act in ACTIONS:
        place = "screen" if act.scope == "app" else act.scope
        for key in filter(None, act.keys.split(",")):
            assert key not in seen[place], f"{key} is {seen[place].get(key)} and {act.id}"
            seen[place][key] = act.id
    assert not seen["table"].keys() & {key for key, act in seen["screen"].items() if ACTION_BY_ID[act].mutates}


def test_what_changes_something_is_off_when_it_cannot_be_done() -> None:
    """Read only, without a link, at an older hub, without the right: each has its own reason."""
    rows = {"job": job(1), "request": request(1), "agent": agent("web-1"), "lane": lane("queued")}
    for act in ACTIONS:
        if not act.mutates:
            continue
        kind: Any = min(act.kinds & rows.keys(), default="")
        here = scene(kind, rows.get(kind), has_undo=True)
        assert why(act.id, replace(here, read_only=True)) == "read_only"
        assert why(act.id, replace(here, linked=False, lost_duration="3s")) == "lost"
        if act.verb:
            assert why(act.id, replace(here, verbs=frozenset({"whoami"}))) == "old_hub"
        if act.role:
            assert why(act.id, replace(here, roles=("viewer",), person="zed")) == "role"


def test_looking_works_without_a_link_and_read_only() -> None:
    """What only looks at what is there is never off for those reasons."""
    here = scene("job", job(1), linked=False, read_only=True, roles=("viewer",))
    for act in ("copy", "filter", "follow", "zoom", "help", "quit", "go_audit", "output"):
        assert why(act, here) == ""


@each_of(
    ("act", "state", "reason"),
    [
        ("cancel", "running", ""),
        ("cancel", "succeeded", "ended"),
        ("kill", "running", ""),
        ("kill", "queued", "not_running"),
        ("retry", "running", "not_ended"),
        ("retry", "failed", ""),
        ("priority", "queued", ""),
        ("priority", "running", "not_queued"),
        ("settle", "unknown", ""),
        ("settle", "running", "not_unknown"),
        ("approve", "running", "row_request"),
        ("drain", "running", "row_agent"),
    ],
)
def test_what_a_jobs_state_allows(act: str, state: str, reason: str) -> None:
    """Each act with the states it makes sense in."""
    assert why(act, scene("job", job(1, state))) == reason


def test_what_a_requests_state_allows() -> None:
    """Only what asks can be decided; whoever asked may take back their own without any right."""
    asking, done = request(1), request(1, state="done")
    assert [why(act, scene("request", asking)) for act in ("approve", "reject", "edit", "retry")] == [
        "",
        "",
        "",
        "not_ended",
    ]
    assert [why(act, scene("request", done)) for act in ("approve", "reject", "edit", "retry")] == [
        "not_asking"
    ] * 3 + [""]
    mine = scene("request", request(1, person="alice"), roles=("viewer",))
    assert (why("reject", mine), why("approve", mine)) == ("", "role")
    assert why("reject", replace(mine, person="", row=request(1, person=""))) == "role"


def test_nothing_to_act_on() -> None:
    """Without a row an act on rows says so; undo without a way back says so; a screen's own act is off elsewhere."""
    assert why("kill", ALL) == "row_job"
    assert why("cancel", ALL) == "row"
    assert why("undo", ALL) == "nothing_to_undo"
    assert why("filter", replace(ALL, screen="overview")) == "screen"
    assert why("run", scene("agent", agent("x", state="revoked"))) == "revoked"


def test_many_and_codes_take_a_higher_rung() -> None:
    """Marked rows need their number; an approval its code where there is one."""
    assert confirmation_for(ACTION_BY_ID["cancel"], scene("job", job(1), marked=3)) is Confirmation.COUNT
    assert confirmation_for(ACTION_BY_ID["settle"], scene("job", job(1), marked=3)) is Confirmation.ASK
    assert confirmation_for(ACTION_BY_ID["cancel"], scene("job", job(1), marked=1)) is Confirmation.ASK
    assert confirmation_for(ACTION_BY_ID["approve"], scene("request", request(1))) is Confirmation.CODE
    assert (
        confirmation_for(ACTION_BY_ID["approve"], scene("request", request(1, second_factor=False))) is Confirmation.ASK
    )


def test_marks_are_what_an_act_on_several_is_about_and_no_other() -> None:
    """Whether an act is on is asked of the rows it would be about: the marked ones, or the cursor's."""
    on_job = scene("job", job(1, "unknown"), marked=2, marked_kind="agent", marked_row=agent("web-1"))
    for act in ACTIONS:
        kind, row = on_job.target_of(act)
        assert (kind, row) == (("agent", on_job.marked_row) if act.multiple else ("job", on_job.row))
    assert why("settle", on_job) == ""
    assert why("cancel", on_job) == "row"
    assert why("pause", on_job) == ""
    off = scene("request", request(1), marked=1, marked_kind="job", marked_row=job(2, "running"))
    assert (why("approve", off), why("kill", off), why("retry", off)) == ("", "", "not_ended")
    line = {entry.action.id: entry.count for entry in key_bar_entries(on_job, 99)}
    assert (line["pause"], line["settle"]) == (2, 0)


@given(st.lists(st.sampled_from([*ROLES, "owner", ""]), max_size=4), st.sampled_from(ROLES))
def test_a_role_holds_what_those_before_it_hold(roles: list[str], role: str) -> None:
    """And a role that this console does not know holds nothing."""
    ranks = [ROLES.index(held) for held in roles if held in ROLES]
    assert has_role(roles, role) == (max(ranks, default=-1) >= ROLES.index(role))


def test_what_is_on_and_about_the_row_stands_first() -> None:
    """Everything is listed, nothing hidden; what is off comes with its reason, after what is on."""
    found = list_entries(scene("job", job(1), verbs=VERBS))
    assert {entry.action.id for entry in found} == {
        act.id for act in ACTIONS if act.scope in ("screen", "table", "app")
    }
    offs = [entry.disabled_reason is not None for entry in found]
    assert offs == sorted(offs)
    assert found[0].action.kinds


def test_what_needs_a_verb_is_not_there_without_it() -> None:
    """Neither listed nor off with a reason, whether the hub has other verbs or does not say which it has."""
    for verbs in (frozenset(), VERBS - {"models", "inlets", "allowed"}):
        without = scene("job", job(1), verbs=verbs)
        assert "go_models" not in {entry.action.id for entry in list_entries(without)}
        assert [act.id for act in ACTIONS if not is_available(act, without)] == ["allowed", "go_models", "inlets"]
    assert is_available(ACTION_BY_ID["go_models"], scene("job", job(1), verbs=VERBS))


def test_the_bottom_line_is_bounded_and_tells_what_is_off() -> None:
    """Never more than asked for; an act about such a row stays there greyed, so that hands remember."""
    for most in (1, 5, 9):
        assert len(key_bar_entries(scene("job", job(1)), most)) <= most
    line = key_bar_entries(scene("request", request(1), read_only=True), 99)
    off = {entry.action.id: entry.disabled_reason for entry in line if entry.disabled_reason is not None}
    assert isinstance(off["approve"], Sentence)
    assert "open" in {entry.action.id for entry in line}


def test_keys_as_people_read_them() -> None:
    """Signs, not names."""
    assert format_keys("escape,q") == "esc q"
    assert format_keys("ctrl+p") == "^p"
    assert format_keys("") == ""
    assert (
        first_key(ACTION_BY_ID["filter"]),
        first_key(ACTION_BY_ID["help"]),
        first_key(ACTION_BY_ID["language"]),
    ) == ("/", "?", "")


def test_the_command_line_that_does_the_same() -> None:
    """It names the very row; a hostile row makes no second line; some acts have none."""
    assert cli_command_for(ACTION_BY_ID["approve"], request(41)).startswith("answerback approve r41 --plan ")
    assert cli_command_for(ACTION_BY_ID["cancel"], job(7)) == "answerback cancel 00j007"
    assert cli_command_for(ACTION_BY_ID["cancel"], request(41)) == "answerback cancel r41"
    assert cli_command_for(ACTION_BY_ID["pause"], agent("web-1")) == "answerback pause web-1"
    assert cli_command_for(ACTION_BY_ID["copy"], job(1)) == ""
    assert cli_command_for(ACTION_BY_ID["approve"], None)
    hostile = cli_command_for(ACTION_BY_ID["pause"], agent("a\nb\x1b[2J{0}{agent}"))
    assert "\n" not in hostile
    assert "\x1b" not in hostile


@given(
    st.sampled_from(ACTIONS),
    st.sampled_from(["job", "request", "agent", "event", "lane", ""]),
    st.one_of([objects(kind) for kind in (JobView, RequestRow, AgentView, EventView, LaneView, NeedView)]),
)
def test_whatever_a_row_is_an_act_is_on_or_off(act: Action, kind: Any, row: Row) -> None:
    """A row with any values raises nothing, here or in the lists made of it."""
    where = scene(kind, row)
    off = disabled_reason(act, where)
    assert off is None or off.render("en")
    assert isinstance(ActionEntry(act, off), ActionEntry)
    cli_command_for(act, where.row)
