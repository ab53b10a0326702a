"""The roles of people, in their order: each may what the ones before it may."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, get_args

Role = Literal["viewer", "operator", "approver", "admin"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)


def rank(role: str) -> int:
    """The place of a role in the order, from 0; -1 for a word that is no role and so holds nothing."""
    return next((place for place, known in enumerate(ROLES) if known == role), -1)


def may(roles: Iterable[str], needed: Role) -> bool:
    """Whether one of `roles` is `needed` or higher; unknown roles hold nothing."""
    least = rank(needed)
    return any(rank(role) >= least for role in roles)
