"""TLS of the webhooks' listener: the certificate and key that hub.toml names, read again while the hub serves.

Whoever renews certificates (an ACME client, an admin) replaces the files; `reload` shows the new pair to connections
from then on, and those that are open do not notice. A pair that does not fit leaves the one before in force.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path

from common.errors import UserError
from common.read_file import read_bytes, read_secret
from hub.core.http_table import HttpTable


@dataclass(slots=True)
class ListenerTls:
    """A server's context of TLS 1.2 and later."""

    certificate_file: Path
    key_file: Path
    context: ssl.SSLContext = field(default_factory=lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))

    @classmethod
    def of(cls, table: HttpTable) -> ListenerTls | None:
        """None where the listener speaks plain HTTP; raises UserError that names the file and the cure."""
        if table.certificate_file is None or table.key_file is None:
            return None
        made = cls(table.certificate_file, table.key_file)
        made.context.minimum_version = ssl.TLSVersion.TLSv1_2
        made.context.set_alpn_protocols(["http/1.1"])
        made.reload()
        return made

    def reload(self) -> None:
        """Takes what the files hold now; raises UserError, and what was in force before stays."""
        read_bytes(self.certificate_file)  # for an error that names the file and the cure: OpenSSL's do not
        read_secret(self.key_file)
        try:
            trial = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            for context in (trial, self.context):
                context.load_cert_chain(self.certificate_file, self.key_file, password="")
        except (ssl.SSLError, OSError, ValueError) as error:
            raise UserError(
                f"{self.certificate_file} and {self.key_file}: no certificate with its key ({_reason(error)})",
                "write the certificate with its chain and its unencrypted private key, both PEM",
            ) from None


def _reason(error: Exception) -> str:
    return (isinstance(error, ssl.SSLError) and error.reason) or type(error).__name__
