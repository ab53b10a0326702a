"""Who acts, from where, and what became of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from common.catalogue import Sentence
from hub.core.approval import DecisionRefused
from hub.identity.totp import Place


@dataclass(frozen=True, slots=True)
class ActionResult:
    """What became of an action; `code` is "" where it was done, else one word for programs."""

    sentence: Sentence
    code: str = ""
    data: dict[str, Any] = field(default_factory=dict)  # what programs are told beside that
    subject: str = ""  # the request, job or machine that was acted on

    @classmethod
    def refused(cls, refusal: DecisionRefused) -> ActionResult:
        return cls(refusal.sentence, refusal.code, refusal.data)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, and from where."""

    person: str
    via: str  # inlet's name, or "console"
    conversation: str = ""  # "" where no conversation narrows what is meant
    remote: str = ""  # the console's address

    @property
    def code_place(self) -> Place:
        """Where a code of a second factor is given; pages and forms that a chat leads to are chat."""
        return "console" if self.via == "console" else "chat"

    def audit_data(self, verb: str, code: str) -> dict[str, str]:
        """The audit's words on an action that was refused."""
        return {"verb": verb, "code": code, "via": self.via, **({"from": self.remote} if self.remote else {})}
