"""Single things in words, and hostile text made neutral."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.catalogue import Language
from hub.core.chat_text import (
    FENCE,
    code_block,
    command_text,
    duration_text,
    inline_text,
    join_names,
    neutralize_mentions,
    size_text,
    time_text,
    truncate_output,
)


@pytest.mark.parametrize(
    ("seconds", "english", "chinese"),
    [
        (0, "0 ms", "0 毫秒"),
        (0.0851, "85 ms", "85 毫秒"),
        (0.9996, "1.0 s", "1.0 秒"),
        (3.21, "3.2 s", "3.2 秒"),
        (9.96, "10 s", "10 秒"),
        (59.7, "1 min", "1 分钟"),
        (75, "1 min 15 s", "1 分钟 15 秒"),
        (3_600, "1 h", "1 小时"),
        (7_500, "2 h 5 min", "2 小时 5 分钟"),
        (100_000, "1 d 3 h", "1 天 3 小时"),
        (-1, "0 ms", "0 毫秒"),
    ],
)
def test_durations(seconds: float, english: str, chinese: str) -> None:
    """Two units at most, in both languages, rounded before they are split."""
    assert duration_text(seconds, "en") == english
    assert duration_text(seconds, "zh") == chinese


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_500_000, "1.4 MiB"), (5 * 1024**4, "5.0 TiB")],
)
def test_sizes(count: int, text: str) -> None:
    """Bytes in binary units."""
    assert size_text(count) == text


def test_moments() -> None:
    """UTC; near ones with how long until then, far ones with their day, past ones alone."""
    noon = 1_700_049_600.0  # 2023-11-15 12:00 UTC
    assert time_text(noon + 600, noon, "en") == "12:10 UTC (in 10 min)"
    assert time_text(noon + 600, noon, "zh") == "12:10 UTC（10 分钟后）"
    assert time_text(noon - 600, noon, "en") == "11:50 UTC"
    assert time_text(noon + 86_400, noon, "en") == "2023-11-16 12:00 UTC (in 1 d)"


def test_lists_of_names() -> None:
    """Past the bound only their number."""
    assert join_names(["a", "b"], "en") == "a, b"
    assert join_names(["a", "b"], "zh") == "a、b"
    assert join_names([str(index) for index in range(12)], "en", most=3) == "0, 1, 2 and 9 more"
    assert join_names([str(index) for index in range(12)], "zh", most=3) == "0、1、2 及另外 9 台"
    assert join_names([str(index) for index in range(12)], "en", most=None).endswith("10, 11")


def test_commands_for_headlines() -> None:
    """As one would type it, filters included; exact where that cannot be typed; bounded."""
    assert command_text(["df", "-h", "/srv/a+b"]) == "df -h /srv/a+b"
    assert command_text(["echo", "a b"]) == "echo 'a b'"
    assert command_text(["echo", "a\nb"]) == '["echo", "a\\nb"]'
    assert command_text(["ps", "aux"], [("grep", "a b"), ("wc", "-l")]) == "ps aux | grep 'a b' | wc -l"
    assert command_text(["echo", "`x`"]).count("`") == 0
    assert len(command_text(["echo", "x" * 5_000])) == 200


@pytest.mark.parametrize(
    "text",
    [
        "@everyone",
        "@Here!",
        "<!here>",
        "<!channel>",
        "<@U123>",
        "<@&77>",
        "<@!5>",
        '<at user_id="all">x</at>',
        "<users/all>",
    ],
)
def test_mentions_call_nobody(text: str) -> None:
    """The ways in which Slack, Discord, Feishu, WeCom, Teams and others write a mention."""
    shown = neutralize_mentions(f"a {text} b")
    assert text not in shown
    assert neutralize_mentions(shown) == shown


@pytest.mark.parametrize("text", ["@web-1 df -h", "a@b.example", "a < b", "<div>", "<!DOCTYPE html>", "x<y>z", "@*"])
def test_other_signs_stay(text: str) -> None:
    """Help shows commands, and output shows markup, as they are."""
    assert neutralize_mentions(text) == text


@given(st.text(max_size=60))
def test_output_cannot_end_its_block(text: str) -> None:
    """Whatever is printed, there are two fences: ours."""
    assert code_block(text).count(FENCE) == 2


def test_prose_is_one_line_without_code_marks() -> None:
    """Reasons and names from elsewhere stand within a sentence."""
    shown = inline_text("no\n`really`\u202e" + "x" * 1_000)
    assert "\n" not in shown
    assert "`" not in shown
    assert "\u202e" not in shown
    assert len(shown) == 300


LINES = "\n".join(f"line {index}" for index in range(1_000))


def test_a_long_output_keeps_both_ends() -> None:
    """With the number of lines between them."""
    text, cut = truncate_output(LINES, 400, "en")
    assert cut
    assert len(text) <= 400
    assert text.startswith("line 0\nline 1\n")
    assert text.endswith("line 999")
    shown = [line for line in text.split("\n") if line.startswith("line ")]
    assert f"lines left out: {1_000 - len(shown)}" in text


def test_of_the_beginning_of_an_output_only_the_beginning_is_shown() -> None:
    """The end of a part is not the end of the whole."""
    text, cut = truncate_output(LINES, 400, "zh", whole=False)
    assert cut
    assert "line 999" not in text
    assert text.endswith("… 其余省略 …")


def test_a_short_output_stays() -> None:
    """Nothing is said to be missing; blanks at the end go."""
    assert truncate_output("a\nb\n\n", 100, "en") == ("a\nb", False)


@given(st.text("ab\n", max_size=300), st.integers(0, 200), st.booleans(), st.sampled_from(["en", "zh"]))
def test_shortening_keeps_to_its_room(text: str, room: int, whole: bool, language: Language) -> None:
    """Whatever the lines are like; one endless line too."""
    shown, cut = truncate_output(text, room, language, whole=whole)
    assert len(shown) <= max(room, 40)
    assert cut or shown == text.rstrip()


def test_the_top_of_a_long_output_is_not_lost_to_its_long_lines() -> None:
    """Head and tail by lines; a line of a megabyte becomes a short one."""
    text = "\n".join(["first", "x" * 1_000_000, *(f"line {number}" for number in range(500)), "last"])
    shown, cut = truncate_output(text, 2_000, "en")
    assert cut
    assert len(shown) <= 2_000
    assert shown.startswith("first\nxxx")
    assert shown.endswith("line 499\nlast")


def test_the_end_of_an_output_that_is_not_here_whole_is_shown_too() -> None:
    shown, cut = truncate_output("head 1\nhead 2\n" * 500, 300, "en", whole=False, end="half a\ntail 1\ntail 2\n")
    assert cut
    assert len(shown) <= 300
    assert shown.startswith("head 1\nhead 2\n")
    assert shown.endswith("… the middle is left out …\ntail 1\ntail 2")
