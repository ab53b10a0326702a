"""The runner killed, or replaced, again and again under load: no job is lost that had not started, none runs twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from common.lifecycle import JobState
from tests.end_to_end.system import SystemHarness

COUNTED = """
echo "$1" >> {folder}/starts
sleep 1.5
"""

LONG = pytest.mark.timeout(1_200)  # most of it is the wait before a runner that ended soon is started again


def starts(rig: SystemHarness) -> Counter[str]:
    """How often each job's program has begun, by the word it was given."""
    file = rig.folder / "starts"
    return Counter(file.read_text().split()) if file.exists() else Counter()


async def end_again_and_again(
    rig: SystemHarness, ends: int, number: signal.Signals, burst: int = 40, seed: int = 0
) -> Counter[str]:
    """As many jobs at once as more than fill the machine, and its runner sent the signal, so often; the states in which
    they ended. How often each program has begun is checked against what the hub says: what is unknown has begun, or a
    runner had said before it was killed that it takes it.
    """
    chance = random.Random(seed)
    rig.add_program("counted", COUNTED.format(folder=rig.folder))
    await rig.start_hub()
    await rig.add_agent("web-1")
    asked: dict[str, str] = {}

    async def ask(word: str) -> None:
        asked[word] = event = f"m-{word}"
        for _ in range(5):  # as a chat does where the hub has closed a connection that was idle
            with contextlib.suppress(aiohttp.ClientError):
                _, status, _ = await rig.post("carol", f"@web-1 counted {word}", event=event)
                assert status == 200
                break

    async def has_runner() -> bool:
        return rig.runner_pid("web-1") is not None

    for turn in range(ends):
        await rig.wait_until(has_runner)
        await asyncio.gather(*(ask(f"w{turn}.{each}") for each in range(burst)))
        await asyncio.sleep(chance.uniform(0.0, 0.6))
        pid = rig.runner_pid("web-1")
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
    ended: Counter[str] = Counter()
    ran = Counter[str]()
    for word, event in asked.items():
        (job,) = (await rig.receiver.wait_final(event))["jobs"]
        ended[job["state"]] += 1
        ran[word] = starts(rig)[word]
        heard = {row["subject"] for row in rig.events() if row["kind"] == "job.accepted"}
        expected = {"succeeded": {1}, "unknown": {0, 1} if job["id"] in heard else {1}}.get(job["state"], {0})
        assert ran[word] in expected, (word, job)
    assert max(ran.values()) <= 1
    return ended


@pytest.mark.parametrize("kills", [4, pytest.param(30, marks=[pytest.mark.slow, LONG])])
async def test_no_job_is_lost_that_had_not_started(rig: SystemHarness, kills: int) -> None:
    """What ran when its runner was killed is unknown, and that is said; all else runs, once."""
    ended = await end_again_and_again(rig, kills, signal.SIGKILL)
    assert set(ended) <= {"succeeded", "unknown"}, ended
    again = Counter(row["data"]["code"] for row in rig.events() if row["kind"] == "job.released")
    assert again["restarted"] > 0, "no job waited for its turn when its runner was killed: the load is too small"
    print(dict(ended), dict(again))


async def test_orders_on_their_way_to_a_runner_that_is_killed_go_to_the_next(rig: SystemHarness) -> None:
    """They had the hub's word, and the runner has not read them: nothing of them has started, and that is known, for
    the uplink and its connection are the same. Each runs once, and none is unknown.
    """
    rig.add_program("counted", COUNTED.format(folder=rig.folder))
    await rig.start_hub()
    await rig.add_agent("web-1")
    pid = rig.runner_pid("web-1")
    assert pid is not None
    _, status, _ = await rig.post("carol", "@web-1 counted before", event="m-before")
    assert status == 200
    await rig.receiver.wait_final("m-before")
    os.kill(pid, signal.SIGSTOP)
    words = [f"w{number}" for number in range(4)]
    for word in words:
        _, status, _ = await rig.post("carol", f"@web-1 counted {word}", event=f"m-{word}")
        assert status == 200

    def leased() -> list[str]:
        """Their stamps."""
        return [job.stamp for job in rig.read(lambda txn: txn.jobs(limit=10)) if job.state is JobState.LEASED]

    async def all_leased() -> bool:
        return len(leased()) == len(words)

    await rig.wait_until(all_leased)
    assert all(leased()), "the hub gave no word with the orders: this shows nothing"
    os.kill(pid, signal.SIGKILL)
    for word in words:
        (job,) = (await rig.receiver.wait_final(f"m-{word}"))["jobs"]
        assert job["state"] == "succeeded", job
    assert starts(rig) == dict.fromkeys(["before", *words], 1)
    rig.check_at_most_once()


@pytest.mark.parametrize("upgrades", [1, pytest.param(10, marks=[pytest.mark.slow, LONG])])
async def test_no_job_is_lost_in_an_upgrade_of_the_runner(rig: SystemHarness, upgrades: int) -> None:
    """SIGTERM, as a service manager sends it before it starts the new program: what runs ends by itself and is told,
    what waits is handed to the next runner; every job runs, once.
    """
    ended = await end_again_and_again(rig, upgrades, signal.SIGTERM)
    assert set(ended) == {"succeeded"}, ended
    again = Counter(row["data"]["code"] for row in rig.events() if row["kind"] == "job.released")
    assert again["stopping"] + again["restarted"] > 0, "no job waited for its turn: the load is too small"
    print(dict(ended), dict(again))


ONCE_OR_TWICE = """
echo "$1" >> {folder}/starts
test -e {folder}/second-"$1" && exit 0
touch {folder}/second-"$1"
exec sleep 60
"""


async def test_what_is_idempotent_is_tried_again_and_nothing_else(rig: SystemHarness) -> None:
    """P4: two programs run when their runner is killed. One's rule says that twice does no harm: its second attempt
    succeeds, and chat says that it is one. The other is unknown, and has run once.
    """
    script = ONCE_OR_TWICE.format(folder=rig.folder)
    rig.add_program("counted", script)
    rig.add_program("repeatable", script, more="idempotent = true")
    await rig.start_hub()
    await rig.add_agent("web-1")
    for word in ("counted", "repeatable"):
        _, status, _ = await rig.post("carol", f"@web-1 {word} {word}", event=f"m-{word}")
        assert status == 200

    async def both_run() -> bool:
        return starts(rig) == {"counted": 1, "repeatable": 1}

    await rig.wait_until(both_run)
    pid = rig.runner_pid("web-1")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    again, never = await rig.receiver.wait_final("m-repeatable"), await rig.receiver.wait_final("m-counted")
    assert [job["state"] for job in again["jobs"]] == ["succeeded"]
    assert "Attempt 2 of 3" in again["text"]
    assert [job["state"] for job in never["jobs"]] == ["unknown"]
    assert starts(rig) == {"counted": 1, "repeatable": 2}
    first, second = sorted(
        (job for job in rig.read(lambda txn: txn.jobs(limit=10)) if "repeatable" in job.command),
        key=lambda job: job.queued_at,
    )
    assert (first.state, second.state, second.parent) == ("unknown", "succeeded", first.id)
    (event,) = [row for row in rig.events() if row["kind"] == "job.tried_again"]
    assert (event["subject"], event["data"]["after"]) == (second.id, first.id)
    rig.check_at_most_once()
    _, out, told = await rig.operator("job", second.id)
    assert "Attempt 2 of 3" in out + told


def test_starts_are_counted_by_word(tmp_path: Path) -> None:
    """The oracle: a word that was written twice is seen twice."""
    rig = SystemHarness(tmp_path)
    (tmp_path / "starts").write_text("w1\nw2\nw1\n")
    assert starts(rig) == {"w1": 2, "w2": 1}
