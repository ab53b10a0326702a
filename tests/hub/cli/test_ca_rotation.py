"""Steps of a rotation of the CA as commands make them: what each leaves on disk, what is refused, a kill anywhere."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from common.errors import UserError
from hub.chat.inlets import load_config
from hub.cli import admin, backup, ca_rotation
from hub.cli.init import init
from hub.config import HubConfig
from hub.core.records import Agent, IssuedCertificate
from hub.identity import ca_steps
from hub.identity.authorities import load_authorities, locked
from hub.identity.ca_steps import StillBehind
from hub.identity.keys import load_keys
from hub.store.transaction import Txn
from tests.forked import Setting, run_forked

NOW = 1_800_000_000.0


@pytest.fixture
def config(tmp_path: Path) -> HubConfig:
    """A hub whose admin has never used the console, so that nobody is waited for, and one machine's row."""
    summary = init(tmp_path / "hub", now=NOW, record=lambda made: admin.record_init(made, NOW))
    return load_config(summary.folder.config)


def add_machine(config: HubConfig, **more: Any) -> None:
    """A machine that has linked with a certificate of the CA there is."""
    row = IssuedCertificate("a" * 64, "agent", "web-1", 1, NOW, NOW + 86_400, key_hash="k")
    issuer = load_authorities(config.folder).current.key_id
    with admin.open_store(config, NOW) as store:

        def unit(txn: Txn) -> None:
            txn.add_agent(Agent("web-1", {}, "active", NOW, last_seen=NOW))
            txn.add_credential(replace(row, **{"issuer": issuer, **more}))

        store.write_now(unit)


def rotate(config: HubConfig, force: bool = False) -> str:
    return ca_rotation.rotate(config, force=force, clock=lambda: NOW).phase


def roll_back(config: HubConfig, force: bool = False) -> str:
    return ca_rotation.roll_back(config, force=force, clock=lambda: NOW).phase


def phases(config: HubConfig) -> list[str]:
    with admin.open_store(config, NOW) as store:
        rows = store.read_now(lambda txn: txn.events(kind_prefix="ca."))
    return [row.data["phase"] for row in rows]


def files(config: HubConfig) -> dict[str, bytes]:
    folder = config.folder.ca_key.parent
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name != "rotation.lock"}


def test_there_and_done(config: HubConfig) -> None:
    """Both in between, the new one alone in the end, its files where the old one's were; the pin of invitations is the
    old one's until then, since everybody trusts that; every step in the audit. No key is ever printed.
    """
    old = load_authorities(config.folder).current
    for phase in ("init", "update_clients", "update_servers"):
        assert rotate(config) == phase
        found = load_authorities(config.folder)
        assert (found.phase, found.current.pin, len(found.trusted)) == (phase, old.pin, 2)
        assert admin.invite_agent(config, "web-9", [], 60, NOW)["ca_pin"] == old.pin
    assert found.next is not None
    assert (found.serving.pin, found.target.pin) == (found.next.pin, found.next.pin)
    assert stat.S_IMODE(config.folder.next_ca_key.stat().st_mode) == 0o600
    assert rotate(config) == "standby"
    done = load_authorities(config.folder)
    assert (done.current.pin, done.next) == (found.next.pin, None)
    assert set(files(config)) == {"ca.pem", "ca.key"}
    assert files(config)["ca.key"] == found.next.key_pem
    assert admin.invite_agent(config, "web-9", [], 60, NOW)["ca_pin"] == done.current.pin
    assert phases(config) == ["init", "update_clients", "update_servers", "standby"]


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_there_and_back(config: HubConfig, steps: int) -> None:
    """From each phase between; then all is as it was before, and another rotation has another CA."""
    before = files(config)
    for _ in range(steps):
        rotate(config)
    first = load_authorities(config.folder).next
    assert roll_back(config) == "rollback"
    back = load_authorities(config.folder)
    assert (len(back.trusted), back.serving.pin, back.target.pin) == (2, back.current.pin, back.current.pin)
    with pytest.raises(UserError, match="on its way back"):
        rotate(config)
    assert roll_back(config) == "standby"
    assert files(config) == before
    assert rotate(config) == "init"
    assert load_authorities(config.folder).next != first
    assert phases(config)[-3:] == ["rollback", "standby", "init"]


def test_there_is_nothing_to_go_back_from(config: HubConfig) -> None:
    with pytest.raises(UserError, match="no rotation is under way"):
        roll_back(config)


def test_the_last_step_waits_for_everybody(config: HubConfig) -> None:
    """Refused with the names, nothing changed; --force makes it, and the audit has who was shut out."""
    add_machine(config)
    for _ in range(3):
        rotate(config)
    before = files(config)
    with pytest.raises(StillBehind, match="1 would be shut out by this step: web-1"):
        rotate(config)
    assert files(config) == before
    report = ca_rotation.read_report(config, NOW)
    assert [(one.holder.name, one.why) for one in report.behind] == [("web-1", "not_linked")]
    assert "answerback-hub token --agent web-1" in ca_rotation.cure_of(report.behind[0])
    assert rotate(config, force=True) == "standby"
    with admin.open_store(config, NOW) as store:
        (*_, row) = store.read_now(lambda txn: txn.events(kind_prefix="ca."))
    assert row.data["shut_out"] == ["web-1"]
    (left,) = ca_rotation.read_report(config, NOW).behind
    assert (left.holder.name, "join" in ca_rotation.cure_of(left) or "token" in ca_rotation.cure_of(left)) == (
        "web-1",
        True,
    )


def test_the_way_back_waits_too(config: HubConfig) -> None:
    """For who holds a certificate of the new CA; not for who never had one."""
    add_machine(config)
    rotate(config)
    rotate(config)
    new = load_authorities(config.folder).target.key_id
    with admin.open_store(config, NOW) as store:
        row = IssuedCertificate("b" * 64, "agent", "web-1", 2, NOW, NOW + 86_400, key_hash="l", issuer=new)
        store.write_now(lambda txn: txn.add_credential(row))
    roll_back(config)
    with pytest.raises(StillBehind, match="web-1"):
        roll_back(config)
    assert roll_back(config, force=True) == "standby"


def test_all_steps_in_one_command(config: HubConfig) -> None:
    told: list[str] = []
    done = ca_rotation.rotate(
        config, through=True, within=5.0, clock=lambda: NOW, told=lambda at: told.append(at.phase)
    )
    assert (done.phase, told) == ("standby", ["init", "update_clients", "update_servers", "standby"])


def test_all_steps_stop_where_somebody_is_missing(config: HubConfig) -> None:
    """In the first phase in which they are, once the time is over; run again it goes on from there."""
    add_machine(config)
    times = iter(range(1_000))
    with pytest.raises(StillBehind, match="web-1"):
        ca_rotation.rotate(
            config, through=True, within=5.0, clock=lambda: NOW + next(times), sleep=lambda seconds: None
        )
    assert load_authorities(config.folder).phase == "init"


def test_one_command_at_a_time(config: HubConfig) -> None:
    with locked(config.folder), pytest.raises(UserError, match="another command changes the CA"):
        rotate(config)


def test_a_backup_carries_a_rotation(config: HubConfig, tmp_path: Path) -> None:
    """The phase and both CAs; the keys are among what is sealed."""
    rotate(config)
    rotate(config)
    there = load_authorities(config.folder)
    summary = backup.backup(config, tmp_path / "b.tar", "a good passphrase", NOW)
    backup.restore(summary.path, tmp_path / "again", "a good passphrase", NOW)
    again = load_authorities(load_config(tmp_path / "again" / "hub.toml").folder)
    assert (again.state, again.since) == (there.state, there.since)
    assert b"".join(authority.key_pem for authority in again.trusted) == b"".join(
        authority.key_pem for authority in there.trusted
    )
    assert there.current.key_pem not in summary.path.read_bytes()


# ---- killed anywhere


def killing(config: HubConfig, point: int, act: Callable[[HubConfig], object]) -> Callable[[], object]:
    """`act`, killed right before its n-th write beneath ca/ or audit row."""

    def main() -> None:
        count = 0

        def reached() -> None:
            nonlocal count
            count += 1
            if count == point:
                os.kill(os.getpid(), signal.SIGKILL)

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            writes = event in ("os.rename", "os.remove") or (event == "open" and bool(arguments[2] & os.O_CREAT))
            if writes and f"{os.sep}ca{os.sep}" in str(arguments[0]):
                reached()

        real = ca_steps.note_state

        def noting(*arguments: Any) -> bool:
            reached()
            return real(*arguments)

        ca_steps.note_state = noting
        sys.addaudithook(hook)
        act(config)

    return main


WAYS: dict[str, tuple[int, Callable[[HubConfig], object]]] = {
    "init": (0, lambda config: rotate(config, force=True)),
    "update_clients": (1, lambda config: rotate(config, force=True)),
    "finish": (3, lambda config: rotate(config, force=True)),
    "rollback": (3, lambda config: roll_back(config, force=True)),
    "returned": (4, lambda config: roll_back(config, force=True)),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_kill_anywhere_leaves_one_state_or_the_other(config: HubConfig, tmp_path: Path, way: str) -> None:
    """Lesson A7: before each write of a file and each audit row. The hub always has a CA with its key, in the state
    before or after; the next command makes the step or finds it made, and the audit has each once.
    """
    steps, act = WAYS[way]
    for number in range(steps):
        rotate(config) if number < 3 else roll_back(config)
    before, point = load_authorities(config.folder).state.split(" ")[0], 0
    while True:
        point += 1
        copy = tmp_path / f"{point}"
        shutil.copytree(config.folder.path, copy)
        trial = load_config(copy / "hub.toml")
        ended = run_forked(killing(trial, point, act), [], Setting(dict(os.environ)))
        state = load_authorities(trial.folder)
        if ended.status == 0:
            break
        assert ended.status == -signal.SIGKILL, ended.err
        assert load_keys(trial).authority.pin == state.current.pin
        if state.phase == before:
            act(trial)
        rotate(trial, force=True) if load_authorities(trial.folder).phase == "standby" else roll_back(trial, force=True)
        seen = phases(trial)
        assert len(seen) == steps + 2, seen
        assert all(one != other for one, other in pairwise(seen)), seen
        shutil.rmtree(copy)
    assert state.phase != before
    assert point > 4
