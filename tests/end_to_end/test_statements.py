"""What a message costs the store, counted where SQLite runs it: whoever adds a statement or a commit to its way sees it
here first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.bench.peers.counts import Counts, read_counts, share, start_counted_hub
from tests.end_to_end.system import SystemHarness

MESSAGES: Final = 20
MOST: Final = Counts(reads=36, writes=38, commits=5)
"""Of a message that runs one process, alone: a little over what it is. Lower it with whatever you save. Reads have more
room, since the writer also reads once in a while, and a message takes longer on a machine that is busy.
"""
LEAST: Final = Counts(reads=1, writes=4, commits=1)
"""A message cannot do with less: else nothing was counted."""


async def test_statements_and_commits_of_a_message(tmp_path: Path) -> None:
    async with SystemHarness(tmp_path) as rig:
        await rig.init()
        file = await start_counted_hub(rig)
        await rig.add_agent("box")
        for _ in range(3):
            await rig.ask("carol", "@box uptime")
        before = read_counts(file)
        for _ in range(MESSAGES):
            reply = await rig.ask("carol", "@box uptime")
            assert [job["exit_code"] for job in reply["jobs"]] == [0]
        found = share(before, read_counts(file), MESSAGES)
    for name in ("reads", "writes", "commits"):
        assert getattr(LEAST, name) <= getattr(found, name) <= getattr(MOST, name), (name, found)
