"""A credential on disk, an agent's or an operator's, and a renewal of it that survives a crash at any point.

    key.pem           the private key; made on this machine, never sent
    cert.pem          its certificate
    certificate.json  its generation and validity, so that nobody needs to parse X.509 for them
    ca.pem            the pinned authority; while the hub's is replaced, its successor too (common/identity/trust.py)
    *.next            a renewal under way: key and signing request, then validity and certificate
                      (see `activate_renewal`)

No `cryptography` here: `common/identity/csr.py` makes and checks these files.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from common.errors import UserError
from common.files import sync_folder, write_file
from common.read_file import read_bytes, read_secret

RENEWAL_DUE: Final = 0.5
"""Of a certificate's life: from then on its successor is asked for. Half, so that no single night matters."""


@dataclass(frozen=True, slots=True)
class Validity:
    """`certificate.json`; times in seconds since the epoch."""

    generation: int  # counts renewals, from 1
    not_before: float
    not_after: float

    @property
    def renew_at(self) -> float:
        return self.not_before + RENEWAL_DUE * (self.not_after - self.not_before)

    def to_bytes(self) -> bytes:
        body = {"generation": self.generation, "not_before": self.not_before, "not_after": self.not_after}
        return json.dumps(body).encode()


@dataclass(frozen=True, slots=True)
class CredentialFiles:
    """The files in `folder`; constructing it touches none. `renew_hint` is the cure in errors: how to get new ones."""

    folder: Path
    renew_hint: str

    @property
    def key(self) -> Path:
        return self.folder / "key.pem"

    @property
    def certificate(self) -> Path:
        return self.folder / "cert.pem"

    @property
    def authority(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def validity_file(self) -> Path:
        return self.folder / "certificate.json"

    @property
    def next_key(self) -> Path:
        return self.folder / "key.pem.next"

    @property
    def next_request(self) -> Path:
        return self.folder / "request.pem.next"

    @property
    def next_certificate(self) -> Path:
        return self.folder / "cert.pem.next"

    @property
    def next_validity(self) -> Path:
        return self.folder / "certificate.json.next"

    def validity(self) -> Validity:
        """How long the certificate is good for; raises UserError.

        The generation is never guessed: a wrong one looks like a copied key and locks the machine.
        """
        try:
            body = json.loads(read_bytes(self.validity_file, 1024, self.renew_hint))
            return Validity(int(body["generation"]), float(body["not_before"]), float(body["not_after"]))
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            raise UserError(f"{self.validity_file}: not of its form", self.renew_hint) from None

    def check_key(self) -> None:
        """Raises UserError where the private key is missing or can be read by others."""
        read_secret(self.key, self.renew_hint)

    def install(self, key: bytes, certificate: bytes, authority: bytes, validity: Validity) -> None:
        """Writes a first credential over whatever was there, and drops a renewal of that."""
        for leftover in (self.next_certificate, self.next_validity, self.next_key, self.next_request):
            leftover.unlink(missing_ok=True)
        write_file(self.key, key)
        write_file(self.certificate, certificate)
        write_file(self.authority, authority)
        write_file(self.validity_file, validity.to_bytes())

    def replace(self, key: bytes, certificate: bytes, validity: Validity) -> None:
        """Takes another credential of the same owner and authority in place of this one. Whoever reads meanwhile, with
        the lock of the folder's owner where it has one, finds one or the other; a crash half-way is gone on from like
        a renewal's.
        """
        for leftover in (self.next_certificate, self.next_validity, self.next_key, self.next_request):
            leftover.unlink(missing_ok=True)
        write_file(self.next_key, key)
        write_file(self.next_validity, validity.to_bytes())
        write_file(self.next_certificate, certificate)
        self.activate_renewal()

    def activate_renewal(self) -> bool:
        """Puts a staged renewal into use, also after a crash half-way; True where there was one.

        A renewal writes the new key, then the new certificate, each synced under its `.next` name; the certificate is
        the point of no return, and the renames that follow can be repeated.
        """
        if not self.next_certificate.exists():
            return False
        for new, current in ((self.next_key, self.key), (self.next_validity, self.validity_file)):
            if new.exists():
                os.replace(new, current)
        os.replace(self.next_certificate, self.certificate)
        self.next_request.unlink(missing_ok=True)
        sync_folder(self.folder)
        return True
