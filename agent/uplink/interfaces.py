"""This machine's network cards: those with a MAC address and an address of a network, the wired into hardware first.

Loopback and tunnels have no MAC address. What containers and virtual machines are attached to is left out by its name:
such a network has the same numbers on many machines, and is no segment that two of them share.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import ip_interface
from pathlib import Path
from typing import Any, Final

import psutil

from common.machine.interfaces import MAX_INTERFACES, Interface, is_mac

_VIRTUAL: Final = ("docker", "br-", "virbr", "veth", "vnet", "cni", "cali", "flannel", "lxc", "lxd", "podman", "tap")
_CLASS: Final = Path("/sys/class/net")


def read_interfaces() -> tuple[Interface, ...]:
    """At most MAX_INTERFACES; raises OSError where the kernel does not say."""
    found = [card for name, told in psutil.net_if_addrs().items() if (card := _card(name, told)) is not None]
    found.sort(key=lambda card: (not card.segments, not (_CLASS / card.name / "device").exists(), card.name))
    return tuple(found[:MAX_INTERFACES])


def _card(name: str, told: Sequence[Any]) -> Interface | None:
    mac = next((one.address.lower().replace("-", ":") for one in told if one.family == psutil.AF_LINK), "")
    if name.startswith(_VIRTUAL) or not is_mac(mac):
        return None
    addresses = []
    for one in told:
        if one.family in (socket.AF_INET, socket.AF_INET6) and one.netmask:
            address = one.address.partition("%")[0]  # fe80::1%eth0
            length = bin(int(ip_interface(one.netmask).ip)).count("1")
            addresses.append(ip_interface(f"{address}/{length}"))
    return Interface(name, mac, tuple(addresses)) if addresses else None
