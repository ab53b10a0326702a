"""Jobs that ended long ago, a hundred thousand of them in little memory: each is eight small facts, from which its
row is made when it is asked for."""

from __future__ import annotations

import random
from typing import Final

from common.api.jobs import JobView
from tui.demo.cast import CHANNELS, PEOPLE, SAMPLE_COMMANDS

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_UNATTENDED: Final = [play for play in SAMPLE_COMMANDS if not play.approval_reason]
SPACING: Final = 3.0
"""Seconds between two of them."""
HANDOUT: Final = 0.01
"""Seconds from the queue to the start of the command."""
LIFETIME: Final = 600.0
"""Seconds that each might have waited for its machine."""


class HistoricJob:
    """One job. Filters and orders read its attributes, which are named as those of `JobView`; `view` is the row."""

    __slots__ = ("_index", "_inlet", "_person", "_play", "agent", "at", "failed", "took")

    def __init__(
        self, index: int, at: float, play: int, agent: str, person: int, inlet: int, took: float, failed: bool
    ) -> None:
        self._index, self.at, self._play, self.agent = index, at, play, agent
        self._person, self._inlet, self.took, self.failed = person, inlet, took, failed

    @property
    def id(self) -> str:
        value = (int(self.at * 1000) << 80) | (self._index * 0x9E3779B97F4A7C15 & ((1 << 80) - 1))
        return "".join(_ALPHABET[(value >> shift) & 31] for shift in range(125, -1, -5))

    @property
    def state(self) -> str:
        return "failed" if self.failed else "succeeded"

    @property
    def person(self) -> str:
        return PEOPLE[self._person]

    @property
    def inlet(self) -> str:
        return CHANNELS[self._inlet]

    @property
    def argv(self) -> tuple[str, ...]:
        return _UNATTENDED[self._play].argv

    @property
    def queued_at(self) -> float:
        return self.at

    @property
    def leased_at(self) -> float:
        return self.at

    @property
    def started_at(self) -> float:
        return self.at + HANDOUT

    @property
    def ended_at(self) -> float:
        return self.at + self.took

    @property
    def duration(self) -> float:
        return self.took

    @property
    def exit_code(self) -> int:
        return int(self.failed)

    @property
    def priority(self) -> int:
        return 5

    def view(self) -> JobView:
        return JobView(
            id=self.id,
            request="",
            agent=self.agent,
            person=self.person,
            state=self.state,
            priority=self.priority,
            queued_at=self.queued_at,
            not_after=self.at + LIFETIME,
            leased_at=self.leased_at,
            started_at=self.started_at,
            ended_at=self.ended_at,
            duration=self.duration,
            exit_code=self.exit_code,
            inlet=self.inlet,
            argv=self.argv,
        )


def generate_history(seed: int, count: int, agents: list[str], until: float) -> list[HistoricJob]:
    """`count` jobs before `until`, the newest first."""
    chance = random.Random(seed)  # noqa: S311 - a world that must come out the same, no secret
    made = []
    for index in range(count):
        play = int(chance.random() * len(_UNATTENDED))
        low, usual = _UNATTENDED[play].seconds
        took, failed = (
            low + chance.expovariate(1 / max(0.01, usual - low)),
            chance.random() < _UNATTENDED[play].failure_rate,
        )
        person, inlet = int(chance.random() * len(PEOPLE)), int(chance.random() * len(CHANNELS))
        made.append(
            HistoricJob(
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
