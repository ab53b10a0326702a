"""hub.identity.keys: keys on disk, and the hub's certificate made anew in time."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography import x509

from common.errors import UserError
from common.identity.certificates import BACKDATE_SECONDS, DAY, Authority, identity_from_pem, make_request
from common.identity.signing import ORDER_PURPOSE, verify
from common.read_file import read_secret
from common.values import Address
from hub.chat.inlets import load_config
from hub.cli.init import InitSummary, init
from hub.config import Folder
from hub.identity.authorities import Authorities
from hub.identity.keys import load_keys, refresh_certificate
from tests.hub.cli.test_init import FILES, NOW, PROFILE, files


def test_everything_is_there_and_loads(new_hub: InitSummary) -> None:
    """The folder has what a hub needs and nothing else, and the configuration and the keys load from it."""
    assert files(new_hub.folder.path) == FILES | PROFILE
    assert (new_hub.folder.path / "data").is_dir()
    config = load_config(new_hub.folder.config)
    keys = load_keys(config)
    assert config.links.listen == new_hub.links == Address("127.0.0.1", 9001)
    assert config.inlets["ops"].secrets == (new_hub.secret_file.read_bytes(),)
    assert (keys.hub_id, keys.authority.pin) == (new_hub.hub_id, new_hub.pin)
    ((key_id, public),) = keys.job_keys.items()
    assert key_id == keys.job_key.id
    assert verify(public, b"x", keys.job_key.sign(ORDER_PURPOSE, b"x"))
    assert keys.sealer.open(keys.sealer.seal(b"x", "y"), "y") == b"x"


@pytest.mark.parametrize("name", ["ca/ca.pem", "ca/ca.key", "keys/job.key", "secrets/seal.key"])
def test_a_missing_or_damaged_key_is_named(new_hub: InitSummary, name: str) -> None:
    """Lost, damaged or open to others: the file and what it means to be without it."""
    path, config = new_hub.folder.path / name, load_config(new_hub.folder.config)
    good = path.read_bytes()
    for damage in (path.unlink, lambda: path.write_bytes(b"\xffcanary"), lambda: path.write_bytes(b"")):
        damage()
        if path.exists():
            path.chmod(0o600)
        with pytest.raises(UserError) as caught:
            load_keys(config)
        assert str(path) in caught.value.problem
        assert "canary" not in str(caught.value)
        assert caught.value.cure
        path.write_bytes(good)
        path.chmod(0o600)
    assert load_keys(config)
    if path.suffix == ".key":
        path.chmod(0o604)
        with pytest.raises(UserError, match="chmod 600"):
            load_keys(config)


def test_anothers_authority_is_told(new_hub: InitSummary, tmp_path: Path) -> None:
    """A CA key that is not the certificate's: both files are named."""
    other = init(tmp_path / "other", now=NOW)
    new_hub.folder.ca_key.write_bytes(other.folder.ca_key.read_bytes())
    with pytest.raises(UserError, match="the key is not the certificate's"):
        load_keys(load_config(new_hub.folder.config))


def test_the_hub_renews_its_own_certificate(new_hub: InitSummary) -> None:
    """Nothing happens before half of its life is over; then there is a new certificate for the same key and id."""
    folder, authorities = new_hub.folder, load_keys(load_config(new_hub.folder.config)).authorities
    before = folder.certificate.read_bytes()
    due = NOW + 45 * DAY - BACKDATE_SECONDS / 2
    assert not refresh_certificate(folder, authorities, due - 1)
    assert folder.certificate.read_bytes() == before
    assert refresh_certificate(folder, authorities, due)
    identity = identity_from_pem(folder.certificate.read_bytes(), due, "hub")
    assert (identity.name, identity.not_after) == (new_hub.hub_id, due + 90 * DAY)
    old, new = (x509.load_pem_x509_certificate(pem) for pem in (before, folder.certificate.read_bytes()))
    assert old.public_key() == new.public_key()
    assert stat.S_IMODE(folder.certificate.stat().st_mode) == 0o600
    assert not refresh_certificate(folder, authorities, due)
    assert files(folder.path) == FILES | PROFILE


def test_a_lost_or_foreign_certificate_is_replaced(new_hub: InitSummary) -> None:
    """Missing, expired, damaged, for another id, left half written: the hub helps itself, it has the CA."""
    folder, authorities = new_hub.folder, load_keys(load_config(new_hub.folder.config)).authorities
    key = folder.key.read_bytes()
    foreign = authorities.current.issue(make_request(key, "hub", "hub-x"), kind="hub", name="hub-x", now=NOW)
    for content in (None, b"damaged", foreign):
        folder.certificate.unlink()
        if content is not None:
            folder.certificate.write_bytes(content)
        folder.certificate.with_suffix(".new").write_bytes(b"left over")
        assert refresh_certificate(folder, authorities, NOW)
        assert identity_from_pem(folder.certificate.read_bytes(), NOW, "hub").name == new_hub.hub_id
    folder.key.unlink()
    folder.certificate.unlink()
    assert refresh_certificate(folder, authorities, NOW)
    assert read_secret(folder.key) != key


def test_what_the_hub_cannot_cure_itself(new_hub: InitSummary) -> None:
    """A damaged key, an authority out of time: told with the cure."""
    folder, authorities = new_hub.folder, load_keys(load_config(new_hub.folder.config)).authorities
    with pytest.raises(UserError, match="the CA's certificate has expired"):
        refresh_certificate(folder, authorities, NOW + 4_000 * DAY)
    folder.key.write_bytes(b"damaged")
    folder.certificate.unlink()
    with pytest.raises(UserError, match=r"hub\.key: not an unencrypted private key"):
        refresh_certificate(folder, authorities, NOW)


def test_a_new_authority_means_a_new_certificate_id(tmp_path: Path) -> None:
    """The hub's id is its authority's: the two cannot drift apart through an edited file."""
    folder = Folder(tmp_path)
    authorities = Authorities(Authority.create("hub-abcdef", NOW))
    assert refresh_certificate(folder, authorities, NOW)
    assert identity_from_pem(folder.certificate.read_bytes(), NOW, "hub").name == authorities.hub == "hub-abcdef"
