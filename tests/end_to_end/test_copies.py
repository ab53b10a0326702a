"""Two copies of a state folder on one hub: found within seconds, and no job runs twice."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.end_to_end.copies import NAME, ROUNDS, copy_folder, prepared
from tests.end_to_end.system import SystemHarness


async def run_rounds(folder: Path, names: Sequence[str], total: int, each: int) -> None:
    """Rounds of these kinds in turns, until so many jobs were posted."""
    async with SystemHarness(folder) as rig:
        copies = await prepared(rig)
        turn = 0
        while len(copies.events) < total:
            await copies.round(names[turn % len(names)], min(each, total - len(copies.events)))
            turn += 1
        await copies.settled()
        print(copies.report())
        copies.check()


@pytest.mark.timeout(300)
async def test_no_job_runs_twice_over_two_copies(tmp_path: Path) -> None:
    """Trust: one holder of a name (security lesson A2, clone detection). A copy beside the first, one while it is away,
    and the first put back to an earlier moment, each under load.
    """
    await run_rounds(tmp_path, ("live", "later", "restored"), 300, 100)


@pytest.mark.slow
@pytest.mark.timeout(3600)
async def test_no_job_of_ten_thousand_runs_twice(tmp_path: Path) -> None:
    """Every way in which a second holder comes, with ten thousand jobs."""
    await run_rounds(tmp_path, tuple(ROUNDS), 10_000, 400)


async def test_a_copy_elsewhere_refuses_itself_until_a_person_says_so(tmp_path: Path) -> None:
    """Trust: one holder of a name. The copy ends with problem and cure, the hub and its admin are told, the first works
    on. With a person's word the copy goes on; the first, which is still there, shows it, and both are locked out.
    """
    async with SystemHarness(tmp_path) as rig:
        copies = await prepared(rig)
        await rig.ask("alice", "help")
        await rig.ask("carol", f"@{NAME} note")
        copy_folder(copies.original, copies.copy)
        status, _, err = await rig.run("agent", "run", "--state", str(copies.copy), check=False)
        assert status == 2
        assert f"{copies.copy} is a copy, or was moved" in err
        assert "answerback-hub token --agent NAME" in err
        (moved,) = [event for event in rig.events() if event["kind"] == "agent.moved"]
        assert moved["subject"] == NAME
        await rig.receiver.wait_for(
            lambda: [r for r in rig.receiver.replies if "state folder was started" in r["text"]]
        )
        _, out, _ = await rig.run("agent", "status", "--json", "--state", str(copies.copy), check=False)
        assert json.loads(out)["moved"]
        assert (await rig.ask("carol", f"@{NAME} note"))["jobs"][0]["state"] == "succeeded"
        assert copies.state_at_hub() == "active"

        await rig.run("agent", "take-over", "--state", str(copies.copy))
        since = time.monotonic()
        await copies.start(copies.copy)
        print(f"found {await copies.wait_locked(since):.2f} s after the copy was started")
        await rig.receiver.wait_for(lambda: [r for r in rig.receiver.replies if "is locked" in r["text"]])
        _, out, _ = await rig.operator("agents", "--json")
        assert [row["state"] for row in json.loads(out)] == ["locked"]
        await copies.keep_original()
        assert (await rig.ask("carol", f"@{NAME} note"))["jobs"][0]["state"] == "succeeded"
        copies.check()
