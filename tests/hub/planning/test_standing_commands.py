"""What people say to allow something for a while, and to take it back."""

from __future__ import annotations

from hub.core.outcome import CannotPlan, ChatCommand
from hub.planning.standing_commands import parse_standing_command

ALLOW = ChatCommand("allow", 42, seconds=3600.0)


def test_what_is_understood() -> None:
    """In English and Chinese, the parts in any order."""
    table: dict[str, ChatCommand | None] = {
        "allow r42 for 1h": ALLOW,
        "please allow r42 60m.": ALLOW,
        "Allow #42, for 60 min": ALLOW,
        "允许 r42 1小时": ALLOW,
        "允许r42 60分钟": ALLOW,
        "allow r42 k7f2 for 1h": ChatCommand("allow", 42, seconds=3600.0, plan_code="k7f2"),
        "allow r42 for 1h K7F2 123 456": ChatCommand("allow", 42, seconds=3600.0, plan_code="k7f2", code="123456"),
        "allow r42 123456 for 30m": ChatCommand("allow", 42, seconds=1800.0, code="123456"),
        "allowed": ChatCommand("allowed"),
        "What is allowed?": ChatCommand("allowed"),
        "限时允许": ChatCommand("allowed"),
        "disallow a3": ChatCommand("disallow", 3),
        "撤回 a3": ChatCommand("disallow", 3),
        "allow me in": None,
        "is this allowed on web-1?": None,
        "disallow everything": None,
        "allow 42 for 1h": None,
        "allow r42x for 1h": None,
    }
    for text, meant in table.items():
        found = parse_standing_command(text)
        if meant is None:
            assert not isinstance(found, ChatCommand), text
        else:
            assert found == meant, text


def test_what_is_not_whole_is_asked_about() -> None:
    """Without a time, with one that is none, with words behind: the form is told, and nothing is approved."""
    for text in ("allow r42", "allow r42 for 0h", "allow r42 for ever", "allow r42 for 1h and r43", "allow r42 1h 2h"):
        found = parse_standing_command(text)
        assert isinstance(found, CannotPlan), text
        assert found.sentence.key == "allow_form"
