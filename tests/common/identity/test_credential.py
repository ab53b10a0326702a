"""common.identity.credential: read strictly, and renewed whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from common.errors import UserError
from common.files import write_file
from common.identity.credential import CredentialFiles, Validity

OLD, NEW = Validity(1, 0.0, 10.0), Validity(2, 5.0, 15.0)


@pytest.fixture
def ours(tmp_path: Path) -> CredentialFiles:
    """A first credential."""
    ours = CredentialFiles(tmp_path, "start over")
    ours.install(b"key", b"certificate", b"authority", OLD)
    return ours


def test_what_is_kept_is_private_and_comes_back(ours: CredentialFiles) -> None:
    """Four files, all 0600."""
    files = [ours.key, ours.certificate, ours.authority, ours.validity_file]
    assert sorted(ours.folder.iterdir()) == sorted(files)
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert ours.key.read_bytes() == b"key"
    assert ours.validity() == OLD


def test_a_new_credential_ends_a_renewal_of_the_old_one(ours: CredentialFiles) -> None:
    """Nothing of it can come into use later."""
    for file in (ours.next_key, ours.next_request, ours.next_validity, ours.next_certificate):
        write_file(file, b"of the old one")
    ours.install(b"other key", b"other certificate", b"authority", OLD)
    assert not ours.activate_renewal()
    assert ours.key.read_bytes() == b"other key"
    assert not list(ours.folder.glob("*.next"))


def test_a_credential_is_replaced_whole(ours: CredentialFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash after any write leaves the old pair, or the new one once it is gone on from; leftovers do not count."""
    write_file(ours.next_request, b"of the old one")
    written: list[int] = []

    def crash_at(count: int) -> None:
        def write(path: Path, data: bytes) -> None:
            if len(written) == count:
                raise OSError("the power is gone")
            written.append(1)
            write_file(path, data)

        written.clear()
        monkeypatch.setattr("common.identity.credential.write_file", write)

    for count in range(3):
        crash_at(count)
        with pytest.raises(OSError, match="power"):
            ours.replace(b"other key", b"other certificate", NEW)
        ours.activate_renewal()
        assert (ours.key.read_bytes(), ours.certificate.read_bytes()) == (b"key", b"certificate"), count
    crash_at(9)
    ours.replace(b"other key", b"other certificate", NEW)
    assert (ours.key.read_bytes(), ours.certificate.read_bytes(), ours.validity()) == (
        b"other key",
        b"other certificate",
        NEW,
    )
    assert not list(ours.folder.glob("*.next*"))


@pytest.mark.parametrize("mode", [0o604, 0o666])
def test_a_key_that_others_can_read_is_refused(mode: int, ours: CredentialFiles) -> None:
    """The mode is named with the command that mends it."""
    write_file(ours.key, b"key")
    ours.check_key()
    ours.key.chmod(mode)
    with pytest.raises(UserError, match="chmod 600"):
        ours.check_key()


def test_validity_comes_back(ours: CredentialFiles) -> None:
    """Generation and times are read as written."""
    write_file(ours.validity_file, b'{"generation": 3, "not_before": 1.5, "not_after": 2.5}')
    assert ours.validity() == Validity(3, 1.5, 2.5)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"generation": "x", "not_before": 1, "not_after": 2}', "[" * 900])
def test_a_generation_is_never_guessed(text: str, ours: CredentialFiles) -> None:
    """Without a sound certificate.json its owner is told how to get another: a wrong generation would lock it."""
    write_file(ours.validity_file, text.encode())
    with pytest.raises(UserError, match=r"certificate\.json.*start over"):
        ours.validity()
    ours.validity_file.unlink()
    with pytest.raises(UserError, match=r"certificate\.json.*start over"):
        ours.validity()


@pytest.mark.parametrize("steps", range(5))
def test_a_crash_in_the_middle_of_bringing_it_into_use_is_finished(
    steps: int, ours: CredentialFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After any number of the renames and the unlink, the next start ends with new key, certificate and generation."""
    write_file(ours.next_key, b"new key")
    write_file(ours.next_request, b"new request")
    write_file(ours.next_validity, NEW.to_bytes())
    write_file(ours.next_certificate, b"new certificate")
    with monkeypatch.context() as patched:
        _crash_after(patched, steps)
        try:
            ours.activate_renewal()
        except _Crash:
            pass
    ours.activate_renewal()
    assert ours.key.read_bytes() == b"new key"
    assert ours.certificate.read_bytes() == b"new certificate"
    assert ours.validity() == NEW
    assert not ours.activate_renewal()
    assert not list(ours.folder.glob("*.next"))


def test_a_crash_before_the_certificate_changes_nothing(ours: CredentialFiles) -> None:
    """Without the certificate's `.next` the key in use stays."""
    before = ours.key.read_bytes()
    write_file(ours.next_key, b"new")
    assert not ours.activate_renewal()
    assert ours.key.read_bytes() == before


class _Crash(Exception):
    pass


def _crash_after(patched: pytest.MonkeyPatch, steps: int) -> None:
    """The process ends at the rename after the first `steps` of them."""
    real, left = os.replace, [steps]

    def replace(source: Path, target: Path) -> None:
        if not left[0]:
            raise _Crash
        left[0] -= 1
        real(source, target)

    patched.setattr(os, "replace", replace)
