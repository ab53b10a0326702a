"""What chat clients do to a command: what is certain is read as it was typed, the rest is refused by name."""

from __future__ import annotations

from hub.core.outcome import CannotPlan, ChatCommand, Planned
from hub.planning.reading import without_auto_links
from tests.hub.planning.defaults import default_chain
from tests.hub.planning.runbooks.world import context

CHAIN = default_chain()
DF = ("df", "-h")
READ: dict[str, tuple[str, ...]] = {
    # full-width signs, and the blanks of Chinese keyboards
    "＠web-1 df -h": DF,
    "@ｗｅｂ-1 df -h": DF,
    "@web-1\u3000df -h": DF,
    "@web-1  df\u3000-h": DF,
    "@web-1: df -h": DF,
    "@web-1： df -h": DF,
    "＠web-1　df　-h": DF,
    # marks around it
    "“@web-1 df -h”": DF,
    "`@web-1 df -h`": DF,
    "```\n@web-1 df -h\n```": DF,
    "```sh\n@web-1 df -h\n```": DF,
    "@web-1 `df -h`": DF,
    "@web-1 ```df -h```": DF,
    "> what bob said\n@web-1 df -h": DF,
    # mentions of the bot
    "<@U1> @web-1 df -h": DF,
    "<@U1>: disk on web-1": DF,
    "@answerback disk on web-1": DF,
    "disk on web-1 <@U1>": DF,
    "disk on web-1。": DF,
    "disk on web-1!": DF,
    # links that the chat made
    "@web-1 ping <http://x.org|x.org>": ("ping", "x.org"),
    "@web-1 curl <https://x.org/a>": ("curl", "https://x.org/a"),
    "@web-1 curl <https://x.org/|https://x.org>": ("curl", "https://x.org"),
    "@web-1 id <mailto:a@x.org|a@x.org>": ("id", "a@x.org"),
    "<http://web-1|web-1> df -h": DF,
}
NAMED: dict[str, tuple[str, str]] = {  # what is named, and what is offered instead
    "@web-1 df\u00a0-h": ("U+00A0", "@web-1 df -h"),
    "@web-1\u202fdf -h": ("U+202F", "@web-1 df -h"),
    "@web-1 df –h": ("U+2013", "@web-1 df -h"),
    "@web-1 df —h": ("U+2014", "@web-1 df -h"),
    "@web-1 systemctl –no-pager status nginx": ("U+2013", "@web-1 systemctl --no-pager status nginx"),
    "@web-1 systemctl —no-pager status nginx": ("U+2014", "@web-1 systemctl --no-pager status nginx"),
    "@web–1 df -h": ("U+2013", "@web-1 df -h"),
    "disk on web–1": ("U+2013", "disk on web-1"),
    "@web-1 grep “error log” /var/log/syslog": ("U+201C", '@web-1 grep "error log" /var/log/syslog'),
    "@web-1 grep ‘error’ /var/log/syslog": ("U+2018", "@web-1 grep 'error' /var/log/syslog"),
    "@web-1 df -h\u200b": ("U+200B", "@web-1 df -h"),
    "\ufeff@web-1 df -h": ("U+FEFF", "@web-1 df -h"),
    "@web-1 df -h?": ("? at character 13", ""),
    "@web-1 df -h！": ("! at character 13", ""),
    "@web-1 curl <http://evil.example|x.org>": ("< at character 13", ""),
    "@web-1 df -h &amp;&amp; reboot": ("& at character 14", ""),
}
ACTS = ("approve r42。", "approve　r42", "ａｐｐｒｏｖｅ　ｒ４２", "`approve r42`", "“approve r42”", "approve\u00a0r42",
        "<@U1> approve r42!", "批准 r42。", "/approve@answerback_bot r42")  # fmt: skip


def test_what_is_certain_is_read() -> None:
    """As it was typed before the client changed it."""
    for text, argv in READ.items():
        outcome = CHAIN.plan(context(text))
        assert isinstance(outcome, Planned), text
        assert [(step.targets, step.argv) for step in outcome.plan.steps] == [(("web-1",), argv)], text


def test_what_is_not_certain_is_named() -> None:
    """The character and where it stands, or what it looks like; what is offered runs only after a yes to it."""
    for text, (named, meant) in NAMED.items():
        outcome = CHAIN.plan(context(text))
        assert isinstance(outcome, CannotPlan), text
        assert named in str(outcome.sentence), text
        assert outcome.meant == meant, text


def test_acts_on_requests() -> None:
    """The same for what decides."""
    for text in ACTS:
        outcome = CHAIN.plan(context(text))
        assert isinstance(outcome, ChatCommand), text
        assert (outcome.verb, outcome.number) == ("approve", 42), text


def test_a_link_that_says_something_else_stays() -> None:
    """Nobody knows whether its label or its address was meant; what is no link is left alone."""
    for text in (
        "<http://evil.example|x.org>",
        "<http://x.org|x.org/y>",
        "<ftp://x.org|x.org>",
        "a < b > c",
        "<@U1|al>",
    ):
        assert without_auto_links(text) == text
    assert without_auto_links("<HTTP://x.org|x.org> and <https://y.org/p/|y.org/p>") == "x.org and y.org/p"
    assert without_auto_links("<http://" * 2_000) == "<http://" * 2_000
