"""approvers.json in the runner: changed from afar where that is signed, and told to the hub as it is.

The hub asks, or brings a change, and is answered with the keys that are known then. From its first question on it is
also told what somebody changes on the machine: an older hub, or an uplink of before, asks nothing and is told nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from agent import log
from agent.approvers import changing, load_known, save_known
from agent.runner.key_changes import Decision, decide
from agent.runner.verify import Trust
from common.errors import UserError
from common.key_change import BadKeyChange, SignedKeyChange
from common.link.messages import MAX_REASON, KnownKeys


class KeyKeeper:
    def __init__(self, path: Path, wall: Callable[[], float] = time.time) -> None:
        self._path = path
        self._wall = wall
        self._told: tuple[int, ...] | None = None  # the file as the hub knows it; None: it has not asked

    def answer(self, data: bytes, trust: Trust | None) -> KnownKeys:
        """To a change that the hub brings, or to its question (b""). `trust` is None where trust.json is not usable."""
        if not data:
            return self._tell("", True, "")
        try:
            signed = SignedKeyChange.from_bytes(data)
        except BadKeyChange as error:
            log.warning("approvers.bad_change", why=error)
            return self._tell("", False, f"a change that is none: {error}")
        change = signed.change
        decision = self._carry_out(signed, trust)
        facts = {"change": change.id, "action": change.action, "person": change.person, "key": change.key}
        if decision.done:
            log.info("approvers.changed", signed_by=" ".join(signed.people), note=decision.reason, **facts)
        else:
            log.warning("approvers.change_refused", why=decision.reason, **facts)
        return self._tell(change.id, decision.done, decision.reason)

    def news(self) -> KnownKeys | None:
        """What is known now, where that was changed on the machine since the hub was told; None where not."""
        if self._told is None or self._stamp() == self._told:
            return None
        return self._tell("", True, "")

    def forget_hub(self) -> None:
        """Another uplink, behind which there may be an older hub."""
        self._told = None

    def _carry_out(self, signed: SignedKeyChange, trust: Trust | None) -> Decision:
        if trust is None:
            return Decision(False, "trust.json of this machine cannot be used")
        try:
            with changing(self._path):
                known = load_known(self._path)
                decision = decide(signed, known, machine=trust.name, hub=trust.hub, now=self._wall())
                if decision.known is not None:
                    save_known(self._path, decision.known)
        except UserError as error:
            return Decision(False, str(error))
        return decision

    def _tell(self, change: str, done: bool, reason: str) -> KnownKeys:
        self._told = self._stamp()
        try:
            known = load_known(self._path)
        except UserError as error:
            return KnownKeys(change, False, str(reason or error)[:MAX_REASON], {})
        return KnownKeys(change, done, reason[:MAX_REASON], known.by_key(), known.needed)

    def _stamp(self) -> tuple[int, ...]:
        try:
            found = os.stat(self._path)
        except OSError:
            return ()
        return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino
