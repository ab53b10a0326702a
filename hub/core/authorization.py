"""`authorize()`: the one check of who may, for chat, consoles and the command line.

The rights and the role that each takes are declared in `common.api.rights`; a right that is not declared there is
nobody's. What a person may run on which machine is the policy's decision (`common.policy.check`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from common.api.rights import RIGHTS, may
from common.errors import Denied
from hub.core.who_may import names_of

__all__ = ["VERB_ROLES", "authorize", "may"]

VERB_ROLES: Final[Mapping[str, str]] = {name: right.role for name, right in RIGHTS.items()}
"""The lowest role that holds each right."""


def authorize(
    person: str, roles: Iterable[str], right: str, holders: Callable[[str], Sequence[str]] = lambda role: ()
) -> None:
    """Raises Denied where `person`, who has `roles`, does not hold the right; the message names the role it takes, and
    some of those who have it. `holders` gives everybody with a role or a higher one.
    """
    if not may(roles, right):
        needed = VERB_ROLES.get(right)
        who = f"needs the role {needed} or higher" if needed else "is no verb of Answerback's"
        names = holders(needed) if needed else ()
        who += f", which {names_of(names)} {'has' if len(names) == 1 else 'have'}" if names else ""
        raise Denied(f"{person or 'an unknown person'} may not {right}", who)
