"""Plans that a model made before, for when the same is asked again: memory over sealed files.

The key holds all that the plan came from: the request, what the person may do, the machines, the policy, the model,
and the conversation where it was read in one. If one of them changes, the old plan is never found again, and ages out.
Whoever reads a plan from here still has policy judge it: the cache saves the model's time and no one's judgement.

Values are bytes, the caller's. "The model does not know" is worth keeping too, for a shorter time.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import struct
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from common.seal import Sealer
from hub.models.lru import Lru
from hub.models.shelf import Shelf

MAX_VALUE: Final = 64 * 1024
_MARK: Final = "cleared"
"""A file in the folder of plans, written whenever another process has cleared them."""
_VERSION: Final = 1
_HEAD: Final = struct.Struct(">BBdd")  # version, negative, stored at, expires at
_SET_BACK: Final = 60.0  # seconds: an entry from further in the future was made under another clock


@dataclass(frozen=True, slots=True)
class Hit:
    value: bytes
    negative: bool


@dataclass(slots=True)
class Counts:
    """Since start, and at this moment."""

    results: Counter[str] = field(default_factory=Counter)  # memory, disk, miss, expired -> lookups
    memory_entries: int = 0
    memory_bytes: int = 0
    disk_entries: int = 0
    disk_bytes: int = 0
    evicted: int = 0
    corrupt: int = 0


def mark_cleared(folder: Path) -> None:
    """Tells the hub that serves with this folder to forget what it has in memory."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / _MARK).write_bytes(b"")


def normalised(request: str) -> str:
    """The request with what does not matter taken away: the way characters are composed, and the amount of space
    between words. Case stays, since paths and names have it, and so does every sign: "restart web-1?" is a question.
    """
    text = unicodedata.normalize("NFC", request).strip()
    return text if any(quote in text for quote in "\"'`") else " ".join(text.split())


def key_of(request: str, *, rights: str, inventory: str, policy: str, model: str, conversation: str = "") -> str:
    """The key of a plan, 64 hex digits. `rights` stands for all that this person may do and is shown, `inventory`,
    `policy` and `model` for their versions, `conversation` for what came before and was read along.
    """
    parts = [normalised(request), rights, inventory, policy, model, conversation]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class PlanCache:
    """Both layers. `now` is the time of day in seconds: entries outlive the process."""

    def __init__(
        self,
        folder: Path | None,
        sealer: Sealer,
        *,
        entries: int,
        memory: int,
        disk: int,
        ttl: float,
        negative_ttl: float,
    ) -> None:
        """`memory` and `disk` in bytes, `entries` in each of the two. Without a folder there is no disk layer."""
        self._ttl = ttl
        self._negative_ttl = negative_ttl
        self._memory = Lru(entries, memory)
        self._shelf = Shelf(folder, sealer, entries, disk) if folder is not None and disk else None
        self._lock = asyncio.Lock()  # the shelf is one at a time
        self._results: Counter[str] = Counter()
        self._mark = folder / _MARK if folder is not None else None
        self._cleared = self._mark_time()

    async def get(self, key: str, now: float) -> Hit | None:
        entry = self._memory.get(key)
        layer = "memory"
        if entry is None and self._shelf is not None:
            async with self._lock:
                entry = await asyncio.to_thread(self._shelf.get, key)
            layer = "disk"
            if entry is None and (entry := self._memory.get(key)) is not None:
                layer = "memory"  # it was put there while the disk was looked at
        hit = _parsed(entry, now)
        if hit is None:
            if entry is not None:
                await self.drop(key)
            self._results["miss" if entry is None else "expired"] += 1
            return None
        if layer == "disk" and entry is not None:
            self._memory.put(key, entry)
        self._results[layer] += 1
        return hit

    async def put(self, key: str, value: bytes, now: float, *, negative: bool = False) -> None:
        """Keeps it in both layers; a value beyond MAX_VALUE is not kept."""
        ttl = self._negative_ttl if negative else self._ttl
        if len(value) > MAX_VALUE or ttl <= 0:
            return
        entry = _HEAD.pack(_VERSION, negative, now, now + ttl) + value
        self._memory.put(key, entry)
        if self._shelf is not None:
            async with self._lock:
                await asyncio.to_thread(self._shelf.put, key, entry)

    async def drop(self, key: str) -> None:
        """Forgets one: its plan turned out to be of no use."""
        self._memory.drop(key)
        if self._shelf is not None:
            async with self._lock:
                await asyncio.to_thread(self._shelf.drop, key)

    async def clear(self) -> int:
        """Forgets everything; how many entries there were."""
        count = max(len(self._memory), 0 if self._shelf is None else len(self._shelf))
        self._memory.clear()
        if self._shelf is not None:
            async with self._lock:
                await asyncio.to_thread(self._shelf.clear)
        return count

    def look(self) -> bool:
        """Forgets what is in memory where another process has cleared the plans since; a stat. What it has taken from
        the disk the shelf notices by itself.
        """
        at = self._mark_time()
        if at == self._cleared:
            return False
        self._cleared = at
        self._memory.clear()
        return True

    def _mark_time(self) -> int:
        try:
            return 0 if self._mark is None else self._mark.stat().st_mtime_ns
        except OSError:
            return 0

    def counts(self) -> Counts:
        shelf = self._shelf
        return Counts(
            results=Counter(self._results),
            memory_entries=len(self._memory),
            memory_bytes=self._memory.bytes,
            disk_entries=0 if shelf is None else len(shelf),
            disk_bytes=0 if shelf is None else shelf.bytes,
            evicted=self._memory.evicted + (0 if shelf is None else shelf.evicted),
            corrupt=0 if shelf is None else shelf.corrupt,
        )


def ratio(results: Mapping[str, int]) -> float:
    """Hits of all lookups, 0 to 1."""
    total = sum(results.values())
    return (results.get("memory", 0) + results.get("disk", 0)) / total if total else 0.0


def _parsed(entry: bytes | None, now: float) -> Hit | None:
    """The value, unless its time is over or it is of another version."""
    if entry is None or len(entry) < _HEAD.size:
        return None
    version, negative, stored, expires = _HEAD.unpack_from(entry)
    if version != _VERSION or now >= expires or stored > now + _SET_BACK:
        return None
    return Hit(entry[_HEAD.size :], bool(negative))
