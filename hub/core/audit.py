"""The intention to write an audit row, as the moves of `hub.core.request` and `hub.core.job` return it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class WriteAudit:
    """A row about the record that moved, by whoever moved it; `UnitOfWork` knows both."""

    kind: str
    data: dict[str, Any]
