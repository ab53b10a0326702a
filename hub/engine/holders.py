"""One holder of a name: what an uplink tells of its links and a runner of its lives is put beside what was seen last.

Where there are two, the machine is locked, both links end, its jobs go the way of `hub.core.holder`, and whoever can do
something about it is told: the audit has the evidence and the cure, the operators' list of what needs a person has the
machine as long as it is locked, and admins get a message where they last spoke in chat.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from common.catalogue import Sentence
from common.link.lineage import Lineage, parse_lineage
from common.link.messages import Refuse, Report
from common.roles import ROLES
from hub.core.holder import LineageFinding, judge_life, judge_links, moves_of_locked
from hub.engine.unit_of_work import UnitOfWork
from hub.identity.certificates import again, lock_copied

MAX_ADMINS: Final = 20
"""Admins who are told in chat."""
MAX_TOLD: Final = 100
"""Characters of what a machine says of itself."""
SUPERSEDED: Final = "superseded"
"""The code of the refusal of a link that another one has followed: the machine takes its next step."""
HUB: Final = "hub"


def note_links(uow: UnitOfWork, name: str, told: Lineage, store_is_behind: bool) -> Refuse | None:
    """Notes the link that a machine opens; the refusal where it must not."""
    agent = uow.txn.agent(name)
    if agent is None or agent.state != "active":
        return None  # which is refused for that
    found = judge_links(agent.links, told, store_is_behind=store_is_behind)
    if found.is_copy:
        return lock_holders(uow, name, _evidence("links", found))
    if found.relation == "stale":
        return Refuse(SUPERSEDED, "a later link of this machine has been here", retry_after=1.0)
    if found.keep:
        uow.txn.save_agent(agent, replace(agent, links=found.keep))
    _note_change(uow, name, "links", found)
    return None


def note_life(uow: UnitOfWork, name: str, report: Report, store_is_behind: bool) -> bool:
    """Notes the life of the runner that reports; False where there are two, and this one is not answered."""
    told, agent = parse_lineage(report.life), uow.txn.agent(name)
    if told is None or agent is None:
        return True
    found = judge_life(agent.lives, told, store_is_behind=store_is_behind)
    if found.is_copy:
        lock_holders(uow, name, _evidence("lives", found))
        return False
    if found.keep:
        uow.txn.save_agent(agent, replace(agent, lives=found.keep))
    _note_change(uow, name, "journal", found)
    return True


def lock_holders(uow: UnitOfWork, name: str, evidence: Mapping[str, Any] | None = None) -> Refuse:
    """Locks a machine of which there are two; every link of that name ends."""
    agent = uow.txn.agent(name)
    refusal = lock_copied(uow.txn, name, uow.now, evidence)
    uow.effects.locked.add(name)
    if agent is not None and agent.state == "active":
        after_lock(uow, name)
    return refusal


def after_lock(uow: UnitOfWork, name: str) -> None:
    """Its jobs, and the message to admins."""
    moves = moves_of_locked(uow.txn.open_jobs(name))
    for job, move in moves:
        uow.apply_job_event(job, move, HUB)
    _tell_admins(uow, Sentence("copy_locked", {"agent": name}))


def note_moved(uow: UnitOfWork, name: str, facts: Mapping[str, str]) -> None:
    """A copy of a machine's state folder was started elsewhere, and has refused to serve."""
    host, why = (_clean(facts.get(key, "")) for key in ("hostname", "moved"))
    uow.audit("agent.moved", name, name, {"reason": why, "host": host, "cure": again("agent", "NAME")})
    _tell_admins(uow, Sentence("copy_refused", {"agent": name, "host": host or "?"}))


def _evidence(what: str, found: LineageFinding) -> dict[str, Any]:
    return {"by": what, "seen": found.seen, "told": found.told}


def _note_change(uow: UnitOfWork, name: str, what: str, found: LineageFinding) -> None:
    if found.relation in ("another", "ahead"):
        data = {"what": what, "relation": found.relation, "before": found.seen, "now": found.told}
        uow.audit("agent.holder_changed", name, name, data)


def _tell_admins(uow: UnitOfWork, sentence: Sentence) -> None:
    for admin in uow.world.people.holders(ROLES[-1])[:MAX_ADMINS]:
        uow.notify_person(admin, sentence)


def _clean(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text[:MAX_TOLD])
