"""What people type, said to a real hub: the lines of `phrases`."""

from __future__ import annotations

from pathlib import Path

from tests.end_to_end.phrases import CHINESE, ENGLISH, MACHINES, add_slow, talk
from tests.end_to_end.system import running_system


async def test_what_people_type_is_understood(tmp_path: Path) -> None:
    """A hundred lines in both languages: what each is answered, and which program ran where."""
    async with running_system(tmp_path, *MACHINES, prepare=add_slow) as house:
        for lines in (ENGLISH, CHINESE):
            wrong = [(one.said, one.wants, one.reply["text"]) for one in await talk(house, lines) if not one.is_right]
            assert not wrong
        house.check_at_most_once()
