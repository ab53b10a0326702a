"""Jobs that ended long ago, a hundred thousand of them in little memory: each is eight small facts and answers like
a row."""

from __future__ import annotations

import random
from typing import Any, Final

from tui.demo.cast import INLETS, PEOPLE, PLAYS

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_USUAL: Final = [play for play in PLAYS if not play.asks]
SPACING: Final = 3.0
"""Seconds between two of them."""


class Past:
    """One job; `get` makes it a row for filters."""

    __slots__ = ("_agent", "_index", "_inlet", "_person", "_play", "at", "failed", "took")

    def __init__(
        self, index: int, at: float, play: int, agent: str, person: int, inlet: int, took: float, failed: bool
    ) -> None:
        self._index, self.at, self._play, self._agent = index, at, play, agent
        self._person, self._inlet, self.took, self.failed = person, inlet, took, failed

    @property
    def id(self) -> str:
        value = (int(self.at * 1000) << 80) | (self._index * 0x9E3779B97F4A7C15 & ((1 << 80) - 1))
        return "".join(_ALPHABET[(value >> shift) & 31] for shift in range(125, -1, -5))

    def get(self, key: str, default: Any = None) -> Any:
        match key:
            case "id":
                return self.id
            case "state":
                return "failed" if self.failed else "succeeded"
            case "agent":
                return self._agent
            case "person":
                return PEOPLE[self._person]
            case "inlet":
                return INLETS[self._inlet]
            case "argv":
                return list(_USUAL[self._play].argv)
            case "queued_at" | "leased_at":
                return self.at
            case "started_at":
                return self.at + 0.01
            case "ended_at":
                return self.at + self.took
            case "duration":
                return self.took
            case "exit_code":
                return int(self.failed)
            case "priority":
                return 5
            case _:
                return default

    def row(self) -> dict[str, Any]:
        keys = ("id", "state", "agent", "person", "inlet", "argv", "queued_at", "leased_at", "started_at", "ended_at")
        found = {key: self.get(key) for key in (*keys, "duration", "exit_code", "priority")}
        return found | {
            "request": "",
            "number": 0,
            "reason": "",
            "plan_hash": "",
            "not_after": self.at + 600,
            "signal": None,
        }


def make_past(seed: int, count: int, agents: list[str], until: float) -> list[Past]:
    """`count` jobs before `until`, the newest first."""
    chance = random.Random(seed)  # noqa: S311 - a world that must come out the same, no secret
    made = []
    for index in range(count):
        play = int(chance.random() * len(_USUAL))
        low, usual = _USUAL[play].seconds
        took, failed = low + chance.expovariate(1 / max(0.01, usual - low)), chance.random() < _USUAL[play].fails
        person, inlet = int(chance.random() * len(PEOPLE)), int(chance.random() * len(INLETS))
        made.append(
            Past(
                index,
                until - SPACING * (index + 1),
                play,
                agents[int(chance.random() * len(agents))],
                person,
                inlet,
                took,
                failed,
            )
        )
    return made
