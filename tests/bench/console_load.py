"""A hub with a full store and work going on, for consoles to look at.

    python tests/bench/console_load.py serve FOLDER [--agents N] [--jobs N] [--changes N] [--linked N] [--seconds S]
    python tests/bench/console_load.py measure FOLDER [… --consoles N]

`serve` makes a hub in FOLDER, fills its store (`console_world`) where that is not done yet, starts a real hub process
on it, and `--linked` scripted machines on real links: TLS, certificates of their own, the real session. An operator's
link asks for real work (`run`), which they take and report accepted, started, printing, ended: about `--changes` rows
change a second. The profile for a console is FOLDER/hub/profile. Ends after `--seconds`, or with Ctrl-C.

`measure` does the same for a while with `--consoles` links that look at the jobs, and prints what they cost the hub.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import ssl
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import psutil
from websockets.asyncio.client import connect as dial
from websockets.exceptions import ConnectionClosed

from common.api import verbs
from common.api.lists import Delta, Snapshot
from common.api.subscriptions import ViewArgs
from common.api.work import RunArgs
from common.identity.certificates import identity_from_pem, make_request, new_key, request_key
from common.identity.tls import client_context
from common.link import handshake
from common.link.messages import Accepted, Dispatch, Ended, Heartbeat, Message, Output, Report, Started, Welcome
from common.link.session import Session
from common.plan import Order
from hub.chat.inlets import load_config
from hub.core.records import IssuedCertificate
from hub.identity.keys import load_keys
from hub.store.store import Store
from tests.bench.console_world import fill, machine_names
from tests.end_to_end.system import SystemHarness
from tui.client.client import Client, connect
from tui.client.profile import read_profile

CHANGES_A_JOB = 5  # queued, leased, accepted, running, ended; and a chunk of output, which is a change too
TEXT = b"Filesystem      Size  Used Avail Use% Mounted on\n/dev/sda1        40G   21G   17G  56% /\n"


@dataclass
class Counts:
    jobs: int = 0
    asked: int = 0
    refused: int = 0
    words: dict[str, int] = field(default_factory=dict)


class Scripted:
    """One machine on a real link: takes every job and tells the whole story of it."""

    def __init__(self, name: str, url: str, context: ssl.SSLContext, hub: str, counts: Counts) -> None:
        self.name = name
        self._url = url
        self._context = context
        self._hub = hub
        self._counts = counts
        self._chance = random.Random(name)
        self.online = asyncio.Event()

    async def run(self) -> None:
        async with (
            asyncio.TaskGroup() as tasks,
            dial(
                f"{self._url}/agent",
                ssl=self._context,
                server_hostname=self._hub,
                compression=None,
                ping_interval=None,
                open_timeout=60,
                proxy=None,
            ) as connection,
        ):
            session = Session("hub")

            async def say(*messages: Message) -> None:
                for message in messages:
                    await connection.send(session.send(message))

            facts = {"os": "Debian GNU/Linux 12", "cpus": "8"}
            await say(handshake.make_hello("agent", self.name, None, facts=facts))
            welcome = session.receive(await connection.recv(), time.monotonic())
            assert welcome is not None
            assert isinstance(welcome.message, Welcome), welcome
            session.id, session.interval = welcome.message.session, welcome.message.heartbeat
            await say(Report(f"journal-{self.name}", "boot", {}))
            self.online.set()
            beats = tasks.create_task(self._beat(say, session.interval))
            working: set[asyncio.Task[None]] = set()
            try:
                async for data in connection:
                    frame = session.receive(data, time.monotonic())
                    if frame is None:
                        continue
                    if isinstance(frame.message, Dispatch):
                        order = Order.from_bytes(frame.message.order)
                        working.add(tasks.create_task(self._work(say, order)))
                        working = {task for task in working if not task.done()}
                    if frame.seq:
                        session.mark_processed(frame.seq)
                        if (ack := session.ack_frame()) is not None:
                            await connection.send(ack)
            except ConnectionClosed:
                pass
            finally:
                beats.cancel()
                for task in working:
                    task.cancel()

    async def _beat(self, say: Any, interval: float) -> None:
        while True:
            load = self._chance.uniform(0.1, 4.0)
            await say(Heartbeat({"load1": load, "cpu": load * 10, "memory": 40.0 + load, "disk": 56.0}))
            await asyncio.sleep(min(interval, 10.0) * self._chance.uniform(0.8, 1.0))

    async def _work(self, say: Any, order: Order) -> None:
        begun = time.time()
        with contextlib.suppress(ConnectionClosed):
            await asyncio.sleep(self._chance.uniform(0.02, 0.2))
            await say(Accepted(order.job, order.plan_hash))
            await asyncio.sleep(self._chance.uniform(0.02, 0.2))
            await say(Started(order.job, 4711, time.time()))
            await asyncio.sleep(self._chance.lognormvariate(0.0, 0.6))
            failed = self._chance.random() < 0.03
            await say(
                Output(order.job, 1, 1, TEXT, time.time()),
                Ended(
                    job=order.job,
                    outcome="failed" if failed else "succeeded",
                    exit_code=1 if failed else 0,
                    signal=None,
                    reason="",
                    chunks=1,
                    output_bytes=len(TEXT),
                    output_digest="ab" * 32,
                    truncated=False,
                    started_at=begun,
                    ended_at=time.time(),
                    cpu_user=0.01,
                    cpu_system=0.01,
                    max_rss=9_000_000,
                ),
            )
            self._counts.jobs += 1


def invite(folder: Path, names: list[str]) -> dict[str, tuple[Path, Path]]:
    """A certificate for each machine, recorded as if it had joined; where its files are."""
    config = load_config(folder / "hub.toml")
    authority, now = load_keys(config).authority, time.time()
    store = Store.open(config.store.url, folder=folder, clock=time.time)
    keys = folder.parent / "machines"
    keys.mkdir(exist_ok=True)
    found, credentials = {}, []
    for name in names:
        certificate, key = keys / f"{name}.pem", keys / f"{name}.key"
        found[name] = (certificate, key)
        if certificate.exists():
            continue
        made = new_key()
        request = make_request(made, "agent", name)
        pem = authority.issue(request, kind="agent", name=name, now=now)
        identity = identity_from_pem(pem, now, "agent")
        key.write_bytes(made)
        certificate.write_bytes(pem)
        credentials.append(
            IssuedCertificate(
                identity.fingerprint, "agent", name, 1, now, identity.not_after, key_hash=request_key(request)
            )
        )
    store.write_now(lambda txn: [txn.add_credential(credential) for credential in credentials])
    store.close()
    return found


async def ask_for_work(client: Client, names: list[str], changes: float, counts: Counts) -> None:
    """Asks for enough jobs that about `changes` rows change a second: ten machines at a time, or fewer, so that there
    are a few asks a second at the least.
    """
    chance = random.Random(11)
    each = max(1, min(10, len(names), int(changes / CHANGES_A_JOB / 2)))
    pause = each * CHANGES_A_JOB / changes
    due = time.monotonic()
    while True:
        chosen = ",".join(sorted(chance.sample(names, each)))
        result = await client.call(verbs.RUN, RunArgs(target=chosen, argv=("uptime",)))
        counts.asked += each
        counts.refused += result.request is not None and result.request.state == "refused"
        due = max(due + pause, time.monotonic() - 2.0)
        await asyncio.sleep(max(0.0, due - time.monotonic()))


@asynccontextmanager
async def working_hub(chosen: argparse.Namespace, counts: Counts) -> AsyncIterator[SystemHarness]:
    """The hub, its machines and the work, until the block ends."""
    chosen.folder.mkdir(parents=True, exist_ok=True)
    async with SystemHarness(chosen.folder, forks=False) as rig:
        names = machine_names(chosen.agents)
        if rig.config.exists():
            rig.edit_config(r'(?s)(\[http\].*?listen = )"[^"]*"', rf'\1"127.0.0.1:{rig.http}"')
            rig.edit_config(r'(?s)(\[links\].*?listen = )"[^"]*"', rf'\1"127.0.0.1:{rig.links}"')
            profile = rig.hub_dir / "profile" / "profile.toml"
            text = profile.read_text().splitlines()
            text = [f'url = "wss://127.0.0.1:{rig.links}"' if line.startswith("url") else line for line in text]
            profile.write_text("\n".join(text) + "\n")
        else:
            await rig.init()
            config = load_config(rig.config)
            store = Store.open(config.store.url, folder=rig.hub_dir, clock=time.time)
            fill(store, agents=chosen.agents, jobs=chosen.jobs, now=time.time())
            store.close()
        linked = random.Random(3).sample(names, chosen.linked)
        files = invite(rig.hub_dir, linked)
        authority = (rig.hub_dir / "ca" / "ca.pem").read_bytes()
        await rig.start_hub()
        profile = read_profile(rig.hub_dir / "profile")
        machines = [
            Scripted(name, profile.url, client_context(authority, *files[name]), profile.hub, counts) for name in linked
        ]
        async with asyncio.TaskGroup() as tasks:
            running = []
            for machine in machines:
                running.append(tasks.create_task(machine.run()))
                await machine.online.wait()
            async with connect(profile) as client:
                asking = tasks.create_task(ask_for_work(client, linked, chosen.changes, counts))
                try:
                    yield rig
                finally:
                    asking.cancel()
                    for task in running:
                        task.cancel()


async def serve(chosen: argparse.Namespace) -> None:
    counts = Counts()
    async with working_hub(chosen, counts) as rig:
        print(f"answerback --profile {rig.hub_dir / 'profile'} console", flush=True)
        print(f"hub pid {rig.programs['hub'].pid}, {chosen.linked} machines linked; Ctrl-C ends it", flush=True)
        begun = time.monotonic()
        while chosen.seconds is None or time.monotonic() - begun < chosen.seconds:
            before = counts.jobs
            await asyncio.sleep(10)
            rate = (counts.jobs - before) / 10
            print(f"{rate:.0f} jobs/s, about {rate * CHANGES_A_JOB:.0f} changes/s", flush=True)


@dataclass
class Seen:
    """What one console got."""

    pushes: int = 0
    rows: int = 0
    bytes: int = 0


async def look(profile: Any, seen: Seen, **query: Any) -> None:
    async with connect(profile) as client:
        async for push in client.subscribe(verbs.VIEW, ViewArgs(**query)):
            seen.pushes += 1
            if isinstance(push, Snapshot):
                seen.rows += len(push.rows)
            elif isinstance(push, Delta):
                seen.rows += len(push.upsert)
            seen.bytes = client.bytes_in


@dataclass
class Span:
    """What a while came to."""

    cpu: float  # seconds of the hub's
    took: float
    jobs: int
    pushes: int = 0
    rows: int = 0
    size: int = 0

    def told(self, label: str) -> str:
        changes = self.jobs * CHANGES_A_JOB
        return (
            f"{label:<34} hub {self.cpu / self.took * 100:5.1f} % of a core, {changes / self.took:4.0f} changes/s, "
            f"{self.cpu / max(1, changes) * 1e6:4.0f} us a change"
        )


async def measure(chosen: argparse.Namespace) -> None:
    """Turns of a quiet while and one with consoles, so that what else this machine does falls on both."""
    counts = Counts()
    async with working_hub(chosen, counts) as rig:
        hub = psutil.Process(rig.programs["hub"].pid)
        profile = read_profile(rig.hub_dir / "profile")
        await asyncio.sleep(5)
        seconds = chosen.seconds or 10.0

        async def span(seen: list[Seen]) -> Span:
            jobs, spent, begun = counts.jobs, hub.cpu_times(), time.monotonic()
            before = [(one.pushes, one.rows, one.bytes) for one in seen]
            await asyncio.sleep(seconds)
            after = hub.cpu_times()
            found = Span(
                after.user + after.system - spent.user - spent.system, time.monotonic() - begun, counts.jobs - jobs
            )
            found.pushes = sum(one.pushes for one in seen) - sum(entry[0] for entry in before)
            found.rows = sum(one.rows for one in seen) - sum(entry[1] for entry in before)
            found.size = sum(one.bytes for one in seen) - sum(entry[2] for entry in before)
            return found

        queries: tuple[dict[str, Any], ...] = (
            {"view": "jobs", "n": 50},
            {"view": "jobs", "n": 50, "filter": "state:running,queued"},
            {"view": "jobs", "n": 200, "sort": "-took"},
        )
        for query in queries:
            print(f"{chosen.consoles} consoles look at {query}")
            for _ in range(2):
                quiet = await span([])
                print(quiet.told("  nobody looks"), flush=True)
                seen = [Seen() for _ in range(chosen.consoles)]
                async with asyncio.TaskGroup() as tasks:
                    looking = [tasks.create_task(look(profile, one, **query)) for one in seen]
                    await asyncio.sleep(1)
                    busy = await span(seen)
                    for task in looking:
                        task.cancel()
                each = busy.took * chosen.consoles
                more = busy.cpu / busy.took - quiet.cpu / max(1, quiet.jobs) * busy.jobs / busy.took
                print(busy.told("  they look"))
                print(
                    f"    about {more * 100:+.1f} % of a core for it; each gets {busy.pushes / each:.1f} pushes/s, "
                    f"{busy.rows / each:.0f} rows/s, {busy.size / each / 1024:.1f} KiB/s",
                    flush=True,
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("act", choices=("serve", "measure"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--agents", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--changes", type=float, default=500.0)
    parser.add_argument("--linked", type=int, default=40)
    parser.add_argument("--consoles", type=int, default=5)
    parser.add_argument("--seconds", type=float)
    chosen = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(chosen) if chosen.act == "serve" else measure(chosen))


if __name__ == "__main__":
    main()
