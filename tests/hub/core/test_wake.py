"""hub.core.wake: which neighbours are asked, when, and what became of it."""

from __future__ import annotations

from typing import Any

import pytest

from common.link.messages import WAKE_FACT
from hub.core import wake as module
from hub.core.wake import (
    DEADLINE,
    MAX_AT_ONCE,
    MAX_NEIGHBOURS,
    MAX_SEGMENTS,
    TRIES,
    Ask,
    Peer,
    WakeEnd,
    Waking,
    begin,
    find_neighbours,
    segments_of,
    step,
)

MAC = "52:54:00:00:00:01"
TARGET = Peer("nas", {"net0": f"eth0 {MAC} 10.0.3.9/24 fd00::9/64"})


def peer(name: str, *addresses: str, knows: bool = True) -> Peer:
    facts = {f"net{n}": f"eth{n} 52:54:00:00:01:{n:02x} {address}" for n, address in enumerate(addresses)}
    return Peer(name, facts | ({WAKE_FACT: "1"} if knows else {}))


NEAR = [peer(f"web-{n}", f"10.0.3.{n}/24") for n in (1, 2)]


def started(target: Peer = TARGET, peers: list[Peer] = NEAR, **more: Any) -> Waking | WakeEnd:
    values: dict[str, Any] = {"online": False, "others": (), "person": "carol", "request": "", "now": 100.0}
    return begin(target, peers=peers, **(values | more))


def waking(target: Peer = TARGET) -> Waking:
    found = started(target)
    assert isinstance(found, Waking)
    return found


def said(found: Waking | WakeEnd) -> tuple[str, str]:
    assert isinstance(found, WakeEnd)
    return found.code, str(found.sentence)


# ---- who


def test_a_neighbour_has_an_address_of_the_same_network() -> None:
    """Not one with another length, not one whose version does not know how, not the machine itself."""
    others = [
        TARGET,
        peer("far", "10.0.4.1/24"),
        peer("wide", "10.0.0.1/16"),
        peer("old", "10.0.3.7/24", knows=False),
        peer("v6", "fd00::3/64"),
        peer("bad", "10.0.3.1/99"),
    ]
    segment = (MAC, "10.0.3.0/24")
    assert segments_of(TARGET.facts) == (segment,)
    assert find_neighbours([segment], "nas", others) == {segment: []}
    assert find_neighbours([segment], "nas", [*others, peer("both", "10.9.0.1/24", "10.0.3.8/24")]) == {
        segment: ["both"]
    }


def test_what_is_looked_at_is_bounded() -> None:
    """Networks of the machine, neighbours on each: the rest of a large fleet is not even looked at."""
    wide = {f"net{n}": f"eth{n} {MAC} 10.0.{n}.9/24" for n in range(9)}
    assert len(segments_of(wide)) == MAX_SEGMENTS
    fleet = iter([peer(f"web-{n:02}", f"10.0.3.{n}/24") for n in range(1, 50)])
    (names,) = find_neighbours(segments_of(TARGET.facts), "nas", fleet).values()
    assert len(names) == MAX_NEIGHBOURS
    assert len(list(fleet)) == 49 - MAX_NEIGHBOURS


# ---- whether


def test_a_machine_that_is_online_is_not_woken() -> None:
    assert said(started(online=True)) == ("online", "nas is online already")


def test_a_machine_without_known_cards() -> None:
    """It has not been linked since it tells them; or has no IPv4 network."""
    for facts in ({}, {"net0": f"eth0 {MAC} fd00::9/64"}):
        code, text = said(started(Peer("nas", facts)))
        assert code == "no_cards"
        assert "it has not been linked since it has a version that tells them" in text


def test_a_machine_without_neighbours() -> None:
    code, text = said(started(peers=[peer("far", "10.0.4.1/24")]))
    assert (code, text) == ("no_neighbour", "nas cannot be woken: no neighbour on 10.0.3.0/24 is online")


def test_only_so_many_at_once_and_each_once() -> None:
    assert said(started(others=["nas"]))[0] == "waking"
    assert said(started(others=[f"m{n}" for n in range(MAX_AT_ONCE)]))[0] == "full"
    assert isinstance(started(others=[f"m{n}" for n in range(MAX_AT_ONCE - 1)]), Waking)


# ---- when


def test_each_try_asks_another_neighbour() -> None:
    """At its second and not before; then nothing more, until it is given up."""
    now, found, asked = waking(), 0, []
    for second in range(int(DEADLINE)):
        moved = step(now, online=False, peers=NEAR, now=100.0 + second)
        assert not isinstance(moved, WakeEnd)
        now, asks = moved
        asked += [(second, ask.neighbour) for ask in asks]
        found += len(asks)
        assert all((ask.mac, ask.network) == (MAC, "10.0.3.0/24") for ask in asks)
    assert asked == [(0, "web-1"), (3, "web-2"), (10, "web-1"), (30, "web-2")]
    assert [second for second, _ in asked] == list(TRIES)
    late = step(now.answered("web-1", ""), online=False, peers=NEAR, now=100.0 + DEADLINE)
    assert isinstance(late, WakeEnd)
    assert said(late) == ("late", "the magic packet was sent, and nas did not come within 120 s")


def test_every_network_of_the_machine_is_tried() -> None:
    """On each the neighbours of it, with the card that is on it."""
    two = Peer("nas", {"net0": f"eth0 {MAC} 10.0.3.9/24", "net1": "eth1 52:54:00:00:00:02 10.0.4.9/24"})
    moved = step(waking(two), online=False, peers=[*NEAR, peer("far", "10.0.4.1/24")], now=100.0)
    assert not isinstance(moved, WakeEnd)
    assert moved[1] == [Ask("web-1", MAC, "10.0.3.0/24"), Ask("far", "52:54:00:00:00:02", "10.0.4.0/24")]


def test_a_neighbour_that_is_gone_meanwhile_is_not_asked() -> None:
    moved = step(waking(), online=False, peers=[], now=100.0)
    assert moved == (moved[0], []) if not isinstance(moved, WakeEnd) else False


# ---- how it ends


def test_it_woke() -> None:
    woke = step(waking(), online=True, peers=NEAR, now=114.2)
    assert isinstance(woke, WakeEnd)
    assert woke.is_awake
    assert said(woke) == ("woke", "nas woke after 14 s")
    assert woke.sentence.render("zh") == "nas 在 14 秒后被唤醒"


@pytest.mark.parametrize(
    ("answers", "code", "told"),
    [
        ([], "not_sent", "no neighbour said that it sent the magic packet: web-1"),
        ([("web-1", "its network is down")], "not_sent", "web-1 could not send the magic packet: its network is down"),
        ([("web-1", "x"), ("web-1", "")], "late", "was sent"),
        ([("db-9", "")], "not_sent", "no neighbour said"),  # who was not asked
    ],
)
def test_what_the_neighbours_said_is_told(answers: list[tuple[str, str]], code: str, told: str) -> None:
    moved = step(waking(), online=False, peers=NEAR, now=100.0)
    assert not isinstance(moved, WakeEnd)
    now = moved[0]
    for answer in answers:
        now = now.answered(*answer)
    found = step(now, online=False, peers=NEAR, now=100.0 + DEADLINE)
    assert isinstance(found, WakeEnd)
    assert found.code == code
    assert told in str(found.sentence)


def test_the_networks_of_a_machine_are_read_once() -> None:
    """Every machine online is looked at with every try."""
    module._networks.cache_clear()
    for _ in range(3):
        find_neighbours(segments_of(TARGET.facts), "nas", NEAR)
    assert module._networks.cache_info().misses == len(NEAR)
