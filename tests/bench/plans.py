"""make bench-plans: what the cache of plans is worth, through a real hub, a real machine and signed webhooks.

The model is a server in this process that takes 300 ms for an answer, so that the figures are of the hub and not of a
model. Every time is from the start of the POST to the arrival of the reply, with everything durable on the way.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench.throughput import line  # after the path is set: the bench is run as a file
from tests.end_to_end.system import SystemHarness
from tests.hub.planning.llm_servers.servers import Behaviour, OpenAIServer, serving

DELAY: Final = 0.3  # seconds of the model for an answer
REPEATS: Final = 200
MIX: Final = 1_500
QUESTIONS: Final = 300
PEOPLE: Final = 20
COUNTER: Final = re.compile(r'answerback_plan_cache_(\w+)\{(?:result|layer)="(\w+)"\} ([0-9.e+]+)')
TOPICS: Final = (
    "whether {} is in good shape", "what keeps {} so busy", "which of the services of {} look odd",
    "if {} needs attention",
    "how {} compares with a healthy one", "what changed on {} lately", "why {} answers slowly", "what you think of {}",
    "whether somebody should worry about {}", "how {} has been doing",
)  # fmt: skip


def answer(body: dict[str, Any]) -> str:
    """A reading runbook on web-1 where the message wants a command, else words."""
    message = body["messages"][-1]["content"]
    if "command" not in message:
        return json.dumps({"answer": {"kind": "say", "text": "It looks well."}})
    picked = {"kind": "runbook", "runbook": "uptime", "values": {}, "machines": ["web-1"]}
    return json.dumps({"answer": {**picked, "why": "w", "risk": "low", "risk_why": "r"}})


@asynccontextmanager
async def hub_with(model: OpenAIServer, **planning: Any) -> AsyncIterator[SystemHarness]:
    """A hub with this model, and one machine."""
    with tempfile.TemporaryDirectory() as folder:
        async with SystemHarness(Path(folder), forks=False) as rig:
            await rig.init()
            values = "".join(f"{key} = {json.dumps(value)}\n" for key, value in planning.items())
            people = "".join(f'[people.p{n}]\nroles = ["operator"]\nchat = ["ops:p{n}"]\n' for n in range(PEOPLE))
            text = rig.config.read_text().replace(
                "[planning]\n", f"[planning]\nperson_minute = 0\nperson_day = 0\n{values}", 1
            )
            node = f'[models.bench]\nurl = "{model.url}"\nmodel = "m"\nkind = "openai"\nparallel = 8\n'
            rig.config.write_text(f"{text}\n{node}{people}")
            await rig.start_hub()
            await rig.add_agent("web-1", "role=web")
            yield rig


async def one(rig: SystemHarness, text: str, user: str = "carol", conversation: str = "ops") -> float:
    """Seconds from the POST's start to the reply."""
    begun = time.perf_counter()
    event, status, said = await rig.post(user, text, conversation=conversation)
    assert status == 200, said
    await rig.receiver.wait_final(event, 60)
    return rig.receiver.final_at[event] - begun


async def counters(rig: SystemHarness) -> dict[tuple[str, str], float]:
    assert rig.session is not None
    async with rig.session.get(f"http://127.0.0.1:{rig.http}/metrics") as answer:
        return {(name, label): float(value) for name, label, value in COUNTER.findall(await answer.text())}


def calls(model: OpenAIServer) -> int:
    """What the model was asked by people: the warm-up asks it too."""
    return sum(body["messages"][-1]["content"] != "-" for body in model.asked)


async def repeated() -> None:
    print(f"\nthe same question again and again, {REPEATS} times; a model that takes {1000 * DELAY:.0f} ms")
    model = OpenAIServer("m", behaviour=Behaviour(answer=answer, delay=DELAY))
    async with serving(model):
        for name, planning in (("no cache", {"cache_entries": 0}), ("the cache", {})):
            async with hub_with(model, **planning) as rig:
                for kind, text in (
                    ("an answer in words", "say what web-1 is for"),
                    ("a command run", "do the command thing on web-1"),
                ):
                    await one(rig, text)
                    asked = calls(model)
                    count = REPEATS if name == "the cache" else REPEATS // 10
                    begun = time.perf_counter()
                    seconds = [await one(rig, text) for _ in range(count)]
                    rate = count / (time.perf_counter() - begun)
                    print(f"  {line(f'{name}, {kind}', rate, seconds)}   {calls(model) - asked} model calls")


async def identical() -> None:
    print("\n100 identical messages of 20 people at once")
    model = OpenAIServer("m", behaviour=Behaviour(answer=answer, delay=DELAY))
    async with serving(model), hub_with(model) as rig:
        begun = time.perf_counter()
        seconds = await asyncio.gather(*(one(rig, "say what web-1 is for", f"p{n % PEOPLE}") for n in range(100)))
        print(f"  {line('all answered', 100 / (time.perf_counter() - begun), list(seconds))}   {calls(model)} calls")


def mix(seed: int, count: int) -> Iterable[tuple[str, str]]:
    """Who asks what: few questions often, many seldom (Zipf, exponent 1), some worded with other spaces."""
    dice = random.Random(seed)
    machines = ("web-1", "role=web", "the web-1 machine")
    questions = [f"say {TOPICS[n % 10].format(machines[n % 3])} number {n}" for n in range(QUESTIONS)]
    weights = [1 / (rank + 1) for rank in range(QUESTIONS)]
    for text in dice.choices(questions, weights, k=count):
        yield f"p{dice.randrange(PEOPLE)}", text.replace(" ", "  ", dice.randrange(2))


async def replayed() -> None:
    print(f"\n{MIX} messages of {PEOPLE} people, {QUESTIONS} questions, few of them often; 8 at once")
    model = OpenAIServer("m", behaviour=Behaviour(answer=answer, delay=DELAY))
    async with serving(model), hub_with(model) as rig:
        waiting, seconds = iter(list(mix(1, MIX))), []

        async def worker() -> None:
            for user, text in waiting:
                seconds.append(await one(rig, text, user))

        begun = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(worker())
        print(f"  {line('answered', MIX / (time.perf_counter() - begun), seconds)}")
        found = await counters(rig)
        hits = found["lookups_total", "memory"] + found["lookups_total", "disk"]
        total = sum(value for (name, _), value in found.items() if name == "lookups_total")
        distinct = len({text.replace("  ", " ") for _, text in mix(1, MIX)})
        print(
            f"  {distinct} distinct: at best {100 * (1 - distinct / MIX):.1f} % hits;"
            f" found {100 * hits / total:.1f} %, {calls(model)} model calls for {MIX} messages"
        )


async def bounded() -> None:
    entries, memory, disk = 200, 256 * 1024, 1024 * 1024
    count = 2_000
    print(
        f"\n{count} different questions into a cache of {entries} entries, {memory // 1024} KiB,"
        f" {disk // 1024} KiB on disk"
    )
    model = OpenAIServer("m", behaviour=Behaviour(answer=answer))
    async with serving(model):
        bounds = {"cache_entries": entries, "cache_memory": f"{memory // 1024}KiB", "cache_disk": f"{disk // 1024}KiB"}
        async with hub_with(model, **bounds) as rig:
            process = psutil.Process(rig.programs["hub"].pid)
            resident = []
            for n in range(count):
                await one(rig, f"say something about web-1 and the number {n}", f"p{n % PEOPLE}")
                if (n + 1) % (count // 5) == 0:
                    resident.append(f"{process.memory_info().rss / 2**20:.1f}")
            found = await counters(rig)
            plans = rig.hub_dir / "data" / "plans"
            taken = sum(path.stat().st_size for path in plans.iterdir())
            print(
                f"  memory {found['entries', 'memory']:.0f} entries, {found['bytes', 'memory'] / 1024:.0f} KiB;"
                f" disk {found['entries', 'disk']:.0f} files, {found['bytes', 'disk'] / 1024:.0f} KiB in blocks,"
                f" {taken / 1024:.0f} KiB in bytes"
            )
            print(
                f"  the hub's resident memory after each {count // 5}: {', '.join(resident)} MiB"
                "  (what grows is the store's page cache, 16 MiB a connection at most)"
            )
            assert found["entries", "memory"] <= entries
            assert found["bytes", "memory"] <= memory
            assert found["bytes", "disk"] <= disk


async def main() -> None:
    await repeated()
    await identical()
    await replayed()
    await bounded()


if __name__ == "__main__":
    asyncio.run(main())
