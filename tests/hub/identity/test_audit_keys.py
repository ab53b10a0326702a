"""The audit's own key: made once, never silently replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.errors import UserError
from common.identity.signing import SigningKey
from hub.config import Folder
from hub.identity.audit_keys import load_audit_keys, make_audit_key, pins_text, renew_audit_key

HUB = "hub-1"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "keys").mkdir(mode=0o700)
    return Folder(tmp_path)


def test_it_is_made_once(folder: Folder) -> None:
    """Private; with its public key beside it; a second start changes nothing."""
    assert load_audit_keys(folder, HUB).key is None
    make_audit_key(folder, HUB)
    made = load_audit_keys(folder, HUB)
    assert made.key is not None
    assert made.trusted == {made.key.id: made.key.public}
    assert folder.audit_key.stat().st_mode & 0o777 == 0o600
    make_audit_key(folder, HUB)
    again = load_audit_keys(folder, HUB).key
    assert again is not None
    assert again.id == made.key.id


def test_a_new_one_keeps_the_old_public_keys(folder: Folder) -> None:
    make_audit_key(folder, HUB)
    old = load_audit_keys(folder, HUB)
    new = renew_audit_key(folder, HUB, old.pins)
    kept = load_audit_keys(folder, HUB)
    assert kept.key is not None
    assert kept.key.id == new.id
    assert list(kept.pins) == [*old.pins, new.id]


def test_what_was_replaced_or_lost_is_told(folder: Folder) -> None:
    """Trust: A7, a key put in by hand, one that is gone, a file of public keys that is none."""
    make_audit_key(folder, HUB)
    folder.audit_key.write_bytes(SigningKey.generate().to_pem())
    with pytest.raises(UserError, match="it was replaced"):
        load_audit_keys(folder, HUB)
    folder.audit_key.unlink()
    with pytest.raises(UserError, match=r"audit\.pub has its key"):
        load_audit_keys(folder, HUB)
    make_audit_key(folder, HUB)  # makes none in its place
    assert not folder.audit_key.exists()
    folder.audit_key.write_bytes(b"no key")
    folder.audit_key.chmod(0o600)
    with pytest.raises(UserError, match=r"audit\.key"):
        load_audit_keys(folder, HUB)
    folder.audit_key.write_bytes((key := SigningKey.generate()).to_pem())
    for text in (b"", b"junk\n", pins_text("hub-1", {key.id: key.public}) * 200):
        folder.audit_pins.write_bytes(text)
        with pytest.raises(UserError, match=r"audit\.pub"):
            load_audit_keys(folder, HUB)
    folder.audit_pins.unlink()
    assert load_audit_keys(folder, HUB).trusted == {key.id: key.public}
