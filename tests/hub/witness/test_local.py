"""A command signs what it has changed, and leaves to the hub what takes long."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.identity.signing import SigningKey
from hub.identity.keys import HubKeys
from hub.witness import local
from hub.witness.file import WitnessFile
from hub.witness.local import sign_beside
from tests.hub.hub_harness import NOW, HubHarness


def test_a_command_signs_once_what_it_has_changed(harness: HubHarness) -> None:
    """In the store and in the file; again only where there is more."""
    harness.write(lambda txn: txn.audit("test.row", "r", "t", {}, NOW))
    for _ in range(2):
        assert sign_beside(harness.store, harness.config, harness.keys, NOW) == ""
    (mark,) = harness.read(lambda txn: txn.checkpoints())
    assert mark.seq == 2  # with the row that hands the log from the job key to its own
    lines = harness.config.audit.file.read_text().splitlines()
    assert len(lines) == 2
    last = WitnessFile(harness.config.audit.file, harness.keys.hub_id).last()
    assert last is not None
    assert last.hash == mark.hash


def test_without_a_key_and_with_much_to_read_it_is_the_hubs(
    harness: HubHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = HubKeys(harness.keys.authorities, harness.keys.job_key, harness.keys.sealer)
    assert sign_beside(harness.store, harness.config, keys, NOW) == ""
    monkeypatch.setattr(local, "PAGE", local.MAX_ROWS)
    monkeypatch.setattr("hub.witness.signer.PAGE", 1)
    harness.write(lambda txn: txn.audit("test.row", "r", "t", {}, NOW))
    assert sign_beside(harness.store, harness.config, harness.keys, NOW) == ""
    assert harness.read(lambda txn: txn.checkpoints()) == []


def test_why_it_is_not_signed_is_said(harness: HubHarness, tmp_path: Path) -> None:
    """Another key than the log's; a file that cannot be written."""
    harness.write(lambda txn: txn.audit("test.row", "r", "t", {}, NOW))
    harness.write(lambda txn: txn.put_meta("audit.key", SigningKey.generate().id))
    assert "was handed to the key" in sign_beside(harness.store, harness.config, harness.keys, NOW)
    harness.write(lambda txn: txn.put_meta("audit.key", harness.keys.audit.key.id))  # type: ignore[union-attr]
    harness.config.audit.file.mkdir()
    assert "audit.witness" in sign_beside(harness.store, harness.config, harness.keys, NOW)
