"""What the hub said to an act, and what a dialog makes of it. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

from common.errors import Refused, UserError
from common.text import clean
from tui.client import LinkLost
from tui.format import Tone

Next = Literal["done", "again", "look", "over", "unsure"]
"""done: it counts. again: another try here. look: the plan is another one. over: nothing more can be done here.
unsure: no answer came."""

AGAIN: Final = frozenset(
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
    }
)
LOOK: Final = frozenset({"plan_changed"})


@dataclass(frozen=True, slots=True)
class Answered:
    next: Next
    text: str  # safe; "" where the hub said nothing
    code: str = ""
    data: Any = None

    @property
    def tone(self) -> Tone:
        return "ok" if self.next == "done" else "warn" if self.next in ("look", "unsure") else "bad"


def answer_of(data: Any) -> Answered:
    """An act answers with a code, `ok` or one word for what it was not; what was only looked up has none."""
    text, code = (str(data.get(key, "")) for key in ("text", "code")) if isinstance(data, dict) else ("", "")
    said = clean(text, limit=500)
    if code in ("", "ok") or not isinstance(data.get("text"), str):
        return Answered("done", said, data=data)
    return Answered(next_of(code), said, code, data)


def next_of(code: str) -> Next:
    return "look" if code in LOOK else "again" if code in AGAIN else "over"


def refusal_of(error: UserError) -> Answered:
    """What an error of a call means for the dialog that made it."""
    text = clean(str(error), limit=500)
    if isinstance(error, LinkLost):
        return Answered("unsure", text, "lost")
    code = str(getattr(error, "code", ""))
    return Answered(next_of(code) if isinstance(error, Refused) else "again", text, code)


async def ask(call: Callable[..., Awaitable[Any]], verb: str, **args: Any) -> Answered:
    """Calls the hub; every answer, a refusal too, is an `Answered`."""
    try:
        return answer_of(await call(verb, **args))
    except UserError as error:
        return refusal_of(error)


def tally(answers: Iterable[Answered]) -> tuple[int, list[Answered]]:
    """Of many answers: how many were done, and the others."""
    found = list(answers)
    bad = [answer for answer in found if answer.next != "done"]
    return len(found) - len(bad), bad
