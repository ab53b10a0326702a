"""hub.chat.platforms.mattermost_text: our words as markdown that means nothing but themselves."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from hub.chat.markup import split_blocks
from hub.chat.platforms.mattermost_text import escape, markdown
from hub.core.chat_text import code_block
from tests.each import each_of

COMMONMARK = MarkdownIt("commonmark")


@each_of(
    ("text", "sent"),
    [
        ("*a* _b_ ~~c~~ `d`", r"\*a\* \_b\_ \~\~c\~\~ \`d\`"),
        ("@all @bob", "＠all ＠bob"),
        ("#tag ~town-square :smile: a|b", r"\#tag \~town-square \:smile\: a\|b"),
        ("[a](b) <c> ![d](e)", r"\[a\](b) \<c\> \!\[d\](e)"),
        ("- item", r"\- item"),
        ("1. item", r"1\. item"),
        ("---", r"\---"),
        ("===", r"\==="),
        ("    code?", "\u00a0\u00a0\u00a0\u00a0code?"),
        ("1.5 GiB", r"1\.5 GiB"),
        ("", ""),
    ],
)
def test_signs_lose_their_meaning(text: str, sent: str) -> None:
    """Marks, mentions, hashtags, emoji, lists, headings, indented code."""
    assert escape(text) == sent


def shown(html: str) -> str:
    for entity, sign in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&amp;", "&")):
        html = html.replace(entity, sign)
    return html


@given(st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp", "Zs"), include_characters=" "), max_size=60))
def test_another_reader_of_markdown_shows_the_same_text(text: str) -> None:
    """One paragraph without a mark in it (an entity such as &amp; apart, which Mattermost shows as it stands)."""
    text = text.replace("&", "+").strip()
    html = COMMONMARK.render(escape(text))
    found = re.fullmatch(r"<p>(.*)</p>\n", html) if text else re.fullmatch("()", html)
    assert found is not None, html
    assert shown(found[1]) == text.replace("@", "＠")


@given(st.text(max_size=80))
def test_code_stays_inside_its_fence(output: str) -> None:
    """Whatever number of backticks it has."""
    text = "\n".join(("head", code_block(output), "tail"))
    sent = markdown(split_blocks(text))
    assert sent.startswith("head\n```")
    assert sent.endswith("```\ntail")


def test_spans_quotes_and_fences() -> None:
    """Mentions inside code stay as they are: the server calls nobody there."""
    text = "\n".join(("r1: `mail @bob` on *x*", "```", "a``b", "```", "> @all said"))
    assert markdown(split_blocks(text)) == "r1\\: `mail @bob` on \\*x\\*\n```\na``b\n```\n> ＠all said"
    assert markdown(split_blocks("```\n ````\n```")) == "`````\n ````\n`````"
