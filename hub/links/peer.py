"""Who is at the other end of a connection: the identity in its certificate, whether it is valid now, and its clock.

TLS has verified chain and possession of the key, and not the time (`common/identity/tls.py`): that is checked here, and
`valid_identity` is what every path but the renewal entrance goes by. A machine or console sends its own clock as the
HTTP field `Date` (RFC 9110, 6.6.1), so that the hub can tell who is away because a clock is off; nothing is decided by
it.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from websockets.asyncio.server import ServerConnection

from common.identity.certificates import BadIdentity, Identity, identity_from_der
from hub.links.websocket import LinkConnection


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a connection, as it has proved itself to be."""

    identity: Identity | None  # None: no certificate, or none of our form
    address: str  # without the port
    clock_ahead: float | None = None  # seconds that its clock is ahead of the hub's, to the second; None: not told

    def valid_identity(self, now: float) -> Identity | None:
        """The identity, where its certificate is valid now."""
        found = self.identity
        return found if found is not None and found.not_before <= now < found.not_after else None


def peer_of(connection: ServerConnection, now: float) -> Peer:
    """The other end of a connection whose opening request has been read."""
    address = connection.remote_address
    return Peer(_identity(connection), str(address[0]) if address else "", _clock_ahead(connection, now))


def _identity(connection: ServerConnection) -> Identity | None:
    """Read once a connection: who is at its other end does not change."""
    if not isinstance(connection, LinkConnection):
        return _read_identity(connection)
    if connection.read_identity is None:
        connection.read_identity = (_read_identity(connection),)
    return connection.read_identity[0]


def _read_identity(connection: ServerConnection) -> Identity | None:
    tls = connection.transport.get_extra_info("ssl_object")
    der = tls.getpeercert(binary_form=True) if tls is not None else None
    if not der:
        return None
    try:
        return identity_from_der(der, None)
    except BadIdentity:
        return None


def _clock_ahead(connection: ServerConnection, now: float) -> float | None:
    request = connection.request
    values = request.headers.get_all("Date") if request is not None else []
    return parse_clock(values[0], now) if len(values) == 1 else None


def parse_clock(date: str, now: float) -> float | None:
    """Seconds that the clock in an HTTP date is ahead; None where it is none. A date of no calendar counts as none."""
    try:
        return parsedate_to_datetime(date[:64]).timestamp() - now
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
