"""Wake-on-LAN across two network namespaces, on one wire: a hub is asked in chat, the neighbour's own code sends, and
what arrives is captured and taken apart by code that knows nothing of ours.

The sleeping machine's side is a raw socket of the kernel (AF_PACKET), as tcpdump has one, in a namespace of its own:
the frame is parsed here by the published layout (Ethernet II, RFC 791, RFC 768, AMD's Magic Packet white paper).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.uplink.interfaces import read_interfaces
from common.link.messages import WAKE_FACT, Wake, Woken
from common.machine.interfaces import from_facts
from tests.end_to_end.system import SystemHarness
from tests.hub.hub_harness import FakeClock, HubHarness, hub_harness
from tests.hub.link_harness import serve_links
from tests.sources import ROOT

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "nsenter", "ip"))),
    reason="network namespaces take root, unshare, nsenter and ip",
)
TARGET_MAC = "52:54:00:aa:bb:09"
NEIGHBOUR = """
import json, sys
from agent.uplink.magic_packet import MagicPackets
from agent.uplink.vitals import network_facts
from common.link.messages import Wake
packets = MagicPackets(lambda: 0.0)
print("up", flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    told = network_facts() if asked is None else packets.answer(Wake(*asked)).reason
    print(json.dumps(told), flush=True)
"""
SLEEPER = """
import binascii, socket, sys
print("up", flush=True)
sys.stdin.readline()
ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
ear.bind(("wol1", 0))
ear.settimeout(40)
print("listening", flush=True)
while True:
    frame = ear.recv(65535)
    if frame[12:14] == b"\\x08\\x00" and frame[23] == 17:
        print(binascii.hexlify(frame).decode(), flush=True)
"""


@dataclass
class Room:
    """A process in a network namespace of its own, spoken to a line at a time."""

    process: subprocess.Popen[str]

    @classmethod
    def open(cls, program: str) -> Room:
        room = cls(
            subprocess.Popen(
                ["unshare", "--net", sys.executable, "-c", program],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=ROOT,
            )
        )
        if room.line() != "up":
            pytest.skip("the kernel gives no network namespace")
        return room

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def say(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def ask(self, what: object) -> object:
        self.say(json.dumps(what))
        return json.loads(self.line())

    def ip(self, *words: str) -> None:
        inside = ["nsenter", "-t", str(self.process.pid), "-n", "ip", *words]
        done = subprocess.run(inside, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no network of our own here: {done.stderr.strip()}")

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def rooms() -> Iterator[tuple[Room, Room]]:
    """The neighbour and the sleeper, with a wire between them; the sleeper's card has no address: it sleeps."""
    neighbour, sleeper = Room.open(NEIGHBOUR), Room.open(SLEEPER)
    try:
        neighbour.ip(*f"link add wol0 type veth peer name wol1 netns {sleeper.process.pid}".split())
        neighbour.ip(*["addr", "add", "10.77.3.1/24", "dev", "wol0"])
        neighbour.ip(*["link", "set", "wol0", "up"])
        sleeper.ip(*f"link set wol1 address {TARGET_MAC} up".split())
        sleeper.say("listen")
        assert sleeper.line() == "listening"
        yield neighbour, sleeper
    finally:
        neighbour.close()
        sleeper.close()


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[HubHarness]:
    """A hub with the machine web-1. TLS looks at the real clock: its own starts there."""
    with hub_harness(tmp_path, FakeClock(time.time())) as made:
        await made.add_machine("web-1")
        await made.people.refresh()
        yield made


def next_to_port_9(sleeper: Room) -> bytes:
    """The next frame that carries UDP to the port `discard`; what else the kernel sends is passed over."""
    while True:
        frame = bytes.fromhex(sleeper.line())
        assert frame, "nothing arrived"
        header = 14 + 4 * (frame[14] & 15)
        if frame[header + 2 : header + 4] == b"\x00\x09":
            return frame


async def test_a_packet_goes_from_one_namespace_to_the_other(harness: HubHarness, rooms: tuple[Room, Room]) -> None:
    """Asked in chat with the facts that the neighbour's kernel tells, sent by the neighbour on the segment, captured
    on the sleeper's card; that it comes ends the wake with a word to who asked.
    """
    neighbour, sleeper = rooms
    facts = neighbour.ask(None)
    assert isinstance(facts, dict)
    assert facts["net0"].startswith("wol0 ")
    assert "10.77.3.1/24" in facts["net0"]
    await harness.add_machine("nas", online=False, facts={"net0": f"eth0 {TARGET_MAC} 10.77.3.9/24"})
    async with serve_links(harness) as port:
        link = await port.connect_reported_agent("web-1")
        await harness.change_machine("web-1", facts={**facts, WAKE_FACT: "1"})
        assert "10.77.3.0/24" in await harness.reply_text("wake nas")
        asked = await link.expect(Wake)
        assert neighbour.ask([asked.id, asked.mac, asked.network]) == ""
        await link.send(Woken(asked.id))
        await link.round_trip()

        frame = next_to_port_9(sleeper)
        assert frame[0:6] == b"\xff" * 6  # to all on the wire, as a sleeping card has no address of its own
        ip = frame[14 : 14 + 4 * (frame[14] & 15)]
        assert (ip[12:16], ip[16:20]) == (bytes([10, 77, 3, 1]), bytes([10, 77, 3, 255]))
        udp = frame[14 + len(ip) :]
        assert int.from_bytes(udp[4:6], "big") == 8 + 102
        assert udp[8 : 8 + 102] == b"\xff" * 6 + bytes([0x52, 0x54, 0x00, 0xAA, 0xBB, 0x09]) * 16

        harness.clock.advance(14)
        harness.fleet.set_online("nas")
        await harness.engine.wakes.run_due()
    assert any("nas woke after 14 s" in reply.body for reply in harness.replies())


async def test_a_neighbour_sends_nothing_for_a_network_it_is_not_on(rooms: tuple[Room, Room]) -> None:
    """Trust: whatever a hub says. The packet that follows is the first that arrives."""
    neighbour, sleeper = rooms
    assert "not on" in str(neighbour.ask(["a", "52:54:00:00:00:66", "10.78.0.0/24"]))
    assert neighbour.ask(["b", TARGET_MAC, "10.77.3.0/24"]) == ""
    assert bytes.fromhex("525400000066") not in next_to_port_9(sleeper)


async def test_an_agent_tells_its_cards_and_the_command_line_asks(rig: SystemHarness) -> None:
    """Real programs: the cards are known from the first link on, and kept when the machine has gone; whom nobody is
    near is named with the network.
    """
    await rig.start_hub()
    agent = await rig.add_agent("web-1")
    told = json.loads((await rig.operator("wake", "web-1", "--json"))[1])
    assert (told["code"], told["waking"], told["text"]) == ("ok", False, "web-1 is online already")
    await agent.stop()
    await rig.wait_until(lambda: is_away(rig))
    (machine,) = json.loads((await rig.operator("agents", "--json"))[1])
    status, out, err = await rig.operator("wake", "web-1", "--wait", check=False)
    segments = [network for card in from_facts(machine["facts"]) for network in card.segments]
    assert machine["facts"][WAKE_FACT] == "1"
    assert [card.mac for card in from_facts(machine["facts"])] == [card.mac for card in read_interfaces()]
    assert (status, out) == (3, "")
    assert (f"no neighbour on {', '.join(dict.fromkeys(segments))}" if segments else "not known") in err


async def is_away(rig: SystemHarness) -> bool:
    return not await rig.online("web-1")
