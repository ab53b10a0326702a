"""Requests to models and what comes back. Values only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

MAX_TEXT: Final = 64 * 1024  # characters of an answer
PROMPT_TOKENS_PER_OUTPUT_TOKEN: Final = 4  # processing a prompt token costs at most a quarter of generating one

FailureKind = Literal["unauthorised", "overloaded", "gone", "nonsense", "slow", "refused", "cut"]
"""unauthorised: the key was refused. overloaded: the server says so (429, 503). gone: no connection, or lost during the
answer, or no such model. nonsense: an answer that violates the protocol or the requested format. slow: no answer in
time. refused: the server rejects this request (400, 413, 422). cut: the answer did not end within `max_tokens`. The
last two are caused by the request; the node itself is well.
"""

NoAnswerReason = Literal["off", "down", "busy", "budget", "too_long", "late", "failed"]
"""off: no model is configured. down: no node is up. busy: the queue is full. budget: the person's tokens are used up.
too_long: no node has enough context. late: the deadline passed. failed: every node that could be asked has failed."""


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a conversation."""

    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One request to any model. `deadline` is of the pool's clock (seconds, monotonic)."""

    system: str
    messages: tuple[ChatMessage, ...]
    schema: Mapping[str, Any] | None  # JSON schema of the answer; None for plain text
    max_tokens: int
    deadline: float
    affinity: str = ""  # equal for requests with the same long prefix, which are best sent to the same node
    person: str = ""  # whose token budget pays; "" for none
    batchable: bool = False  # may share a call with others of the same person, where that is configured

    @property
    def prompt_tokens(self) -> int:
        """Estimated tokens of the prompt, rather too many."""
        return estimate_tokens(self.system) + sum(estimate_tokens(turn.text) + 4 for turn in self.messages)

    @property
    def cost(self) -> float:
        """The work for a node, in generated tokens."""
        return self.prompt_tokens / PROMPT_TOKENS_PER_OUTPUT_TOKEN + self.max_tokens

    def identity_key(self) -> str:
        """Requests with equal keys have the same answer, which depends on nothing else. Where a request may share a
        call with other messages of a person, the person is part of the key, so that nobody's text influences another's
        answer.
        """
        turns = [[turn.role, turn.text] for turn in self.messages]
        body = [self.system, turns, self.schema, self.max_tokens, self.batchable and self.person]
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def estimate_tokens(text: str) -> int:
    """Tokens of a text, rather too many: a third of its ASCII characters, and one for every other."""
    plain = len(text.encode("ascii", "ignore"))
    return (plain + 2) // 3 + len(text) - plain


# ---- the events of one attempt, in order: FirstToken, any number of TextDelta, then one StreamEnd or AttemptFailed


@dataclass(frozen=True, slots=True)
class FirstToken:
    """The model has begun to answer."""


@dataclass(frozen=True, slots=True)
class TextDelta:
    text: str


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """The answer is complete. Counts are the server's; None where it reports none."""

    prompt_tokens: int | None = None
    output_tokens: int | None = None
    truncated: bool = False  # it ended at max_tokens


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """The attempt failed. `detail` is for logs: bounded and printable; it may contain the server's text."""

    kind: FailureKind
    detail: str
    retry_after: float | None = None  # seconds, where the server gave it
    started: bool = False  # the answer had begun: another attempt at this node may succeed


StreamEvent = FirstToken | TextDelta | StreamEnd | AttemptFailed


@dataclass(frozen=True, slots=True)
class Healthy:
    """A successful health check: the server has the model, with this digest."""

    digest: str


# ---- results of the pool


@dataclass(frozen=True, slots=True)
class TokenUsage:
    prompt: int
    output: int
    counted: bool = True  # False: estimated here


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds since the request was made."""

    queued: float  # until the node that answered took it
    first: float  # until its first token
    total: float


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt, for the audit; `result` is "ok", "hedged" (another was faster) or a FailureKind."""

    node: str
    result: str
    seconds: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ModelCompletion:
    """An answer: untrusted text. With a schema it is a JSON value; the caller must check whether it follows the
    schema.
    """

    text: str
    node: str
    model: str
    digest: str  # of the model that answered
    tokens: TokenUsage
    timings: Timings
    attempts: tuple[Attempt, ...] = ()
    shared: bool = False  # the answer of an identical request that was under way

    def as_shared(self) -> ModelCompletion:
        return replace(self, shared=True)


@dataclass(eq=False, slots=True)
class NoAnswer(Exception):
    """There is no completion. `reason` is for programs; `attempts` lists the nodes that were asked."""

    reason: NoAnswerReason
    attempts: tuple[Attempt, ...] = ()
    retry_after: float | None = None  # seconds until a retry makes sense, where known
    detail: str = field(default="")

    def __str__(self) -> str:
        asked = ", ".join(f"{one.node}: {one.result}" for one in self.attempts)
        return (
            f"no answer ({self.reason})" + (f"; asked {asked}" if asked else "") + (self.detail and f": {self.detail}")
        )
