"""What an act came to. Acts do not fail where the answer is no: they say why not, in a word and in a sentence. And
how a subscription ends that may not go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

OK = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """`code` is ok, or one word for programs that says why it was not done; `text` is the sentence for people."""

    code: Annotated[str, "ok, or one of the verb's codes"]
    text: Annotated[str, "in the call's language"]

    @property
    def is_ok(self) -> bool:
        return self.code == OK


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionEnded:
    """The last push of a subscription whose right was taken away."""

    error: str
