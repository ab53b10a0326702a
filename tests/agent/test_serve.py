"""agent.serve: what a serving program becomes is what it was started as, and says so when it is asked."""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.cli import _parser
from agent.runner.hand_over import HandOver
from agent.serve import RunnerOptions, check_hand_over, next_runner
from agent.state import StateFolder
from agent.upgrade_report import read_upgrade
from common.errors import UserError
from common.identity.signing import SigningKey
from common.version import VERSION

PATIENCE = 30.0


@pytest.mark.parametrize(
    "options",
    [
        RunnerOptions(StateFolder(Path("/s")), Path("/s/r.sock"), "info"),
        RunnerOptions(
            StateFolder(Path("/var/lib/with space")),
            Path("/run/r.sock"),
            "debug",
            exit_when_idle=True,
            uplink_user="answerback-agent",
            job_user="root",
            log=Path("/s/run/runner.log"),
        ),
    ],
)
def test_the_next_runner_has_the_same_options(options: RunnerOptions) -> None:
    """By the command line that both of them understand."""
    command = next_runner(options).command
    assert command[:4] == (sys.executable, "-P", "-m", "agent")
    found = _parser().parse_args(command[4:])
    assert (found.command, found.state, found.socket) == ("runner", str(options.state.path), str(options.socket))
    assert (found.log_level, found.exit_when_idle, found.log) == (
        options.log_level,
        options.exit_when_idle,
        options.log,
    )
    assert (found.uplink_user or "", found.job_user) == (options.uplink_user, options.job_user)


def test_who_asks_is_told_the_version_or_why_not() -> None:
    """A table that this version reads, and one that it does not; the uplink hands over nothing."""
    table = HandOver("0.0.9", "boot", "", 9, 10, None, (), (), (), ())
    assert check_hand_over("runner", io.BytesIO(table.encode())) == VERSION
    assert check_hand_over("uplink", io.BytesIO(b"")) == VERSION
    with pytest.raises(UserError, match=f"version {VERSION} cannot read what the runner hands over") as caught:
        check_hand_over("runner", io.BytesIO(b"\x80"))
    assert "wait until no job runs" in caught.value.cure


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateFolder]:
    """A joined machine's runner folder, and a runner that was started as a user starts it."""
    folder = StateFolder(tmp_path / "s")
    folder.runner.mkdir(parents=True, mode=0o700)
    key = SigningKey.generate()
    trust = {"name": "web-1", "hub": "h1", "job_keys": {key.id: key.public.hex()}}
    (folder.runner / "trust.json").write_text(json.dumps(trust))
    (folder.runner / "policy.toml").write_text('default = "allow"\n')
    log = (tmp_path / "log").open("wb")
    command = [sys.executable, "-m", "agent", "runner", "--state", str(folder.path)]
    process = subprocess.Popen(command, stdout=log, stderr=log, cwd=Path(__file__).resolve().parents[2])
    yield folder
    process.terminate()
    assert process.wait(PATIENCE) == 0
    log.close()


async def run(*words: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "agent", *words, stdout=-1, stderr=-2, cwd=Path(__file__).resolve().parents[2]
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


async def test_the_command_upgrades_what_runs(state: StateFolder) -> None:
    """`answerback-agent upgrade` tells each step and the outcome; the process stays the same; and again."""
    async with asyncio.timeout(PATIENCE):
        while not state.socket.exists():
            await asyncio.sleep(0.02)
    pid = (state.runner / "lock").read_text()
    status, out = await run("upgrade", "--state", str(state.path))
    assert (status, "runner: it takes over" in out) == (0, True), out
    assert f"runner: {VERSION}, begun anew, and 0 jobs ran on" in out
    assert f"uplink: none runs; the next one is {VERSION}" in out
    status, out = await run("upgrade", "--only", "runner", "--json", "--state", str(state.path))
    body = json.loads(out)
    assert (status, body["runner"]["done"], body["runner"]["after"]) == (0, True, VERSION)
    assert (state.runner / "lock").read_text() == pid
    assert os.path.exists(f"/proc/{pid.strip()}")
    found = read_upgrade(state.runner)
    assert found is not None
    assert found.pid == int(pid)
