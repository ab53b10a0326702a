"""Secrets change while messages come as fast as they are answered: none is refused, no job and no reply is lost."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.core.secret_uses import fingerprint
from tests.bench.throughput import Load, prepared
from tests.end_to_end.system import SystemHarness

SENDERS = 4


@pytest.fixture
async def loaded(tmp_path: Path) -> AsyncIterator[SystemHarness]:
    async with SystemHarness(tmp_path) as rig:
        await prepared(rig)
        yield rig
        rig.check_at_most_once()


async def reload_hub(rig: SystemHarness) -> None:
    def reloads() -> int:
        return sum(event["kind"] == "hub.reloaded" for event in rig.events())

    before = reloads()
    rig.programs["hub"].process.send_signal(signal.SIGHUP)

    async def done() -> bool:
        return reloads() > before

    await rig.wait_until(done)


async def more(load: Load, count: int = 12) -> None:
    """Waits for so many answers that were not there yet."""
    finals = load.rig.receiver.finals
    goal = len(finals) + count
    await load.rig.receiver.wait_for(lambda: len(finals) >= goal, 60)


async def used(rig: SystemHarness, mark: str) -> bool:
    _, out, _ = await rig.hub("inlet", "secrets", "ops", "--json")
    return any(one["fingerprint"] == mark and one["last_used"] for one in json.loads(out))


async def turn(rig: SystemHarness, load: Load) -> None:
    """One rotation, from the old secret alone to the new one alone."""
    old = fingerprint(rig.secret)
    _, out, _ = await rig.hub("inlet", "rotate", "ops", "--json")
    told = json.loads(out)
    new = told["secret"].encode()
    assert told["fingerprint"] == fingerprint(new)
    assert told["old"] == [old]
    await reload_hub(rig)
    await more(load)  # the sender knows the old one alone: its messages are taken, and it can read its replies
    rig.receiver.next_secret = new
    rig.secret = new  # the sender signs with the new one from here on
    await more(load)

    async def seen() -> bool:
        return await used(rig, fingerprint(new))

    await rig.wait_until(seen)
    code, out, err = await rig.hub("inlet", "retire", "ops", old, check=False)
    assert code != 0
    assert "still needed: it was used" in err
    await rig.hub("inlet", "retire", "ops", old, "--force")
    await reload_hub(rig)
    await more(load)
    rig.receiver.secret, rig.receiver.next_secret = new, b""
    shown = json.loads((await rig.hub("inlet", "secrets", "ops", "--json"))[1])
    assert [one["fingerprint"] for one in shown] == [fingerprint(new)]
    assert new.decode() not in json.dumps(shown)


async def rotate_under_load(rig: SystemHarness, turns: int) -> int:
    """Rotates so often while senders write; returns how many messages there were."""
    folder = rig.folder / "rotated"
    folder.mkdir()
    load, over = Load(rig, folder), asyncio.Event()

    async def sender(number: int) -> None:
        index = number
        while not over.is_set():
            await load.send(f"r-{index}", f"s{number}")
            await rig.receiver.wait_final(f"r-{index}")
            index += SENDERS

    async with asyncio.TaskGroup() as tasks:
        for number in range(SENDERS):
            tasks.create_task(sender(number))
        first = rig.secret
        for _ in range(turns):
            await turn(rig, load)
        over.set()
    await load.answered(60)
    load.check()
    assert rig.receiver.bad_signatures == 0
    kinds = [event["kind"] for event in rig.events()]
    assert kinds.count("secret.rotated") == kinds.count("secret.retired") == turns
    assert "message.refused" not in kinds
    rig.secret = first
    _, status, answer = await rig.post("carol", "@box mkdir /x")
    assert (status, answer["error"]) == (401, "bad_signature")
    return len(load.began)


async def test_a_webhook_secret_is_rotated_under_load(loaded: SystemHarness) -> None:
    """Trust: rotated by command, without a restart: every message of the load is taken, run once and answered."""
    assert await rotate_under_load(loaded, 1) >= 36


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_webhook_secret_is_rotated_ten_times_under_load(loaded: SystemHarness) -> None:
    """Trust: the same, ten times over."""
    assert await rotate_under_load(loaded, 10) >= 360
