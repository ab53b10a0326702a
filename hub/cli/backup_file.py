"""The form of a backup: a tar file of a manifest, the store, the readable files, and the secret ones sealed as one.

    manifest.json    version, hub, when, and the SHA-256 of every other member
    store.sqlite     the database, as of one moment; not there for a hub on PostgreSQL
    files/…          hub.toml, policy.toml, runbooks.toml, certificates
    secrets.sealed   keys and secrets: AES-256-GCM under a key that scrypt makes of the passphrase

Nothing in it is believed before its digest has been compared, and no member is written where the manifest does not say.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from common.errors import UserError

VERSION: Final = 1
MANIFEST: Final = "manifest.json"
STORE: Final = "store.sqlite"
SECRETS: Final = "secrets.sealed"
MAX_FILES: Final = 2_000
MAX_FILE: Final = 16 * 1024 * 1024
MAX_MANIFEST: Final = 4 * 1024 * 1024
_MAGIC: Final = b"answerback backup 1\n"
_SALT: Final = 16
_NONCE: Final = 12
_CHUNK: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Manifest:
    hub: str
    made_at: float
    program: str  # Answerback's version
    store: str  # where the database was, relative to the hub's folder; "" for PostgreSQL
    digests: dict[str, str]  # member -> hex SHA-256
    version: int = VERSION

    @property
    def sealed(self) -> bool:
        return SECRETS in self.digests

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self), indent=1, sort_keys=True).encode() + b"\n"


def seal(files: Mapping[str, bytes], passphrase: str) -> bytes:
    """Names and contents under a key of the passphrase."""
    salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
    plain = json.dumps({name: data.hex() for name, data in files.items()}).encode()
    return _MAGIC + salt + nonce + AESGCM(_key(passphrase, salt)).encrypt(nonce, plain, _MAGIC)


def unseal(data: bytes, passphrase: str) -> dict[str, bytes]:
    """Raises UserError where it is another passphrase, or the data has been changed."""
    head = len(_MAGIC)
    salt, nonce = data[head : head + _SALT], data[head + _SALT : head + _SALT + _NONCE]
    try:
        plain = AESGCM(_key(passphrase, salt)).decrypt(nonce, data[head + _SALT + _NONCE :], _MAGIC)
    except (InvalidTag, ValueError):
        raise UserError("the secrets of this backup do not open", "give the passphrase that it was made with") from None
    return {check_name(name): bytes.fromhex(text) for name, text in json.loads(plain).items()}


def _key(passphrase: str, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=2**15, r=8, p=1).derive(passphrase.encode("utf-8", "surrogateescape"))


def check_name(name: str) -> str:
    """A member's name beneath the hub's folder; raises UserError for one that leads out of it."""
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\x00" in name or len(name) > 500:
        raise UserError(f"this backup has a file {name[:80]!r}", "it was not made by answerback-hub: do not use it")
    return name


class BackupWriter:
    """Members are added one after the other; `finish` writes the manifest, which comes last."""

    def __init__(self, target: IO[bytes]) -> None:
        self._tar = tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - closed below
        self.digests: dict[str, str] = {}

    def add(self, name: str, data: bytes) -> None:
        self._put(name, io.BytesIO(data), len(data))
        if name != MANIFEST:
            self.digests[name] = hashlib.sha256(data).hexdigest()

    def add_file(self, name: str, path: Path) -> None:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
            size = file.tell()
            file.seek(0)
            self._put(name, file, size)
        self.digests[name] = digest.hexdigest()

    def _put(self, name: str, file: IO[bytes], size: int) -> None:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = size, 0o600
        self._tar.addfile(entry, file)

    def finish(self, manifest: Manifest) -> None:
        self.add(MANIFEST, manifest.to_bytes())
        self._tar.close()


class BackupReader:
    """A backup whose manifest has been read; `verify` compares every member's digest."""

    def __init__(self, tar: tarfile.TarFile, path: Path) -> None:
        self._tar = tar
        self._path = path
        self._entries = {entry.name: entry for entry in tar.getmembers() if entry.isreg()}
        self.manifest = self._read_manifest()

    def _read_manifest(self) -> Manifest:
        entry = self._entries.get(MANIFEST)
        if entry is None or entry.size > MAX_MANIFEST:
            raise UserError(f"{self._path} is no backup of Answerback", "name a file that `backup` wrote")
        try:
            body: dict[str, Any] = json.loads(self._open(MANIFEST).read())
            manifest = Manifest(**{key: body[key] for key in Manifest.__dataclass_fields__})
        except (ValueError, KeyError, TypeError):
            raise UserError(f"{self._path}: its manifest does not read", "name a file that `backup` wrote") from None
        if manifest.version != VERSION:
            cure = "install the version that made it"
            raise UserError(f"{self._path} has form {manifest.version}, and this program knows {VERSION}", cure)
        return manifest

    def verify(self) -> None:
        """Raises UserError where a member is missing, is one too many, or is not as it was written."""
        names = set(self._entries) - {MANIFEST}
        odd = names ^ set(self.manifest.digests)
        odd |= {name for name in names - odd if self._digest(name) != self.manifest.digests[name]}
        if odd:
            raise UserError(f"{self._path} is damaged: {sorted(odd)[0]}", "use another backup")

    def read(self, name: str) -> bytes:
        """A member that is small; raises UserError for one that is not."""
        if self._entries[name].size > MAX_FILE * 4:
            raise UserError(f"{self._path}: {name} is too large", "it was not made by answerback-hub: do not use it")
        return self._open(name).read()

    def copy(self, name: str, target: IO[bytes]) -> None:
        source = self._open(name)
        while chunk := source.read(_CHUNK):
            target.write(chunk)

    def _digest(self, name: str) -> str:
        return hashlib.file_digest(self._open(name), "sha256").hexdigest()  # type: ignore[arg-type]

    def _open(self, name: str) -> IO[bytes]:
        found = self._tar.extractfile(self._entries[name])
        assert found is not None, name  # noqa: S101 - a regular file
        return found


@contextmanager
def open_backup(path: Path) -> Iterator[BackupReader]:
    try:
        with tarfile.open(path, "r:") as tar:
            yield BackupReader(tar, path)
    except tarfile.TarError:
        raise UserError(f"{path} is no backup of Answerback", "name a file that `backup` wrote") from None
    except OSError as error:
        raise UserError(f"cannot read {path} ({error.strerror})", "name a file that `backup` wrote") from None
