"""What the hub answered to a call, and what a dialog makes of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, TypeVar

from common.api.outcome import Outcome
from common.api.verb import A, R, Verb
from common.errors import Denied, UserError
from common.text import clean
from tui.client.errors import LinkLost
from tui.client.source import Source
from tui.text.format import Tone

Disposition = Literal["done", "again", "look", "over", "unsure"]
"""done: it counts. again: another try here. look: the plan is another one. over: nothing more can be done here.
unsure: no answer came."""

RETRYABLE_CODES: Final = frozenset(
    {
        "bad_code",
        "code_needed",
        "usage",
        "filter",
        "busy",
        "selection_changed",
        "queue_full",
        "bad_plan",
        "same_plan",
        "denied",
        "bad_target",
        "bad_command",
        "bad_signature",
        "signature_needed",
        "not_allowed",
    }
)
REVIEW_CODES: Final = frozenset({"plan_changed"})


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CallOutcome(Generic[T]):
    disposition: Disposition
    text: str  # safe; "" where the hub said nothing
    code: str = ""
    result: T | None = None  # what the verb answered; None where the call failed

    @property
    def is_done(self) -> bool:
        return self.disposition == "done"

    @property
    def tone(self) -> Tone:
        return "ok" if self.disposition == "done" else "warn" if self.disposition in ("look", "unsure") else "bad"


def outcome_of_result(result: R) -> CallOutcome[R]:
    """An act answers with a code, `ok` or one word for what it was not; a query with what was asked for."""
    if not isinstance(result, Outcome):
        return CallOutcome("done", "", result=result)
    said = clean(result.text, limit=500)
    if result.is_ok:
        return CallOutcome("done", said, result=result)
    return CallOutcome(disposition_of(result.code), said, result.code, result)


def disposition_of(code: str) -> Disposition:
    return "look" if code in REVIEW_CODES else "again" if code in RETRYABLE_CODES else "over"


def outcome_of_error(error: UserError) -> CallOutcome[Any]:
    """What an error of a call means for the dialog that made it."""
    text = clean(str(error), limit=500)
    if isinstance(error, LinkLost):
        return CallOutcome("unsure", text, "lost")
    code = str(getattr(error, "code", ""))
    return CallOutcome(disposition_of(code) if isinstance(error, Denied) else "again", text, code)


async def call_hub(source: Source, verb: Verb[A, R], args: A) -> CallOutcome[R]:
    """Calls the hub; every answer, a refusal too, is a `CallOutcome`."""
    try:
        return outcome_of_result(await source.call(verb, args))
    except UserError as error:
        return outcome_of_error(error)


def count_done(answers: Iterable[CallOutcome[T]]) -> tuple[int, list[CallOutcome[T]]]:
    """Of many answers: how many were done, and the others."""
    found = list(answers)
    bad = [answer for answer in found if not answer.is_done]
    return len(found) - len(bad), bad
