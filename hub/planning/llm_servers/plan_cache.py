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

from common.identity.sealing import Sealer
from hub.core.lru import Lru
from hub.planning.llm_servers.disk_cache import DiskCache

MAX_VALUE: Final = 64 * 1024
ENTRY_OVERHEAD: Final = 200  # bytes that Python needs around an entry in memory, roughly
_CLEARED_FILE: Final = "cleared"
"""A file in the folder of plans, written whenever another process has cleared them."""
_VERSION: Final = 1
_HEADER: Final = struct.Struct(">BBdd")  # version, negative, stored at, expires at
_MAX_CLOCK_SKEW: Final = 60.0  # seconds: an entry from further in the future was made under another clock


@dataclass(frozen=True, slots=True)
class CacheHit:
    value: bytes
    negative: bool


@dataclass(slots=True)
class CacheStats:
    """Since start, and at this moment."""

    results: Counter[str] = field(default_factory=Counter)  # memory, disk, miss, expired -> lookups
    memory_entries: int = 0
    memory_bytes: int = 0
    disk_entries: int = 0
    disk_bytes: int = 0
    evicted: int = 0
    corrupt: int = 0


def signal_cleared(folder: Path) -> None:
    """Tells the hub that serves with this folder to forget what it has in memory."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / _CLEARED_FILE).write_bytes(b"")


def normalize_request(request: str) -> str:
    """The request with what does not matter taken away: the way characters are composed, and the amount of space
    between words. Case stays, since paths and names have it, and so does every sign: "restart web-1?" is a question.
    """
    text = unicodedata.normalize("NFC", request).strip()
    return text if any(quote in text for quote in "\"'`") else " ".join(text.split())


def cache_key(
    request: str, *, permissions: str, inventory: str, policy: str, model: str, conversation: str = ""
) -> str:
    """The key of a plan, 64 hex digits. `rights` stands for all that this person may do and is shown, `inventory`,
    `policy` and `model` for their versions, `conversation` for what came before and was read along.
    """
    parts = [normalize_request(request), permissions, inventory, policy, model, conversation]
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
        self._memory: Lru[str, bytes] = Lru(entries, memory)
        self._disk = DiskCache(folder, sealer, entries, disk) if folder is not None and disk else None
        self._lock = asyncio.Lock()  # files are read and written one at a time
        self._results: Counter[str] = Counter()
        self._cleared_file = folder / _CLEARED_FILE if folder is not None else None
        self._cleared_at = self._cleared_file_time()

    async def get(self, key: str, now: float) -> CacheHit | None:
        entry = self._memory.get(key)
        layer = "memory"
        if entry is None and self._disk is not None:
            async with self._lock:
                entry = await asyncio.to_thread(self._disk.get, key)
            layer = "disk"
            if entry is None and (entry := self._memory.get(key)) is not None:
                layer = "memory"  # it was put there while the disk was looked at
        hit = _parse_entry(entry, now)
        if hit is None:
            if entry is not None:
                await self.drop(key)
            self._results["miss" if entry is None else "expired"] += 1
            return None
        if layer == "disk" and entry is not None:
            self._keep_in_memory(key, entry)
        self._results[layer] += 1
        return hit

    async def put(self, key: str, value: bytes, now: float, *, negative: bool = False) -> None:
        """Keeps it in both layers; a value beyond MAX_VALUE is not kept."""
        ttl = self._negative_ttl if negative else self._ttl
        if len(value) > MAX_VALUE or ttl <= 0:
            return
        entry = _HEADER.pack(_VERSION, negative, now, now + ttl) + value
        self._keep_in_memory(key, entry)
        if self._disk is not None:
            async with self._lock:
                await asyncio.to_thread(self._disk.put, key, entry)

    def _keep_in_memory(self, key: str, entry: bytes) -> None:
        self._memory.put(key, entry, len(key) + len(entry) + ENTRY_OVERHEAD)

    async def drop(self, key: str) -> None:
        """Forgets one: its plan turned out to be of no use."""
        self._memory.pop(key)
        if self._disk is not None:
            async with self._lock:
                await asyncio.to_thread(self._disk.drop, key)

    async def clear(self) -> int:
        """Forgets everything; how many entries there were."""
        count = max(len(self._memory), 0 if self._disk is None else len(self._disk))
        self._memory.clear()
        if self._disk is not None:
            async with self._lock:
                await asyncio.to_thread(self._disk.clear)
        return count

    def forget_if_cleared(self) -> bool:
        """Forgets what is in memory where another process has cleared the plans since; a stat. What it has taken from
        the disk is noticed there.
        """
        at = self._cleared_file_time()
        if at == self._cleared_at:
            return False
        self._cleared_at = at
        self._memory.clear()
        return True

    def _cleared_file_time(self) -> int:
        try:
            return 0 if self._cleared_file is None else self._cleared_file.stat().st_mtime_ns
        except OSError:
            return 0

    def stats(self) -> CacheStats:
        disk = self._disk
        return CacheStats(
            results=Counter(self._results),
            memory_entries=len(self._memory),
            memory_bytes=self._memory.size,
            disk_entries=0 if disk is None else len(disk),
            disk_bytes=0 if disk is None else disk.size,
            evicted=self._memory.evicted + (0 if disk is None else disk.evicted),
            corrupt=0 if disk is None else disk.corrupt,
        )


def hit_ratio(results: Mapping[str, int]) -> float:
    """Hits of all lookups, 0 to 1."""
    total = sum(results.values())
    return (results.get("memory", 0) + results.get("disk", 0)) / total if total else 0.0


def _parse_entry(entry: bytes | None, now: float) -> CacheHit | None:
    """The value, unless its time is over or it is of another version."""
    if entry is None or len(entry) < _HEADER.size:
        return None
    version, negative, stored, expires = _HEADER.unpack_from(entry)
    if version != _VERSION or now >= expires or stored > now + _MAX_CLOCK_SKEW:
        return None
    return CacheHit(entry[_HEADER.size :], bool(negative))
