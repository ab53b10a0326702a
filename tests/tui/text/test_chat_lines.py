"""tui.text.chat_lines: what a typed line means, and what a reply shows."""

from __future__ import annotations

from typing import Any

from tests.each import each_of
from tui.text.chat_lines import (
    Picture,
    Quit,
    Say,
    Show,
    SpeakAs,
    Typed,
    exit_status,
    is_settled,
    read_line,
    reply_choices,
    reply_lines,
)

CHOICES = ("approve r42", "reject r42")


@each_of(
    ("line", "meant"),
    [
        ("  @web-1 df -h \n", Say("@web-1 df -h")),
        ("   ", None),
        ("1", Say("approve r42")),
        ("2", Say("reject r42")),
        ("1 123456", Say("approve r42 123456")),
        ("2 not today", Say("reject r42 not today")),
        ("42 is a number", Show(("there is no choice 42; there are 1 to 2",))),
        ("123 apples", Say("123 apples")),
        ("/as bob", SpeakAs("bob")),
        ("/as", Show(("say who: /as NAME",))),
        ("/quit", Quit()),
        ("/picture /tmp/a.png what is this", Picture("/tmp/a.png", "what is this")),
        ("/tmp/a b.png", Say("/tmp/a b.png")),
        ("/tmp/shot.PNG", Picture("/tmp/shot.PNG")),
        ("~/shot.jpg", Picture("~/shot.jpg")),
        ("/etc/hosts", Say("/etc/hosts")),
        ("x.png", Say("x.png")),
        ("批准 r42", Say("批准 r42")),
        ("x" * 8_001, Show(("that line has 8001 characters; 8000 at most",))),
    ],
)
def test_a_line_means(line: str, meant: Typed | None) -> None:
    """Words go to the hub as they are; numbers take choices; a slash is the chat's own; a path is a picture."""
    assert read_line(line, CHOICES) == meant


def test_a_number_is_a_word_where_nothing_is_to_choose() -> None:
    """Without open choices it is said; an unknown command is told what there is."""
    assert read_line("1", ()) == Say("1")
    told = read_line("/nothing", ())
    assert isinstance(told, Show)
    assert any("/as NAME" in line for line in told.lines)


def reply(**more: Any) -> dict[str, Any]:
    return {
        "kind": "question",
        "text": "run it?",
        "request": {"id": "x", "number": 42, "state": "asking"},
        "actions": ["approve", "reject"],
        **more,
    }


def test_choices_of_a_question() -> None:
    """In the order of the reply; the approval has the plan's code where the text has one."""
    assert reply_choices(reply()) == CHOICES
    assert reply_choices(reply(text="say approve r42 k7f2 or reject r42")) == ("approve r42 k7f2", "reject r42")
    assert reply_choices(reply(text="say approve r42 k7f2 CODE")) == ("approve r42 k7f2", "reject r42")
    assert reply_choices(reply(text="请回复 “批准 r42 k7f2” 或")) == ("approve r42 k7f2", "reject r42")
    assert reply_choices(reply(text="say approve r42 123456")) == CHOICES
    assert reply_choices(reply(text="say approve r421 k7f2")) == CHOICES
    assert reply_choices(reply(actions=[])) == ()


@each_of(
    "broken",
    [{}, {"request": 5, "actions": ["approve"]}, {"request": {"number": "x"}, "actions": ["approve"]}, {"actions": 3}],
)
def test_a_reply_of_another_form_has_no_choices(broken: dict[str, Any]) -> None:
    """It is shown as far as it goes, and nothing is raised."""
    assert reply_choices(broken) == ()
    assert reply_lines(broken) == [""]
    assert exit_status(broken) == 1


def test_hostile_text_is_made_safe() -> None:
    """No control character, escape sequence or bidirectional mark of a reply reaches the terminal."""
    text = "a\x1b[2J\x1b]0;owned\x07b\u202ec\r\x00\nlast\x9b31m"
    lines = reply_lines(reply(text=text, actions=["approve", "\x1b[2Jx", "a" * 99]), CHOICES)
    assert all(line.isprintable() for line in lines)
    assert lines[-1] == "[1] approve r42   [2] reject r42"
    assert "\x1b" not in "".join(reply_choices(reply(actions=["approve", "\x1b[2Jx"])))


@each_of(
    ("found", "settled", "status"),
    [
        (reply(), True, 1),
        (reply(kind="progress"), False, 1),
        (reply(kind="final", request={"number": 1, "state": "done"}, jobs=[]), True, 0),
        (reply(kind="final", request={"number": 1, "state": "done"}, jobs=[{"state": "succeeded"}]), True, 0),
        (reply(kind="final", request={"number": 1, "state": "done"}, jobs=[{"state": "failed"}]), True, 1),
        (reply(kind="final", request={"number": 1, "state": "refused"}), True, 3),
        (reply(kind="final", request={"number": 1, "state": "rejected"}), True, 3),
        (reply(kind="final", request={"number": 1, "state": "working"}), False, 1),
        (reply(kind="final", request={"number": 1, "state": "cancelled"}), True, 1),
    ],
)
def test_what_a_script_waits_for(found: dict[str, Any], settled: bool, status: int) -> None:
    """The end, or a question to a person; 0 done, 3 refused, else 1."""
    assert (is_settled(found), exit_status(found)) == (settled, status)
