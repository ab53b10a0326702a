"""How an inlet of hub.toml becomes one, with the platform that it names."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.errors import UserError
from common.values import Size
from hub.chat.inlets import build_inlets, create_platform
from hub.config import HubConfig, HubTable
from hub.core.http_table import HttpTable
from hub.core.inlet_table import InletTable


def test_a_secret_is_needed(tmp_path: Path) -> None:
    """An empty secret file would accept everyone who signs with nothing."""
    with pytest.raises(UserError, match="no secret"):
        create_platform(InletTable("generic", tmp_path / "ops"), tmp_path)


def test_inlets_come_from_the_configuration(tmp_path: Path) -> None:
    """Rate and body limit are the inlet's own or those of [http]; a bad secret names its inlet."""
    table = InletTable("generic", tmp_path / "ops", ("chat.example",), secrets=(b"a long enough secret",))
    own = InletTable(
        "generic", tmp_path / "dev", rate=7, body_limit=Size(2_048), bot="opsbot", secrets=(b"a long enough secret",)
    )
    config = HubConfig(HubTable("hub"), http=HttpTable(rate=11, burst=13), inlets={"ops": table, "dev": own})
    inlets = build_inlets(config)
    assert (inlets["ops"].name, inlets["ops"].reply_hosts) == ("ops", ("chat.example",))
    assert (inlets["ops"].rate, inlets["ops"].burst, inlets["ops"].body_limit) == (11, 13, 256 * 1024)
    assert (inlets["dev"].rate, inlets["dev"].body_limit) == (7, 2_048)
    assert (inlets["ops"].bot, inlets["dev"].bot) == ("answerback", "opsbot")
    named = InletTable("generic", tmp_path / "ops", bot="@ops bot", secrets=(b"a long enough secret",))
    with pytest.raises(UserError, match=r"\[inlets.ops\] bot is no name"):
        build_inlets(HubConfig(HubTable("hub"), inlets={"ops": named}))
    short = InletTable("generic", tmp_path / "ops", secrets=(b"short",))
    with pytest.raises(UserError, match=r"\[inlets.ops\].*shorter"):
        build_inlets(HubConfig(HubTable("hub"), inlets={"ops": short}))
    odd = InletTable("generic", tmp_path / "ops", ("*.example",), secrets=(b"a long enough secret",))
    with pytest.raises(UserError, match=r"\[inlets.ops\] reply_hosts: '\*.example'"):
        build_inlets(HubConfig(HubTable("hub"), inlets={"ops": odd}))
