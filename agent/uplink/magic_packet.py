"""Wakes a neighbour: the magic packet, sent to the network on which the hub says the neighbour is.

Six bytes FF and sixteen times the MAC address, as UDP to the port `discard` of the network's broadcast address (AMD's
"Magic Packet Technology", 1995). No program is started and no root is needed. What a hub can have sent is bounded here,
whatever it says: that packet and no other, on a network that this machine has an address of, to one card, and no more
than a few a minute.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Interface
from typing import Final

from agent import log
from agent.uplink.interfaces import read_interfaces
from common.link.messages import Wake, Woken
from common.machine.interfaces import Interface, is_mac

PORT: Final = 9
RATE: Final = 0.5  # a second, in the long run
BURST: Final = 30
REPEATS: Final = 3
"""Datagrams for one message: nobody says that one was lost."""


def magic_packet(mac: str) -> bytes:
    """The 102 bytes that a card with this MAC address wakes its machine for."""
    return b"\xff" * 6 + bytes.fromhex(mac.replace(":", "")) * 16


class MagicPackets:
    """One for the process: what it has sent counts across links."""

    def __init__(
        self,
        clock: Callable[[], float],
        interfaces: Callable[[], tuple[Interface, ...]] = read_interfaces,
        port: int = PORT,
    ) -> None:
        self._clock = clock
        self._interfaces = interfaces
        self._port = port
        self._left = float(BURST)
        self._since = clock()

    def answer(self, message: Wake) -> Woken:
        """Sends the packet; the answer says why it was not."""
        try:
            reason = self._send(message)
        except OSError as error:
            reason = f"the network does not take it ({error.strerror or error})"
        if reason:
            log.warning("wake.not_sent", mac=message.mac, network=message.network, reason=reason)
        else:
            log.info("wake.sent", mac=message.mac, network=message.network)
        return Woken(message.id, reason)

    def _send(self, message: Wake) -> str:
        if not is_mac(message.mac):
            return "that is no card's address"
        found = _on_network(self._interfaces(), message.network)
        if found is None:
            return f"this machine is not on {message.network}"
        if not self._admit():
            return f"more than {BURST} at once, or {RATE * 60:.0f} a minute, are not sent"
        card, address = found
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            with suppress(OSError):  # a kernel before 5.7 takes root for it; the route of the network leads there too
                sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, card.name.encode())
            sender.bind((str(address.ip), 0))
            for _ in range(REPEATS):
                sender.sendto(magic_packet(message.mac), (str(address.network.broadcast_address), self._port))
        return ""

    def _admit(self) -> bool:
        now = self._clock()
        self._left = min(float(BURST), self._left + max(0.0, now - self._since) * RATE)
        self._since = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


def _on_network(cards: tuple[Interface, ...], network: str) -> tuple[Interface, IPv4Interface] | None:
    """The card and its address on that network."""
    for card in cards:
        for address in card.addresses:
            if isinstance(address, IPv4Interface) and str(address.network) == network and network in card.segments:
                return card, address
    return None
