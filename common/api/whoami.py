"""Who calls, what they may, and what this hub has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from common.api.constraints import OMIT, Moment
from common.api.outcome import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class VerbRight:
    """Whether the caller may use a verb, and the role that it takes; empty where any role does."""

    may: bool = True
    role: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhoAmI:
    """`verbs` has every verb of this hub, so a console knows what an older one lacks; `views` has the version of the
    form of each list and push, 1 where it is not there.
    """

    person: str
    roles: tuple[str, ...]
    hub: str
    version: str
    now: Moment = 0.0
    verbs: Mapping[str, VerbRight] = field(default_factory=dict)
    views: Annotated[Mapping[str, int], OMIT] = field(default_factory=dict)

    @property
    def denied(self) -> dict[str, str]:
        """Verbs that the caller may not use, each with the role that it takes."""
        return {verb: right.role or "admin" for verb, right in self.verbs.items() if not right.may}

    def has(self, verb: str) -> bool:
        """Whether this hub has the verb; a hub that does not say its verbs has those of the first version."""
        return not self.verbs or verb in self.verbs


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkCodeResult(Outcome):
    """`words` are said in a chat by the caller, whom it knows from then on; once, until `expires_at`."""

    words: str = ""
    expires_at: Moment = 0.0
