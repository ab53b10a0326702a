"""hub.chat.platforms.wecom_config: an app and an AI bot have keys of their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from common.errors import UserError
from hub.chat.platforms.wecom_config import WecomInlet, check_keys

APP = WecomInlet(
    platform="wecom",
    secret_file=Path("secrets/wecom"),
    app_secret_file=Path("secrets/wecom-app"),
    corp_id="ww5823bf96d3bd56c7",
    agent_id=1_000_002,
)
BOT = replace(APP, app_secret_file=None, corp_id="", agent_id=None, outbound=True, bot_id="aib-1")


def test_each_has_what_it_needs() -> None:
    """And nothing of the other; an AgentId of 0 is one."""
    for table in (APP, BOT, replace(APP, agent_id=0)):
        check_keys(table)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (replace(APP, corp_id=""), "there is no corp_id"),
        (replace(APP, agent_id=None), "there is no agent_id"),
        (replace(APP, app_secret_file=None), "there is no app_secret_file"),
        (replace(APP, bot_id="aib-1"), "bot_id is not of a self-built app"),
        (replace(BOT, bot_id=""), "there is no bot_id"),
        (replace(BOT, corp_id="ww5823bf96d3bd56c7"), "corp_id is not of an AI bot"),
    ],
    ids=["corp", "agent", "secret", "bot", "no bot", "app"],
)
def test_what_is_missing_or_too_much_is_named(table: WecomInlet, words: str) -> None:
    """With what helps."""
    with pytest.raises(UserError, match=words) as raised:
        check_keys(table)
    assert raised.value.cure
