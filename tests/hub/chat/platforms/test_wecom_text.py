"""WeCom's texts and cards: the limit in bytes, what is never cut, and the one tag that would be a link."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hub.chat.platforms.base import ReplyContent, ReplyRequest
from hub.chat.platforms.wecom_text import MARKDOWN, MAX_PARTS, MAX_TEXT, card_of, text_parts
from tests.each import each_of

FENCE = "```"


def content(text: str, kind: str = "final", **more: object) -> ReplyContent:
    asking = kind == "question"
    request = ReplyRequest("R1", 42, "asking" if asking else "done", "k7f2" if asking else "")
    return ReplyContent(
        "1", "carol", text, request, actions=("approve", "reject") if asking else (), kind=kind, card=True
    )


@each_of(
    ("said", "shown"),
    [
        ('<a href="https://evil.example">r1</a>', '＜a href="https://evil.example">r1＜/a>'),
        ("< A href=x>", "＜ A href=x>"),
        ("a < b, <b>, <abc>, &lt;a&gt;", "a < b, <b>, <abc>, &lt;a&gt;"),
        ("# heading *bold* [x](y) `code`", "# heading *bold* [x](y) `code`"),
        (f"{FENCE}\n<a href=x>\n{FENCE}", f"{FENCE}\n＜a href=x>\n{FENCE}"),
        ("> a model's words", "> a model's words"),
    ],
)
def test_text_is_plain_and_never_a_link(said: str, shown: str) -> None:
    """No markup has an effect in a text message but the tag for links."""
    assert text_parts(content(said)) == [shown]


def test_output_is_cut_at_its_end_and_says_so() -> None:
    """At 2,048 bytes, not characters, with the way to the rest; the fences stay closed."""
    for letter in "x中🙂":
        (text,) = text_parts(content(f"web-1:\n{FENCE}\n" + f"{letter * 40}\n" * 100 + FENCE))
        assert MAX_TEXT - 300 < len(text.encode()) <= MAX_TEXT
        assert text.endswith("Shortened; all of it: more r42")
        assert text.count(FENCE) == 2
    exact = "x" * MAX_TEXT
    assert text_parts(content(exact)) == [exact]


def test_a_long_question_is_said_whole_in_several_messages() -> None:
    """Nothing of a plan is lost, each message is within the limit, code stays between fences; then the card."""
    command = "中" * 900
    asked = content(f"carol asks:\n{FENCE}\n{command}\nfolder /srv\n{FENCE}\nAnswer “approve r42 k7f2”.", "question")
    parts = text_parts(asked)
    assert 1 < len(parts) <= MAX_PARTS
    assert all(len(part.encode()) <= MAX_TEXT for part in parts)
    assert all(part.count(FENCE) % 2 == 0 for part in parts)
    assert "".join(parts).replace(FENCE, "").replace("\n", "").count("中") == 900
    assert card_of(asked, "R1-7") is not None


def test_a_question_that_is_too_long_has_no_code_and_no_buttons() -> None:
    """It says where it is decided instead."""
    asked = content(f"carol asks:\n{FENCE}\n" + "x" * 7_000 + f"\n{FENCE}\nAnswer “approve r42 k7f2”.", "question")
    (text,) = text_parts(asked)
    assert text.startswith("carol asks:\n")
    assert "answerback approve r42" in text
    assert "k7f2" not in text
    assert card_of(asked, "R1-7") is None


@given(st.text(max_size=3_000), st.sampled_from(["final", "question"]), st.integers(1, 4))
def test_any_text_is_within_the_limits(text: str, kind: str, times: int) -> None:
    """In bytes, and not empty."""
    text = text.encode("utf-8", "replace").decode()
    parts = text_parts(content(text * times, kind))
    assert 1 <= len(parts) <= MAX_PARTS
    assert all(len(part.encode()) <= MAX_TEXT for part in parts)


@each_of(
    ("said", "shown"),
    [
        ("# heading *bold* _x_ [x](y) ~z~ a|b", "＃ heading ＊bold＊ ＿x＿ ［x］(y) ～z～ a｜b"),
        ("<@all> <font color=x>", "＜@all> ＜font color=x>"),
        ("  > quote", "  ＞ quote"),
        (" # `code <@all>` `", " ＃ `code ＜@all>` ｀"),
        ("> a *model's* words", "> a ＊model's＊ words"),
        ("> # heading in words", "> ＃ heading in words"),
        (f"{FENCE}\n<@all> # *x* sh{FENCE}\n{FENCE}", f"{FENCE}\n＜@all> # *x* sh｀｀｀\n{FENCE}"),
        ("磁盘 100%, 1. one - two", "磁盘 100%, 1. one - two"),
    ],
)
def test_markdown_of_others_has_no_effect(said: str, shown: str) -> None:
    """Code is shown as code; nobody is called, outside of it and within."""
    assert text_parts(content(said), MARKDOWN) == [shown]


def test_a_question_in_markdown_is_cut_nowhere() -> None:
    """It is said in several messages, each within its limit, with closed fences."""
    code = "\n".join(f"line {number} {'x' * 90}" for number in range(90))
    parts = text_parts(content(f"run\n{FENCE}\n{code}\n{FENCE}\nyes?", "question"), MARKDOWN)
    assert 1 < len(parts) <= MAX_PARTS
    assert all(len(part.encode()) <= MARKDOWN.limit and part.count(FENCE) % 2 == 0 for part in parts)
    said = "\n".join(line for part in parts for line in part.split("\n") if line != FENCE)
    assert said == f"run\n{code}\nyes?"
    assert card_of(content(f"{'x' * 4_000}\n" * 4, "question"), "t", MARKDOWN) is None
