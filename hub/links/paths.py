"""What the links' port answers to an opening request before it becomes a WebSocket."""

from __future__ import annotations

import http
from email.utils import formatdate
from typing import Final

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from hub.links.peer import peer_of

AUTHORITY: Final = "/ca"
WITHOUT_CERTIFICATE: Final = "/join"
PATHS: Final = frozenset({"/agent", "/console", "/copied", WITHOUT_CERTIFICATE, "/renew"})


def answer_request(connection: ServerConnection, request: Request, authority: bytes, now: float) -> Response | None:
    """The whole answer, or None where this becomes a link. `authority` is the PEM that anybody may have."""
    path = request.path.partition("?")[0]
    if path == AUTHORITY:
        return _plain(http.HTTPStatus.OK, authority, now, "application/x-pem-file")
    if path not in PATHS:
        return _plain(http.HTTPStatus.NOT_FOUND, b"there is nothing here\n", now)
    if path != WITHOUT_CERTIFICATE and peer_of(connection, now).identity is None:
        return _plain(http.HTTPStatus.FORBIDDEN, b"a certificate of this hub is needed here\n", now)
    return None


def _plain(status: http.HTTPStatus, body: bytes, now: float, kind: str = "text/plain") -> Response:
    """Its Date lets a machine that joins see that its clock is off."""
    date = formatdate(now, usegmt=True)
    headers = Headers({"Content-Type": kind, "Content-Length": str(len(body)), "Date": date, "Connection": "close"})
    return Response(status.value, status.phrase, headers, body)
