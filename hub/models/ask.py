"""What is asked of a model and what comes back. Values only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

MAX_TEXT: Final = 64 * 1024  # characters of an answer
PROMPT_SPEED: Final = 4  # a prompt's token costs a node a quarter of a generated one, or less

FailureKind = Literal["unauthorised", "overloaded", "gone", "nonsense", "slow", "refused", "cut"]
"""unauthorised: the key is not taken. overloaded: it said so itself (429, 503). gone: no connection, or lost in the
middle, or no such model. nonsense: an answer that is not of the protocol, or not of the form that was asked for.
slow: no answer in time. refused: this request is not to its liking (400, 413, 422). cut: the answer did not end within
`max_tokens`. The last two are the request's doing; the node itself is well."""

Reason = Literal["off", "down", "busy", "budget", "too_long", "late", "failed"]
"""off: no model is configured. down: no node is up. busy: too many wait already. budget: the person's tokens are used
up. too_long: no node has the room. late: the deadline passed. failed: every node that could be asked has failed."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation."""

    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to whatever model is best placed. `deadline` is on the pool's clock (seconds, monotonic)."""

    system: str
    messages: tuple[Turn, ...]
    schema: Mapping[str, Any] | None  # JSON schema that the answer has to follow; None for plain text
    max_tokens: int
    deadline: float
    affinity: str = ""  # requests with the same one begin with the same long prefix: best sent to the same node
    person: str = ""  # whose budget it comes out of; "" has none
    mergeable: bool = False  # may share a call with others of the same person, where that is configured

    @property
    def prompt_tokens(self) -> int:
        """An estimate, on the high side."""
        return estimate_tokens(self.system) + sum(estimate_tokens(turn.text) + 4 for turn in self.messages)

    @property
    def cost(self) -> float:
        """The work it is for a node, in generated tokens."""
        return self.prompt_tokens / PROMPT_SPEED + self.max_tokens

    def identity(self) -> str:
        """Asks of one identity have the same answer: it depends on nothing else. Of those that may share a call with
        a person's other messages, the person is part of it, so that no one's words come into another's answer.
        """
        turns = [[turn.role, turn.text] for turn in self.messages]
        body = [self.system, turns, self.schema, self.max_tokens, self.mergeable and self.person]
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def estimate_tokens(text: str) -> int:
    """Tokens of a text, rather too many: a third of its ASCII characters and one for every other."""
    plain = len(text.encode("ascii", "ignore"))
    return (plain + 2) // 3 + len(text) - plain


# ---- the events of one attempt, in order: First, any number of Piece, then one Done or Failed


@dataclass(frozen=True, slots=True)
class First:
    """The model has begun to answer."""


@dataclass(frozen=True, slots=True)
class Piece:
    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """The answer is whole. Counts are the server's, or None where it does not tell."""

    prompt_tokens: int | None = None
    output_tokens: int | None = None
    cut: bool = False  # it ended at max_tokens


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt came to nothing. `detail` is for logs: bounded and printable, it may hold the server's words."""

    kind: FailureKind
    detail: str
    retry_after: float | None = None  # seconds, where the server said so
    begun: bool = False  # it had begun to answer: another attempt there may well get to the end


Event = First | Piece | Done | Failed


@dataclass(frozen=True, slots=True)
class Healthy:
    """What a health check found: the model is there, and this is its digest."""

    digest: str


# ---- what the pool gives back


@dataclass(frozen=True, slots=True)
class Tokens:
    prompt: int
    output: int
    counted: bool = True  # False: estimated here


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds since the request was made."""

    queued: float  # until a node took it, the one whose answer this is
    first: float  # until its first token
    total: float


@dataclass(frozen=True, slots=True)
class Attempt:
    """One node that was asked, for the audit; `result` is "ok", "hedged" (another was faster) or a FailureKind."""

    node: str
    result: str
    seconds: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer: untrusted text. With a schema it is a JSON value; whether it follows the schema is the reader's to
    check.
    """

    text: str
    node: str
    model: str
    digest: str  # of the model that answered
    tokens: Tokens
    timings: Timings
    attempts: tuple[Attempt, ...] = ()
    shared: bool = False  # another's identical request was under way, and this is its answer

    def as_shared(self) -> Completion:
        return replace(self, shared=True)


@dataclass(eq=False, slots=True)
class NoAnswer(Exception):
    """There is no completion. `reason` is for programs; `attempts` tell who was asked."""

    reason: Reason
    attempts: tuple[Attempt, ...] = ()
    retry_after: float | None = None  # seconds until it makes sense to ask again, where that is known
    detail: str = field(default="")

    def __str__(self) -> str:
        asked = ", ".join(f"{one.node}: {one.result}" for one in self.attempts)
        return (
            f"no answer ({self.reason})" + (f"; asked {asked}" if asked else "") + (self.detail and f": {self.detail}")
        )
