"""The hub's CA on disk: what each state of the files means, and that a damaged one is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.errors import UserError
from common.identity.certificates import DAY, Authority
from common.identity.trust import split_bundle, trust_digest
from common.identity.trust_check import check_bundle
from hub.cli.init import InitSummary, init
from hub.config import Folder
from hub.identity.authorities import (
    MAX_STATE,
    Authorities,
    LiveAuthorities,
    load_authorities,
    make_next,
    settle,
    stamp,
    write_phase,
)

NOW = 1_800_000_000.0


@pytest.fixture
def folder(new_hub: InitSummary) -> Folder:
    return new_hub.folder


def test_without_a_phase_there_is_one_ca(folder: Folder) -> None:
    """Also where a new one lies there that no phase speaks of: a command was killed before its step."""
    before = stamp(folder)
    make_next(folder, NOW)
    found = load_authorities(folder)
    assert (found.phase, found.trusted, found.proof(NOW)) == ("standby", (found.current,), b"")
    assert found.bundle == folder.ca_certificate.read_bytes()
    assert stamp(folder) != before


def test_between_there_are_two_and_the_proof(folder: Folder) -> None:
    """Who signs for whom, what the hub shows, and a bundle that those who trust the old one take."""
    made = make_next(folder, NOW)
    old = load_authorities(folder).current
    roles = {}
    for phase in ("init", "update_clients", "update_servers", "rollback"):
        write_phase(folder, phase, NOW)  # type: ignore[arg-type]
        found = load_authorities(folder)
        assert (found.phase, found.since) == (phase, NOW)
        assert found.issuer_for("").pin == old.pin  # whoever does not trust both knows the old one
        names = {old.pin: "old", made.pin: "new"}
        roles[phase] = (names[found.issuer_for(found.digest).pin], names[found.serving.pin])
        assert check_bundle(found.bundle + found.proof(NOW), old.certificate, found.hub, NOW) == found.bundle
    assert roles == {
        "init": ("old", "old"),
        "update_clients": ("new", "old"),
        "update_servers": ("new", "new"),
        "rollback": ("old", "old"),
    }
    assert found.digest == trust_digest(made.certificate + old.certificate)


@pytest.mark.parametrize("cut", range(4))
def test_the_end_can_be_cut_anywhere(folder: Folder, cut: int) -> None:
    """The new CA with its own key in each state that a kill leaves; then the files are put in order."""
    made = make_next(folder, NOW)
    write_phase(folder, "finished", NOW)
    if cut > 0:
        folder.next_ca_key.replace(folder.ca_key)
    if cut > 1:
        folder.next_ca_certificate.replace(folder.ca_certificate)
    if cut > 2:
        folder.ca_rotation.unlink()
    for _ in range(2):
        found = load_authorities(folder)
        assert (found.phase, found.current.pin, found.current.key_pem) == ("standby", made.pin, made.key_pem)
        settle(folder)
    assert {path.name for path in folder.ca_key.parent.iterdir()} == {"ca.pem", "ca.key"}


def test_the_way_back_ends_with_the_old_one(folder: Folder) -> None:
    old = load_authorities(folder).current
    make_next(folder, NOW)
    write_phase(folder, "returned", NOW)
    folder.next_ca_key.unlink()
    for _ in range(2):
        assert load_authorities(folder).current.pin == old.pin
        settle(folder)
    assert {path.name for path in folder.ca_key.parent.iterdir()} == {"ca.pem", "ca.key"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "not of its form"),
        ("[]", "not of its form"),
        ('{"phase": "init"}', "not of its form"),
        ('{"phase": "init", "since": "x"}', "not of its form"),
        ('{"phase": "later", "since": 1}', "there is no phase later"),
        ('{"phase": ["init"], "since": 1}', "there is no phase"),
        (" " * (MAX_STATE + 1), "larger than"),
        ('{"phase": "init", "since": 1}', r"next\.pem: there is no such file"),
    ],
)
def test_a_damaged_state_is_named(folder: Folder, text: str, told: str) -> None:
    folder.ca_rotation.write_text(text)
    with pytest.raises(UserError, match=told):
        load_authorities(folder)


def test_another_hubs_ca_is_not_taken(folder: Folder, tmp_path: Path) -> None:
    """A file from elsewhere in the place of the new CA; and a key that is not its certificate's."""
    other = init(tmp_path / "other", now=NOW).folder
    make_next(folder, NOW)
    write_phase(folder, "init", NOW)
    folder.next_ca_key.write_bytes(other.ca_key.read_bytes())
    with pytest.raises(UserError, match="the key is not the certificate's"):
        load_authorities(folder)
    folder.next_ca_certificate.write_bytes(other.ca_certificate.read_bytes())
    with pytest.raises(UserError, match="the CA of another hub"):
        load_authorities(folder)


def test_the_proof_is_made_anew_once_a_day() -> None:
    """It is good for thirty days, and a rotation may take longer; where the old CA has run out there is none."""
    old, new = (Authority.create("hub-1", NOW) for _ in range(2))
    live = LiveAuthorities(Authorities(old, new, "init", NOW))
    first = live.told(NOW)
    assert len(split_bundle(first)) == 3
    assert live.told(NOW + DAY - 1) == first
    assert live.told(NOW + DAY) != first
    live.now = Authorities(old)
    assert live.told(NOW) == old.certificate
    assert Authorities(old, new, "init").proof(old.not_after) == b""
