"""A chain of steps by which the hub tells whether a name still has one holder. Pure.

    CHAIN:COUNTER:ID,ID…        9f0c2a7be1d35566:17:0a1b…,2c3d…

Whoever holds a state folder takes a step on disk before it acts: the runner with each start (a life, its chain is the
journal), the uplink with each link (its chain is a file of its own). A step's id is a hash over the one before it and
something random, so an equal id means an equal history. What is told is the last few ids, the newest last.

The hub keeps the last step that it saw. One holder's next step always goes on from there, whatever was killed and
whatever was lost: the step was on disk before it was told. A copy and its original, or a machine that was put back to
an earlier moment, have gone different ways from some step on, and the second that is heard shows it (`compare`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final, Literal

MAX_IDS: Final = 8
"""Steps that are told: more than can be taken between two that the hub has seen."""
MAX_LINEAGE: Final = 200
"""Characters of a lineage as text."""
MAX_PAST: Final = 8
"""Chains of before that are remembered of one name."""
_LINEAGE: Final = re.compile(r"([0-9a-f]{16,40}):([1-9][0-9]{0,14}):([0-9a-f]{16}(?:,[0-9a-f]{16}){0,7})", re.ASCII)

Relation = Literal["first", "same", "follows", "ahead", "another", "stale", "diverged"]
"""What a lineage is beside the last step that was seen:

    first     nothing was seen before
    same      that step again: its answer was lost
    follows   it goes on from there
    ahead     it may go on from there, too many steps since to tell: the hub has missed some
    another   a chain that was never seen: begun anew by a person's word, or since its file was gone
    stale     a step that this lineage has left behind: said long ago, or by a holder that was put back
    diverged  it does not go on from there, or is a chain that another one has replaced: there are two
"""


@dataclass(frozen=True, slots=True)
class Lineage:
    chain: str
    counter: int  # of the newest step, from 1
    ids: tuple[str, ...]  # of the last steps, the newest last

    @property
    def id(self) -> str:
        """The newest step's."""
        return self.ids[-1]

    def came_after(self, step: str) -> bool:
        """Whether the newest step goes on from this one, of its last few."""
        return step in self.ids[:-1]

    def __str__(self) -> str:
        return f"{self.chain}:{self.counter}:{','.join(self.ids)}"

    def advance(self, salt: bytes) -> Lineage:
        """With one step more; `salt` is random."""
        return Lineage(self.chain, self.counter + 1, (*self.ids, _step_id(self.id, salt))[-MAX_IDS:])


def begin(chain: str, salt: bytes) -> Lineage:
    """A chain's first step."""
    return Lineage(chain, 1, (_step_id(chain, salt),))


def _step_id(before: str, salt: bytes) -> str:
    return hashlib.sha256(before.encode() + b"\0" + salt).hexdigest()[:16]


def parse_lineage(text: str) -> Lineage | None:
    """The lineage of its text; None where the text is none."""
    found = _LINEAGE.fullmatch(text) if len(text) <= MAX_LINEAGE else None
    if found is None:
        return None
    ids = tuple(found[3].split(","))
    return Lineage(found[1], int(found[2]), ids) if len(ids) <= int(found[2]) else None


@dataclass(frozen=True, slots=True)
class SeenStep:
    """The last step that the hub saw of a name, with those before it, and the chains that it had before."""

    chain: str
    counter: int
    ids: tuple[str, ...]  # the newest last
    past: tuple[str, ...] = ()  # the latest last

    def to_text(self) -> str:
        return json.dumps([self.chain, self.counter, self.ids, self.past])


def parse_seen(text: str) -> SeenStep | None:
    """The step of `SeenStep.to_text`; None for ""."""
    if not text:
        return None
    chain, counter, ids, past = json.loads(text)
    return SeenStep(chain, counter, tuple(ids), tuple(past))


def compare(seen: SeenStep | None, told: Lineage) -> Relation:
    if seen is None:
        return "first"
    if told.chain != seen.chain:
        return "diverged" if told.chain in seen.past else "another"
    steps = told.counter - seen.counter
    if steps < 0:
        return "stale" if -steps < len(seen.ids) and seen.ids[-1 + steps] == told.id else "diverged"
    if steps >= len(told.ids):
        return "ahead"
    if told.ids[-1 - steps] != seen.ids[-1]:
        return "diverged"
    return "follows" if steps else "same"


def advance_seen(seen: SeenStep | None, told: Lineage) -> SeenStep:
    """What is kept once `told` was believed."""
    step = SeenStep(told.chain, told.counter, told.ids)
    if seen is None:
        return step
    past: Collection[str] = seen.past
    if seen.chain != told.chain:
        past = [*(chain for chain in seen.past if chain != told.chain), seen.chain][-MAX_PAST:]
    return replace(step, past=tuple(past))
