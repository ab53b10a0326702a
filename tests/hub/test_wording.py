"""Single things in words, and hostile text made neutral."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.catalogue import Language
from hub.wording import FENCE, command, duration, fenced, listed, moment, neutral, prose, shortened, size


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
    assert duration(seconds, "en") == english
    assert duration(seconds, "zh") == chinese


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_500_000, "1.4 MiB"), (5 * 1024**4, "5.0 TiB")],
)
def test_sizes(count: int, text: str) -> None:
    """Bytes in binary units."""
    assert size(count) == text


def test_moments() -> None:
    """UTC; near ones with how long until then, far ones with their day, past ones alone."""
    noon = 1_700_049_600.0  # 2023-11-15 12:00 UTC
    assert moment(noon + 600, noon, "en") == "12:10 UTC (in 10 min)"
    assert moment(noon + 600, noon, "zh") == "12:10 UTC（10 分钟后）"
    assert moment(noon - 600, noon, "en") == "11:50 UTC"
    assert moment(noon + 86_400, noon, "en") == "2023-11-16 12:00 UTC (in 1 d)"


def test_lists_of_names() -> None:
    """Past the bound only their number."""
    assert listed(["a", "b"], "en") == "a, b"
    assert listed(["a", "b"], "zh") == "a、b"
    assert listed([str(index) for index in range(12)], "en", most=3) == "0, 1, 2 and 9 more"
    assert listed([str(index) for index in range(12)], "zh", most=3) == "0、1、2 及另外 9 台"
    assert listed([str(index) for index in range(12)], "en", most=None).endswith("10, 11")


def test_commands_for_headlines() -> None:
    """Plain words as typed; anything else exact; bounded."""
    assert command(["df", "-h", "/srv/a+b"]) == "df -h /srv/a+b"
    assert command(["echo", "a b"]) == '["echo", "a b"]'
    assert command(["echo", "`x`"]).count("`") == 0
    assert len(command(["echo", "x" * 5_000])) == 200


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
    shown = neutral(f"a {text} b")
    assert text not in shown
    assert neutral(shown) == shown


@pytest.mark.parametrize("text", ["@web-1 df -h", "a@b.example", "a < b", "<div>", "<!DOCTYPE html>", "x<y>z", "@*"])
def test_other_signs_stay(text: str) -> None:
    """Help shows commands, and output shows markup, as they are."""
    assert neutral(text) == text


@given(st.text(max_size=60))
def test_output_cannot_end_its_block(text: str) -> None:
    """Whatever is printed, there are two fences: ours."""
    assert fenced(text).count(FENCE) == 2


def test_prose_is_one_line_without_code_marks() -> None:
    """Reasons and names from elsewhere stand within a sentence."""
    shown = prose("no\n`really`\u202e" + "x" * 1_000)
    assert "\n" not in shown
    assert "`" not in shown
    assert "\u202e" not in shown
    assert len(shown) == 300


LINES = "\n".join(f"line {index}" for index in range(1_000))


def test_a_long_output_keeps_both_ends() -> None:
    """With the number of lines between them."""
    text, cut = shortened(LINES, 400, "en")
    assert cut
    assert len(text) <= 400
    assert text.startswith("line 0\nline 1\n")
    assert text.endswith("line 999")
    shown = [line for line in text.split("\n") if line.startswith("line ")]
    assert f"lines left out: {1_000 - len(shown)}" in text


def test_of_the_beginning_of_an_output_only_the_beginning_is_shown() -> None:
    """The end of a part is not the end of the whole."""
    text, cut = shortened(LINES, 400, "zh", whole=False)
    assert cut
    assert "line 999" not in text
    assert text.endswith("… 其余省略 …")


def test_a_short_output_stays() -> None:
    """Nothing is said to be missing; blanks at the end go."""
    assert shortened("a\nb\n\n", 100, "en") == ("a\nb", False)


@given(st.text("ab\n", max_size=300), st.integers(0, 200), st.booleans(), st.sampled_from(["en", "zh"]))
def test_shortening_keeps_to_its_room(text: str, room: int, whole: bool, language: Language) -> None:
    """Whatever the lines are like; one endless line too."""
    shown, cut = shortened(text, room, language, whole=whole)
    assert len(shown) <= max(room, 40)
    assert cut or shown == text.rstrip()
