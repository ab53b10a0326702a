"""What is a command though nobody is addressed."""

from __future__ import annotations

from hub.planning.unaddressed import classify
from tests.hub.planning.runbooks.world import context

COMMANDS = ("@web-1 df -h", "＠web-1 df -h", "`@web-1 df -h`", "@web-* uptime", "@web-1 df | rm", "@web-1 df –h",
            "approve r42", "批准 r42 k7f2", "reject r42 too broad", "cancel r42", "r42", "show r42", "reject r42?",
            "accept d3", "link 7k3mq-9fxp2", "output r42")  # fmt: skip
ANSWERS = ("yes", "no", "好", "web-1", "@web-1", "on web-1")
OTHERS = ("@bob lunch?", "@bob df -h", "hi", "help", "status", "jobs", "machines", "disk on web-1", "it is slow",
          "I approve of this", "approve", "approve all", "cancel", "why?", "thanks!", "42", "", "  ", "`", "帮助",
          "the request 42 is mine, isn't it", "@everyone look", "email me @ work")  # fmt: skip


def test_commands_maybe_answers_and_what_people_say() -> None:
    """A machine that there is, or the number of a request; everything else is people's own."""
    for kind, texts in (("command", COMMANDS), ("answer", ANSWERS), ("other", OTHERS)):
        for text in texts:
            assert classify(context(text)) == kind, text
