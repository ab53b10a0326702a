"""`inlet record`: asks the serving hub, waits for the files, and ends what it began."""

from __future__ import annotations

import asyncio
import json
import stat
import time
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest

import hub.cli.main
from common.errors import UserError
from hub.chat.inlets import build_inlets, load_config
from hub.chat.platforms.base import WebhookRequest
from hub.chat.recorder import DeliveryRecorder, orders, recordings_folder
from hub.cli.admin import open_store
from hub.cli.inlet_record import begin_recording
from hub.config import HubConfig
from tests.run_main import run_main


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> HubConfig:
    folder = tmp_path_factory.mktemp("record") / "hub"
    ended = run_main(hub.cli.main.main, "init", str(folder), "--admin", "alice", "--http", "127.0.0.1:2")
    assert ended.code == 0, ended.err
    return load_config(folder / "hub.toml")


class Serving:
    """What a hub does of it, whenever the terminal waits: takes what was asked for, and one delivery each time."""

    def __init__(self, config: HubConfig) -> None:
        self.config = config
        self.inlets = build_inlets(config)
        self.recorder: DeliveryRecorder | None = None

    def __call__(self, seconds: float) -> None:
        with open_store(self.config, time.time()) as store:
            if self.recorder is None:
                self.recorder = DeliveryRecorder(store, self.inlets, self.config.folder.path)
            self.recorder._store = store
            asyncio.run(self.recorder.run_due(time.time()))
            self.recorder.note(self.inlets["ops"], WebhookRequest(b'{"text": "hello"}'), time.time())


@pytest.mark.parametrize("elsewhere", [False, True])
def test_each_file_as_it_comes(config: HubConfig, elsewhere: bool, tmp_path: Path) -> None:
    """Where the hub wrote it, or in the folder that was named, and then there alone; 0600 in any case."""
    out = tmp_path / "fixtures" if elsewhere else None
    run = begin_recording(config, "ops", 2, out)
    found = list(run.files(Serving(config)))
    assert len(found) == 2
    kept = recordings_folder(config.folder.path, "ops")
    assert {file.parent for file in found} == {out or kept}
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in found)
    assert all(json.loads(file.read_text())["platform"] == "generic" for file in found)
    assert not elsewhere or not list(kept.glob(f"{run.order.id}*"))


def test_left_early_it_is_ended(config: HubConfig) -> None:
    """Ctrl-C, or anything else: the hub records no longer."""

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    run = begin_recording(config, "ops", 2, None)
    with pytest.raises(KeyboardInterrupt):
        list(run.files(interrupt))
    with open_store(config, time.time()) as store:
        assert store.read_now(orders) == {}


def test_a_hub_that_died_is_not_waited_for(config: HubConfig) -> None:
    """Nobody ends the recording: its own time does."""
    run = begin_recording(config, "ops", 2, None)
    waits: list[float] = []
    late = replace(run, order=replace(run.order, until=time.time() - 60))
    assert list(late.files(waits.append)) == []
    assert waits == []


def test_what_cannot_be_recorded(config: HubConfig, tmp_path: Path) -> None:
    """No such inlet, no folder, no hub: said at once, and nothing is asked for."""
    with pytest.raises(UserError, match="no inlet nope"):
        begin_recording(config, "nope", 1, None)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file"):
        begin_recording(config, "ops", 1, tmp_path / "file" / "x")

    async def nobody(*where: object) -> None:
        return None

    with patch("hub.cli.inlets.ask", nobody):
        ended = run_main(hub.cli.main.main, "inlet", "record", "ops", "--config", str(config.path))
    assert (ended.code, "no hub answers" in ended.err) == (2, True)
    with open_store(config, time.time()) as store:
        assert store.read_now(orders) == {}
