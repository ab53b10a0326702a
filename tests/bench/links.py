"""What many links cost a hub, idle and in a storm: memory a link, processor time, and how fast a fleet is back after
the hub was ended with SIGTERM and with SIGKILL, with the webhooks' latency meanwhile.

    python tests/bench/links.py [--count N] [--folder FOLDER] [--idle SECONDS] [--addresses N] [--only term|kill]

A real hub process on a new folder, and `--count` simulated agents in a process of their own: real TLS with a
certificate each, the real session, lineage and backoff (`agent.uplink.backoff`); only the runner behind them is left
out, and they do not verify the hub's certificate, which machines do on processors of their own. They dial from
`--addresses` loopback addresses. Prints what happens to standard error, and one JSON object at the end.

`cores` says who had how much of this machine meanwhile: the hub, the simulated fleet, whatever else ran. A storm on a
machine that is busy otherwise takes longer; `hub_cpu_s` does not depend on that.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import os
import random
import resource
import signal
import ssl
import statistics
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, Final, cast

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import aiohttp
import psutil
import uvloop

from agent.uplink.backoff import UplinkBackoff
from common.identity.certificates import identity_from_pem, make_request, new_key, request_key
from common.identity.tls import client_context
from common.link import codec, handshake
from common.link.lineage import begin
from common.link.messages import Beat, Bye, Heartbeat, Message, Refuse, Report, Welcome
from common.link.session import Session
from hub.chat.inlets import load_config
from hub.core.records import Agent, IssuedCertificate
from hub.identity.keys import load_keys
from hub.store.store import Store
from tests.end_to_end.system import SystemHarness

OPEN_TIMEOUT: Final = 10.0  # as agents have it, for the opening and for the welcome
TELL_EVERY: Final = 0.25
VITALS: Final = {"load1": 0.5, "cpu": 4.0, "memory": 41.0, "disk": 56.0, "clock_ahead": 0.1}


# ---- one simulated agent


class Socket(asyncio.Protocol):
    """A WebSocket client of a few lines: what a library would add is not the hub's cost."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._data = bytearray()
        self._open = False
        self.frames: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.transport: asyncio.Transport | None = None
        self.on_frame: Callable[[bytes | None], None] = self.frames.put_nowait

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by class
        self.transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        self.on_frame(None)

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self._open:
            head, found, rest = bytes(self._data).partition(b"\r\n\r\n")
            if not found:
                return
            if b" 101 " not in head:
                assert self.transport is not None
                self.transport.abort()
                return
            self._open, self._data = True, bytearray(rest)
        while len(self._data) >= 2:
            size, at = self._data[1] & 0x7F, 2
            if size == 126:
                size, at = int.from_bytes(self._data[2:4]), 4
            elif size == 127:
                size, at = int.from_bytes(self._data[2:10]), 10
            if len(self._data) < at + size:
                return
            opcode, frame = self._data[0] & 0x0F, bytes(self._data[at : at + size])
            del self._data[: at + size]
            if opcode == 2:
                self.on_frame(frame)
            elif opcode == 8 and self.transport is not None:
                self.transport.close()

    def send(self, frame: bytes) -> None:
        mask = b"\0\0\0\0"  # as good as any other to a server
        size = len(frame)
        head = struct.pack("!BB", 0x82, 0x80 | size) if size < 126 else struct.pack("!BBH", 0x82, 0xFE, size)
        if self.transport is not None:
            self.transport.write(head + mask + frame)


class Simulated:
    """The uplink of one machine, without a runner."""

    def __init__(self, name: str, fleet: Fleet) -> None:
        self.name = name
        self._fleet = fleet
        self._backoff = UplinkBackoff()
        self._session: Session | None = None
        self._lineage = begin(os.urandom(8).hex(), os.urandom(16))
        self._life = begin(os.urandom(8).hex(), os.urandom(16))
        self._told = False
        self._heard = "-"
        self._epoch = 0
        self._tls: ssl.SSLContext | None = None
        self._socket: Socket | None = None
        self._beat: asyncio.TimerHandle | None = None
        self.linked = False

    async def run(self, first_wait: float) -> None:
        await asyncio.sleep(first_wait)
        while True:
            await asyncio.sleep(await self._link())

    async def _link(self) -> float:
        """One link from dialling to its end; the seconds to wait before the next, as the real uplink waits."""
        fleet, uniform = self._fleet, random.random
        fleet.counts["dials"] += 1
        try:
            welcome = await self._open()
        except TimeoutError:
            fleet.counts["timeouts"] += 1
            return self._backoff.delay_unreachable(uniform)
        except OSError as error:
            fleet.counts[f"failed: {type(error).__name__}"] += 1
            return self._backoff.delay_unreachable(uniform)
        if isinstance(welcome, Refuse):
            fleet.counts[f"refused: {welcome.code}"] += 1
            return self._backoff.delay_refused(welcome.retry_after, uniform)
        self._backoff.note_spread(welcome.spread)
        began = time.monotonic()
        self.linked = True
        fleet.linked += 1
        fleet.counts["resumed" if welcome.resumed else "new"] += 1
        end = await self._serve()
        self.linked = False
        fleet.linked -= 1
        if isinstance(end, Bye):
            return self._backoff.delay_bye(end.spread, uniform)
        fleet.counts["ended without a word"] += 1
        return self._backoff.delay_dropped(time.monotonic() - began, uniform)

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = client_context(self._fleet.authority, *self._fleet.files(self.name))
            self._tls.verify_mode = ssl.CERT_NONE
        return self._tls

    async def _open(self) -> Welcome | Refuse:
        fleet = self._fleet
        if self._told:
            self._lineage, self._told = self._lineage.advance(os.urandom(16)), False
        facts = {"os": "Debian GNU/Linux 12", "cpus": "8", "process": self.name, "lineage": str(self._lineage)}
        hello = handshake.make_hello(
            "agent", self.name, self._session, epoch=self._epoch, facts=facts, heard=self._heard
        )
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(OPEN_TIMEOUT):
            _, self._socket = await loop.create_connection(
                lambda: Socket(fleet.request),
                "127.0.0.1",
                fleet.port,
                ssl=self._context(),
                server_hostname="",
                local_addr=(fleet.address_of(self.name), 0),
                ssl_handshake_timeout=OPEN_TIMEOUT,
            )
        socket = self._socket
        socket.send(codec.encode(hello, epoch=hello.epoch))
        try:
            async with asyncio.timeout(OPEN_TIMEOUT):
                data = await socket.frames.get()
        except TimeoutError:
            assert socket.transport is not None
            socket.transport.abort()
            raise
        if data is None:
            raise ConnectionResetError
        frame = codec.decode(data, "hub")
        answer = frame.message
        self._epoch = max(self._epoch, frame.epoch)
        if isinstance(answer, Refuse):
            assert socket.transport is not None
            socket.transport.close()
            return answer
        assert isinstance(answer, Welcome), answer
        self._told, self._heard = True, answer.mark or self._heard
        if self._session is None or not answer.resumed:
            self._session = Session("hub", id=answer.session, epoch=self._epoch)
            socket.send(self._session.send(Report(f"{hash(self.name) & 0xFFFFFFFF:x}", "boot", {}, str(self._life))))
        else:
            for again in self._session.resume(answer.received):
                socket.send(again)
        self._session.interval = answer.heartbeat
        return answer

    def answers(self, message: Message) -> Sequence[Message]:
        """What the runner would tell of a message of the hub; there is none."""
        return ()

    async def _serve(self) -> Bye | None:
        """Until the link ends; the goodbye, if one was said. Beats are timers: no task each."""
        socket, session, loop = self._socket, self._session, asyncio.get_running_loop()
        assert socket is not None
        assert session is not None
        ended: asyncio.Future[Bye | None] = loop.create_future()

        def take(data: bytes | None) -> None:
            if data is None:
                if not ended.done():
                    ended.set_result(None)
                return
            frame = session.receive(data, loop.time())
            if frame is None:
                return
            if frame.seq:
                session.mark_processed(frame.seq)
                if (ack := session.ack_frame()) is not None:
                    socket.send(ack)
            match frame.message:
                case Bye() as bye if not ended.done():
                    ended.set_result(bye)
                case Beat() as beat:
                    self._heard = beat.mark or self._heard
                    session.interval = beat.interval or session.interval
                case other:
                    for fact in self.answers(other):
                        socket.send(session.send(fact))

        def beat() -> None:
            if not ended.done():
                socket.send(session.send(Heartbeat(VITALS)))
                self._beat = loop.call_later(session.interval, beat)

        while not socket.frames.empty():
            take(socket.frames.get_nowait())
        socket.on_frame = take
        self._beat = loop.call_later(random.random() * session.interval, beat)
        try:
            return await ended
        finally:
            self._beat.cancel()
            if socket.transport is not None:
                socket.transport.close()


class Fleet:
    """All simulated agents; told what happens on standard output, a JSON object a line."""

    def __init__(self, folder: Path, port: int, count: int, addresses: int) -> None:
        self.authority = (folder / "hub" / "ca" / "ca.pem").read_bytes()
        self._keys = folder / "machines"
        self.port = port
        self.names = machine_names(count)
        self._numbers = {name: number for number, name in enumerate(self.names)}
        self._addresses = addresses
        self.linked = 0
        self.counts: Counter[str] = Counter()
        key = base64.b64encode(bytes(16)).decode()
        self.request = (
            f"GET /agent HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        ).encode()

    def files(self, name: str) -> tuple[Path, Path]:
        return self._keys / f"{name}.pem", self._keys / f"{name}.key"

    def address_of(self, name: str) -> str:
        return f"127.0.1.{1 + self._numbers[name] % self._addresses}"

    async def run(self) -> None:
        asyncio.get_running_loop().set_exception_handler(self._note_fault)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tell())
            for number, name in enumerate(self.names):
                tasks.create_task(Simulated(name, self).run(number / 100))

    def _note_fault(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """uvloop leaves the future of a TLS handshake alone that the hub's end has broken off."""
        if not isinstance(context.get("exception"), OSError):
            loop.default_exception_handler(context)

    async def _tell(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + TELL_EVERY
            print(json.dumps({"at": time.time(), "linked": self.linked, "counts": self.counts}), flush=True)
            await asyncio.sleep(TELL_EVERY)
            self.counts["lag_ms"] = max(self.counts["lag_ms"], round(1000 * (loop.time() - due)))


def machine_names(count: int) -> list[str]:
    return [f"m-{number:05}" for number in range(count)]


# ---- the hub beside them


def invite(folder: Path, names: list[str]) -> None:
    """A row and a certificate for each machine, as if it had joined."""
    config = load_config(folder / "hub.toml")
    keys = load_keys(config)
    authority, now = keys.authority, time.time()
    store = Store.open(config.store.url, folder=folder, clock=time.time, sealer=keys.sealer)
    (where := folder.parent / "machines").mkdir()
    credentials = []
    for name in names:
        made = new_key()
        request = make_request(made, "agent", name)
        pem = authority.issue(request, kind="agent", name=name, now=now)
        identity = identity_from_pem(pem, now, "agent")
        (where / f"{name}.key").write_bytes(made)
        (where / f"{name}.pem").write_bytes(pem)
        hashed = request_key(request)
        credentials.append(
            IssuedCertificate(identity.fingerprint, "agent", name, 1, now, identity.not_after, key_hash=hashed)
        )
    for at in range(0, len(names), 500):

        def unit(txn: Any, at: int = at) -> None:
            for name, credential in zip(names[at : at + 500], credentials[at : at + 500], strict=True):
                txn.add_agent(Agent(name, {}, "active", now, generation=1))
                txn.add_credential(credential)

        store.write_now(unit)
    store.close()


class Watch:
    """What the fleet tells, as it comes."""

    def __init__(self, process: psutil.Process) -> None:
        self.process = process
        self.linked = 0
        self.counts: dict[str, int] = {}
        self._changed = asyncio.Event()

    async def read(self, stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            told = json.loads(line)
            self.linked, self.counts = told["linked"], told["counts"]
            self._changed.set()

    async def reach(self, count: int, within: float) -> float | None:
        """Seconds until so many are linked; None where that takes too long."""
        began = time.monotonic()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self.linked < count:
                    self._changed.clear()
                    await self._changed.wait()
                return time.monotonic() - began
        return None


class Cores:
    """Who had how much of this machine since this was made."""

    def __init__(self, fleet: psutil.Process, hub: psutil.Process) -> None:
        self._fleet = fleet
        self._at, self._busy = time.monotonic(), busy_seconds()
        self._before = seconds_of(fleet), seconds_of(hub) + ended_seconds()

    def figures(self, hub: psutil.Process) -> dict[str, Any]:
        """`hub` is the one that serves now; what one before it took until it ended is counted too."""
        at, busy = time.monotonic() - self._at, busy_seconds() - self._busy
        taken = seconds_of(self._fleet), seconds_of(hub) + ended_seconds()
        fleet, ours = (now - was for now, was in zip(taken, self._before, strict=True))
        shares = {"hub": ours, "fleet": fleet, "others": busy - ours - fleet}
        return {"hub_cpu_s": round(ours, 1), "cores": {name: round(spent / at, 2) for name, spent in shares.items()}}


def busy_seconds() -> float:
    machine = psutil.cpu_times()
    return float(machine.user + machine.nice + machine.system + machine.irq + machine.softirq)


def ended_seconds() -> float:
    """Of the processes that this one has started and that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


def seconds_of(process: psutil.Process) -> float:
    spent = process.cpu_times()
    return float(spent.user + spent.system)


class Probe:
    """Signed webhooks, ten a second, one after the other; where nobody listens it only waits."""

    def __init__(self, rig: SystemHarness) -> None:
        self._rig = rig
        self.took: list[float] = []
        self.errors: Counter[str] = Counter()

    async def run(self) -> None:
        while True:
            began = time.monotonic()
            try:
                _, status, _ = await self._rig.post("carol", "help")
            except (aiohttp.ClientConnectorError, aiohttp.ServerDisconnectedError, ConnectionError):
                self.errors["not there"] += 1
            except (aiohttp.ClientError, TimeoutError) as error:
                self.errors[type(error).__name__] += 1
            else:
                self.took.append(time.monotonic() - began)
                if status != 200:
                    self.errors[str(status)] += 1
            await asyncio.sleep(max(0.0, 0.1 - (time.monotonic() - began)))

    def figures(self) -> dict[str, Any]:
        took = sorted(self.took)
        self.took = []
        errors, self.errors = dict(self.errors), Counter()
        if len(took) < 2:
            return {"count": len(took), "errors": errors}
        cuts = statistics.quantiles(took, n=100)
        ms = {"p50": took[len(took) // 2], "p99": cuts[98], "max": took[-1]}
        return {
            "count": len(took),
            **{f"{name}_ms": round(1000 * value) for name, value in ms.items()},
            "errors": errors,
        }


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


@contextlib.asynccontextmanager
async def simulated(folder: Path, port: int, chosen: argparse.Namespace) -> AsyncIterator[Watch]:
    words = [str(folder), "--port", str(port), "--count", str(chosen.count), "--addresses", str(chosen.addresses)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "--simulate", "--folder", *words, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    watch = Watch(psutil.Process(process.pid))
    try:
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(watch.read(process.stdout))
            try:
                yield watch
            finally:
                reading.cancel()
    finally:
        process.kill()
        await process.wait()


async def storm(
    rig: SystemHarness, watch: Watch, probe: Probe, number: int, count: int, within: float
) -> dict[str, Any]:
    """Ends the hub, starts another at once, and waits for the fleet."""
    hub, before = rig.programs["hub"], dict(watch.counts)
    cores = Cores(watch.process, psutil.Process(hub.pid))
    probe.figures()
    began = time.monotonic()
    await hub.stop(number, within=120)
    ended = time.monotonic() - began
    await rig.start_hub()
    ready = time.monotonic() - began
    reached = {}
    for share in (0.5, 0.9, 0.99, 1.0):
        await watch.reach(round(count * share), max(1.0, within - (time.monotonic() - began)))
        short = watch.linked < round(count * share)
        reached[f"{share * 100:g}%"] = None if short else round(time.monotonic() - began, 1)
    counts = {name: value - before.get(name, 0) for name, value in watch.counts.items() if value != before.get(name)}
    found = {"ended_s": round(ended, 1), "ready_s": round(ready, 1), "back_s": reached}
    found |= {"webhooks": probe.figures(), "fleet": counts}
    found |= cores.figures(psutil.Process(rig.programs["hub"].pid))
    say(f"{signal.Signals(number).name}: {json.dumps(found)}")
    return found


async def measure(chosen: argparse.Namespace, folder: Path) -> dict[str, Any]:
    count = chosen.count
    async with SystemHarness(folder, forks=False) as rig:
        await rig.init()
        say(f"making {count} machines")
        await asyncio.to_thread(invite, rig.hub_dir, machine_names(count))
        await rig.start_hub()
        probe = Probe(rig)
        found: dict[str, Any] = {"count": count}
        hub = psutil.Process(rig.programs["hub"].pid)
        bare = hub.memory_info().rss
        async with simulated(folder, rig.links, chosen) as watch, asyncio.TaskGroup() as tasks:
            took = await watch.reach(count, 60 + count / 20)
            say(f"{watch.linked} linked after {took or 0:.0f} s")
            await asyncio.sleep(5)
            found["link_kib"] = round((hub.memory_info().rss - bare) / 1024 / max(1, watch.linked), 1)
            cores = Cores(watch.process, hub)
            spent = seconds_of(hub)
            await asyncio.sleep(chosen.idle)
            found["idle_core_percent"] = round(100 * (seconds_of(hub) - spent) / chosen.idle, 1)
            found["idle"] = cores.figures(hub)
            say(json.dumps(found))
            probing = tasks.create_task(probe.run())
            await asyncio.sleep(5)
            found["quiet_webhooks"] = probe.figures()
            for name, number in (("SIGTERM", signal.SIGTERM), ("SIGKILL", signal.SIGKILL)):
                if chosen.only in ("", name[3:].lower()):
                    found[name] = await storm(rig, watch, probe, number, count, chosen.within)
                    await asyncio.sleep(5)
            probing.cancel()
            log = rig.programs["hub"].log.read_text(errors="replace")
            found["tracebacks"] = log.count("Traceback")
            found["fleet_lag_ms"] = watch.counts.get("lag_ms", 0)
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--idle", type=float, default=20.0)
    parser.add_argument("--addresses", type=int, default=20)
    parser.add_argument("--within", type=float, default=300.0, help="seconds that a storm may take")
    parser.add_argument("--only", choices=("", "term", "kill"), default="")
    parser.add_argument("--simulate", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # the hub starts as an installed one does
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if chosen.simulate:
        with contextlib.suppress(KeyboardInterrupt):
            uvloop.run(Fleet(chosen.folder, chosen.port, chosen.count, chosen.addresses).run())
        return
    with tempfile.TemporaryDirectory(dir=chosen.folder, prefix="links") as made:
        print(json.dumps(asyncio.run(measure(chosen, Path(made))), indent=1))


if __name__ == "__main__":
    main()
