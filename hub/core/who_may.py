"""Whom to ask: the people who may do what somebody may not, in words. Pure.

A refusal for want of a role names up to three who have it, then how many more: whoever reads it at night has to know
whom to call, and not that there is a role.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from common.catalogue import Sentence

MAX_NAMES: Final = 3


def names_of(names: Sequence[str]) -> Sentence:
    """`bob, dora, eve and 4 more`, in the reader's language."""
    if not names:
        return Sentence("names_none")
    shown = {"names": ", ".join(names[:MAX_NAMES])}
    more = len(names) - MAX_NAMES
    return Sentence("names_some", {**shown, "more": more}) if more > 0 else Sentence("names_all", shown)


def with_names(why: Sentence, names: Sequence[str]) -> Sentence:
    """The reason of a refusal, and who may."""
    return Sentence("who_may", {"why": why, "names": names_of(names)})


def needed_role(reason: Sentence) -> str:
    """The role for want of which the policy refuses; "" where it is for something else."""
    if reason.key == "policy_role":
        return str(reason.values["role"])
    inner = reason.values.get("why")
    return needed_role(inner) if isinstance(inner, Sentence) else ""
