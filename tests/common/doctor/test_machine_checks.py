"""common.doctor.machine_checks: asked of this very machine."""

from __future__ import annotations

from pathlib import Path

from common.doctor.machine_checks import check_clock_kept, check_name, check_space


def test_room_is_looked_for_where_the_folder_would_be(tmp_path: Path) -> None:
    """A folder that is not there yet is judged by the one above it; a read-only file system is bad."""
    found = check_space(tmp_path / "not" / "yet")
    assert str(tmp_path) in found.found
    assert check_space(Path("/proc/self")).state != "ok"  # no room at all


def test_the_clock_s_keeper_is_told_or_unknown() -> None:
    """Whatever this kernel says, it is one of three sentences."""
    assert check_clock_kept().state in ("ok", "warn", "unknown")


async def test_names() -> None:
    """An address is its own name; one that nobody knows is bad, with the cure."""
    found = await check_name("127.0.0.1", "see it")
    assert (found.state, found.found) == ("ok", "127.0.0.1 is 127.0.0.1")
    assert (await check_name("no-such-host.invalid", "see it")).cure == "see it"
