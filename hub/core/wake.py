"""Waking a machine that sleeps: which neighbours are asked to send the magic packet, when, and what became of it. Pure.

    begin    the machine is away, its cards are known, and somebody on one of its networks is online
    ask      at each of TRIES seconds one neighbour a network, another one each time
    end      it is online: woke. DEADLINE seconds have passed: it did not come

A neighbour is an online machine with an address of the same IPv4 network. That the numbers are equal is all that is
known: two networks may have the same, and then its packet wakes nobody: the result says that the
machine did not come.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from common.catalogue import Sentence
from common.link.messages import WAKE_FACT
from common.machine.interfaces import from_facts

TRIES: Final = (0.0, 3.0, 10.0, 30.0)
DEADLINE: Final = 120.0
MAX_AT_ONCE: Final = 64
"""Machines that are being woken."""
AGAIN_AFTER: Final = 600.0
"""Seconds for which a machine that was woken for a job is not woken for another one."""
MAX_SEGMENTS: Final = 4
"""Networks of one machine on which somebody is asked."""
MAX_NEIGHBOURS: Final = 8
"""Neighbours on one network of whom one is asked; the tries are fewer."""
_CACHED: Final = 16_384

Segment = tuple[str, str]
"""The MAC address of a machine's card, and an IPv4 network that it is on."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A machine as far as waking goes: its name and the facts that it told when it was linked last."""

    name: str
    facts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Ask:
    """One neighbour is to send the packet for this card on that network."""

    neighbour: str
    mac: str
    network: str


@dataclass(frozen=True, slots=True)
class Waking:
    machine: str
    person: str
    request: str  # in whose conversation the result is told; "": nowhere
    begun_at: float
    segments: tuple[Segment, ...]
    tries: int = 0
    sent: int = 0  # asks that a neighbour has done
    refused: tuple[str, str] | None = None  # the last who could not, and why
    asked: tuple[str, ...] = ()  # neighbours, each once

    def answered(self, neighbour: str, reason: str) -> Waking:
        """What a neighbour says; of one that was not asked nothing counts."""
        if neighbour not in self.asked:
            return self
        return replace(self, refused=(neighbour, reason)) if reason else replace(self, sent=self.sent + 1)


@dataclass(frozen=True, slots=True)
class WakeEnd:
    """How it ended, or why it did not begin; `code` is for programs: woke, online, no_neighbour, no_cards, late …"""

    code: str
    sentence: Sentence
    seconds: float = 0.0

    @property
    def is_awake(self) -> bool:
        return self.code in ("woke", "online")


def begin(
    target: Peer, *, online: bool, peers: Iterable[Peer], others: Collection[str], person: str, request: str, now: float
) -> Waking | WakeEnd:
    """`peers` are the machines online; `others` those that are being woken already."""
    values = {"machine": target.name}
    if online:
        return WakeEnd("online", Sentence("wake_online", values))
    if target.name in others:
        return WakeEnd("waking", Sentence("wake_under_way", values))
    if len(others) >= MAX_AT_ONCE:
        return WakeEnd("full", Sentence("wake_full", {"count": len(others)}))
    segments = segments_of(target.facts)
    if not segments:
        return WakeEnd("no_cards", Sentence("wake_no_cards", values))
    if not any(find_neighbours(segments, target.name, peers).values()):
        networks = ", ".join(dict.fromkeys(network for _, network in segments))
        return WakeEnd("no_neighbour", Sentence("wake_no_neighbour", {**values, "networks": networks}))
    return Waking(target.name, person, request, now, segments)


def step(waking: Waking, *, online: bool, peers: Iterable[Peer], now: float) -> tuple[Waking, list[Ask]] | WakeEnd:
    """What is due now; `peers` are looked at only where a try is."""
    seconds = max(0.0, now - waking.begun_at)
    if online:
        values = {"machine": waking.machine, "seconds": round(seconds)}
        return WakeEnd("woke", Sentence("wake_woke", values), seconds)
    if seconds >= DEADLINE:
        return _gave_up(waking, seconds)
    if waking.tries >= len(TRIES) or seconds < TRIES[waking.tries]:
        return waking, []
    asks = []
    for (mac, network), names in find_neighbours(waking.segments, waking.machine, peers).items():
        if names:
            asks.append(Ask(names[waking.tries % len(names)], mac, network))
    asked = tuple(dict.fromkeys([*waking.asked, *(ask.neighbour for ask in asks)]))
    return replace(waking, tries=waking.tries + 1, asked=asked), asks


def segments_of(facts: Mapping[str, str]) -> tuple[Segment, ...]:
    """At most MAX_SEGMENTS of a machine's cards and networks."""
    return tuple((card.mac, network) for card in from_facts(facts) for network in card.segments)[:MAX_SEGMENTS]


def find_neighbours(segments: Iterable[Segment], machine: str, peers: Iterable[Peer]) -> dict[Segment, list[str]]:
    """At most MAX_NEIGHBOURS of `peers` for each segment, who know how and have an address of its network."""
    found: dict[Segment, list[str]] = {segment: [] for segment in segments}
    missing = set(found)
    for peer in peers:
        if peer.name == machine or WAKE_FACT not in peer.facts:
            continue
        networks = _networks(tuple(value for key, value in peer.facts.items() if key.startswith("net")))
        for segment in [one for one in missing if one[1] in networks]:
            found[segment].append(peer.name)
            if len(found[segment]) == MAX_NEIGHBOURS:
                missing.discard(segment)
        if not missing:
            break
    return found


@lru_cache(_CACHED)
def _networks(told: tuple[str, ...]) -> frozenset[str]:
    """The networks of these cards. Kept, since every machine online is looked at with every try."""
    words = [line.split(" ") for line in told]  # without IPv6, which takes the longest to parse, and no segment has
    lines = [" ".join([*line[:2], *(one for one in line[2:] if ":" not in one)]) for line in words]
    cards = from_facts({f"net{number}": line for number, line in enumerate(lines)})
    return frozenset(network for card in cards for network in card.segments)


def _gave_up(waking: Waking, seconds: float) -> WakeEnd:
    values: dict[str, object] = {"machine": waking.machine, "seconds": round(DEADLINE)}
    if not waking.sent and waking.refused is not None:
        neighbour, reason = waking.refused
        return WakeEnd(
            "not_sent", Sentence("wake_not_sent", {**values, "neighbour": neighbour, "why": reason}), seconds
        )
    if not waking.sent:
        return WakeEnd("not_sent", Sentence("wake_no_word", {**values, "neighbours": ", ".join(waking.asked)}), seconds)
    return WakeEnd("late", Sentence("wake_late", values), seconds)
