"""make bench-models: model nodes in trouble, beside a single node and beside round robin, in one run.

Three nodes: one slow, one that dies in the middle of every second answer, one with a wrong key. Servers in this process
speak the real protocols with scripted delays, so the figures are of the routing and not of a model. Round robin takes
the same wires and the same schema check, and tries the next node up to three times, as a plain client library would.

Then three nodes that stall now and then, with and without second requests; and, where a real model is installed
(`make models`), the prefix cache and messages that share a call, on that.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hub.config import ModelTable  # after the path is set: the bench is run as a file
from hub.log import configure
from hub.planning.llm_servers.build import build_clients
from hub.planning.llm_servers.node import ModelClient, NodeSpec
from hub.planning.llm_servers.pool import Pool, PoolLimits
from hub.planning.llm_servers.types import ModelRequest, NoAnswer, StreamEnd, TextDelta
from tests.hub.planning.llm_servers.rig import running, wire_to
from tests.hub.planning.llm_servers.servers import Behaviour, OllamaServer, OpenAIServer, Server, serving
from tests.hub.planning.llm_servers.wires import ask
from tests.models.real import MISSING, Running, installed, openai_server

REQUESTS: Final = 300
AT_ONCE: Final = 8
ANSWER: Final = json.dumps({"say": "x" * 64})  # about twenty tokens of these servers
TOKEN: Final = 0.003  # seconds

BURST: Final = 8

Answering = Callable[[ModelRequest], Awaitable[str | None]]


async def load(name: str, answering: Answering, *, requests: int = REQUESTS, at_once: int = AT_ONCE) -> None:
    """Prints what came of it: answered of asked, rate, latencies of those answered."""
    numbers, seconds, failed = iter(range(requests)), [], 0

    async def worker() -> None:
        nonlocal failed
        for number in numbers:
            began = time.perf_counter()
            text = await answering(ask(f"message {number}", deadline=time.monotonic() + 30))
            if text is None:
                failed += 1
            else:
                seconds.append(time.perf_counter() - began)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(worker())
    took = time.perf_counter() - began
    at = sorted(seconds) or [float("nan")]
    p50, p95, p99 = (1000 * at[min(len(at) - 1, int(len(at) * q))] for q in (0.5, 0.95, 0.99))
    print(
        f"  {name:<42} {requests - failed:4d}/{requests} answered  {len(seconds) / took:7.1f}/s"
        f"   p50 {p50:7.0f} ms   p95 {p95:7.0f} ms   p99 {p99:7.0f} ms"
    )


async def once(wire: ModelClient, asked: ModelRequest) -> str | None:
    """One attempt as a plain client makes it."""
    pieces: list[str] = []
    async with aclosing(wire.stream(asked)) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                pieces.append(event.text)
            if isinstance(event, StreamEnd):
                return "".join(pieces)
    return None


def round_robin(wires: Sequence[ModelClient], tries: int) -> Answering:
    turn = itertools.cycle(wires)

    async def answering(asked: ModelRequest) -> str | None:
        for _ in range(tries):
            text = await once(next(turn), asked)
            if text is not None:
                return text
        return None

    return answering


def through(pool: Pool, count: Counter[str]) -> Answering:
    async def answering(asked: ModelRequest) -> str | None:
        try:
            got = await pool.complete(asked)
        except NoAnswer as none:
            count[f"no answer: {none.reason}"] += 1
            return None
        count.update(f"{attempt.node}: {attempt.result}" for attempt in got.attempts)
        return got.text

    return answering


def specs(servers: Sequence[Server], names: Sequence[str]) -> list[tuple[NodeSpec, ModelClient]]:
    made = []
    for name, server in zip(names, servers, strict=True):
        spec = NodeSpec(name, "m", parallel=4)
        made.append((spec, wire_to(server, spec)))
    return made


async def trouble() -> None:
    print(f"\nthree nodes, one slow, one dying, one wrong key; {REQUESTS} requests, {AT_ONCE} at once")
    good = OpenAIServer("m", behaviour=Behaviour(answer=lambda body: ANSWER, per_token=TOKEN))
    slow = OpenAIServer("m", behaviour=Behaviour(answer=lambda body: ANSWER, per_token=10 * TOKEN))
    dying = OllamaServer("m", behaviour=Behaviour(answer=lambda body: ANSWER, per_token=TOKEN))
    locked = OpenAIServer("m", keys=("another",))
    turn = itertools.count()
    lives, dies = dying.behaviour, replace(dying.behaviour, die_after=8)
    behave = dying._behave

    async def every_second(writer: asyncio.StreamWriter, asked: dict[str, Any]) -> None:
        dying.behaviour = dies if next(turn) % 2 else lives
        await behave(writer, asked)

    dying._behave = every_second  # type: ignore[method-assign]
    async with serving(good, slow, dying, locked):
        names = ("slow", "dying", "wrong key")
        for name, server in (("a good node", good), ("the slow node", slow), ("the dying node", dying)):
            ((_, wire),) = specs([server], [name])
            await load(f"{name} alone, no second try", round_robin([wire], 1))
            await wire.close()
        wires = specs([slow, dying, locked], names)
        await load("round robin, no second try", round_robin([wire for _, wire in wires], 1))
        await load("round robin, three tries", round_robin([wire for _, wire in wires], 3))
        for _, wire in wires:
            await wire.close()
        for hedge in (False, True):
            count: Counter[str] = Counter()
            async with running(
                Pool(specs([slow, dying, locked], names), PoolLimits(hedge=hedge), time.monotonic)
            ) as pool:
                await load(f"the pool, {'with' if hedge else 'without'} second requests", through(pool, count))
            print("    " + ", ".join(f"{key} {value}" for key, value in sorted(count.items())))


async def stalls() -> None:
    print(f"\nthree good nodes, one answer in 33 stalls for 1.5 s; {REQUESTS} requests, 6 at once")
    servers = [OpenAIServer("m", behaviour=Behaviour(answer=lambda body: ANSWER, per_token=TOKEN)) for _ in range(3)]
    turn = itertools.count(1)
    for server in servers:
        _stalling(server, turn)
    async with serving(*servers):
        wires = specs(servers, "abc")
        await load("round robin, three tries", round_robin([wire for _, wire in wires], 3), at_once=6)
        for _, wire in wires:
            await wire.close()
        for hedge in (False, True):
            count: Counter[str] = Counter()
            async with running(Pool(specs(servers, "abc"), PoolLimits(hedge=hedge), time.monotonic)) as pool:
                await load(
                    f"the pool, {'with' if hedge else 'without'} second requests", through(pool, count), at_once=6
                )
            extra = sum(value for key, value in count.items() if "hedged" in key)
            print(f"    {extra} second requests won")


def _stalling(server: Server, turn: Iterator[int]) -> None:
    behave = server._behave

    async def stalling(writer: asyncio.StreamWriter, asked: dict[str, Any]) -> None:
        if next(turn) % 33 == 0:
            await asyncio.sleep(1.5)
        await behave(writer, asked)

    server._behave = stalling  # type: ignore[method-assign]


# ---- with a real model

SCHEMA: Final = {
    "type": "object",
    "properties": {"machine": {"enum": ["web-1", "web-2"]}, "program": {"enum": ["df", "uptime", "free"]}},
    "required": ["machine", "program"],
    "additionalProperties": False,
}
SYSTEM: Final = "You plan one command for one machine. " + " ".join(
    f"Machine web-{number} is a web server with the label role=web." for number in range(1, 60)
)


async def real() -> None:
    if installed() is None:
        print(f"\n{MISSING}")
        return
    print(f"\nSmolLM2 135M on llama.cpp, 2 threads, a prompt of about {ask(system=SYSTEM).prompt_tokens} tokens")
    async with openai_server(slots=2, threads=2) as server:
        with tempfile.TemporaryDirectory() as folder:
            key = Path(folder) / "key"
            key.write_text(server.key)
            key.chmod(0o600)
            await _prefix(server, key)
            for merge in (1, 4):
                await _burst(server, key, merge)


def _pool(server: Running, key: Path, merge: int = 1) -> Pool:
    table = ModelTable(server.url, server.model, "openai", key_file=key, context=4_096, parallel=2)
    return Pool(build_clients({"node": table}), PoolLimits(merge=merge), time.monotonic)


def _asked(text: str) -> ModelRequest:
    return ask(
        text,
        system=SYSTEM,
        schema=SCHEMA,
        max_tokens=40,
        person="bench",
        affinity="bench",
        batchable=True,
        deadline=time.monotonic() + 120,
    )


async def _prefix(server: Running, key: Path) -> None:
    async with running(_pool(server, key)) as pool:
        await pool.wait_checked()
        for number in range(4):
            got = await pool.complete(_asked(f"disk of web-1, please ({number})"))
            first, total = 1000 * got.timings.first, 1000 * got.timings.total
            print(f"  request {number + 1}: first token {first:6.0f} ms, whole {total:6.0f} ms")
        print(f"  {pool.node_statuses()[0].stats.tokens_per_second or 0:.0f} tokens a second")


async def _burst(server: Running, key: Path, merge: int) -> None:
    async with running(_pool(server, key, merge)) as pool:
        await pool.wait_checked()
        await asyncio.gather(*(pool.complete(_asked(f"warm {number}")) for number in range(2)))
        began = time.perf_counter()
        got = await asyncio.gather(*(pool.complete(_asked(f"load of web-1, {number}")) for number in range(BURST)))
        took = time.perf_counter() - began
        calls = pool.node_statuses()[0].stats.results["ok"] - 2
        print(f"  {BURST} messages at once, up to {merge} a call: {took:5.2f} s, {calls} calls, {len(got)} answered")


async def main() -> None:
    configure("error", "console")
    await trouble()
    await stalls()
    await real()


if __name__ == "__main__":
    asyncio.run(main())
