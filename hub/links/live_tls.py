"""The TLS of the links' port, whose certificate and trusted CAs change while it serves. A context can be given more CAs
and none can be taken from it, so each state has a context of its own; links that are open keep theirs.
"""

from __future__ import annotations

import ssl

from common.identity.tls import server_context
from hub.config import Folder
from hub.identity.authorities import Authorities


class LinkTls:
    """`context` is for the next connection. Raises UserError where files do not read."""

    def __init__(self, folder: Folder, authorities: Authorities) -> None:
        self._folder = folder
        self.load(authorities)

    def load(self, authorities: Authorities) -> None:
        """The hub's certificate as it is on disk now, and these CAs, for connections from now on."""
        self.context: ssl.SSLContext = server_context(self._folder.certificate, self._folder.key, authorities.bundle)
