"""hub.chat.platforms.dingtalk_text: what the robot is told, and how replies find back; more in test_dingtalk."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from hub.chat.platforms.base import ReplyContent, ReplyRequest
from hub.chat.platforms.dingtalk_text import MAX_REPLY_BYTES, Route, fit_text

WORD = st.text(st.sampled_from("abcXYZ0189_$"), min_size=1, max_size=20)
CONTENT = ReplyContent("m1", "room", "r42: all is well", ReplyRequest("01H", 42, "done"))


@given(st.integers(0, 2**40), st.booleans(), WORD | st.just(""), WORD | st.just(""))
def test_a_route_comes_back_as_it_was(until: int, group: bool, robot: str, staff: str) -> None:
    """It is stored as text beside the request."""
    route = Route(float(until), group, robot, staff)
    assert Route.parse(str(route)) == route


@given(st.text(max_size=60))
def test_any_text_is_a_route_that_leads_nowhere_or_somewhere(text: str) -> None:
    """Requests from before have no thread, or another one."""
    assert isinstance(Route.parse(text), Route)
    assert Route.parse("") == Route()


def test_a_reply_fits_and_a_question_is_never_cut() -> None:
    """Output loses its end; a plan that does not fit says where it is decided instead."""
    assert fit_text(CONTENT) == "r42: all is well"
    long = "磁盘 " * 20_000
    cut = fit_text(replace(CONTENT, text=f"r42 says\n```\n{long}\n```"))
    assert cut.startswith("r42 says")
    assert len(json.dumps(cut, ensure_ascii=False).encode()) <= MAX_REPLY_BYTES
    question = fit_text(replace(CONTENT, kind="question", text=f"r42 asks\n```\n{long}\n```"))
    assert question.startswith("r42 asks\n")
    assert "磁盘" not in question
    assert "decide at a terminal" in question


def test_nobody_is_mentioned() -> None:
    """Whatever output says."""
    assert "@all" not in fit_text(replace(CONTENT, text="@all wake up"))
