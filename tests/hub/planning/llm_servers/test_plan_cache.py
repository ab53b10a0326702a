from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from common.identity.sealing import Sealer
from hub.planning.llm_servers.plan_cache import (
    MAX_VALUE,
    CacheHit,
    PlanCache,
    cache_key,
    hit_ratio,
    normalize_request,
    signal_cleared,
)

SEALER = Sealer.generate()
KEY = cache_key("disk on web-1", permissions="r", inventory="i", policy="p", model="m")


def cache(folder: Path | None, **more: Any) -> PlanCache:
    values = {"entries": 100, "memory": 100_000, "disk": 1_000_000, "ttl": 100.0, "negative_ttl": 10.0, **more}
    return PlanCache(folder, SEALER, **values)


def test_the_key_holds_all_that_a_plan_comes_from() -> None:
    """One part changed is another key, and parts do not run into each other."""
    parts = {"permissions": "r", "inventory": "i", "policy": "p", "model": "m", "conversation": ""}
    keys = {cache_key("disk", **parts), cache_key("Disk", **parts), cache_key("disk?", **parts)}
    keys |= {cache_key("disk", **{**parts, name: "x"}) for name in parts}
    keys |= {cache_key("disk", **{**parts, "permissions": "ri", "inventory": ""})}
    assert len(keys) == 9
    assert all(len(key) == 64 for key in keys)


def test_only_what_cannot_matter_is_normalised() -> None:
    """Composition and space; not case, signs, or space within quotes."""
    assert normalize_request("  disk   on\u3000web-1\n") == "disk on web-1"
    assert normalize_request("cafe\u0301") == normalize_request("caf\u00e9")
    assert normalize_request("ls  'a  b'") == "ls  'a  b'"
    assert normalize_request("ls /A") != normalize_request("ls /a")
    assert normalize_request("restart web-1") != normalize_request("restart web-1?")


async def test_memory_then_disk_then_nothing(tmp_path: Path) -> None:
    """Found in memory; after a restart on disk, and then in memory again; counted each."""
    first = cache(tmp_path)
    assert await first.get(KEY, 0.0) is None
    await first.put(KEY, b"plan", 0.0)
    assert await first.get(KEY, 1.0) == CacheHit(b"plan", False)
    second = cache(tmp_path)
    assert await second.get(KEY, 2.0) == CacheHit(b"plan", False)
    assert await second.get(KEY, 3.0) == CacheHit(b"plan", False)
    assert first.stats().results == {"miss": 1, "memory": 1}
    counts = second.stats()
    assert counts.results == {"disk": 1, "memory": 1}
    assert hit_ratio(first.stats().results) == 0.5
    assert (counts.memory_entries, counts.disk_entries) == (1, 1)


async def test_entries_have_their_time(tmp_path: Path) -> None:
    """To the second, in both layers, less for "did not know"; and none from the future."""
    first = cache(tmp_path)
    await first.put(KEY, b"plan", 1_000.0)
    assert await first.get(KEY, 1_099.9) is not None
    assert await cache(tmp_path).get(KEY, 1_099.9) is not None
    assert await cache(tmp_path).get(KEY, 900.0) is None
    await first.put(KEY, b"plan", 1_000.0)
    assert await first.get(KEY, 1_100.0) is None
    assert first.stats().disk_entries == 0
    await first.put(KEY, b"", 1_000.0, negative=True)
    assert await first.get(KEY, 1_009.9) == CacheHit(b"", True)
    assert await first.get(KEY, 1_010.0) is None
    assert first.stats().results["expired"] == 2


async def test_a_harmed_file_is_a_miss(tmp_path: Path) -> None:
    """And is gone; the next plan takes its place."""
    await cache(tmp_path).put(KEY, b"plan", 0.0)
    (tmp_path / KEY).write_bytes(b"\x01" + b"nonsense" * 50)
    again = cache(tmp_path)
    assert await again.get(KEY, 1.0) is None
    assert again.stats().corrupt == 1
    await again.put(KEY, b"new", 1.0)
    assert await cache(tmp_path).get(KEY, 1.0) == CacheHit(b"new", False)


async def test_memory_and_disk_stay_within_their_bounds(tmp_path: Path) -> None:
    """A thousand plans through a small cache."""
    small = cache(tmp_path, entries=50, memory=20_000, disk=160_000)
    for number in range(1_000):
        await small.put(cache_key(str(number), permissions="", inventory="", policy="", model=""), b"x" * 500, 0.0)
    counts = small.stats()
    assert counts.memory_bytes <= 20_000
    assert counts.disk_bytes <= 160_000
    assert counts.disk_entries == len(list(tmp_path.iterdir())) <= 39
    assert counts.evicted >= 1_900


async def test_clear_and_drop(tmp_path: Path) -> None:
    """One is forgotten, then all, in both layers; told how many."""
    kept = cache(tmp_path)
    other = cache_key("x", permissions="", inventory="", policy="", model="")
    for key in (KEY, other):
        await kept.put(key, b"plan", 0.0)
    await kept.drop(KEY)
    assert await kept.get(KEY, 0.0) is None
    assert await kept.clear() == 1
    assert await kept.get(other, 0.0) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("more", [{"ttl": 0.0}, {"entries": 0}])
async def test_a_cache_that_is_off_keeps_nothing(tmp_path: Path, more: dict[str, Any]) -> None:
    """No time to live, or no entries."""
    off = cache(tmp_path, **more)
    await off.put(KEY, b"plan", 0.0)
    assert await off.get(KEY, 0.0) is None
    assert list(tmp_path.iterdir()) == []


async def test_memory_alone_and_values_that_are_too_large() -> None:
    """Without a folder there is no disk layer; a value beyond the bound is not kept."""
    alone = cache(None)
    await alone.put(KEY, b"plan", 0.0)
    assert await alone.get(KEY, 0.0) == CacheHit(b"plan", False)
    await alone.put(KEY, b"x" * (MAX_VALUE + 1), 0.0)
    assert await alone.get(KEY, 0.0) == CacheHit(b"plan", False)
    assert await alone.clear() == 1


async def test_what_another_process_has_cleared_is_forgotten(tmp_path: Path) -> None:
    """The mark of `models clear` empties the memory of a cache that looks, each time it is written; not at first."""
    signal_cleared(tmp_path / "plans")
    kept = cache(tmp_path / "plans")
    await kept.put(KEY, b"plan", 0.0)
    assert not kept.forget_if_cleared()
    other = cache(tmp_path / "plans")
    assert await other.clear() == 1
    signal_cleared(tmp_path / "plans")
    assert kept.forget_if_cleared()
    assert await kept.get(KEY, 0.0) is None
    assert not kept.forget_if_cleared()
    assert not cache(None).forget_if_cleared()


async def test_what_is_kept_while_the_disk_is_looked_at_is_found(tmp_path: Path) -> None:
    """So that whoever asks in that moment does not ask a model for what has just been answered."""
    slow = cache(tmp_path)
    begun, go = threading.Event(), threading.Event()
    assert slow._disk is not None

    def get(key: str) -> None:
        begun.set()
        go.wait(10)

    slow._disk.get = get  # type: ignore[method-assign, assignment]
    async with asyncio.TaskGroup() as group:
        looking = group.create_task(slow.get(KEY, 0.0))
        await asyncio.to_thread(begun.wait, 10)
        keeping = group.create_task(slow.put(KEY, b"plan", 0.0))
        await asyncio.sleep(0)
        go.set()
        assert await looking == CacheHit(b"plan", False)
        await keeping
    assert slow.stats().results == {"memory": 1}
