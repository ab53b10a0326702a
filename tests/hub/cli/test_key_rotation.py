"""Rotation of the sealing keys: interrupted anywhere it goes on, and a backup of before needs its key and no other."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from common.errors import UserError, WorkFailed
from common.identity.sealing import Sealer
from hub.chat.inlets import load_config
from hub.cli import admin, key_rotation
from hub.cli.init import init
from hub.cli.register import offer_factor
from hub.config import HubConfig
from hub.core.audit_chain import verify
from hub.core.records import Request
from hub.engine.planning_queue import seal_context
from hub.identity.key_ring import read_ring
from hub.store.errors import SealBroken
from hub.store.sealing_keys import LOADED
from hub.store.transaction import Txn
from tests.hub.store.conftest import Make

NOW = time.time()
PROMPTS = 30
TEXT = "disk on web-1"


@pytest.fixture
def config(tmp_path: Path, make: Any) -> HubConfig:
    """A hub with an admin who has a second factor, and a request with prompts."""
    summary = init(tmp_path / "hub", now=NOW, admin="alice", record=lambda made: admin.record_init(made, NOW))
    config = load_config(summary.folder.config)
    offer_factor(config, "alice", NOW)
    ring = read_ring(config.store)

    def unit(txn: Txn) -> None:
        request: Request | None = txn.add_request(make.request(text=TEXT))
        assert request is not None
        for number in range(PROMPTS):
            txn.add_sealed(request.id, "prompt", ring.seal(b"%d" % number, seal_context(request.id)), NOW)

    with admin.open_store(config, NOW) as store:
        store.write_now(unit)
    return config


@pytest.fixture
def make() -> Make:
    import itertools

    return Make(itertools.count(1))


def texts(config: HubConfig) -> list[str]:
    with admin.open_store(config, NOW) as store:
        return [request.text for request in store.read_now(lambda txn: txn.requests())]


def test_rotate_and_retire(config: HubConfig) -> None:
    """Lesson A7: a new key seals, everything is under it and opens with it alone; only then may the old one go, which
    is audited; no key is told, ids are.
    """
    old = read_ring(config.store)
    done = key_rotation.rotate(config, NOW)
    ring = read_ring(config.store)
    assert (ring.ids[1:], done.before, done.primary, done.finished) == (old.ids, old.ids[0], ring.ids[0], False)
    assert (done.rewrapped, done.verified, done.hub, done.problems) == (PROMPTS + 2, PROMPTS + 3, "", ())
    assert oct(config.store.seal_key_file.stat().st_mode & 0o777) == "0o600"
    assert texts(config) == [TEXT]
    report = key_rotation.list_keys(config, NOW)
    assert {(row.key.id, row.key.state, row.in_ring, bool(row.wraps)) for row in report.keys} == {
        (old.ids[0], "decrypt", True, False),
        (ring.ids[0], "primary", True, True),
    }
    with pytest.raises(UserError, match="is the key that seals"):
        key_rotation.retire(config, ring.ids[0], NOW)
    with pytest.raises(UserError, match="there is no key"):
        key_rotation.retire(config, "0" * 16, NOW)
    assert key_rotation.retire(config, old.ids[0], NOW).state == "retired"
    assert read_ring(config.store).ids == ring.ids[:1]
    assert texts(config) == [TEXT]
    with admin.open_store(config, NOW) as store:
        kinds = [event.kind for event in store.read_now(lambda txn: txn.events(kind_prefix="keys."))]
        assert verify(store.read_now(lambda txn: txn.chain(limit=1000)), [], {}, hub="").ok
    assert kinds == ["keys.rotated", "keys.retired"]


def test_a_key_that_is_needed_stays(config: HubConfig) -> None:
    """Something under the old key that does not open any more: named by both, and the key is not taken away."""
    old = read_ring(config.store).ids[0]
    with admin.open_store(config, NOW) as store:

        def damage(txn: Txn) -> None:
            person = txn.person("alice")
            assert person is not None
            secret = person.totp_secret
            values = {name: getattr(person, name) for name in person.__dataclass_fields__}
            values["totp_secret"] = secret[:-1] + bytes((secret[-1] ^ 1,))
            txn.save_person(person, type(person)(**values))

        store.write_now(damage)
    done = key_rotation.rotate(config, NOW)
    assert [one.place for one in done.problems] == ["second factors (totp_secret): alice"]
    with pytest.raises(UserError, match=r"still wraps 1 second factors.*alice"):
        key_rotation.retire(config, old, NOW)
    assert old in read_ring(config.store).ids


KILLED = """
import os, signal, sys
from pathlib import Path
from hub.chat.inlets import load_config
from hub.cli import key_rotation
from hub.store.sql import Connection
config, after = load_config(Path(sys.argv[1])), int(sys.argv[2])
key_rotation.BATCH = 5
real, count = Connection.change, 0
def change(self, statement, params={}):
    global count
    if "wrapped" in str(statement.core) or "sealed" in str(statement.core) or "totp" in str(statement.core):
        count += 1
        if count > after:
            os.kill(os.getpid(), signal.SIGKILL)
    return real(self, statement, params)
Connection.change = change
key_rotation.rotate(config, 1_800_000_000.0)
"""


def test_a_kill_anywhere_costs_nothing(config: HubConfig) -> None:
    """Lesson A7: killed at the first write, between batches and within one, the store reads as before; run again it
    finishes, with one new key and not one a try, and the old key can go.
    """
    old = read_ring(config.store).ids[0]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    for after in (0, 1, 6, 13):
        program = (sys.executable, "-c", KILLED, str(config.path), str(after))
        assert subprocess.run(program, env=environment, check=False).returncode == -signal.SIGKILL
        assert texts(config) == [TEXT]
    done = key_rotation.rotate(config, NOW)
    assert done.finished
    assert len(read_ring(config.store).ids) == 2
    assert done.verified >= PROMPTS + 3
    assert key_rotation.retire(config, old, NOW).state == "retired"
    assert texts(config) == [TEXT]


def test_a_backup_of_before_needs_its_own_key(config: HubConfig, tmp_path: Path) -> None:
    """Lesson A7: the database as it was before the rotation reads with the key that was kept apart, and with no other;
    what is missing is named by its id.
    """
    copy = tmp_path / "old"
    shutil.copytree(config.folder.path, copy)
    escrow = (copy / "secrets" / "seal.key").read_bytes()
    old = read_ring(config.store).ids[0]
    key_rotation.rotate(config, NOW)
    key_rotation.retire(config, old, NOW)
    before = load_config(copy / "hub.toml")
    assert texts(before) == [TEXT]
    (copy / "secrets" / "seal.key").write_bytes(config.store.seal_key_file.read_bytes())
    with pytest.raises(SealBroken, match=old):
        texts(before)
    (copy / "secrets" / "seal.key").write_bytes(escrow)
    assert texts(before) == [TEXT]


def test_a_ring_that_is_not_ours_to_write(config: HubConfig, tmp_path: Path) -> None:
    """Of a command a person changes what it prints; then everything goes to the new first key, and the old one is
    retired when its line is gone.
    """
    ring = tmp_path / "ring"
    old = read_ring(config.store)
    ring.write_text(old.to_text())
    text = config.path.read_text().replace("# seal_key_command = []", f'seal_key_command = ["/bin/cat", "{ring}"]')
    config.path.write_text(text)
    config = load_config(config.path)
    with pytest.raises(UserError, match=r"from a command.*openssl rand -hex 32"):
        key_rotation.rotate(config, NOW)
    key_rotation.list_keys(config, NOW)
    with admin.open_store(config, NOW) as store:
        store.write_now(lambda txn: txn.note_ring(old.ids, NOW))
    new = old.with_new_key()
    ring.write_text(new.to_text())
    done = key_rotation.rotate(config, NOW)
    assert (done.primary, done.before, done.rewrapped) == (new.ids[0], old.ids[0], PROMPTS + 2)
    with pytest.raises(UserError, match="take its line out there"):
        key_rotation.retire(config, old.ids[0], NOW)
    ring.write_text(new.first_only().to_text())
    assert key_rotation.retire(config, old.ids[0], NOW).state == "retired"
    assert texts(config) == [TEXT]


def test_a_hub_that_has_not_the_ring_is_waited_for(config: HubConfig) -> None:
    """While a hub serves that still seals under the old key, that key stays; the wait has an end."""
    waits: list[float] = []
    old = read_ring(config.store).ids[0]
    with admin.open_store(config, NOW) as store:
        store.acquire()
        store.write_now(lambda txn: txn.put_meta(LOADED, old))
        with pytest.raises(WorkFailed, match="has not the new key yet"):
            key_rotation.rotate(config, NOW, waits.append)
        assert sum(waits) == pytest.approx(key_rotation.TAKE_UP_SECONDS)
        new = read_ring(config.store).ids[0]
        assert set(store.read_now(lambda txn: txn.wrapped_counts())) == {old}  # that hub still reads everything
        with pytest.raises(UserError, match="still seals under another key"):
            key_rotation.retire(config, old, NOW, waits.append)
        store.write_now(lambda txn: txn.put_meta(LOADED, f"{new} {old}"))
        done = key_rotation.rotate(config, NOW, waits.append)
        assert (done.primary, done.finished, done.hub) == (new, True, "yes")
        assert key_rotation.retire(config, old, NOW, waits.append).state == "retired"


def test_a_damaged_store_is_no_success(config: HubConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last step opens everything: what does not open there is told as a failure."""
    monkeypatch.setattr(Sealer, "first_only", lambda self: Sealer.generate())
    with pytest.raises(WorkFailed, match="data keys"):
        key_rotation.rotate(config, NOW)
