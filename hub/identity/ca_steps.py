"""The steps of a rotation of the CA as transactions: what the store has to allow, what it notes, and the files with it.

A step writes the phase's file in the transaction that has its audit row. Killed between the two, the row is written by
whoever comes next, the serving hub or the next command (`note_state`): a step is never made unheard.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from common.errors import UserError
from hub.config import Folder
from hub.core.ca_rotation import BACK, FORWARD, Behind, Phase, behind, holders
from hub.identity.authorities import (
    Authorities,
    Ending,
    load_authorities,
    make_next,
    settle,
    write_phase,
)
from hub.identity.certificates import CA_WANTED
from hub.store.transaction import Txn

CA_LOADED: Final = "ca_loaded"
"""In `meta`: the state that a serving hub has taken up."""
MAX_NAMES: Final = 50  # of those behind, in an audit row


class StillBehind(UserError):
    """The last step is refused: `who` would be shut out by it."""

    def __init__(self, who: list[Behind]) -> None:
        names = ", ".join(sorted({one.holder.name for one in who})[:5])
        more = "" if len(who) <= 5 else f" and {len(who) - 5} more"
        super().__init__(
            f"{len(who)} would be shut out by this step: {names}{more}",
            "answerback-hub ca status says why and what to do; --force goes on without them: they must join anew",
        )
        self.who = who


def everybody_behind(txn: Txn, now: Authorities, graces: Mapping[str, float], at: float) -> list[Behind]:
    """Who would be shut out if the CA that is to go were dropped now; in standby, who was."""
    everybody = holders(txn.agents(), txn.people(), txn.credentials(), at, graces)
    if now.phase == "standby":
        lost = [one for one in everybody if one.issuer not in ("", now.current.key_id)]
        return [Behind(one, "not_renewed") for one in lost]
    return behind(everybody, now.phase, now.target.key_id, now.digest)


def step_forward(
    txn: Txn, folder: Folder, graces: Mapping[str, float], at: float, *, force: bool = False
) -> Authorities:
    """The next phase; raises UserError, StillBehind where it is the last one. The caller holds the files' lock and
    settles them after the commit.
    """
    return _step(txn, folder, FORWARD, graces, at, force)


def step_back(txn: Txn, folder: Folder, graces: Mapping[str, float], at: float, *, force: bool = False) -> Authorities:
    """Back to the CA of before, or, once everything is of it again, the end of the way back. Raises as the other."""
    return _step(txn, folder, BACK, graces, at, force)


def _step(
    txn: Txn, folder: Folder, way: Mapping[Phase, Phase], graces: Mapping[str, float], at: float, force: bool
) -> Authorities:
    before = load_authorities(folder)
    note_state(txn, before, "terminal", at)  # of a step that was killed before its row
    phase = way.get(before.phase)
    if phase is None:
        problem = "no rotation is under way" if before.phase == "standby" else "the rotation is on its way back"
        cure = "answerback-hub ca rotate begins one" if before.phase == "standby" else "answerback-hub ca rollback"
        raise UserError(problem, cure)
    ending: Phase | Ending = phase
    left: list[Behind] = []
    if phase == "init":
        settle(folder)
        txn.fill_issuer(before.current.key_id)
        make_next(folder, at)
    elif phase == "standby":
        left = everybody_behind(txn, before, graces, at)
        if left and not force:
            raise StillBehind(left)
        ending = "returned" if before.phase == "rollback" else "finished"
    write_phase(folder, ending, at)
    after = load_authorities(folder)
    note_state(txn, after, "terminal", at, left)
    return after


def note_state(txn: Txn, now: Authorities, by: str, at: float, left: list[Behind] | None = None) -> bool:
    """The audit row of a state that has none yet; False where it has."""
    known = txn.get_meta(CA_WANTED)
    if known == now.state:
        return False
    txn.put_meta(CA_WANTED, now.state)
    if known is None and now.phase == "standby":
        return False  # a hub that never rotated
    data = {
        "phase": now.phase,
        "before": known.split(" ")[0] if known else "standby",
        "ca": now.current.pin,
        **({"new": now.next.pin} if now.next is not None else {}),
        **({"shut_out": sorted({one.holder.name for one in left})[:MAX_NAMES]} if left else {}),
    }
    txn.audit("ca.rotated", now.hub, by, data, at)
    return True
