"""agent.uplink.magic_packet: the packet itself, and how little a hub can have sent. Across namespaces: end_to_end."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from ipaddress import ip_interface

import pytest

from agent.state import StateFolder
from agent.uplink.hub_position import HubPosition
from agent.uplink.magic_packet import BURST, RATE, REPEATS, MagicPackets, magic_packet
from common.link.bodies import from_body, to_body
from common.link.messages import WAKE_FACT, BadMessage, Credit, Report, Wake, Woken
from common.machine.interfaces import Interface
from tests.agent.fake_peers import AgentFakeHub, FakeRunner
from tests.agent.uplink.conftest import Running
from tests.agent.uplink.test_trust import FORK, HEARD

MAC = "52:54:00:12:34:56"
LOOPBACK = Interface("lo", "52:54:00:00:00:01", (ip_interface("127.0.0.1/8"),))
NETWORK = "127.0.0.0/8"


class Ear:
    """What arrives at the port on the loopback's broadcast address."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self.socket.bind(("127.255.255.255", 0))
        self.socket.setblocking(False)
        self.port = self.socket.getsockname()[1]

    def heard(self) -> list[bytes]:
        found = []
        while True:
            try:
                found.append(self.socket.recv(2048))
            except BlockingIOError:
                return found


@pytest.fixture
def ear() -> Iterator[Ear]:
    found = Ear()
    yield found
    found.socket.close()


def sender(ear: Ear, now: list[float] | None = None) -> MagicPackets:
    return MagicPackets(lambda: (now or [0.0])[0], lambda: (LOOPBACK,), ear.port)


def test_the_packet() -> None:
    assert magic_packet(MAC) == b"\xff\xff\xff\xff\xff\xff" + b"\x52\x54\x00\x12\x34\x56" * 16
    assert len(magic_packet(MAC)) == 102


def test_it_is_sent_to_the_networks_broadcast_address(ear: Ear) -> None:
    assert sender(ear).answer(Wake("a", MAC, NETWORK)) == Woken("a")
    assert ear.heard() == [magic_packet(MAC)] * REPEATS


@pytest.mark.parametrize("network", ["10.0.3.0/24", "127.0.0.0/24", "0.0.0.0/0", "", "127.0.0.1", "255.255.255.255/32"])
def test_a_network_that_this_machine_is_not_on_is_refused(ear: Ear, network: str) -> None:
    """Trust: a hub cannot have packets sent elsewhere, whatever it says."""
    answer = sender(ear).answer(Wake("a", MAC, network))
    assert "not on" in answer.reason
    assert ear.heard() == []


def test_an_address_of_many_cards_is_refused(ear: Ear) -> None:
    assert sender(ear).answer(Wake("a", "ff:ff:ff:ff:ff:ff", NETWORK)).reason
    assert ear.heard() == []
    with pytest.raises(BadMessage):
        to_body(Wake("a", "ff:ff:ff:ff:ff:ff", NETWORK))


def test_a_hub_cannot_make_it_flood(ear: Ear) -> None:
    """Trust: a burst, and then no more than the rate; each answer says so."""
    now = [0.0]
    packets = sender(ear, now)
    answers = [packets.answer(Wake(str(n), MAC, NETWORK)) for n in range(BURST + 5)]
    assert [bool(answer.reason) for answer in answers] == [False] * BURST + [True] * 5
    assert len(ear.heard()) == BURST * REPEATS
    now[0] += 1.0 / RATE
    assert not packets.answer(Wake("x", MAC, NETWORK)).reason
    assert packets.answer(Wake("y", MAC, NETWORK)).reason


def test_a_network_that_is_down_is_told(ear: Ear) -> None:
    gone = Interface("eth9", MAC, (ip_interface("192.0.2.99/24"),))  # an address that this machine has not
    answer = MagicPackets(lambda: 0.0, lambda: (gone,), ear.port).answer(Wake("a", MAC, "192.0.2.0/24"))
    assert "the network does not take it" in answer.reason
    assert from_body("woken", to_body(answer), "agent") == answer


async def test_a_link_answers_the_hub(
    hub: AgentFakeHub, runner: FakeRunner, state: StateFolder, running: Running
) -> None:
    """The real uplink says that it knows how, and answers a wake on a network it is not on."""
    async with running(state):
        link = await hub.next_link()
        assert (link.hello.facts or {})[WAKE_FACT] == "1"
        await link.expect(Report)
        await link.send(Wake("a", MAC, "203.0.113.0/24"))
        assert await link.expect(Woken) == Woken("a", "this machine is not on 203.0.113.0/24")


async def test_a_hub_that_is_not_obeyed_wakes_nobody(
    hub: AgentFakeHub, runner: FakeRunner, state: StateFolder, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was put back from a backup: its word is read, and nothing is done that it says."""
    asked: list[Wake] = []
    monkeypatch.setattr(MagicPackets, "answer", lambda self, message: asked.append(message) or Woken(message.id))
    HubPosition(state.hub_position).note(HEARD)
    hub.epoch, hub.mark = 5, FORK
    async with running(state):
        link = await hub.next_link()
        await link.expect(Report)
        end = await runner.next_attachment()
        await link.send(Wake("a", MAC, NETWORK))
        await link.send(Credit("job", 1))
        assert await end.receive() == Credit("job", 1)
    assert asked == []
