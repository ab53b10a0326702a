"""The work behind `rotate` and `retire`: bounds, and files that others change meanwhile."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

import hub.cli.main
from common.errors import UserError
from hub.chat.inlets import load_config
from hub.cli.admin import open_store
from hub.cli.rotation import inlet_files, new_line, retire, rotate
from hub.config import MAX_SECRETS
from hub.core.secret_uses import fingerprint
from tests.run_main import run_main


def test_a_file_takes_ten_secrets_and_what_changed_meanwhile_stays(tmp_path: Path) -> None:
    """Trust: nothing that somebody else wrote is lost, and a refused change leaves no audit row."""
    made = tmp_path / "hub"
    assert run_main(hub.cli.main.main, "init", str(made), "--admin", "alice", "--http", "127.0.0.1:18099").code == 0
    config, now = load_config(made / "hub.toml"), time.time()
    (file,) = inlet_files(config, "ops")
    kept: list[bytes] = []

    def somebody_writes(lines: object) -> None:
        file.path.write_bytes(b"written by hand meanwhile\n")

    with pytest.raises(UserError, match="changed meanwhile"):
        rotate(config, replace(file, check=somebody_writes), b"n" * 32, now)
    assert file.path.read_bytes() == b"written by hand meanwhile\n"
    with open_store(config, now) as store:
        assert store.read_now(lambda txn: txn.events(kind_prefix="secret.")) == []
    for number in range(MAX_SECRETS - 1):
        kept.append(b"%032d" % number)
        assert rotate(config, file, kept[-1], now) == fingerprint(kept[-1])
    with pytest.raises(UserError, match="the most there may be"):
        rotate(config, file, b"n" * 32, now)
    assert file.lines() == [*reversed(kept), b"written by hand meanwhile"]
    assert retire(config, [file], fingerprint(kept[3]), now, force=False) is file
    assert kept[3] not in file.lines()


def test_one_secret_is_one_line() -> None:
    assert new_line(b"  one \r\n\n") == b"one"
    for data in (b"", b"\n \n", b"one\ntwo", b"x" * 70_000):
        with pytest.raises(UserError) as refused:
            new_line(data)
        assert "one\n" not in str(refused.value)
