"""`link CODE` as people say it, and as it is stored."""

from __future__ import annotations

from hub.planning.chat_commands import REDACTED, redact
from hub.planning.link_words import link_code

CODE = "7k3mq9fxp2"


def test_how_it_is_said() -> None:
    """With and without its dash, whatever a telephone makes of it; nothing else is one."""
    for text in (
        "link 7k3mq-9fxp2",
        "Link 7K3MQ-9FXP2.",
        "link: 7k3mq9fxp2",
        "  link 7k3mq–9fxp2  ",
        "ｌｉｎｋ　7k3mq－9fxp2",
        "绑定 7k3mq-9fxp2。",
        "绑定7k3mq-9fxp2",
    ):
        assert link_code(text) == CODE, text
    assert link_code(f"link {REDACTED}") == ""
    for text in ("link", "link web-1", "link 7k3mq", "link 7k3mq-9fxp2 please run df", "linkage 7k3mq-9fxp2",
                 "link abcde-fghjk", "unlink 7k3mq-9fxp2", "7k3mq-9fxp2", "@web-1 link 7k3mq-9fxp2"):  # fmt: skip
        assert link_code(text) is None, text


def test_it_is_stored_without_its_code() -> None:
    """Also behind a mention, or with more words; other words stay."""
    for text in ("link 7k3mq-9fxp2", "<@U1> LINK 7K3MQ-9FXP2", "please link 7k3mq9fxp2 now", "绑定：7k3mq-9fxp2"):
        kept = redact(text)
        assert REDACTED in kept
        assert "9fxp2" not in kept.lower()
    assert redact("link web-12345 to web-67890") == "link web-12345 to web-67890"
