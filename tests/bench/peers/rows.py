"""The rows of the table, each by its name: what is run, beside what, and what is counted.

A row is a coroutine that takes a folder and a scale (1 is what docs/performance.md shows, less is quicker) and returns
what it found: `bars`, named numbers that are compared, with `unit`; `ratios`; and whatever else was counted.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from common.api.arguments import RequestArgs
from common.api.work import FOLLOW, RUN, FollowPush, RunArgs
from hub.chat.inlets import load_config
from hub.identity.keys import load_keys
from hub.store.store import Store
from tests.bench.floor import floor
from tests.bench.growth import by_table
from tests.bench.links import invite, machine_names
from tests.bench.peers import counts, fleet, system
from tests.bench.peers.celery_peer import Celery
from tests.bench.peers.openssh import OpenSsh, timed
from tests.bench.peers.samples import cpu_ms, figures, in_ms, take_turns
from tests.bench.peers.system import COMMAND, System
from tests.bench.store import message as stored_message
from tests.bench.throughput import prepared
from tests.end_to_end.system import ROOT, SystemHarness, free_port
from tui.client.client import connect
from tui.client.profile import read_profile

Found = dict[str, Any]
IN_FLIGHT: Final = 16
RULE: Final = """
[[rule]]
id = "bench-output"
about = "print the bench's file"
program = "/usr/bin/cat"
verdict = "allow"
[[rule.arguments]]
name = "PATH"
type = "path"
beneath = ["{folder}"]
"""


async def bare(count: int) -> list[float]:
    """A process of the command, started and read by a program that runs already."""
    return [await timed([f"/usr/bin/{COMMAND}"]) for _ in range(count)]


async def latency(folder: Path, scale: float) -> Found:
    """One `uptime` at a time, a real process each."""
    async with (
        OpenSsh(folder / "ssh", COMMAND).running() as ssh,
        Celery(folder / "celery").running() as celery,
        system.running(folder / "a") as ours,
    ):
        measures = {
            "bare process": bare,
            "asyncssh, open connection": ssh.asyncssh_open,
            "Celery + Redis, durable": celery.one_by_one,
            "OpenSSH, multiplexed": ssh.multiplexed,
            "Answerback, operator's open link": ours.operator,
            "Answerback, message to reply": ours.messages,
        }
        times = await take_turns(measures, max(2, round(20 * scale)), 10)
        pids = dict(zip(measures, ([], ssh.pids, celery.pids, ssh.pids, ours.pids, ours.pids), strict=True))
        cpu = {name: await cpu_ms(measure, 40, pids[name]) for name, measure in measures.items()}
    found = {name: figures(seconds) for name, seconds in times.items()}
    p50 = {name: float(one["p50_ms"]) for name, one in found.items()}
    link, reply = p50["Answerback, operator's open link"], p50["Answerback, message to reply"]
    asyncssh, multiplexed = p50["asyncssh, open connection"], p50["OpenSSH, multiplexed"]
    tail = found["Answerback, message to reply"]["p99_ms"] / reply
    ratios = {
        "operator's link / asyncssh": (link / asyncssh, "<= 1.2"),
        "operator's link / OpenSSH multiplexed": (link / multiplexed, "< 0.6"),
        "message to reply / OpenSSH multiplexed": (reply / multiplexed, "< 0.7"),
        "message to reply, p99 / p50": (tail, "< 3"),
        "message to reply / OpenSSH multiplexed, processor": (
            cpu["Answerback, message to reply"] / cpu["OpenSSH, multiplexed"],
            "-",
        ),
    }
    return {"bars": p50, "unit": "ms, p50", "times": found, "cpu_ms": cpu, "ratios": rounded(ratios)}


async def cold(folder: Path, scale: float) -> Found:
    """One command from a shell where nothing is open yet."""
    count = max(2, round(10 * scale))
    async with OpenSsh(folder / "ssh", COMMAND).running() as ssh, system.running(folder / "a") as ours:
        measures = {"OpenSSH, new connection": ssh.new_connection, "answerback run": ours.cold}
        times = await take_turns(measures, count, 4)
        pids = {"OpenSSH, new connection": ssh.pids, "answerback run": ours.pids}
        cpu = {name: await cpu_ms(measure, count * 2, pids[name]) for name, measure in measures.items()}
    found = {name: figures(seconds) for name, seconds in times.items()}
    p50 = {name: float(one["p50_ms"]) for name, one in found.items()}
    ratios = {
        "answerback run / new OpenSSH connection": (p50["answerback run"] / p50["OpenSSH, new connection"], "< 1"),
        "the same in processor time": (cpu["answerback run"] / cpu["OpenSSH, new connection"], "-"),
    }
    return {"bars": p50, "unit": "ms, p50", "times": found, "cpu_ms": cpu, "ratios": rounded(ratios)}


async def throughput(folder: Path, scale: float) -> Found:
    """As many as go, a real process each, 16 in flight."""
    count = max(IN_FLIGHT * 4, round(480 * scale) // IN_FLIGHT * IN_FLIGHT)
    rates: dict[str, list[float]] = {"floor: WebSocket + process": [], "Celery + Redis, durable": [], "Answerback": []}
    seconds: dict[str, list[float]] = {name: [] for name in rates}
    async with Celery(folder / "celery").running() as celery, system.running(folder / "a") as ours:
        for number in range(4):
            _, bottom = await floor(free_port(), count)
            theirs = await celery.as_many_as_go(count, IN_FLIGHT)
            rate, took = await ours.as_many_as_go(count, IN_FLIGHT, f"@box {COMMAND}")
            if number:  # the first is warm-up
                for name, one in zip(rates, (bottom, theirs["rate"], rate), strict=True):
                    rates[name].append(one)
                seconds["Celery + Redis, durable"] += theirs["seconds"]
                seconds["Answerback"] += took
    middle = {name: round(sorted(values)[len(values) // 2]) for name, values in rates.items()}
    ours_rate = middle["Answerback"]
    ratios = {
        "Answerback / durable Celery": (ours_rate / middle["Celery + Redis, durable"], ">= 2"),
        "Answerback / floor": (ours_rate / middle["floor: WebSocket + process"], ">= 0.6"),
        "p99, ms": (in_ms(seconds["Answerback"], 99), "< 250"),
    }
    times = {name: figures(values) for name, values in seconds.items() if values}
    return {"bars": middle, "unit": "a second", "times": times, "ratios": rounded(ratios), "runs": rates}


async def answers(folder: Path, scale: float) -> Found:
    """As many messages as go that need no machine, 16 in flight."""
    count, found, times = max(64, round(1500 * scale)), {}, {}
    async with system.running(folder / "a") as ours:
        await ours.as_many_as_go(64, IN_FLIGHT, "help")
        for text in ("help", "status", "machines"):
            found[text], seconds = await ours.as_many_as_go(count, IN_FLIGHT, text)
            times[text] = figures(seconds)
    bars = {text: round(rate) for text, rate in found.items()}
    return {
        "bars": bars,
        "unit": "a second",
        "times": times,
        "ratios": rounded({"slowest": (min(found.values()), ">= 2000")}),
    }


async def machines(folder: Path, scale: float) -> Found:
    """One approved command on so many simulated machines and a real one: from the approval to the last result."""
    count = max(50, round(1000 * scale))
    async with SystemHarness(folder / "a", forks=False) as rig:
        (folder / "a").mkdir()
        await rig.init()
        rig.add_program("ask-uptime", "exec uptime\n", verdict="ask")
        await asyncio.to_thread(invite, rig.hub_dir, machine_names(count))
        await rig.start_hub()
        await rig.add_agent("m-real")
        async with fleet.linked(rig.folder, rig.links, count):
            took = [await approved(rig, count + 1) for _ in range(3)]
    return {
        "bars": {f"{count + 1} machines": round(sorted(took)[1], 2)},
        "unit": "s to the last result, median of 3",
        "runs": took,
        "ratios": rounded({"seconds": (sorted(took)[1], "<= 3")}),
    }


async def approved(rig: SystemHarness, count: int) -> float:
    event, status, answer = await rig.post("carol", f"@m-* {rig.folder}/bin/ask-uptime")
    assert status == 200, answer
    question = await rig.receiver.wait_question(event, within=300)
    began = time.perf_counter()
    _, status, answer = await rig.post("bob", f"approve r{question['request']['number']}")
    assert status == 200, answer
    await rig.receiver.wait_final(event, within=300)
    took = rig.receiver.final_at[event] - began
    jobs = rig.read(lambda txn: txn.jobs_of(question["request"]["id"]))
    assert [job.state for job in jobs] == ["succeeded"] * count
    return took


async def memory(folder: Path, scale: float) -> Found:
    """PSS of all processes, idle, half a minute after the last command."""
    async with system.running(folder / "a") as ours:
        await ours.messages(20)
        await asyncio.sleep(max(5, 30 * scale))
        found = ours.memory()
    agent = found["uplink"] + found["runner"]
    ratios = {"hub, MiB": (found["hub"], "<= 80"), "agent, MiB": (agent, "<= 32")}
    return {"bars": found, "unit": "MiB PSS", "ratios": rounded(ratios)}


async def output(folder: Path, scale: float) -> Found:
    """A command that prints a large file; what is over the cap is read and hashed, and not kept."""
    size, file = max(32, round(256 * scale)), folder / "large"
    folder.chmod(0o755)
    with file.open("wb") as large:
        for _ in range(size):
            large.write(os.urandom(2**20 * 3 // 4).hex().encode()[: 2**20])
    file.chmod(0o644)
    async with (
        OpenSsh(folder / "ssh").running() as ssh,
        SystemHarness(folder / "a", forks=False) as rig,
    ):
        (folder / "a").mkdir()
        await rig.init()
        policy = rig.hub_dir / "policy.toml"
        policy.write_text(policy.read_text() + RULE.format(folder=folder))
        await rig.start_hub()
        await rig.add_agent("box")
        async with connect(read_profile(rig.hub_dir / "profile")) as client:

            async def ours(count: int) -> list[float]:
                return [await printed(client, file, size * 2**20) for _ in range(count)]

            async def theirs(count: int) -> list[float]:
                return [
                    await drained(ssh.argv("-S", str(folder / "ssh" / "mux"), command=f"cat {file}"))
                    for _ in range(count)
                ]

            async def copied(count: int) -> list[float]:
                return [await drained(["/usr/bin/cat", str(file)]) for _ in range(count)]

            times = await take_turns({"cat": copied, "ssh cat, open connection": theirs, "Answerback": ours}, 3, 1)
    bars = {name: round(size / sorted(seconds)[len(seconds) // 2]) for name, seconds in times.items()}
    return {"bars": bars, "unit": "MiB a second", "ratios": rounded({"MiB a second": (bars["Answerback"], ">= 200")})}


async def printed(client: Any, file: Path, size: int) -> float:
    began = time.perf_counter()
    result = await client.call(RUN, RunArgs(target="box", argv=("cat", str(file))))
    async for push in client.subscribe(FOLLOW, RequestArgs(id=result.request.id)):
        assert isinstance(push, FollowPush)
        if push.ended:
            assert [job.output_bytes for job in push.request.jobs] == [size], push.request
            break
    return time.perf_counter() - began


async def drained(argv: list[str]) -> float:
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    while await process.stdout.read(2**20):
        pass
    assert await process.wait() == 0
    return time.perf_counter() - began


async def growth(folder: Path, scale: float) -> Found:
    """A message's time and bytes where 0, 100,000 and 300,000 are stored already."""
    steps = [0, *(max(500, round(count * scale)) for count in (100_000, 300_000))]
    p50: dict[str, float] = {}
    rates: dict[str, float] = {}
    kept: dict[str, float] = {}
    (folder / "a").mkdir()
    async with SystemHarness(folder / "a", forks=False) as rig:
        await prepared(rig)
        stored = 0
        for step in steps:
            await rig.programs["hub"].stop()
            await asyncio.to_thread(fill, rig.hub_dir, stored, step)
            stored = step
            await rig.start_hub()
            await rig.wait_until(lambda: rig.online("box"))
            async with connect(read_profile(rig.hub_dir / "profile")) as operator:
                ours = System(rig, operator)
                ours._number = stored + 1_000_000  # no event has the id of an earlier one
                await ours.messages(20)
                before = sum(by_table(rig.hub_dir / "data" / "answerback.sqlite").values())
                seconds = await ours.messages(100)
                rate, _ = await ours.as_many_as_go(300, IN_FLIGHT, f"@box {COMMAND}")
                after = sum(by_table(rig.hub_dir / "data" / "answerback.sqlite").values())
            name = f"{step:,} stored"
            p50[name], rates[name], kept[name] = in_ms(seconds, 50), round(rate), round((after - before) / 400)
    first, last = p50[f"{steps[0]:,} stored"], p50[f"{steps[-1]:,} stored"]
    ratios = {"time, last / first": (last / first, "< 1.1"), "bytes a message": (min(kept.values()), "<= 4096")}
    return {"bars": p50, "unit": "ms, p50", "rates": rates, "bytes": kept, "ratios": rounded(ratios)}


def fill(hub: Path, stored: int, wanted: int) -> None:
    """Stores messages as ended ones are, up to `wanted`, as quick as the writer goes."""
    if wanted <= stored:
        return
    config = load_config(hub / "hub.toml")
    store = Store.open(config.store.url, folder=hub, clock=time.time, sealer=load_keys(config).sealer)
    try:
        for first in range(stored, wanted, 100):

            def unit(txn: Any, first: int = first) -> None:
                for number in range(first, min(first + 100, wanted)):
                    for step in stored_message(number, "web-1"):
                        step(txn)

            store.write_now(unit)
    finally:
        store.close()


async def units(folder: Path, scale: float) -> Found:
    """Statements, commits and syncs of a message, one at a time and 16 in flight."""
    count = max(32, round(200 * scale))
    (folder / "a").mkdir()
    async with SystemHarness(folder / "a", forks=False) as rig:
        rig.people |= {f"s{number}": "operator" for number in range(system.SENDERS)}
        await rig.init()
        file = await counts.start_counted_hub(rig)
        await rig.add_agent("box")
        async with connect(read_profile(rig.hub_dir / "profile")) as operator:
            ours = System(rig, operator)
            await ours.messages(10)
            pids = [rig.programs["hub"].pid, rig.programs["box"].pid, rig.runner_pid("box") or 0]
            found = {}
            for name, run in (
                ("one at a time", lambda: ours.messages(count)),
                ("16 in flight", lambda: ours.as_many_as_go(count, IN_FLIGHT, f"@box {COMMAND}")),
            ):
                before = counts.read_counts(file)
                await run()
                after = counts.read_counts(file)
                async with counts.counting_syncs(*pids) as syncs:
                    await run()
                found[name] = counts.share(before, after, count, syncs.count).plain()
    alone = found["one at a time"]
    bars = {
        "statements that read": alone["reads"],
        "statements that write": alone["writes"],
        "commits": alone["commits"],
        "reads beside them": alone["looks"],
    }
    bars |= {"syncs, hub and machine": alone["syncs"] or 0.0}
    return {"bars": bars, "unit": "a message, one at a time", "counts": found, "ratios": {}}


async def links(folder: Path, scale: float) -> Found:
    """tests/bench/links.py with 10,000 links: what each costs, and what all cost while nothing happens."""
    count = max(200, round(10_000 * scale))
    ended = await asyncio.create_subprocess_exec(
        *(str(ROOT / ".venv/bin/python"), str(ROOT / "tests/bench/links.py"), "--count", str(count)),
        *("--folder", str(folder), "--only", "term"),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await ended.communicate()
    found = json.loads(out)
    ratios = {"KiB a link": (found["link_kib"], "<= 80"), "idle, % of a core": (found["idle_core_percent"], "< 10")}
    bars = {"KiB a link": found["link_kib"], "idle, % of a core": found["idle_core_percent"]}
    return {"bars": bars, "unit": f"{count:,} links", "found": found, "ratios": rounded(ratios)}


def rounded(ratios: Mapping[str, tuple[float, str]]) -> dict[str, dict[str, Any]]:
    """What was found, and the goal of issue 12 beside it."""
    return {name: {"is": float(f"{value:.3g}"), "goal": goal} for name, (value, goal) in ratios.items()}


ROWS: Final[Mapping[str, Callable[[Path, float], Awaitable[Found]]]] = {
    "latency": latency,
    "cold": cold,
    "throughput": throughput,
    "answers": answers,
    "machines": machines,
    "memory": memory,
    "output": output,
    "units": units,
    "growth": growth,
    "links": links,
}
