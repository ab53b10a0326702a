"""common.machine.interfaces: what a machine tells of its network cards, and what of that is taken."""

from __future__ import annotations

from ipaddress import ip_interface

from common.machine.interfaces import MAX_FACT, MAX_INTERFACES, Interface, from_facts, is_mac, to_facts

CARD = Interface("eth0", "52:54:00:12:34:56", (ip_interface("10.0.3.5/24"), ip_interface("fd00::5/64")))


def test_a_card_comes_back_as_it_was_told() -> None:
    assert to_facts([CARD]) == {"net0": "eth0 52:54:00:12:34:56 10.0.3.5/24 fd00::5/64"}
    assert from_facts({"os": "Debian", **to_facts([CARD])}) == (CARD,)
    assert CARD.segments == ("10.0.3.0/24",)
    assert from_facts({}) == ()


def test_a_network_of_one_address_is_no_segment() -> None:
    """Nobody else is on it: /32 as clouds give it, /31 between two routers, which has no broadcast."""
    lone = Interface("eth0", CARD.mac, tuple(map(ip_interface, ("10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/30"))))
    assert lone.segments == ("10.0.0.4/30",)


def test_what_is_told_is_bounded() -> None:
    """Cards beyond the limit, addresses beyond a fact's length."""
    many = [Interface(f"eth{n}", CARD.mac, CARD.addresses) for n in range(MAX_INTERFACES + 1)]
    assert len(to_facts(many)) == MAX_INTERFACES == len(from_facts(to_facts(many)))
    wide = Interface("eth0", CARD.mac, tuple(ip_interface(f"10.0.{n}.5/24") for n in range(100)))
    (line,) = to_facts([wide]).values()
    assert MAX_FACT - 15 < len(line) <= MAX_FACT
    assert from_facts({"net0": line})[0].addresses == wide.addresses[: line.count("/")]


def test_what_is_malformed_is_left_out_card_by_card() -> None:
    """It comes from a machine: no card, no MAC address, a group's address, no network, a key that is none."""
    bad = ("", "eth0", "eth0 52:54", "eth0 ff:ff:ff:ff:ff:ff 10.0.0.1/8", "eth0 52:54:00:12:34:56 10.0.0.1/99",
        "e\u0301th 52:54:00:12:34:56", "eth0  52:54:00:12:34:56", "eth0 01:00:5e:00:00:01 10.0.0.1/8")  # fmt: skip
    facts = {f"net{n}": line for n, line in enumerate(bad)}
    assert from_facts(facts) == ()
    assert from_facts({**facts, "net15": to_facts([CARD])["net0"], "net16": "x"}) == (CARD,)


def test_a_mac_is_of_one_card() -> None:
    assert is_mac("52:54:00:12:34:56")
    for bad in ("ff:ff:ff:ff:ff:ff", "01:00:00:00:00:00", "00:00:00:00:00:00", "52-54-00-12-34-56", "52:54:00:12:34",
        "52:54:00:12:34:5G", "52:54:00:12:34:56\n", "52:54:00:12:34:5A"):  # fmt: skip
        assert not is_mac(bad), bad
