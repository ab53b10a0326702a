"""A message without the marks and the mention around it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.inventory import Inventory, Machine
from hub.planning.reading import MAX_READ, read_message
from tests.hub.planning.runbooks.world import FLEET


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("@web-1 df -h", "@web-1 df -h"),
        ("  @web-1 df -h \n", "@web-1 df -h"),
        ("`@web-1 df -h`", "@web-1 df -h"),
        ("```\n@web-1 uptime\n```", "@web-1 uptime"),
        ("```bash\n@web-1 uptime\n```", "@web-1 uptime"),
        ("```@web-1 uptime```", "@web-1 uptime"),
        ("@web-1 `df -h`", "@web-1 df -h"),
        ("@web-1\n```sh\ndf -h\n```", "@web-1 df -h"),
        ("“approve r1”", "approve r1"),
        ("‘approve r1’", "approve r1"),
        ('"approve r1"', "approve r1"),
        ("「批准 r1」", "批准 r1"),
        ("**approve r1**", "approve r1"),
        ("• disk on web-1", "disk on web-1"),
        ("<@U012AB3CD> disk on web-1", "disk on web-1"),
        ("<@U1|answerback>: `@web-1 df -h`", "@web-1 df -h"),
        ('<at id="7">Answerback</at> help', "help"),
        ("@_user_1 help", "help"),
        ("help <@U1>", "help"),
        ("@answerback df -h on web-1", "df -h on web-1"),
        ("@Answerback: help", "help"),
        ("＠answerback，帮助", "帮助"),
        ("answerback, help", "help"),
        ("answerback approve r46", "approve r46"),
        ("@answerback", "hi"),
        ("hey bot, uptime on web-1", "uptime on web-1"),
        ("Hey answerback uptime on web-1", "uptime on web-1"),
        ("你好机器人，帮助", "帮助"),
        ("hi bot!", "hi"),
        ("$ df -h", "df -h"),
        ("# df -h on web-1", "df -h on web-1"),
        ("```\n$ df -h\n```", "df -h"),
        ("/help", "help"),
        ("/approve@answerback_bot r42", "approve r42"),
        ("/var/log on web-1", "/var/log on web-1"),
        ("<@U1>", "hi"),
        ("> approve r1\n> it is fine\n\nreject r1", "reject r1"),
        ("＠ｗｅｂ－１　ｄｆ　－ｈ", "@web-1 df -h"),
        ("👍🏽", "👍"),
        # what stays as it is
        ("@web-1 echo 'a' `b`", "@web-1 echo 'a' `b`"),
        ("“approve r1” or “reject r1”", "“approve r1” or “reject r1”"),
        ("@web-1 echo “ａ”", "@web-1 echo “ａ”"),
        ("@web-1 echo ❤️", "@web-1 echo ❤️"),
        ("> only a quotation", "> only a quotation"),
        ("answerbacks are fun", "answerbacks are fun"),
        ("bot, help", "bot, help"),
        ("hey bottle", "hey bottle"),
        ("#42", "#42"),
        ("$HOME", "$HOME"),
    ],
)
def test_marks_and_mentions_are_left_out(text: str, read: str) -> None:
    """Whatever stands around the whole message; nothing within it."""
    assert read_message(text, FLEET) == read


def test_a_machine_may_have_the_bots_name() -> None:
    """Then its mention is a target."""
    fleet = Inventory({"answerback": Machine("answerback")})
    assert read_message("@answerback df -h", fleet) == "@answerback df -h"


@pytest.mark.parametrize("text", ["@opsbot df -h", "opsbot: df -h", "＠OpsBot，df -h", "<@U1> df -h"])
def test_the_bot_has_the_name_of_its_chat(text: str) -> None:
    """As configured for the inlet; the name of another is a machine's."""
    assert read_message(text, FLEET, "opsbot") == "df -h"
    assert read_message("@answerback df -h", FLEET, "opsbot") == "@answerback df -h"


def test_long_messages_are_left_alone() -> None:
    """Reading costs nothing then."""
    text = "`" + "x" * MAX_READ + "`"
    assert read_message(text, FLEET) == text


@given(st.text(max_size=60))
def test_reading_is_done_at_once(text: str) -> None:
    """Read again, a message that is in no more layers than we take off stays the same; nothing raises."""
    once = read_message(text, FLEET)
    assert len(once) <= max(len(text), 2)
