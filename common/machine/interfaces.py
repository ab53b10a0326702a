"""A machine's network cards as its facts tell them, by which a neighbour on its segment can wake it. Pure.

    net0 = "eth0 52:54:00:12:34:56 10.0.3.5/24 fd00::5/64"

One fact a card: its name, its MAC address, its addresses with the length of their network. What is malformed is left
out card by card, since it comes from a machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_interface
from typing import Final

MAX_INTERFACES: Final = 16
MAX_FACT: Final = 128
"""Characters of one card; addresses that do not fit are left out."""
_NAME: Final = re.compile(r"[!-~]{1,32}", re.ASCII)
_MAC: Final = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}", re.ASCII)
_KEYS: Final = tuple(f"net{number}" for number in range(MAX_INTERFACES))


@dataclass(frozen=True, slots=True)
class Interface:
    """`mac` is lower-case hex in six pairs; `addresses` have the network's length with them."""

    name: str
    mac: str
    addresses: tuple[IPv4Interface | IPv6Interface, ...]

    @property
    def segments(self) -> tuple[str, ...]:
        """The IPv4 networks that the card is on, `10.0.3.0/24`, each once. A network of one address is none."""
        networks = (one.network for one in self.addresses if one.version == 4 and one.network.prefixlen < 31)
        return tuple(dict.fromkeys(map(str, networks)))


def is_mac(text: str) -> bool:
    """Whether this is the address of one card: neither a group's, as the one of all is, nor zero."""
    return _MAC.fullmatch(text) is not None and not int(text[:2], 16) & 1 and text != "00:00:00:00:00:00"


def to_facts(interfaces: Iterable[Interface]) -> dict[str, str]:
    """At most MAX_INTERFACES facts of MAX_FACT characters."""
    facts: dict[str, str] = {}
    for key, interface in zip(_KEYS, interfaces, strict=False):
        line = f"{interface.name} {interface.mac}"
        for address in interface.addresses:
            if len(line) + 1 + len(str(address)) <= MAX_FACT:
                line = f"{line} {address}"
        facts[key] = line
    return facts


def from_facts(facts: Mapping[str, str]) -> tuple[Interface, ...]:
    """The cards that a machine told; none of a version that tells none."""
    found = (_parse(facts[key]) for key in _KEYS if key in facts)
    return tuple(interface for interface in found if interface is not None)


def _parse(line: str) -> Interface | None:
    name, *rest = line[:MAX_FACT].split(" ")
    if not rest or not _NAME.fullmatch(name) or not is_mac(rest[0]):
        return None
    try:
        return Interface(name, rest[0], tuple(map(ip_interface, rest[1:])))
    except ValueError:
        return None
