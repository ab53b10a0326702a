"""The servers of language models as operators see them; only of a hub that has some."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from common.api.constraints import MaybeSeconds, StateName


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelNode:
    """One server. What is not known yet is null and not 0."""

    id: str
    name: str
    kind: str = ""
    model: str = ""
    priority: Annotated[int, "the lowest is asked first"] = 0
    up: bool
    problem: str = ""
    breaker: Annotated[StateName, "closed, open, half_open"] = ""
    running: Annotated[int, "questions under way"] = 0
    parallel: Annotated[int, "questions at once, at most"] = 0
    tokens_per_second: float | None = None
    first_p50: Annotated[MaybeSeconds, "until the first token"] = None
    first_p95: MaybeSeconds = None
    ok: int = 0
    failed: int = 0

    @property
    def is_full(self) -> bool:
        return self.running >= self.parallel


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanCacheView:
    """The cache of plans that models made."""

    memory: Annotated[int, "plans kept"] = 0
    disk: int = 0
    lookups: int = 0
    hit_ratio: Annotated[float | None, "0 to 1; null before the first lookup"] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsView:
    nodes: tuple[ModelNode, ...] = ()
    waiting: Annotated[int, "questions that wait for a server"] = 0
    cache: PlanCacheView = field(default_factory=PlanCacheView)
