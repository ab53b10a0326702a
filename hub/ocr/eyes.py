"""What planning sees of a message's pictures: all of them together, or why not.

All or none: where one picture of several cannot be read, nothing is planned from the others, since nobody would know
that a part is missing. Pictures are numbered for people where there are several.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from common.catalogue import Sentence
from hub.ocr.keylines import key_lines_of
from hub.ocr.reader import Outcome, Reader, Reading
from hub.thinking import Seen


class Sight:
    """The engine's eyes."""

    def __init__(self, reader: Reader, clock: Callable[[], float] = time.monotonic) -> None:
        self._reader = reader
        self._clock = clock

    async def read(self, pictures: Sequence[bytes]) -> Seen:
        begun = self._clock()
        return seen(await self._reader.read(pictures), self._clock() - begun)


def seen(outcomes: Sequence[Outcome], seconds: float = 0.0) -> Seen:
    readings: list[Reading] = []
    for number, outcome in enumerate(outcomes, 1):
        if isinstance(outcome, Reading):
            readings.append(outcome)
            continue
        problem = outcome.sentence
        if len(outcomes) > 1:
            problem = Sentence("ocr_of_picture", {"number": number, "problem": problem})
        return Seen(problem=problem, seconds=seconds)
    lines = [line.text for reading in readings for line in reading.lines]
    note = None if all(reading.whole for reading in readings) else Sentence("ocr_partly")
    return Seen("\n".join(reading.text for reading in readings), key_lines_of(lines), note=note, seconds=seconds)
