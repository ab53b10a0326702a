"""People's logins, as commands rotate and list them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from common.times import format_moment, local_zone
from hub.cli.admin import check_ttl, invitation, open_store
from hub.cli.expiry import Expiry
from hub.config import HubConfig
from hub.core.records import IssuedCertificate
from hub.identity import logins


def rotate(config: HubConfig, name: str, *, ttl: float, keep: float | None, now: float) -> dict[str, Any]:
    """A new login for a person, whose old ones hold until it is used, `keep` seconds at most; None ends them now.
    Returns the invitation, with what becomes of the old ones. Raises UserError.
    """
    check_ttl(ttl)
    with open_store(config, now) as store:
        done = store.write_now(lambda txn: logins.rotate(txn, name, ttl=ttl, keep=keep, by="terminal", now=now))
    invited = invitation(config, "operator", name, done.token, now + ttl, _what_becomes(name, done, now))
    return {**invited, "ended": done.ended, "holding": done.holding, "old_until": done.until}


def _what_becomes(name: str, done: logins.Rotation, now: float) -> str:
    if done.ended:
        many = f"{done.ended} logins" if done.ended > 1 else "the login"
        return f"{many} of {name} ended now; links that were open with it are closed within 5 seconds"
    if done.until is None:
        return f"{name} had no login that holds"
    until = format_moment(done.until, now, local_zone, seconds=False)
    return f"the old login of {name} holds until the new one is used, and until {until} at the latest"


@dataclass(frozen=True, slots=True)
class Logins:
    """What a person has of certificates: those that are not revoked, the newest first."""

    found: tuple[IssuedCertificate, ...] = ()

    @classmethod
    def of(cls, certificates: Sequence[IssuedCertificate]) -> Logins:
        held = [one for one in certificates if one.revoked_at is None]
        return cls(tuple(sorted(held, key=lambda one: (-one.issued_at, one.fingerprint))))

    @property
    def last_seen(self) -> float | None:
        """When one of them was used last, to the minute; None where none was."""
        return max((one.used_at for one in self.found if one.used_at is not None), default=None)

    def expiry(self, grace: float) -> Expiry:
        """The end of the one that holds longest; of one that is being replaced that is no later than its time."""
        ends = [min(one.not_after, one.retires_at or one.not_after) for one in self.found]
        return Expiry.of(max(ends, default=None), grace)

    def old_until(self, now: float) -> float | None:
        """Until when, at the latest, one that is being replaced still counts; None where there is none."""
        ends = [min(one.retires_at, one.not_after) for one in self.found if one.retires_at is not None]
        return max((end for end in ends if end > now), default=None)

    def to_json(self, now: float) -> dict[str, Any]:
        return {
            "last_seen": self.last_seen,
            "old_login_until": self.old_until(now),
            "logins": [
                {
                    "fingerprint": one.fingerprint,
                    "since": one.issued_at,
                    "until": one.not_after,
                    "last_seen": one.used_at,
                    "ends_at": one.retires_at,
                }
                for one in self.found
            ],
        }
