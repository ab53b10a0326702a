"""What floods cost those who have nothing to do with them: others' latency quiet and flooded, in one run, interleaved.

    python tests/bench/floods.py [--only sender|output] [--seconds S] [--rounds N] [--rate R] [--aside CGROUP]

A real hub and real agents. Meanwhile a few people send commands that run a process (`run`), ask for help (`help`)
and decide on requests (`act`: `approve`, `cancel`), each on their own; the time is from the start of a POST to the
reply's arrival. The floods:

    sender     one person posts commands at --rate a second, on as many connections as that takes; what is answered 429
               is not sent again. The limits that a person and a conversation have are lifted: the line alone is tried
    output     fifty jobs on LOUD real machines print 20 MB each at once, of which a job's cap is kept

Beside them a floor, in a process that has nothing to do with us: 5 ms of work (`cores`), 16 KiB written and synced
(`disk`), a program started and waited for (`spawn`). What that one feels of a flood is what any program of the machine
feels, and no line in the hub can give it back.

With `--aside` the machines that print are put into that cgroup. One that has nothing but what others leave of the
processors (its `cpu.idle` is 1) is as near as one machine comes to machines of their own: what others feel then is the
hub's.

Prints a table to standard error and one JSON object at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import hmac
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench.percentile import percentile  # after the path is set: the bench is run as a file
from tests.bench.throughput import RULE
from tests.end_to_end.system import ROOT, SystemHarness

OTHERS: Final = 4
FLOORS: Final = ("cores", "disk", "spawn")
WORK: Final = 0.005  # seconds of the processor that the floor's work takes
PAUSE: Final = 0.25  # seconds between two messages of one of the others
LOUD: Final = 5  # machines that print
PRINTS: Final = 10  # jobs of each, at once
ASKS: Final = 150  # requests that wait for decisions, made before


# ---- one sender, as a process of its own


class Flooder:
    """Posts signed messages at a rate, and takes the replies; plain sockets, so that the flood costs the hub and not
    the machine.
    """

    def __init__(self, port: int, secret: bytes, folder: str, rate: float) -> None:
        self._port = port
        self._secret = secret
        self._folder = folder
        self._rate = rate
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.answers: Counter[str] = Counter()
        self.replies = 0
        self._url = ""

    async def run(self, seconds: float) -> dict[str, Any]:
        server = await asyncio.start_server(self._reply, "127.0.0.1", 0)
        self._url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/replies"
        began = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for number in itertools.count():
                wait = began + number / self._rate - time.perf_counter()
                if wait > 0:
                    await asyncio.sleep(wait)
                if time.perf_counter() - began > seconds:
                    break
                tasks.create_task(self._send(f"f-{os.getpid()}-{number}"))
        for _, writer in self._idle:
            writer.close()
        server.close()
        return {"sent": sum(self.answers.values()), **self.answers, "replies": self.replies}

    async def _send(self, event: str) -> None:
        text = f"@box mkdir {self._folder}/{event}"
        message = {"id": event, "user": "flood", "conversation": "flood", "text": text, "reply_url": self._url}
        body = json.dumps(message).encode()
        signature = hmac.new(self._secret, body, hashlib.sha256).hexdigest()
        head = (
            f"POST /webhook/ops HTTP/1.1\r\nHost: x\r\nX-Signature: {signature}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        try:
            reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection("127.0.0.1", self._port)
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            size = next(int(each[15:]) for each in answer.lower().split(b"\r\n") if each.startswith(b"content-length:"))
            await reader.readexactly(size)
        except (OSError, asyncio.IncompleteReadError):
            self.answers["broken"] += 1
            return
        self.answers[answer[9:12].decode()] += 1
        if b"connection: close" in answer.lower():
            writer.close()
        else:
            self._idle.append((reader, writer))

    async def _reply(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = next(
                    (int(each[15:]) for each in head.lower().split(b"\r\n") if each.startswith(b"content-length:")), 0
                )
                await reader.readexactly(size)
                self.replies += 1
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()


@asynccontextmanager
async def child(*argv: str, asked: bool = False) -> AsyncIterator[asyncio.subprocess.Process]:
    """This file as another process; the block ends when it has, and what it says is the result."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__)),
        *argv,
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE if asked else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


# ---- the others


class Others:
    def __init__(self, rig: SystemHarness, folder: Path) -> None:
        self._rig = rig
        self._folder = folder
        self._numbers = itertools.count()
        self._asks: list[int] = []
        self.seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.refused: Counter[str] = Counter()

    async def prepare(self) -> None:
        """Requests that wait for a decision."""
        for number in range(ASKS):
            await self._ask(f"ask-{number}")

    async def _ask(self, event: str) -> None:
        _, status, answer = await self._rig.post("u0", "@box decide", event=event)
        assert status == 200, (status, answer)
        await self._rig.receiver.wait_question(event)
        self._asks.append(answer["number"])

    async def run(self, phase: str, until: Callable[[], bool]) -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(OTHERS):
                tasks.create_task(self._person(f"u{number}", phase, until, number * PAUSE / OTHERS))

    async def _person(self, name: str, phase: str, until: Callable[[], bool], first: float) -> None:
        await asyncio.sleep(first)
        for turn in itertools.count():
            if until():
                return
            began = time.perf_counter()
            await self._one(name, phase, ("run", "help", "act")[turn % 3])
            await asyncio.sleep(max(0.0, PAUSE - (time.perf_counter() - began)))

    async def _one(self, name: str, phase: str, kind: str) -> None:
        event = f"o-{next(self._numbers)}"
        if kind == "act":
            if not self._asks:
                return
            number = self._asks.pop()
            name, text = ("bob", f"approve r{number}") if number % 2 else ("u0", f"cancel r{number}")
        else:
            text = "help" if kind == "help" else f"@box mkdir {self._folder / event}"
        began = time.perf_counter()
        _, status, _ = await self._rig.post(name, text, event=event)
        if status != 200:
            self.refused[f"{phase} {kind} {status}"] += 1
            return
        await self._rig.receiver.wait_final(event)
        self.seconds[phase, kind].append(self._rig.receiver.final_at[event] - began)


# ---- the floor


class Floor:
    """What a program of its own feels of the flood: the processor, the disk, and the start of a program."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.seconds: dict[tuple[str, str], list[float]] = defaultdict(list)

    @classmethod
    @asynccontextmanager
    async def started(cls, folder: Path) -> AsyncIterator[Floor]:
        async with child("--floor", str(folder), asked=True) as process:
            floor = cls(process)
            await floor._said()
            yield floor

    async def run(self, phase: str, until: Callable[[], bool]) -> None:
        assert self._process.stdin is not None
        for kind in itertools.cycle(FLOORS):
            if until():
                return
            asked = time.perf_counter()
            self._process.stdin.write(f"{kind}\n".encode())
            await self._said()
            self.seconds[phase, kind].append(time.perf_counter() - asked)
            await asyncio.sleep(PAUSE / OTHERS)

    async def _said(self) -> None:
        assert self._process.stdout is not None
        await self._process.stdout.readline()


def serve_floor(folder: Path) -> None:
    """Does one thing a line of standard input, and says when it is done."""

    def work(until: float) -> int:
        for count in itertools.count():
            if time.process_time() > until:
                return count
            json.dumps({"some": ["work"] * 100})
        return 0

    rounds = work(time.process_time() + WORK)
    file = os.open(folder / "floor", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    print("ready", flush=True)
    for line in sys.stdin:
        match line.strip():
            case "cores":
                for _ in range(rounds):
                    json.dumps({"some": ["work"] * 100})
            case "disk":
                os.write(file, b"x" * 16_384)
                os.fdatasync(file)
            case _:
                subprocess.run(["/usr/bin/true"], check=True)
        print("done", flush=True)


# ---- floods


async def prepared(rig: SystemHarness, *machines: str) -> None:
    rig.people |= {"flood": "operator", **{f"u{number}": "operator" for number in range(OTHERS)}}
    await rig.init()
    lifted = "person_rate = 100000\nconversation_rate = 100000\nrate = 100000\nburst = 1000000\n"
    rig.edit_config(r"^\[http\]$", f"[http]\n{lifted}")
    policy = rig.hub_dir / "policy.toml"
    policy.write_text(policy.read_text() + RULE.format(folder=rig.folder))
    rig.add_program("decide", "exit 0\n", verdict="ask")
    rig.add_program("print-much", "head -c 20000000 /dev/zero | tr '\\0' x\n")
    await rig.start_hub()
    for name in ("box", *machines):
        await rig.add_agent(name)


async def interleaved(others: Others, floor: Floor, flood: Callable[[], Any], seconds: float, rounds: int) -> list[Any]:
    """Quiet and flooded by turns; what each flood says of itself."""
    said = []
    for _ in range(rounds):
        ends = time.perf_counter() + seconds
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(others.run("quiet", lambda ends=ends: time.perf_counter() > ends))  # type: ignore[misc]
            tasks.create_task(floor.run("quiet", lambda ends=ends: time.perf_counter() > ends))  # type: ignore[misc]
        async with asyncio.TaskGroup() as tasks:
            work = tasks.create_task(flood())
            tasks.create_task(others.run("flooded", work.done))
            tasks.create_task(floor.run("flooded", work.done))
        said.append(work.result())
        await asyncio.sleep(2.0)  # what the flood has left is done
    return said


async def by_a_sender(seconds: float, rounds: int, rate: float, aside: Path | None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="answerback-floods-") as name:
        folder = Path(name)
        async with SystemHarness(folder, forks=False) as rig:
            await prepared(rig)
            others = Others(rig, folder)
            await others.prepare()

            async def flood() -> Any:
                args = ["--flooder", f"{rig.http}", str(rig.hub_dir / "secrets" / "ops"), str(folder)]
                async with child(*args, "--seconds", str(seconds), "--rate", str(rate)) as process:
                    out, _ = await process.communicate()
                return json.loads(out)

            async with Floor.started(folder) as floor:
                return table("sender", others, floor, await interleaved(others, floor, flood, seconds, rounds))


async def by_output(seconds: float, rounds: int, rate: float, aside: Path | None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="answerback-floods-") as name:
        folder = Path(name)
        async with SystemHarness(folder) as rig:
            await prepared(rig, *(f"loud-{number}" for number in range(LOUD)))
            others = Others(rig, folder)
            await others.prepare()
            for number in range(LOUD):
                agent = psutil.Process(rig.programs[f"loud-{number}"].pid)
                for process in (agent, *agent.children(recursive=True)) if aside else ():
                    (aside / "cgroup.procs").write_text(str(process.pid))
            waves = itertools.count()

            async def flood() -> Any:
                wave, began = next(waves), time.perf_counter()
                events = [f"p-{wave}-{number}" for number in range(PRINTS)]
                for event in events:
                    _, status, answer = await rig.post("flood", "@loud-* print-much", event=event)
                    assert status == 200, (status, answer)
                finals = [await rig.receiver.wait_final(event, 300) for event in events]
                states = Counter(job["state"] for final in finals for job in final["jobs"])
                return {**states, "seconds": round(time.perf_counter() - began, 1)}

            async with Floor.started(folder) as floor:
                return table("output", others, floor, await interleaved(others, floor, flood, seconds, rounds))


def table(name: str, others: Others, floor: Floor, said: list[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"flood": said, "refused": dict(others.refused)}
    print(f"{name}: {said}, of the others refused: {dict(others.refused)}", file=sys.stderr)
    for kind in ("run", "help", "act", *FLOORS):
        seconds = floor.seconds if kind in FLOORS else others.seconds
        quiet, flooded = seconds["quiet", kind], seconds["flooded", kind]
        row = {
            phase: {
                "count": len(each),
                "p50_ms": round(1000 * percentile(each, 50), 1),
                "p99_ms": round(1000 * percentile(each, 99), 1),
            }
            for phase, each in (("quiet", quiet), ("flooded", flooded))
        }
        ratio = row["flooded"]["p99_ms"] / max(0.1, row["quiet"]["p99_ms"])
        found[kind] = {**row, "p99_ratio": round(ratio, 2)}
        print(f"  {kind:<5} {row}  p99 x {ratio:.2f}", file=sys.stderr)
    return found


FLOODS: Final = {"sender": by_a_sender, "output": by_output}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=sorted(FLOODS))
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--rate", type=float, default=370.0)
    parser.add_argument("--aside", type=Path, metavar="CGROUP", help="of the machines that print: see above")
    parser.add_argument("--flooder", nargs=3, metavar=("PORT", "SECRET", "FOLDER"), help=argparse.SUPPRESS)
    parser.add_argument("--floor", type=Path, metavar="FOLDER", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.floor:
        serve_floor(asked.floor)
        return
    if asked.flooder:
        port, secret, folder = asked.flooder
        flooder = Flooder(int(port), Path(secret).read_bytes().strip(), folder, asked.rate)
        print(json.dumps(asyncio.run(flooder.run(asked.seconds))))
        return
    found = {}
    for name, flood in FLOODS.items():
        if asked.only in (None, name):
            found[name] = asyncio.run(flood(asked.seconds, asked.rounds, asked.rate, asked.aside))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
