"""hub.chat.platforms.feishu_card: only what schema 2.0 has, within its limits, and nothing that anybody can inject."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.chat.markup import split_blocks
from hub.chat.platforms.base import ReplyContent, ReplyJob, ReplyRequest
from hub.chat.platforms.feishu_card import MAX_CARD, card_json, escape, markdown
from tests.each import each_of
from tests.end_to_end.chats.feishu import check_card, text_of, values_of


def content(text: str = "r7: `df -h` on web-1", state: str = "asking", **more: Any) -> ReplyContent:
    request = ReplyRequest("01REQUEST", 7, state, "k7f2" if state == "asking" else "")
    actions = {"asking": ("approve", "reject"), "working": ("cancel",)}.get(state, ("more", "retry"))
    return ReplyContent("om_1", "oc_ops", text, **{"request": request, "actions": actions, "card": True, **more})


def card(of: ReplyContent) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(card_json(of))
    check_card(found)
    return found


def test_a_question_is_a_card_with_buttons() -> None:
    asked = card(content(deadline=1_700_000_000.5))
    assert asked["header"] == {
        "title": {"tag": "plain_text", "content": "r7 · waiting for approval"},
        "template": "orange",
    }
    assert values_of(asked) == ["approve r7 k7f2", "reject r7"]
    local = [
        f"<local_datetime millisecond='1700000000500' format_type='{form}'></local_datetime>"
        for form in ("date_short", "time")
    ]
    assert asked["body"]["elements"][1]["content"] == f"Decide by {' '.join(local)}."
    assert asked["config"]["summary"]["content"] == "r7: `df -h` on web-1"
    assert card(content(language="zh"))["header"]["title"]["content"] == "r7 · 等待审批"


def test_the_colour_is_how_it_ended() -> None:
    good, bad = ReplyJob("1", "web-1", ("df",), "succeeded", 0), ReplyJob("2", "web-2", ("df",), "failed", 1)
    for state, jobs, colour in (
        ("working", (), "blue"),
        ("done", (good,), "green"),
        ("done", (good, bad), "red"),
        ("rejected", (), "red"),
        ("expired", (), "grey"),
    ):
        assert card(content(state=state, jobs=jobs))["header"]["template"] == colour


def test_a_plain_answer_has_no_header_and_no_buttons() -> None:
    said = card(ReplyContent("om_1", "oc_ops", "hello"))
    assert "header" not in said
    assert said["body"]["elements"] == [{"tag": "markdown", "content": "hello"}]


@each_of(
    ("text", "written"),
    [
        ("a `df *` b*c", "a `df *` b&#42;c"),
        ("```\n<at id=all></at> **x**\n```", "```\n‹at id=all>‹/at> **x**\n```"),
        ("> said `it`\nnext", "> said `it`\n\nnext"),
        ("> one\n> two", "> one\n> two"),
        ("# no heading", "&#35; no heading"),
        ("- no list\n1. nor this\n  + or this", "&#45; no list\n1&#46; nor this\n  &#43; or this"),
        ("[x](http://evil) ![y](z)", "&#91;x&#93;(http://evil) &#33;&#91;y&#93;(z)"),
        ("<at id=all></at><font color='red'>", "‹at id=all&#62;‹/at&#62;&#60;font color='red'&#62;"),
        ("<person id='ou_1'></person>", "&#60;person id='ou&#95;1'&#62;&#60;/person&#62;"),
        ("12:30 :DONE: a:b", "12:30 &#58;DONE: a:b"),
        ("$5 | ~~x~~ \\ & &#42;", "&#36;5 &#124; &#126;&#126;x&#126;&#126; &#92; &#38; &#38;&#35;42;"),
        ("---\n===", "&#45;--\n&#61;=="),
    ],
)
def test_text_is_text(text: str, written: str) -> None:
    """Mentions, links, headings, lists, tags, emojis, entities: none of them is markup; code stays as it is."""
    assert card(ReplyContent("om_1", "oc_ops", text))["body"]["elements"][0]["content"] == written


@settings(max_examples=300, deadline=None)
@given(st.text("ab1 \t<>&#@*_~[]()!\\|$:`'\"-+=.;/日🚀", max_size=80))
def test_whatever_is_escaped_reads_as_it_was(line: str) -> None:
    """No character of markup is left, and the reader sees what was written."""
    shown = escape(line)
    assert html.unescape(shown) == line
    assert not re.search(r"[\\`*_~\[\]<>$!|]", shown)
    assert not re.match(r"\s*(?:[-+=]|\d+[.)])", shown)


def test_the_official_example_of_a_mention_is_no_mention() -> None:
    for text in ("<at id=all></at>", "<at id=ou_1></at>", "`<at id=all></at>`", "```\n<at email=x@y.z></at>\n```"):
        assert "<at" not in card_json(ReplyContent("om_1", "oc_ops", text))


@pytest.mark.parametrize("line", ['"\\\n', "日本語🚀", "\u0001x", "<*_~&"])
def test_a_post_has_room_for_30_kb(line: str) -> None:
    """Counted in bytes, as JSON in JSON; what is cut is output first, and the note says so."""
    text = f"r7 ended:\n```\n{line * 9_000}\n```\nAll of it: more r7"
    made = card_json(content(text, state="done"))
    assert len(json.dumps(made, ensure_ascii=False).encode()) <= MAX_CARD
    shown = text_of(card(content(text, state="done")))
    assert "r7 ended:" in shown
    assert "All of it: more r7" in shown
    assert "cut here" in shown
    longest = "x" * 60_000
    assert len(json.dumps(card_json(content(longest, state="done"))).encode()) <= MAX_CARD


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=300), st.sampled_from(["asking", "working", "done", "rejected"]))
def test_every_text_makes_a_card_of_the_schema(text: str, state: str) -> None:
    card(content(text, state=state))
    assert markdown(split_blocks(text)).count("\n```\n") <= text.count("\n") + 2
