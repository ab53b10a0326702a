"""A hub's store as it is after a busy while: 10,000 machines, 100,000 jobs, their requests, audit and some output.

    python tests/bench/console_world.py fill FOLDER [--agents N] [--jobs N]
    python tests/bench/console_world.py serve FOLDER [--agents N] [--jobs N] [--changes N] [--linked N] [--seconds S]

`fill` makes a hub in FOLDER (its profile for a console is FOLDER/hub/profile) and fills its store. `serve` does that
where it is not done yet, starts a real hub process on it and `--linked` scripted machines on real links (TLS, their own
certificates, the real session), which take real jobs and report them accepted, started, printing and ended, so that
about `--changes` rows change a second. Real requests come from an operator's link, as `answerback run` makes them.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ulid import ULID

from common.lifecycle import JobState, RequestState
from common.plan import Plan, Step, plan_hash
from hub.core.records import Agent, Approval, Job, Request, StoredChunk
from hub.engine.unit_of_work import command_of
from hub.store.store import Store
from hub.store.transaction import Txn

BATCH = 1_000
PEOPLE = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "陈伟", "cron")
ROLES = ("web", "db", "cache", "queue", "build")
REGIONS = ("eu", "us", "ap")
COMMANDS = (
    ("runbook:disk", ("/usr/bin/df", "-h")),
    ("runbook:uptime", ("/usr/bin/uptime",)),
    ("runbook:restart", ("/usr/bin/systemctl", "restart", "nginx")),
    ("runbook:logs", ("/usr/bin/journalctl", "-u", "nginx", "--since", "-1h", "--no-pager")),
    ("explicit", ("/usr/bin/tar", "czf", "/backup/etc.tgz", "/etc")),
    ("explicit", ("/usr/bin/git", "-C", "/srv/app", "status", "--short")),
    ("operator", ("/usr/bin/find", "/var/cache/apt/archives", "-name", "*.deb", "-mtime", "+7", "-delete")),
    ("explicit", ("/usr/bin/echo", "重启 nginx 并检查状态")),
)
ENDS = [JobState.SUCCEEDED] * 90 + [JobState.FAILED] * 5 + [JobState.TIMED_OUT, JobState.CANCELLED, JobState.EXPIRED]
ENDS += [JobState.NOT_STARTED, JobState.UNKNOWN]
VERSIONS = ["0.3.1"] * 80 + ["0.3.0"] * 15 + ["0.2.9"] * 5


def machine_names(count: int) -> list[str]:
    """web-eu-0001 …, spread over roles and regions."""
    kinds = itertools.cycle(itertools.product(ROLES, REGIONS))
    return [f"{role}-{region}-{number:04}" for number, (role, region) in zip(range(1, count + 1), kinds, strict=False)]


def machines(names: list[str], now: float, chance: random.Random) -> Iterator[Agent]:
    for name in names:
        role, region, _ = name.split("-")
        yield Agent(
            name=name,
            labels={"role": role, "region": region, "env": chance.choice(("prod", "prod", "staging"))},
            state="active",
            joined_at=now - 90 * 86_400,
            last_seen=now - chance.expovariate(1 / 600),
            version=chance.choice(VERSIONS),
            facts={"os": "Debian GNU/Linux 12", "kernel": "6.1.0", "arch": "x86_64", "cpus": "8"},
            paused_at=(paused := now - 300 if chance.random() < 0.0005 else None),
            paused_by="dave" if paused else "",
            pause_reason="disk swap" if paused else "",
        )


class History:
    """Requests and jobs of the past, in the order of time, so that ids sort as they would."""

    def __init__(self, names: list[str], now: float, jobs: int, chance: random.Random) -> None:
        self.names = names
        self.now = now
        self.jobs = jobs
        self.chance = chance
        self.made = 0

    def requests(self) -> Iterator[tuple[Request, list[Job]]]:
        """Each with its jobs; the number is the store's to give."""
        begun = self.now - 7 * 86_400
        while self.made < self.jobs:
            at = begun + (self.now - 60 - begun) * self.made / self.jobs
            size = min(self.jobs - self.made, 1 if self.chance.random() < 0.8 else self.chance.randint(2, 60))
            yield self.one(at, size, waiting=self.jobs - self.made < self.jobs // 50)
            self.made += size

    def one(self, at: float, size: int, waiting: bool) -> tuple[Request, list[Job]]:
        source, argv = self.chance.choice(COMMANDS)
        targets = tuple(sorted(self.chance.sample(self.names, size)))
        step = Step(argv, targets)
        plan = Plan((step,), source=source, ttl=86_400)
        person = self.chance.choice(PEOPLE)
        request = Request(
            id=_ulid(at),
            number=0,
            state=RequestState.WORKING if waiting else RequestState.DONE,
            inlet=self.chance.choice(("ops", "ops", "console")),
            event_id=_ulid(at),
            conversation="ops",
            chat_user=person,
            person=person,
            text=f"@{targets[0]} {' '.join(argv)}",
            language="en",
            reply_url="",
            received_at=at,
            plan=plan,
            plan_hash=plan_hash(plan),
            rule="read-only",
            planned_at=at + 0.01,
            decided_at=at + 0.01,
            ended_at=None if waiting else at + 5,
        )
        return request, [self.job(request, step, target, at, waiting) for target in targets]

    def job(self, request: Request, step: Step, target: str, at: float, waiting: bool) -> Job:
        assert request.plan is not None
        made = Job(
            id=_ulid(at),
            request_id=request.id,
            person=request.person,
            agent=target,
            state=JobState.QUEUED,
            step=0,
            plan_hash=request.plan_hash,
            not_after=self.now + 86_400,
            queued_at=at,
            priority=self.chance.choice((5, 5, 5, 5, 3, 7)),
            inlet=request.inlet,
            source=request.plan.source,
            command=command_of(step),
            time_limit=step.time_limit,
        )
        if waiting:
            return made
        state = self.chance.choice(ENDS)
        if state is JobState.EXPIRED:
            return replace(made, state=state, ended_at=at + 600, reason="no machine took it in time")
        took = self.chance.lognormvariate(0, 1)
        return replace(
            made,
            state=state,
            epoch=1,
            leased_at=at + 0.02,
            accepted_at=at + 0.03,
            started_at=at + 0.04,
            ended_at=at + 0.04 + took,
            exit_code=0 if state is JobState.SUCCEEDED else 1 if state is JobState.FAILED else None,
            signal=15 if state is JobState.TIMED_OUT else None,
            duration=took,
            output_bytes=self.chance.randint(0, 20_000),
            output_digest="ab" * 32,
            chunks=1,
            cpu_user=took / 3,
            max_rss=20_000_000,
        )


def _ulid(at: float) -> str:
    return str(ULID.from_timestamp(at))


def fill(store: Store, *, agents: int, jobs: int, now: float, seed: int = 7) -> None:
    """Fills an empty store; about 25 s for 10,000 machines and 100,000 jobs."""
    chance = random.Random(seed)
    names = machine_names(agents)
    for some in _batches(machines(names, now, chance)):
        store.write_now(lambda txn, some=some: [txn.add_agent(agent) for agent in some])
    history = History(names, now, jobs, chance)
    for some in _batches(history.requests(), BATCH // 4):
        store.write_now(lambda txn, some=some: _add(txn, some))
    store.write_now(lambda txn: _add_waiting(txn, names, now, chance))


def _add(txn: Txn, some: list[tuple[Request, list[Job]]]) -> None:
    for made, jobs in some:
        request = txn.add_request(made)
        assert request is not None
        numbered = [replace(job, number=request.number) for job in jobs]
        txn.add_jobs(numbered)
        data = {"inlet": request.inlet, "text": request.text, "number": request.number}
        txn.audit("message.accepted", request.id, request.person, data, request.received_at)
        for job in numbered:
            if job.ended_at is not None:
                ended = {"outcome": job.state.value, "exit_code": job.exit_code, "output_bytes": job.output_bytes}
                txn.audit("job.ended", job.id, job.agent, ended, job.ended_at)
    for job in numbered[-3:]:
        if job.chunks:
            txn.add_chunk(
                StoredChunk(job.id, 1, 1, b"Filesystem      Size  Used Avail Use% Mounted on\n" * 20, now_of(job))
            )


def now_of(job: Job) -> float:
    return job.ended_at or job.queued_at


def _add_waiting(txn: Txn, names: list[str], now: float, chance: random.Random) -> None:
    """A dozen requests that wait for approvals."""
    for number in range(12):
        targets = tuple(sorted(chance.sample(names, min(len(names), chance.choice((1, 1, 3, 61))))))
        plan = Plan((Step(("/usr/bin/rm", "-rf", f"/var/cache/app-{number}"), targets),), source="explicit")
        at = now - chance.uniform(5, 600)
        request = txn.add_request(
            Request(
                id=_ulid(at),
                number=0,
                state=RequestState.ASKING,
                inlet="ops",
                event_id=_ulid(at),
                conversation="ops",
                chat_user="bob",
                person="bob",
                text=f"clear the cache of app {number}",
                language="en",
                reply_url="",
                received_at=at,
                plan=plan,
                plan_hash=plan_hash(plan),
                approvers=1 + number % 2,
                rule="remove-files",
                reason="removes files for good",
                decide_by=now + 3_600 * 24 + 60 * number,
                planned_at=at,
            )
        )
        assert request is not None
        txn.audit("plan.judged", request.id, "bob", {"verdict": "ask", "plan_hash": request.plan_hash}, at)
        if number % 4 == 1:
            txn.add_approval(Approval(request.id, request.plan_hash, "erin", True, "ops", now - 3))


def _batches(things: Any, size: int = BATCH) -> Iterator[list[Any]]:
    several = iter(things)
    while batch := list(itertools.islice(several, size)):
        yield batch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("act", choices=("fill", "serve"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--agents", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=100_000)
    chosen = parser.parse_args()
    begun = time.perf_counter()
    store = Store.open("sqlite:///world.sqlite", folder=chosen.folder, clock=time.time)
    fill(store, agents=chosen.agents, jobs=chosen.jobs, now=time.time())
    store.close()
    print(f"filled in {time.perf_counter() - begun:.1f} s")


if __name__ == "__main__":
    main()
