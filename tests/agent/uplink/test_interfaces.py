"""agent.uplink.interfaces: which of this machine's network cards are told, and that they fit a hello."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import psutil
import pytest

from agent.uplink import interfaces as module
from agent.uplink.interfaces import read_interfaces
from agent.uplink.vitals import facts, network_facts
from common.link import codec
from common.link.messages import Hello
from common.machine.interfaces import MAX_INTERFACES, from_facts

MAC = "52:54:00:12:34:%02x"
MAX_KEPT = 32
"""Facts that a hub keeps of a machine (`hub.links.connected.MAX_FACTS`); agent and hub meet on the wire alone."""


def of(family: int, address: str, netmask: str | None = None) -> SimpleNamespace:
    return SimpleNamespace(family=family, address=address, netmask=netmask)


def card(number: int, *addresses: SimpleNamespace) -> list[SimpleNamespace]:
    return [of(psutil.AF_LINK, MAC % number), *addresses]


IPV4 = of(socket.AF_INET, "10.0.3.5", "255.255.255.0")
IPV6 = of(socket.AF_INET6, "fe80::1%eth0", "ffff:ffff:ffff:ffff::")


def machine(monkeypatch: pytest.MonkeyPatch, **cards: list[SimpleNamespace]) -> None:
    monkeypatch.setattr(module.psutil, "net_if_addrs", lambda: cards)


def test_cards_with_a_mac_and_a_network_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither loopback nor tunnel, nor what has no address, nor what containers and virtual machines hang on."""
    machine(
        monkeypatch,
        lo=[of(socket.AF_INET, "127.0.0.1", "255.0.0.0"), of(psutil.AF_LINK, "00:00:00:00:00:00")],
        tun0=[of(socket.AF_INET, "10.8.0.2", "255.255.255.0")],
        eth1=card(1),
        docker0=card(2, of(socket.AF_INET, "172.17.0.1", "255.255.0.0")),
        eth2=card(3, IPV6),
        eth0=card(4, IPV4, IPV6),
    )
    told = network_facts()
    assert told == {"net0": f"eth0 {MAC % 4} 10.0.3.5/24 fe80::1/64", "net1": f"eth2 {MAC % 3} fe80::1/64"}
    assert [one.segments for one in from_facts(told)] == [("10.0.3.0/24",), ()]


def test_a_machine_with_many_cards_fits_a_hello(monkeypatch: pytest.MonkeyPatch) -> None:
    """With every other fact, within the limits of a first frame, and none beyond what a hub keeps."""
    machine(monkeypatch, **{f"eth{n}": card(n, *[IPV4, IPV6] * 40) for n in range(40)})
    assert len(read_interfaces()) == MAX_INTERFACES
    others = dict.fromkeys(("process", "runner", "lineage", "orders", "trusts", "wake"), "x" * 128)
    told = facts() | others | network_facts()
    assert len(told) <= MAX_KEPT
    hello = Hello(7, "agent", "web-1", "0", facts=told)
    assert codec.decode(codec.encode(hello), "agent", codec.HANDSHAKE_LIMITS).message == hello


def test_a_kernel_that_does_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under a sandbox without netlink: no cards, and the link goes on."""

    def refuse() -> None:
        raise OSError(97, "Address family not supported by protocol")

    monkeypatch.setattr(module.psutil, "net_if_addrs", refuse)
    assert network_facts() == {}
