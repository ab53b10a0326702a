"""The hub's CA is replaced by command while messages come in: no job fails and no webhook is refused. Once to the end,
without a restart; once half the way and back, with the hub killed in each phase; and what becomes of who was away.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from common.identity.tls import compute_pin
from common.identity.trust import bundle_pins
from tests.bench.throughput import RULE
from tests.end_to_end.system import SystemHarness

AGENTS = ("box", "web-1")
SENDERS = 3


class Work:
    """Messages to each machine in turn; each makes one folder of its own name, which can be made only once."""

    def __init__(self, rig: SystemHarness, folder: Path) -> None:
        self.rig = rig
        self.folder = folder
        self.sent: list[str] = []

    async def send(self, event: str, user: str, agent: str) -> None:
        """Sends it, again where the hub is not there: a chat does that too. A refusal is an error."""
        while True:
            try:
                _, status, answer = await self.rig.post(user, f"@{agent} mkdir {self.folder / event}", event=event)
                break
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.2)
        assert status == 200, (status, answer)
        self.sent.append(event)

    async def finish(self, killed: bool) -> None:
        """Each message has its answer, once but where the hub was killed right after it had posted one, and each job
        ran once.
        """
        finals = self.rig.receiver.finals
        await self.rig.receiver.wait_for(lambda: all(event in finals for event in self.sent), 120)
        for event in self.sent:
            assert len(finals[event]) == 1 or killed, finals[event]
            assert len({reply["jobs"][0]["id"] for reply in finals[event]}) == 1, finals[event]
            assert [job["exit_code"] for job in finals[event][0]["jobs"]] == [0], finals[event][0]
        assert sorted(path.name for path in self.folder.iterdir()) == sorted(self.sent)


@asynccontextmanager
async def under_load(rig: SystemHarness, pause: float = 0.1, *, killed: bool = False) -> AsyncIterator[None]:
    folder = rig.folder / "work"
    folder.mkdir(exist_ok=True)
    work, over = Work(rig, folder), asyncio.Event()

    async def sender(number: int) -> None:
        index = number
        while not over.is_set():
            await work.send(f"c-{index}", f"s{number}", AGENTS[index % len(AGENTS)])
            index += SENDERS
            await asyncio.sleep(pause)

    async with asyncio.TaskGroup() as tasks:
        for number in range(SENDERS):
            tasks.create_task(sender(number))
        try:
            yield
        finally:
            over.set()
    await work.finish(killed)


@pytest.fixture
async def loaded(tmp_path: Path) -> AsyncIterator[SystemHarness]:
    async with SystemHarness(tmp_path) as rig:
        rig.people |= {f"s{number}": "operator" for number in range(SENDERS)}
        await rig.init()
        policy = rig.hub_dir / "policy.toml"
        policy.write_text(policy.read_text() + RULE.format(folder=rig.folder))
        await rig.start_hub()
        for name in AGENTS:
            await rig.add_agent(name)
        yield rig
        rig.check_at_most_once()


async def status(rig: SystemHarness) -> dict[str, Any]:
    _, out, _ = await rig.hub("ca", "status", "--json")
    return dict(json.loads(out))


async def step(rig: SystemHarness, *words: str) -> dict[str, Any]:
    _, out, _ = await rig.hub("ca", *words, "--json")
    return dict(json.loads(out))


def pins(rig: SystemHarness) -> dict[str, tuple[str, ...]]:
    """What each machine and the admin's profile trusts."""
    files = {name: rig.state_folder(name) / "uplink" / "ca.pem" for name in AGENTS}
    files["alice"] = rig.hub_dir / "profile" / "ca.pem"
    return {name: bundle_pins(file.read_bytes()) for name, file in files.items()}


async def through(rig: SystemHarness, *, people: bool = True) -> None:
    """Waits until nobody is behind; the admin uses a command as they would."""

    async def done() -> bool:
        if people:
            await rig.operator("agents")
        return not (await status(rig))["behind"]

    await rig.wait_until(done)


def own_pin(rig: SystemHarness) -> str:
    return compute_pin((rig.hub_dir / "ca" / "ca.pem").read_bytes())


async def kill_hub(rig: SystemHarness) -> None:
    await rig.programs["hub"].stop(signal.SIGKILL)
    await rig.start_hub()


async def test_the_ca_is_replaced_under_load(loaded: SystemHarness) -> None:
    """Lesson A7: in five steps, with both CAs trusted in between; a machine that joins half-way is told both. In the
    end nobody has anything of the old CA, its key is gone, and the audit has each step.
    """
    old, hub = own_pin(loaded), loaded.programs["hub"].pid
    old_key = (loaded.hub_dir / "ca" / "ca.key").read_bytes()
    async with under_load(loaded):
        for phase, trusted in (("init", 2), ("update_clients", 2), ("update_servers", 2)):
            found = await step(loaded, "rotate")
            assert (found["phase"], found["hub_has_it"]) == (phase, "yes")
            await through(loaded)
            assert {len(file) for file in pins(loaded).values()} == {trusted}
            if phase == "update_clients":
                assert old in await loaded.join("late")
                assert len(bundle_pins((loaded.state_folder("late") / "uplink" / "ca.pem").read_bytes())) == 2
                await loaded.start_agent("late")
        assert (await step(loaded, "rotate"))["phase"] == "standby"

        async def dropped() -> bool:
            await loaded.operator("agents")
            return set(pins(loaded).values()) == {(own_pin(loaded),)}

        await loaded.wait_until(dropped)
    assert own_pin(loaded) != old
    assert own_pin(loaded) in await loaded.join("new")
    assert loaded.programs["hub"].pid == hub
    assert sorted(file.name for file in (loaded.hub_dir / "ca").iterdir()) == ["ca.key", "ca.pem", "rotation.lock"]
    assert (loaded.hub_dir / "ca" / "ca.key").read_bytes() != old_key
    rows = [event["data"]["phase"] for event in loaded.events() if event["kind"] == "ca.rotated"]
    assert rows == ["init", "update_clients", "update_servers", "standby"]
    issued = {row.issuer for row in loaded.read(lambda txn: txn.credentials()) if row.trusts and not row.successor}
    assert len(issued) == 1, issued


async def test_the_way_back_and_a_hub_that_is_killed(loaded: SystemHarness) -> None:
    """The hub is killed in each phase between and goes on in it; from the last one everything goes back to the old CA,
    and the new one is gone.
    """
    old = own_pin(loaded)
    async with under_load(loaded, killed=True):
        for phase in ("init", "update_clients", "update_servers"):
            assert (await step(loaded, "rotate"))["phase"] == phase
            await kill_hub(loaded)
            assert (await status(loaded))["hub_has_it"] == "yes"
        await through(loaded)
        assert (await step(loaded, "rollback"))["phase"] == "rollback"
        await kill_hub(loaded)
        await through(loaded)
        assert (await step(loaded, "rollback"))["phase"] == "standby"
    assert own_pin(loaded) == old
    assert not (loaded.hub_dir / "ca" / "next.key").exists()
    await loaded.operator("agents")
    assert {"box", "web-1"} <= {row.name for row in loaded.read(lambda txn: txn.credentials()) if row.trusts}


async def test_who_was_away_is_named_and_joins_anew(loaded: SystemHarness) -> None:
    """The last step is refused and says who would be shut out; with --force it is made, the machine says what is wrong,
    and one command brings it back.
    """
    await loaded.programs["web-1"].stop()
    await loaded.operator("agents")
    for _ in range(3):
        await step(loaded, "rotate")
    await loaded.wait_until(lambda: alone_behind(loaded, "web-1"))
    code, _, told = await loaded.hub("ca", "rotate", check=False)
    assert code != 0
    assert "1 would be shut out by this step: web-1" in told
    _, shown, _ = await loaded.hub("ca", "status")
    assert "machine web-1" in shown
    assert "answerback-hub token --agent web-1" in shown
    assert (await step(loaded, "rotate", "--force"))["phase"] == "standby"
    program = await loaded.start("web-1", "agent", "run", "--state", str(loaded.state_folder("web-1")))

    async def told_why() -> bool:
        return "by another CA" in program.log.read_text()

    await loaded.wait_until(told_why, program)
    await loaded.join("web-1")
    await loaded.wait_until(lambda: loaded.online("web-1"), program)


async def alone_behind(rig: SystemHarness, name: str) -> bool:
    await rig.operator("agents")
    return [one["name"] for one in (await status(rig))["behind"]] == [name]


@pytest.mark.slow
async def test_three_rotations_in_a_row_by_one_command_each(loaded: SystemHarness) -> None:
    """`--all` under load, with the admin at work beside it; each ends with another CA, and nobody notices."""
    seen = {own_pin(loaded)}
    async with under_load(loaded, pause=0.02):
        for _ in range(3):
            async with asyncio.TaskGroup() as tasks:
                rotating = tasks.create_task(loaded.hub("ca", "rotate", "--all", "--within", "2m"))
                while not rotating.done():
                    await loaded.operator("agents")
            seen.add(own_pin(loaded))
    assert len(seen) == 4
