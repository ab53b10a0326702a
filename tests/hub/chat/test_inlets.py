"""Which platforms there are, and how an inlet of hub.toml becomes one."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.config import Size
from common.errors import UserError
from hub.chat.inlets import PLATFORMS, inlets_of, make_platform
from hub.config import PLATFORMS as CONFIGURABLE
from hub.config import HttpTable, HubConfig, HubTable, InletTable

SECRETS = {"generic": [b"a long enough secret"], "standard": [b"whsec_" + b"a" * 32]}


def test_every_platform_of_the_configuration_can_be_made() -> None:
    """What hub.toml accepts as a platform exists, and the other way round."""
    assert set(PLATFORMS) == set(CONFIGURABLE) == set(SECRETS)
    for kind, secrets in SECRETS.items():
        assert make_platform(kind, secrets).kind == kind


def test_an_unknown_platform_is_named_with_those_there_are() -> None:
    """The refusal tells what could be written instead."""
    with pytest.raises(UserError, match=r"'telepathy'.*generic, standard"):
        make_platform("telepathy", [b"secret"])


def test_a_secret_is_needed() -> None:
    """An empty secret file would accept everyone who signs with nothing."""
    with pytest.raises(UserError, match="no secret"):
        make_platform("generic", [])


def test_inlets_come_from_the_configuration(tmp_path: Path) -> None:
    """Rate and body limit are the inlet's own or those of [http]; a bad secret names its inlet."""
    table = InletTable("generic", tmp_path / "ops", ("chat.example",), secrets=(b"a long enough secret",))
    own = InletTable("generic", tmp_path / "dev", rate=7, body_limit=Size(2_048), secrets=(b"a long enough secret",))
    config = HubConfig(HubTable("hub"), http=HttpTable(rate=11, burst=13), inlets={"ops": table, "dev": own})
    inlets = inlets_of(config)
    assert (inlets["ops"].name, inlets["ops"].reply_hosts) == ("ops", ("chat.example",))
    assert (inlets["ops"].rate, inlets["ops"].burst, inlets["ops"].body_limit) == (11, 13, 256 * 1024)
    assert (inlets["dev"].rate, inlets["dev"].body_limit) == (7, 2_048)
    short = InletTable("generic", tmp_path / "ops", secrets=(b"short",))
    with pytest.raises(UserError, match=r"\[inlets.ops\].*shorter"):
        inlets_of(HubConfig(HubTable("hub"), inlets={"ops": short}))
    odd = InletTable("generic", tmp_path / "ops", ("*.example",), secrets=(b"a long enough secret",))
    with pytest.raises(UserError, match=r"\[inlets.ops\] reply_hosts: '\*.example'"):
        inlets_of(HubConfig(HubTable("hub"), inlets={"ops": odd}))
