"""Why a machine is away, in words that people read: the same in chat, on the command line and in the console.

`hub.core.absence` decides; an operator's view of a machine carries the code and its values, and whoever shows it
renders them here, with moments in the reader's zone.

    expired        it was refused: its certificate has run out, since when
    revoked        an admin has taken its certificates back
    locked         it may have a copy; a person has to look
    clock          its clock is off, by how much
    epoch          it, or the hub, has heard of a newer hub: a restored backup, or two hubs
    stale          it came with a certificate that has had successors: a copy, or an old disk
    unknown        it came with a certificate that this hub does not know
    not_yet_valid  its certificate is from this hub's future: the hub's own clock is behind
    protocol       its agent is too old for this hub
    penalty        it sends what is no frame, again and again, and has to stay away for a while
    refused        it was refused for another reason
    never_joined   a token was made for it and not used
    never_linked   it has joined and never come
    runner         it is linked, but its runner does not answer since when: what is for it waits
    silent         nothing of it has been heard since when
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from common.catalogue import Language, Sentence
from common.values import split_duration

CODES: Final = frozenset(
    {
        "expired",
        "revoked",
        "locked",
        "clock",
        "epoch",
        "stale",
        "unknown",
        "not_yet_valid",
        "protocol",
        "penalty",
        "refused",
        "never_joined",
        "never_linked",
        "runner",
        "silent",
    }
)
NEEDS_PERSON: Final = CODES - {"revoked", "never_joined", "never_linked", "silent"}
"""Reasons that do not pass by themselves."""
CLOCK_OFF: Final = 60.0
"""Seconds from which on a clock counts as off: orders expire by it."""


@dataclass(frozen=True, slots=True)
class Absence:
    code: str  # of the list above; a newer hub may have others
    since: float | None = None
    ahead: float | None = None  # of "clock": seconds that the machine's clock is ahead of the hub's


def absence_text(absence: Absence, moment: Callable[[float], str], language: Language) -> str:
    """A few words for one line: `not heard since 07:55 UTC`. `moment` renders a point in time for the reader."""
    code = absence.code if absence.code in CODES else "refused"
    if code == "clock":
        return clock_text(absence.ahead or 0.0, language)
    if absence.since is None:
        return Sentence(f"away_{code}").render(language)
    return Sentence(f"away_{code}_since", {"since": moment(absence.since)}).render(language)


def absence_column(absence: Absence, since: str, language: Language) -> str:
    """The same for a column of a table: `expired`, `clock off by 2 h`, `not heard since 07:55`. `since` is the moment
    as the column's reader sees it.
    """
    code = absence.code if absence.code in CODES else "refused"
    if code == "clock":
        return clock_column(absence.ahead or 0.0, language)
    if code == "silent" and absence.since is not None:
        return Sentence("why_silent_since", {"since": since}).render(language)
    return Sentence(f"why_{code}").render(language)


def clock_column(ahead: float, language: Language) -> str:
    """`clock off by 2 h`: the largest unit alone."""
    count, unit = split_duration(round(abs(ahead)))[0]
    return Sentence("why_clock", {"skew": f"{count} {unit}"}).render(language)


def clock_text(ahead: float, language: Language) -> str:
    """`clock is 2 h ahead`, or behind."""
    parts = [f"{count} {unit}" for count, unit in split_duration(round(abs(ahead))) if count]
    key = "away_clock_ahead" if ahead > 0 else "away_clock_behind"
    return Sentence(key, {"skew": " ".join(parts)}).render(language)
