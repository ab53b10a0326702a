from __future__ import annotations

import os
import ssl
import stat
import time
import tomllib
from pathlib import Path

import pytest

from common.errors import UserError
from common.identity.certificates import identity_from_pem
from common.identity.tls import client_context, compute_pin, server_context
from common.values import Address
from hub.chat.inlets import load_config
from hub.cli.init import InitSummary, init
from hub.config import WILDCARDS
from hub.core.records import Person

NOW = 1_800_000_000.0
FILES = {
    "hub.toml",
    "policy.toml",
    "policy.toml.base",
    "runbooks.toml",
    "secrets/ops",
    "secrets/seal.key",
    "ca/ca.pem",
    "ca/ca.key",
    "tls/hub.pem",
    "tls/hub.key",
    "keys/audit.key",
    "keys/audit.pub",
    "keys/job.key",
}
PROFILE = {"profile/profile.toml", "profile/key.pem", "profile/cert.pem", "profile/certificate.json", "profile/ca.pem"}


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_secrets_are_their_owners_whatever_the_umask(tmp_path: Path) -> None:
    """Folders 0700, files 0600, also where the umask would give more."""
    before = os.umask(0)
    try:
        init(tmp_path / "hub", now=NOW, admin="alice")
    finally:
        os.umask(before)
    for path in [tmp_path / "hub", *(tmp_path / "hub").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_the_inlets_secret_is_one_line_of_text(new_hub: InitSummary) -> None:
    """256 bits in hex without a newline: read by whatever means, it is the same key."""
    secret = new_hub.secret_file.read_bytes()
    assert len(bytes.fromhex(secret.decode())) == 32
    assert secret == secret.strip()


def test_two_hubs_share_nothing(tmp_path: Path) -> None:
    """Every secret and id is fresh."""
    one, two = (init(tmp_path / name, now=NOW, admin="alice") for name in ("one", "two"))
    assert one.hub_id != two.hub_id
    assert one.pin != two.pin
    for name in ("secrets/ops", "secrets/seal.key", "ca/ca.key", "tls/hub.key", "keys/job.key", "profile/key.pem"):
        assert (one.folder.path / name).read_bytes() != (two.folder.path / name).read_bytes()


def test_the_admin_has_a_profile_and_a_credential(new_hub: InitSummary) -> None:
    """The profile names the hub and holds an operator's certificate, which is what is to be recorded."""
    profile = tomllib.loads((new_hub.folder.profile / "profile.toml").read_text())
    assert profile == {"name": "alice", "url": "wss://127.0.0.1:9001", "hub": new_hub.hub_id}
    identity = identity_from_pem((new_hub.folder.profile / "cert.pem").read_bytes(), NOW, "operator")
    credential = new_hub.credential
    assert credential is not None
    assert (credential.fingerprint, credential.name, credential.kind) == (identity.fingerprint, "alice", "operator")
    assert (credential.generation, credential.not_after) == (1, identity.not_after)
    assert new_hub.person == Person("alice", ("admin",), NOW)
    assert compute_pin((new_hub.folder.profile / "ca.pem").read_bytes()) == new_hub.pin
    assert load_config(new_hub.folder.config).people["alice"].chat == ("ops:alice",)


@pytest.mark.parametrize(
    ("host", "near"), [(WILDCARDS[0], "127.0.0.1"), (WILDCARDS[1], "[::1]"), ("h.example.org", "h.example.org")]
)
def test_the_profile_dials_where_the_hub_listens(tmp_path: Path, host: str, near: str) -> None:
    """A hub that listens everywhere is dialled over loopback from its own machine."""
    made = init(tmp_path / "hub", now=NOW, admin="alice", links=Address(host, 9001))
    assert tomllib.loads((made.folder.profile / "profile.toml").read_text())["url"] == f"wss://{near}:9001"


def test_tls_contexts_load_from_the_folder(tmp_path: Path) -> None:
    """Hub and admin can meet with what was written: certificates and keys belong together."""
    folder = init(tmp_path / "hub", now=time.time(), admin="alice").folder
    server = server_context(folder.certificate, folder.key, folder.ca_certificate)
    profile = folder.profile
    client = client_context((profile / "ca.pem").read_text(), profile / "cert.pem", profile / "key.pem")
    assert server.minimum_version == client.minimum_version == ssl.TLSVersion.TLSv1_3


def test_a_hub_without_an_admin(tmp_path: Path) -> None:
    """Nobody is asked for: no profile, no person."""
    made = init(tmp_path / "hub", now=NOW)
    assert files(tmp_path / "hub") == FILES
    assert (made.credential, made.person, load_config(made.folder.config).people) == (None, None, {})


def test_a_folder_that_has_a_hub_is_left_alone(new_hub: InitSummary) -> None:
    """A second `init` is refused, names the file, and changes no byte."""
    before = {path: path.read_bytes() for path in new_hub.folder.path.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=r"hub\.toml exists already") as caught:
        init(new_hub.folder.path, now=NOW + 1, admin="mallory")
    assert "nothing was changed" in caught.value.cure
    assert {path: path.read_bytes() for path in new_hub.folder.path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("name", sorted(FILES | PROFILE | {"data"} - {"hub.toml"}))
def test_a_file_of_another_hub_is_not_replaced(tmp_path: Path, name: str) -> None:
    """Without a hub.toml too: whatever is in the way is named and kept, a dangling link included."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.symlink_to("nowhere")
    with pytest.raises(UserError, match="exists already") as caught:
        init(tmp_path, now=NOW, admin="alice")
    assert str(path) in caught.value.problem
    assert path.is_symlink()
    assert files(tmp_path) == set()


def test_other_things_in_the_folder_stay(tmp_path: Path) -> None:
    """A folder with a README in it can hold a hub."""
    (tmp_path / "README").write_text("mine")
    init(tmp_path, now=NOW)
    assert (tmp_path / "README").read_text() == "mine"


def test_what_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    """Where the store cannot be made, the folder is as it was, with what the store began in it gone too."""

    def record(summary: InitSummary) -> None:
        (summary.folder.path / "data" / "answerback.sqlite").write_text("half")
        raise UserError("the store cannot be made", "make room")

    (tmp_path / "README").write_text("mine")
    with pytest.raises(UserError, match="the store cannot be made"):
        init(tmp_path, now=NOW, admin="alice", record=record)
    assert [path.name for path in tmp_path.iterdir()] == ["README"]
    with pytest.raises(UserError):
        init(tmp_path / "new", now=NOW, record=record)
    assert not (tmp_path / "new").exists()
    assert init(tmp_path / "new", now=NOW).folder.config.exists()


def test_the_hub_is_recorded_when_all_is_there(tmp_path: Path) -> None:
    """`record` sees the finished folder, so that it can load the configuration."""
    seen: list[str] = []
    init(
        tmp_path / "hub",
        now=NOW,
        admin="alice",
        record=lambda made: seen.extend(load_config(made.folder.config).people),
    )
    assert seen == ["alice"]


def test_a_place_that_cannot_be(tmp_path: Path) -> None:
    """A file in the folder's place, or above it: named, with a cure, no traceback."""
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(UserError) as caught:
            init(path, now=NOW)
        assert caught.value.cure
    assert files(tmp_path) == {"file"}


@pytest.mark.parametrize("admin", ["a b", "../x", 'x"\ny', "-"])
def test_an_admin_has_a_name(tmp_path: Path, admin: str) -> None:
    """The name goes into files, a certificate and a URL: it is checked first."""
    with pytest.raises(UserError, match="is not a name"):
        init(tmp_path / "hub", now=NOW, admin=admin)
    assert not (tmp_path / "hub").exists()


# ---- at start
