"""What `answerback-hub ca` does: where the hub's CA stands, the next step of its replacement, and the way back.

Each step is one write of a file and one transaction (`hub.identity.ca_steps`); a serving hub takes it up within two
seconds, and the command waits for that. Killed anywhere, it goes on when it is run again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from common.errors import WorkFailed
from hub.cli.admin import open_store
from hub.config import HubConfig
from hub.core.ca_rotation import BACK, FORWARD, TOO_OLD, Behind, Holder, holders
from hub.identity.authorities import Authorities, load_authorities, locked, settle
from hub.identity.ca_steps import CA_LOADED, StillBehind, everybody_behind, step_back, step_forward
from hub.store.store import Store

TAKE_UP_SECONDS: Final = 15.0
"""How long a serving hub is waited for: it looks every second."""
_POLL: Final = 0.25
_WAIT: Final = 0.5
Sleep = Callable[[float], None]
Clock = Callable[[], float]
Told = Callable[[Authorities], None]


@dataclass(frozen=True, slots=True)
class AuthorityRow:
    """A CA by its pin; its key is never shown."""

    pin: str
    role: str  # current | new
    not_after: float
    last_issued: float | None  # when it last signed a certificate of a machine or person
    holders: int  # who hold a certificate of it


@dataclass(frozen=True, slots=True)
class CaReport:
    phase: str
    since: float | None
    hub: str  # "yes" where one serves that has taken this up, "no" where it has not yet, "" where none serves
    authorities: tuple[AuthorityRow, ...]
    everybody: tuple[Holder, ...]
    behind: tuple[Behind, ...]

    @property
    def following(self) -> str:
        """The command of the next step; "" in standby."""
        return {"standby": "", "rollback": "answerback-hub ca rollback"}.get(self.phase, "answerback-hub ca rotate")

    def to_json(self) -> dict[str, Any]:
        return {
            "phase": self.phase,
            "since": self.since,
            "hub_has_it": self.hub,
            "authorities": [
                {
                    "pin": row.pin,
                    "role": row.role,
                    "not_after": row.not_after,
                    "last_issued": row.last_issued,
                    "holders": row.holders,
                }
                for row in self.authorities
            ],
            "holders": len(self.everybody),
            "through": len(self.everybody) - len(self.behind),
            "behind": [
                {
                    "kind": one.holder.kind,
                    "name": one.holder.name,
                    "why": one.why,
                    "last_seen": one.holder.last_seen,
                    "certificate_until": one.holder.not_after,
                }
                for one in self.behind
            ],
            "next": self.following,
        }


def graces_of(config: HubConfig) -> dict[str, float]:
    return {"agent": config.links.grace("agent"), "operator": config.links.grace("operator")}


def read_report(config: HubConfig, now: float) -> CaReport:
    with open_store(config, now) as store:
        authorities, graces = load_authorities(config.folder), graces_of(config)
        everybody, late, issued = store.read_now(
            lambda txn: (
                holders(txn.agents(), txn.people(), txn.credentials(), now, graces),
                everybody_behind(txn, authorities, graces, now),
                txn.last_issued(),
            )
        )
        served = _served(store, authorities.state)
    rows = tuple(
        AuthorityRow(
            one.pin,
            role,
            one.not_after,
            issued.get(one.key_id),
            sum(holder.issuer == one.key_id for holder in everybody),
        )
        for one, role in zip(authorities.trusted, ("current", "new"), strict=False)
    )
    return CaReport(authorities.phase, authorities.since or None, served, rows, tuple(everybody), tuple(late))


def rotate(
    config: HubConfig,
    *,
    through: bool = False,
    within: float = 0.0,
    force: bool = False,
    clock: Clock = time.time,
    sleep: Sleep = time.sleep,
    told: Told = lambda authorities: None,
) -> Authorities:
    """The next step forward; with `through` all of them. In each phase everybody is waited for, for at most `within`
    seconds. Raises UserError, StillBehind where somebody would be shut out or is not through in time.
    """
    return _go(config, step_forward, FORWARD, through, within, force, clock, sleep, told)


def roll_back(
    config: HubConfig,
    *,
    within: float = 0.0,
    force: bool = False,
    clock: Clock = time.time,
    sleep: Sleep = time.sleep,
    told: Told = lambda authorities: None,
) -> Authorities:
    """Back to the CA of before; where that is done already, the end of the way back. With `within` both, and in between
    everybody is waited for, for so many seconds at most. Raises as `rotate`.
    """
    return _go(config, step_back, BACK, within > 0, within, force, clock, sleep, told)


def _go(
    config: HubConfig,
    step: Any,
    way: Mapping[Any, Any],
    through: bool,
    within: float,
    force: bool,
    clock: Clock,
    sleep: Sleep,
    told: Told,
) -> Authorities:
    while True:
        if within:
            _wait(config, way, clock() + within, clock, sleep, force)
        authorities = _make_step(config, step, clock(), sleep, force)
        told(authorities)
        if not through or authorities.phase == "standby":
            return authorities


def _make_step(config: HubConfig, step: Any, now: float, sleep: Sleep, force: bool) -> Authorities:
    folder, graces = config.folder, graces_of(config)
    with locked(folder), open_store(config, now) as store:
        loaded = store.read_now(lambda txn: txn.get_meta(CA_LOADED))
        before = load_authorities(folder)
        if store.is_served() and loaded is not None and _await_hub(store, before.state, sleep) == "no":
            raise WorkFailed("the serving hub has not taken up the step before", "see its log; then run this again")
        authorities: Authorities = store.write_now(lambda txn: step(txn, folder, graces, now, force=force))
        settle(folder)
        if _await_hub(store, authorities.state, sleep) == "no":
            raise WorkFailed(
                f"the phase is {authorities.phase}, and the serving hub has not taken it up yet",
                "see its log; is it of this version?",
            )
    return authorities


def _wait(config: HubConfig, way: Mapping[Any, Any], deadline: float, clock: Clock, sleep: Sleep, force: bool) -> None:
    """Waits until everybody is through the phase there is; raises StillBehind where somebody is not in time."""
    authorities, graces = load_authorities(config.folder), graces_of(config)
    if authorities.phase == "standby" or (authorities.phase != "rollback" and way is BACK):
        return
    with open_store(config, clock()) as store:
        while left := store.read_now(lambda txn: everybody_behind(txn, authorities, graces, clock())):
            if clock() >= deadline:
                if force:
                    return
                raise StillBehind(left)
            sleep(_WAIT)


def _served(store: Store, state: str) -> str:
    if not store.is_served():
        return ""
    return "yes" if store.read_now(lambda txn: txn.get_meta(CA_LOADED)) == state else "no"


def _await_hub(store: Store, state: str, sleep: Sleep) -> str:
    waited = 0.0
    while (answer := _served(store, state)) == "no" and waited < TAKE_UP_SECONDS:
        sleep(_POLL)
        waited += _POLL
    return answer


def cure_of(one: Behind) -> str:
    """What somebody who is behind has to do, or what is waited for."""
    again = (
        f"answerback-hub token --agent {one.holder.name}"
        if one.holder.kind == "agent"
        else f"answerback-hub operator add {one.holder.name} --role ROLE"
    )
    match one.why:
        case "too_old":
            return f"too old to be told: upgrade it, or after the rotation: {again}"
        case "not_linked" | "not_told":
            return f"is told as soon as it links; where it stays away, after the rotation: {again}"
        case "not_renewed" if one.holder.trusts in ("", TOO_OLD):
            return f"holds a certificate of the other CA: {again}"
        case "not_renewed":
            return "trusts the set, and has not come with the certificate of this phase yet"
