"""What a child that reads pictures is told at its start. Plain values: they travel as one JSON argument."""

from __future__ import annotations

from dataclasses import dataclass

from hub.ocr.formats import Limits


@dataclass(frozen=True, slots=True)
class Settings:
    size: int = 8 * 1024 * 1024  # bytes of a file
    pixels: int = 20_000_000
    side: int = 10_000
    memory: int = 1536 * 1024 * 1024  # bytes that the child may fill
    seconds: float = 20.0  # for one picture
    threads: int = 0  # 0: one a core, four at the most

    @property
    def limits(self) -> Limits:
        return Limits(size=self.size, pixels=self.pixels, side=self.side)
