"""Malformed bodies and frames by the hundred thousand, from whoever holds a secret or a certificate, beside somebody
honest.

Two processes send (`tests.faults.flooder`): bodies with good and bad signatures and broken request heads to an inlet of
their own; frames from joined machines and an operator's login, most of them well formed with values that make no sense,
and now and then one that is no frame, which ends its link. What is looked at: that the hub lives on and logs no fault,
what memory it takes, and how long an honest message takes meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from agent.state import StateFolder
from tests.bench.percentile import percentile
from tests.end_to_end.system import ROOT
from tests.faults.flooder import BATCH
from tests.faults.world import MACHINE, World, running_world

RATE: Final = 2_000.0
"""Malformed things a second, over all."""
SHARE_OF_LINKS: Final = 0.3
MAX_SECONDS: Final = 2 * 3_600.0
BROKEN: Final = 3
"""Frames that are none, of each of those who link: after two of them one is let in again ever later."""
FEWEST_BATCHES: Final = 50
QUIET: Final = 60
"""Honest messages before the flood."""
APART: Final = 0.15
MAX_GROWTH: Final = 24 * 1024 * 1024
"""Bytes that the hub may grow by from a quarter of the flood on: caches are warm by then."""
MAX_SLOWER: Final = 2.0
BARE: Final = 0.010
"""Seconds below which a quiet p99 counts as this: beside other work of the machine a millisecond is no measure."""


@dataclass(frozen=True, slots=True)
class Report:
    sent: Mapping[str, int]
    answers: Mapping[str, int]
    seconds: float
    memory: Sequence[int]  # of the hub, from before the flood to after it
    quiet: Sequence[float]
    flooded: Sequence[float]
    faults: Sequence[str]  # tracebacks and errors in the hub's log
    ended: bool
    judged: bool = True  # whether the latency is: of a short run it says little

    @property
    def violations(self) -> list[str]:
        found = [*self.faults[:5]]
        if self.ended:
            found.append("the hub has ended")
        if self.growth > MAX_GROWTH:
            found.append(f"the hub has grown by {self.growth / 2**20:.1f} MiB")
        slow, base = percentile(self.flooded, 99), max(BARE, percentile(self.quiet, 99))
        if self.judged and slow > MAX_SLOWER * base:
            found.append(f"an honest message took {1000 * slow:.0f} ms at p99, and {1000 * base:.0f} ms before")
        return found

    @property
    def growth(self) -> int:
        return self.memory[-1] - self.memory[len(self.memory) // 4]

    def markdown(self) -> str:
        total = sum(self.sent.values())
        lines = [f"{total} in {self.seconds:.0f} s ({total / self.seconds:.0f} a second).", ""]
        lines += ["| sent | | answered | |", "|---|---|---|---|"]
        left = sorted(self.sent.items(), key=lambda one: -one[1])
        right = sorted(self.answers.items(), key=lambda one: -one[1])
        for number in range(max(len(left), len(right))):
            cells = [*(left[number] if number < len(left) else ("", ""))]
            cells += right[number] if number < len(right) else ("", "")
            lines.append("| " + " | ".join(map(str, cells)) + " |")
        memory = ", ".join(f"{size / 2**20:.1f}" for size in self.memory[:: max(1, len(self.memory) // 8)])
        at = [[f"{1000 * percentile(times, p):.0f}" for p in (50, 99)] for times in (self.quiet, self.flooded)]
        lines += [
            "",
            f"- the hub: {'ended' if self.ended else 'lives'}, {len(self.faults)} errors in its log",
            f"- its memory in MiB, before, during and after: {memory}; {self.growth / 2**20:+.1f} from a quarter on",
            f"- an honest message: p50 / p99 {' / '.join(at[0])} ms quiet, {' / '.join(at[1])} ms flooded "
            f"({len(self.quiet)} and {len(self.flooded)} messages)",
        ]
        return "\n".join(lines)


async def flood(
    folder: Path,
    count: int,
    *,
    rate: float = RATE,
    machines: int = 10,
    quiet: int = QUIET,
    seconds: float = MAX_SECONDS,
    told: Callable[[str], None] = lambda line: None,
) -> Report:
    """So many malformed things at a hub with one honest machine, or as many as go into so many seconds."""
    async with running_world(folder, relayed=False) as world:
        specs = [{**spec, "seconds": seconds} for spec in await prepared(world, count, rate, machines)]
        memory = [rss(world)]
        before = [await honest(world) for _ in range(quiet)]
        during: list[float] = []
        sent: list[Counter[str]] = [Counter() for _ in specs]
        answers: list[Counter[str]] = [Counter() for _ in specs]
        began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            floods = [
                tasks.create_task(run_flooder(spec, sent[number], answers[number])) for number, spec in enumerate(specs)
            ]
            last = began
            while not all(one.done() for one in floods):
                during.append(await honest(world))
                await asyncio.sleep(APART)
                if time.monotonic() - last >= max(1.0, count / rate / 40):
                    last = time.monotonic()
                    memory.append(rss(world))
                    done = sum(map(Counter.total, sent))
                    told(f"malformed: {done} of {count}, {memory[-1] / 2**20:.0f} MiB, {1000 * during[-1]:.0f} ms")
        took = time.monotonic() - began
        memory.append(rss(world))
        return Report(
            sum(sent, Counter()),
            sum(answers, Counter()),
            took,
            memory,
            before,
            during,
            faults_in(world.hub.log),
            world.hub.process.returncode is not None,
            judged=quiet >= QUIET,
        )


async def prepared(world: World, count: int, rate: float, machines: int) -> list[dict[str, Any]]:
    """An inlet, machines and a login of those who flood, and what each process is to send."""
    rig = world.rig
    secret = secrets.token_hex(16)
    (rig.hub_dir / "secrets" / "flood").write_text(secret)
    (rig.hub_dir / "secrets" / "flood").chmod(0o600)
    inlet = '\n[inlets.flood]\nplatform = "generic"\nsecret_file = "secrets/flood"\nreply_hosts = ["127.0.0.1"]\n'
    rig.config.write_text(rig.config.read_text() + inlet + "rate = 100000\n")
    await restart(world)
    names = [f"evil-{number}" for number in range(machines)]
    for name in names:
        await rig.join(name)
    _, out, _ = await rig.hub("operator", "add", "vera", "--json")
    invited = json.loads(out)
    profile = rig.folder / "vera"
    words = ("login", invited["url"], "--token", invited["token"], "--ca-pin", invited["ca_pin"])
    await rig.run("tui", "--profile", str(profile), *words)
    hub = StateFolder(rig.state_folder(names[0])).settings().hub
    links = round(count * SHARE_OF_LINKS)
    common = {"http": rig.http, "links": f"wss://127.0.0.1:{rig.links}", "hub": hub, "secret": secret, "inlet": "flood"}
    common["reply_url"] = rig.receiver.url
    states = [str(rig.state_folder(name)) for name in names]
    return [
        {**common, "seed": 1, "counts": {"post": count - links}, "rate": rate * (1 - SHARE_OF_LINKS), "connections": 4},
        {
            **common,
            "seed": 2,
            "counts": {"agent": links - links // 3, "console": links // 3},
            "rate": rate * SHARE_OF_LINKS,
            "machines": states,
            "operators": [(str(profile), "vera")],
            "broken_each": max(FEWEST_BATCHES, links // (BROKEN * BATCH * (machines + 1))),
        },
    ]


async def restart(world: World) -> None:
    await world.hub.stop()
    await world.start_hub()
    await world.until_linked()


async def honest(world: World) -> float:
    """Seconds from a message to its answer."""
    began = time.perf_counter()
    event = await world.say("carol", f"@{MACHINE} true")
    await world.rig.receiver.wait_final(event)
    return time.perf_counter() - began


def rss(world: World) -> int:
    with contextlib.suppress(psutil.NoSuchProcess):
        return int(psutil.Process(world.hub.pid).memory_info().rss)
    return 0


def faults_in(log: Path) -> list[str]:
    """What a hub logs that has met something it was not written for."""
    signs = ("Traceback", '"level": "error"', '"exception"')
    with log.open(errors="replace") as lines:
        return [line[:300] for line in lines if any(sign in line for sign in signs)]


async def run_flooder(spec: Mapping[str, Any], sent: Counter[str], answers: Counter[str]) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.faults.flooder",
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(spec).encode() + b"\n")
        await process.stdin.drain()
        async for line in process.stdout:
            told = json.loads(line)
            for counter, name in ((sent, "sent"), (answers, "answers")):
                counter.clear()
                counter.update(told[name])
        if await process.wait():
            raise RuntimeError(f"a flooder ended with {process.returncode}")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
