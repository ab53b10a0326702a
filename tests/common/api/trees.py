"""Dataclasses with every kind of field, for the tests of the codec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, TypeVar

from common.api.constraints import FLAT, OMIT, Moment
from common.lifecycle import JobState

R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    word: str
    state: JobState = JobState.QUEUED
    side: Literal["left", "right"] = "left"
    at: Moment = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree(Generic[R]):
    leaves: tuple[Leaf, ...] = ()
    named: Mapping[str, Leaf] | None = None
    kind: R
    open: Annotated[Any, OMIT] = None
    few: Annotated[tuple[str, ...], OMIT] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    leaf: Annotated[Leaf | None, FLAT] = None
    side: str
