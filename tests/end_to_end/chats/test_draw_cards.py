"""The pictures of docs/chat are what is posted now, and every chat's page has one."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hub.chat.platforms.registry import built_in
from tests.end_to_end.chats import card_blocks, draw_cards
from tests.end_to_end.chats.card_svg import ROOM, SIZE, Buttons, CodeBlock, Line, Run, State, picture, text_width, wrap

PAGES = draw_cards.PICTURES.parent
MAX_BYTES = 20_000
NOW = draw_cards.NOON


def words(svg: str) -> list[str]:
    """What a reader sees, element by element."""
    texts = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")  # noqa: S314  our own
    return ["".join(text.itertext()).replace("\u00a0", " ") for text in texts]


@pytest.mark.parametrize("name", draw_cards.CHATS)
def test_a_picture_is_what_is_posted_now(name: str) -> None:
    """Where a card was changed, `make chat-cards` draws it anew."""
    drawn = draw_cards.draw(name)
    assert drawn == (draw_cards.PICTURES / f"{name}.svg").read_text(encoding="utf-8"), "run `make chat-cards`"
    assert len(drawn.encode()) < MAX_BYTES
    shown = words(drawn)
    for said in ("web-1: done in 800 ms", "web-2: done in 900 ms", "Already up to date.", " cart.py | 4 ++--"):
        assert said in shown
    assert f"](pictures/{name}.svg)" in (PAGES / f"{name}.md").read_text(encoding="utf-8")
    buttons = [label for label in ("Approve", "Reject") if label in shown]
    assert buttons == ([] if name in ("dingtalk", "matrix", "teams") else ["Approve", "Reject"])


def test_every_page_of_a_chat_has_its_picture() -> None:
    """A chat that comes has to be drawn, and no picture of one that went is left."""
    pages = {page.stem for page in PAGES.glob("*.md")} & set(built_in())
    assert pages == set(draw_cards.CHATS) == set(card_blocks.READERS)
    assert pages == {file.stem for file in draw_cards.PICTURES.iterdir()}


def test_the_command_writes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `make chat-cards` calls it, whatever the folder that one is in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["draw_cards.py", "drawn"])
    runpy.run_path(draw_cards.__file__, run_name="__main__")
    drawn = {file.name: file.read_bytes() for file in (tmp_path / "drawn").iterdir()}
    assert drawn == {file.name: file.read_bytes() for file in draw_cards.PICTURES.iterdir()}


def test_markup_that_is_not_read_there_is_seen_as_such() -> None:
    """A picture is never nicer than the card: what a platform forgets to escape, or to mark, shows."""
    post = {"message": r"a \*b\* `c` ~~d~~ &#42;", "props": {"attachments": []}}
    assert card_blocks.mattermost(post, NOW) == [
        Line(
            (
                Run("a "),
                Run("*"),
                Run("b"),
                Run("*"),
                Run(" "),
                Run("c", "code"),
                Run(" ~~d~~ &#42;"),
            )
        )
    ]
    plain = card_blocks.dingtalk({"text": {"content": "```\nx\n```"}}, NOW)
    assert plain == [Line((Run("```"),)), Line((Run("x"),)), Line((Run("```"),))]


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("slack", {"blocks": [{"type": "image"}]}),
        ("slack", {"blocks": [{"type": "rich_text", "elements": [{"type": "rich_text_list", "elements": []}]}]}),
        ("feishu", {"header": {"title": {"content": "x"}, "template": "red"}, "body": {"elements": [{"tag": "img"}]}}),
        ("teams", {"attachments": [{"content": {"body": [{"type": "Image"}]}}]}),
        ("telegram", {"text": "<u>x</u>"}),
        ("matrix", {"formatted_body": "<pre><code>x</pre></code>"}),
        ("mattermost", {"message": "```\nx", "props": {"attachments": []}}),
    ],
)
def test_what_cannot_be_drawn_is_not_left_out(name: str, payload: dict[str, object]) -> None:
    """It raises: else a picture would hide a part of the card."""
    with pytest.raises(ValueError, match=r"a block|an element|a tag|a code block"):
        card_blocks.READERS[name](payload, NOW)


def test_times_are_told_as_the_chat_shows_them() -> None:
    """A mark for a time is no text; in the reader's zone, here UTC."""
    at = int(NOW) + 600
    mark = f"<!date^{at}^{{date_short_pretty}} {{time}}|12:10 UTC>"
    context = {"type": "context", "elements": [{"type": "mrkdwn", "text": f"by {mark} &amp; no later"}]}
    (line,) = card_blocks.slack({"blocks": [context]}, NOW)
    assert line == Line((Run("by today 12:10 PM & no later"),), small=True)
    (line,) = card_blocks.slack({"blocks": [context]}, NOW - 86_400)
    assert line == Line((Run("by Nov 26, 2026 12:10 PM & no later"),), small=True)
    posted = card_blocks.discord({"content": f"<t:{at}:f> (<t:{at}:R>)", "components": []}, NOW)
    assert words(picture("x", [State("y", (tuple(posted),))]))[1] == "26 November 2026 12:10 (in 10 minutes)"


def test_lines_are_broken_behind_spaces_and_fit() -> None:
    """A sign stays with its word, also where the look changes between them; a word that is too long is cut."""
    runs = (
        Run("some words and "),
        Run("code " * 30, "code"),
        Run("x" * 200),
        Run(" (in 10 "),
        Run("minutes"),
        Run(")."),
    )
    lines = wrap(runs, SIZE, ROOM)
    assert len(lines) > 4
    for line in lines:
        assert sum(text_width(run.text, SIZE, code=run.look == "code") for run in line) <= ROOM
    joined = ["".join(run.text for run in line) for line in lines]
    assert "".join(joined).replace(" ", "") == "".join(run.text for run in runs).replace(" ", "")
    assert not any(line.startswith(")") for line in joined)


def test_a_picture_holds_any_text() -> None:
    """It is well-formed, has nothing that runs or is loaded, and text is text."""
    hostile = '</text><script>alert("x")</script> & <image href="http://x.org"/>'
    blocks = (Line((Run(hostile), Run(hostile, "code")), quote=True), CodeBlock(f"  {hostile}\n\n"), Buttons(()))
    drawn = picture(hostile, [State(hostile, (blocks,))])
    root = ElementTree.fromstring(drawn)  # noqa: S314  our own
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert tags == {"svg", "title", "style", "rect", "text", "tspan"}
    assert not any("href" in key for element in root.iter() for key in element.attrib)
    assert "alert" in "".join(words(drawn))


def test_the_payload_is_read_out_of_its_post() -> None:
    """Feishu's card is a string in its post; calls for tokens and of looking show nothing."""
    post = draw_cards.HttpCall("https://x/im", json.dumps({"msg_type": "interactive", "content": '{"a":1}'}).encode())
    assert draw_cards.posted(post) == {"a": 1}
    assert draw_cards.posted(draw_cards.HttpCall("https://x/v3/tenant_access_token/internal", b"{}")) is None
    assert draw_cards.posted(draw_cards.HttpCall("https://x/event", b"", method="GET")) is None
