"""hub.chat.platforms.slack_text: what a person typed, and our words as rich text."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.models.blocks import RichTextBlock

from hub.chat.markup import split_blocks
from hub.chat.platforms.slack_text import MAX_NOTIFICATION, escape, notification, plain_mrkdwn, read_text, rich_text
from hub.core.chat_text import code_block
from tests.each import each_of

BOTS = frozenset({"UBOT"})


@each_of(
    ("typed", "said", "addressed"),
    [
        ("<@UBOT> disk on web-1", "disk on web-1", True),
        ("<@UBOT|answerback>, disk on web-1", "disk on web-1", True),
        ("<@UBOT>", "hi", True),
        ("disk on web-1 <@UBOT>", "disk on web-1", True),
        ("hey <@UBOT> disk", "hey disk", True),
        ("<@UBOT> <@UBOT>： 看看磁盘", "看看磁盘", True),
        (
            "<@U2> and <@U3|carol> in <#C1|general> and <#C2>",
            "@U2 and @carol in #general and @C2".replace("@C2", "#C2"),
            False,
        ),
        ("<!here> <!subteam^S1|@ops> <!channel|channel>", "@here @ops channel", False),
        ("<!date^1392734382^{date}|18 Feb 2014>", "18 Feb 2014", False),
        ("@web-1 curl <http://example.com|example.com>", "@web-1 curl example.com", False),
        ("@web-1 curl <https://example.com/a?b=1&amp;c=2>", "@web-1 curl https://example.com/a?b=1&c=2", False),
        ("mail <mailto:a@b.c|a@b.c> <mailto:d@e.f>", "mail a@b.c d@e.f", False),
        ("a &lt;@UBOT&gt; b &amp;lt; c", "a <@UBOT> b &lt; c", False),
        ("a <b> c < d", "a <b> c < d", False),
        ("@web-1 `df -h`", "@web-1 `df -h`", False),
        ("\ue000 x", "x", False),
        ("", "", False),
    ],
)
def test_text_is_read_as_it_was_typed(typed: str, said: str, addressed: bool) -> None:
    """Entities, links, mentions; the bot's mention is left out and told."""
    assert read_text(typed, BOTS) == (said, addressed)


@given(st.text(max_size=200))
def test_what_is_escaped_comes_back(text: str) -> None:
    """And is no mention, whatever it looks like."""
    typed = text.replace("\ue000", "").strip()
    assert read_text(escape(typed), BOTS) == (typed, False)


@given(st.text(st.sampled_from("<>@#!|^&;UBOTabc:/ \ue000`"), max_size=60))
def test_any_text_is_read(text: str) -> None:
    """No error, and no mark of ours is left over."""
    said, _ = read_text(text, BOTS)
    assert "\ue000" not in said
    assert "<@UBOT>" not in said


def test_lines_code_and_quotes_have_their_elements() -> None:
    """Text is shown letter by letter; lines that follow one another are one section."""
    text = "\n".join(("r1: `df -h` on *web-1*", "<!here> @all", code_block("a & <b>"), "> a model's words", "", "end"))
    elements = json.loads(rich_text(split_blocks(text)))
    assert elements == [
        {
            "type": "rich_text_section",
            "elements": [
                {"type": "text", "text": "r1: "},
                {"type": "text", "text": "df -h", "style": {"code": True}},
                {"type": "text", "text": " on *web-1*"},
                {"type": "text", "text": "\n"},
                {"type": "text", "text": "<!here> @all"},
            ],
        },
        {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "a & <b>"}]},
        {"type": "rich_text_quote", "elements": [{"type": "text", "text": "a model's words"}]},
        {
            "type": "rich_text_section",
            "elements": [{"type": "text", "text": "\n"}, {"type": "text", "text": "end"}],
        },
    ]


@given(st.lists(st.text(max_size=40), max_size=8))
def test_the_official_models_take_every_text(lines: list[str]) -> None:
    """And nothing but literal text is in it: no user, no broadcast, no link; no text is empty."""
    elements = json.loads(rich_text(split_blocks("\n".join(lines))))
    RichTextBlock(elements=elements).validate_json()
    for element in elements:
        assert element["elements"]
        assert all(part["type"] == "text" and part["text"] for part in element["elements"])


@given(st.text(max_size=600))
def test_notifications_call_nobody(text: str) -> None:
    """Escaped, one line, bounded, never empty."""
    for said in (notification(split_blocks(text)), plain_mrkdwn(split_blocks(text))):
        assert "<" not in said
    said = notification(split_blocks(text))
    assert 0 < len(said) <= MAX_NOTIFICATION * 5
    assert "\n" not in said


def test_the_plain_form_has_the_same_marks() -> None:
    """Fences, backticks and quotes."""
    text = "\n".join(("r1: `a<b`", code_block("1 > 2"), "> said"))
    assert plain_mrkdwn(split_blocks(text)) == "r1: `a&lt;b`\n```\n1 &gt; 2\n```\n> said"
