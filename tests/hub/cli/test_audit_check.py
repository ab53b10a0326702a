"""`check` and `doctor` on the audit's key and witnesses."""

from __future__ import annotations

import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest

from hub.chat.inlets import load_config
from hub.cli import admin
from hub.cli.audit_check import examine_witnesses
from hub.cli.file_check import check_all
from hub.cli.init import init
from hub.config import HubConfig

NOW = time.time()


@pytest.fixture
def config(tmp_path: Path) -> HubConfig:
    summary = init(tmp_path / "hub", now=NOW, admin="alice", record=lambda made: admin.record_init(made, NOW))
    return load_config(summary.folder.config)


def told(config: HubConfig) -> dict[str, tuple[str, str]]:
    return {one.check: (one.state, one.found) for one in examine_witnesses(config)}


def test_a_new_hub_has_a_witness(config: HubConfig) -> None:
    """And is told how to make it stronger."""
    found = told(config)
    assert found["audit file"][0] == "ok"
    assert "up to row 1" in found["audit file"][1]
    assert "audit protect" in found["audit file"][1]
    assert found["audit witnesses"] == (
        "ok",
        "none away from this folder: [audit] in hub.toml names syslog, chat, S3",
    )
    report = check_all(config.path)
    assert report.problems == []
    assert "ok  witnesses of the audit: file" in report.lines


def test_what_is_wrong_with_each_is_told(config: HubConfig, tmp_path: Path) -> None:
    """A file that is gone, emptied, another hub's; a socket that is not there; no key yet."""
    syslog = replace(config, audit=replace(config.audit, syslog=str(tmp_path / "log")))
    assert told(syslog)["audit syslog"] == ("bad", f"{tmp_path}/log: No such file or directory")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "log"))
        assert told(syslog)["audit syslog"][0] == "ok"
    text = config.audit.file.read_text()
    config.audit.file.write_text(text.replace("answerback/hub-", "answerback/hub-x"))
    assert told(config)["audit file"][0] == "bad"
    assert any("it is of hub-x" in problem for problem in check_all(config.path).problems)
    config.audit.file.write_text("")
    assert told(config)["audit file"] == ("warn", f"{config.audit.file} has no note of the audit")
    config.folder.audit_key.unlink()
    config.folder.audit_pins.unlink()
    assert told(config) == {"audit": ("warn", "the audit has no key of its own yet")}
    config.folder.audit_pins.write_text("junk")
    assert told(config) == {}  # `check` tells of the keys
    assert any("audit.pub" in problem for problem in check_all(config.path).problems)
