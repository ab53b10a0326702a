"""Which holder of its name a state folder is: its journal, the life of its runner, its links; and whether it was moved.
Read from the files, for `status` and `doctor`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from agent.place import Place, place_of, why_moved
from agent.state import StateFolder
from agent.uplink.link_chain import read_links


@dataclass(frozen=True, slots=True)
class Holder:
    journal: str = ""  # "" where no runner has served this folder yet
    life: int = 0  # the runner's last start, from 1
    life_id: str = ""
    links: int = 0  # links there were
    moved: str = ""  # why this folder is not the one that was last used; "" where it is

    def __str__(self) -> str:
        if self.moved:
            return f"COPIED OR MOVED: {self.moved}"
        if not self.journal:
            return "none yet"
        return f"journal {self.journal[:8]}, life {self.life} ({self.life_id}), link {self.links}"


def read_holder(state: StateFolder) -> Holder | None:
    """None where this user may not look, or the journal does not read."""
    from agent.runner.journal import JournalDamaged, JournalState, parse_journal  # not for whom the above keeps out

    try:
        lineage, linked_at, _ = read_links(state.links)
        journal = state.runner / "journal"
        if not os.access(state.uplink, os.R_OK | os.X_OK) or not os.access(state.runner, os.R_OK | os.X_OK):
            return None
        memory = parse_journal(journal.read_bytes())[0] if journal.exists() else JournalState()
        last = memory.lives[-1] if memory.lives else None
        moved = _why(linked_at, place_of(state.uplink)) or _why(last.place if last else None, place_of(state.runner))
    except (OSError, JournalDamaged):
        return None
    return Holder(
        memory.id,
        last.counter if last else 0,
        last.id if last else "",
        lineage.counter if lineage else 0,
        moved,
    )


def _why(recorded: Place | None, here: Place) -> str:
    return "" if recorded is None else why_moved(recorded, here)
