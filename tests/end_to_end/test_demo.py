"""make demo without a terminal: ends with 0 and has all its scenes."""

from __future__ import annotations

import asyncio
import sys

from tests.end_to_end.rig import ROOT


async def test_the_demo_shows_every_scene_and_ends() -> None:
    """A question, Chinese, two machines, an approval by a second person, refusals, a cancel, a forgery, the audit."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "tests/end_to_end/demo.py",
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(90):
        out, err = await process.communicate()
    text = out.decode()
    assert process.returncode == 0, err.decode() + text
    for words in (
        "web-1: done",
        "已完成",
        "web-1, web-2",
        "waits for approval",
        "is approved by bob",
        "nothing was run",
        "cancelled by carol",
        "HTTP 401",
        "the audit holds",
    ):
        assert words in text, words
    assert "\x1b" not in text
