"""A hub without its doors, for the tests of its shells: a folder as `init` makes it, a real store in it, the real
policy and runbooks, and everything that works on them. Time stands still unless a test moves it.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import pyotp

from common.lifecycle import RequestState
from common.link.messages import PROTOCOL, Dispatch, Ended, Message
from common.plan import Order
from common.policy.check import Policy
from hub.chat.compose import ReplyComposer
from hub.chat.inlets import Inlet, load_config
from hub.chat.platforms.base import IncomingMessage
from hub.cli.init import init
from hub.clock import HubClock
from hub.config import HubConfig, QueueTable
from hub.core import audit_chain
from hub.core.approval_proofs import ApprovalProver
from hub.core.echo_guard import EchoGuard
from hub.core.hub_time import Reading
from hub.core.receipt import Receipt
from hub.core.records import Agent, AuditEvent, Job, Person, Reply, Request
from hub.engine.agent_events import AgentReplies
from hub.engine.effects import EffectFanOut, Effects
from hub.engine.engine import Engine
from hub.engine.picture_records import FetchPictures
from hub.engine.recovery_state import RecoveryState
from hub.engine.request_actions import RequestActions
from hub.engine.runbook_drafts import DraftActions
from hub.engine.snapshot import snapshot_source
from hub.engine.unit_of_work import UnitOfWork, UnitOfWorkRunner
from hub.identity import totp as secondfactor
from hub.identity.agents import AgentRegistry
from hub.identity.authorities import LiveAuthorities
from hub.identity.keys import load_keys
from hub.identity.people import PeopleDirectory
from hub.metrics import Metrics
from hub.planning.chain import PlannerChain
from hub.planning.service import AsyncPlanner, ImageReader, PlanningService
from hub.planning.watched_files import load_chain, load_policy
from hub.store.outbox import REPLY
from hub.store.schema import outbox
from hub.store.transaction import Txn
from tests.hub.store.template import open_store

T = TypeVar("T")
NOW = 1_800_000_000.0
PEOPLE = {"carol": "operator", "dave": "operator", "bob": "approver", "ann": "approver", "vera": "viewer"}
REPLY_URL = "http://127.0.0.1:9/replies"
JOURNAL = "journal-1"


_CACHE: dict[tuple[object, bytes], Any] = {}


def read_cached(read: Callable[[Path], T], path: Path) -> T:
    """What the file means; read once a run, since every house begins with the same text."""
    key = (read, path.read_bytes())
    if key not in _CACHE:
        _CACHE[key] = read(path)
    return _CACHE[key]  # type: ignore[no-any-return]


class FakeClock:
    """A clock that tests turn."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class HubHarness:
    """See the module. `alice` is admin; the others are `PEOPLE`; all are users of the inlet `ops` by their name."""

    def __init__(self, folder: Path, clock: FakeClock, extra_toml: str = "") -> None:
        self.clock = clock
        self.hub_clock = HubClock(lambda: Reading(clock(), clock()), lambda: "")  # which nobody sets
        self.folder = folder / "hub"
        self.event_ids = itertools.count(1)
        init(self.folder, now=clock.now, admin="alice")
        toml = self.folder / "hub.toml"
        people = "".join(f'[people.{n}]\nroles = ["{r}"]\nchat = ["ops:{n}"]\n' for n, r in PEOPLE.items())
        quiet = f'[inlets.quiet]\nplatform = "generic"\nsecret_file = "{self.folder}/secrets/ops"\nupdates = false\n'
        toml.write_text(
            f'{toml.read_text()}\n{quiet}{people}[people.kim]\nroles = ["operator"]\nchat = ["quiet:kim"]\n{extra_toml}'
        )
        self.config: HubConfig = load_config(toml)
        self.keys = load_keys(self.config)
        self.authorities = LiveAuthorities(self.keys.authorities)
        self.policy: Policy = read_cached(load_policy, self.config.policy.file)
        self.chain: PlannerChain = read_cached(load_chain, self.config.runbooks.file)
        self.store = open_store(self.config.store.url, folder=self.folder, clock=clock, sealer=self.keys.sealer)
        self.effects: list[Effects] = []
        self.inlets: dict[str, Inlet] = {}  # those whose platform matters to a test
        self.model: AsyncPlanner | None = None  # those of a test: take effect with `start`
        self.image_reader: ImageReader | None = None
        self.fetch_pictures: FetchPictures | None = None
        self.start()

    def start(self) -> None:
        """Everything that a start of the hub makes anew; what was kept in memory before is gone."""
        self.metrics = Metrics()
        self.fan_out = EffectFanOut(self.metrics)
        self.fan_out.subscribe(self.effects.append)
        self.people = PeopleDirectory(self.config, self.store)
        self.fleet = AgentRegistry(self.store, self.fan_out.publish_agent)
        self.composer = ReplyComposer(self.config, self.inlets)
        self.recovery = RecoveryState()
        self.world = snapshot_source(lambda: self.policy, lambda: self.chain, self.people, self.fleet, self.recovery)
        prover = ApprovalProver(self.keys.job_key)
        self.units = UnitOfWorkRunner(self.store, self.composer, self.world, self.fan_out, self.clock, prover)
        self.actions = RequestActions(self.keys.sealer)
        self.drafts = DraftActions(
            store=self.store,
            units=self.units,
            world=self.world,
            file=self.config.runbooks.file,
            history_seconds=self.config.planning.conversation,
        )
        self.planning_service = PlanningService(
            chain=lambda: self.chain,
            people=self.people,
            fleet=self.fleet,
            clock=self.clock,
            model=self.model,
            image_reader=self.image_reader,
            draft_commands=self.drafts,
            policy=lambda: self.policy,
        )
        self.echo_guard = EchoGuard()
        self.engine = Engine(
            store=self.store,
            units=self.units,
            fleet=self.fleet,
            people=self.people,
            planning_service=self.planning_service,
            sealer=self.keys.sealer,
            composer=self.composer,
            actions=self.actions,
            authorities=self.authorities,
            job_key=self.keys.job_key,
            epoch=self.store.acquire(),
            echo_guard=self.echo_guard,
            config=self.config,
            metrics=self.metrics,
            clock=self.clock,
            recovery=self.recovery,
            inlets=self.inlets,
            fetch_pictures=self.fetch_pictures,
        )
        self.fan_out.subscribe(self.engine.wakes.on_commit)

    def mute_effects(self) -> None:
        """Nobody is told of a commit any more."""
        self.fan_out._on_commit.clear()

    async def restart(self) -> None:
        """The hub's memory is lost, its store is not."""
        self.start()
        await self.people.refresh()
        await self.fleet.refresh()

    def set_queue_limits(self, **limits: Any) -> None:
        """Other limits of [queue], in force at once."""
        object.__setattr__(self.config, "queue", replace(self.config.queue, **limits))
        assert isinstance(self.config.queue, QueueTable)

    def set_http_limits(self, **limits: Any) -> None:
        """Other limits of [http], in force after a restart."""
        object.__setattr__(self.config, "http", replace(self.config.http, **limits))
        self.start()

    def add_rule(self, name: str, more: str = "", verdict: str = "allow", fixed: int = 0) -> None:
        """A rule more: /opt/tests/NAME with `fixed` times 64 words and up to 64 words behind them."""
        file = self.config.policy.file
        rule = f'[[rule]]\nid = "test-{name}"\nabout = "a test\'s own"\nprogram = "/opt/tests/{name}"\n'
        slot = '[[rule.arguments]]\nname = "WORD"\ntype = "text"\nmax = 64\nmin = '
        words = f"{slot}64\n" * fixed + f"{slot}0\n"
        file.write_text(f'{file.read_text()}\n{rule}verdict = "{verdict}"\n{more}\n{words}')
        self.policy = load_policy(file)

    # ---- people and machines

    async def add_machine(self, name: str, online: bool = True, **more: Any) -> Agent:
        agent = Agent(**{"name": name, "labels": {}, "state": "active", "joined_at": self.clock.now, **more})
        self.write(lambda txn: txn.add_agent(agent))
        await self.fleet.refresh()
        if online:
            self.fleet.set_online(name)
        return agent

    async def change_machine(self, name: str, **changes: Any) -> None:
        """As another process would."""

        def unit(txn: Txn) -> None:
            before = txn.agent(name)
            assert before is not None
            txn.save_agent(before, replace(before, **changes))

        self.write(unit)
        await self.fleet.refresh()

    async def enrol_totp(self, name: str) -> Callable[[], str]:
        """A second factor for a person; the code of now."""
        sealed, uri = secondfactor.enrol(self.keys.sealer, name, "test")

        def unit(txn: Txn) -> None:
            before = txn.person(name)
            if before is None:
                txn.add_person(Person(name, (), self.clock.now, totp_secret=sealed))
            else:
                txn.save_person(before, replace(before, totp_secret=sealed))

        self.write(unit)
        await self.people.refresh()
        totp = pyotp.TOTP(parse_qs(urlsplit(uri).query)["secret"][0])
        return lambda: totp.at(int(self.clock.now))

    # ---- messages

    def make_incoming(self, text: str, user: str = "carol", **more: Any) -> IncomingMessage:
        values: dict[str, Any] = {
            "event_id": f"e-{next(self.event_ids)}",
            "user": user,
            "conversation": "room",
            "text": text,
            "reply_url": REPLY_URL,
        }
        return IncomingMessage(**{**values, **more})

    async def accept(self, text: str, user: str = "carol", *, inlet: str = "ops", **more: Any) -> Receipt:
        return await self.engine.intake.accept(inlet, self.make_incoming(text, user, **more))

    def leave_unplanned(self, text: str, user: str = "carol") -> Request:
        """A message that is in the store and was not planned: of a hub before this one, or one that failed on it."""
        request, _ = self.engine.intake._new_request("ops", self.make_incoming(text, user))
        added = self.write(lambda txn: txn.add_request(request))
        assert added is not None
        return added

    async def submit(self, text: str, user: str = "carol", *, inlet: str = "ops", **more: Any) -> Request:
        """A message accepted and planned; the request as it stands then."""
        images = len(more.get("images", ())) + len(more.get("pictures", ()))
        receipt = await self.accept(text, user, inlet=inlet, **more)
        request = self.request(receipt.request)
        if request.state is RequestState.RECEIVED:
            await self.engine.intake.plan(request, text, images)
        if self.request(request.id).state is RequestState.RECEIVED:
            await self.engine.intake.plan_slow(request, text)
        return self.request(request.id)

    async def reply_text(self, text: str, user: str = "carol", **more: Any) -> str:
        """The text that answers a message at once."""
        request = await self.submit(text, user, **more)
        return self.final_reply(request)["text"]

    async def queued_job(self, line: str = "@web-1 uptime", user: str = "carol", **more: Any) -> Job:
        """A queued job of a request that policy allows."""
        request = await self.submit(line, user, **more)
        assert request.state is RequestState.WORKING, request.reason
        return self.jobs(request)[0]

    async def leased_job(self, line: str = "@web-1 uptime", user: str = "carol", journal: str = JOURNAL) -> Job:
        job = await self.queued_job(line, user)
        ((_, claimed),) = await self.claim(job.agent, journal=journal)
        assert claimed == job.id
        return self.job(job.id)

    # ---- the machine's side

    async def claim(
        self, agent: str = "web-1", limit: int = 100, journal: str = JOURNAL, protocol: int = PROTOCOL
    ) -> list[tuple[Dispatch, str]]:
        return await self.engine.dispatch(agent, journal, limit, protocol)

    async def orders(self, agent: str = "web-1", limit: int = 100) -> list[Order]:
        """What a machine would be handed, read as its runner does."""
        found = []
        for dispatch, job in await self.claim(agent, limit):
            order = Order.from_bytes(dispatch.order)
            order.verify()
            assert order.job == job
            found.append(order)
        return found

    async def handle_agent_events(self, agent: str, *events: Message) -> AgentReplies:
        return await self.engine.handle_agent_events(agent, events)  # type: ignore[arg-type]

    # ---- looking

    def write(self, unit: Callable[[Txn], T]) -> T:
        return self.store.write_now(unit)

    def read(self, unit: Callable[[Txn], T]) -> T:
        return self.store.read_now(unit)

    def tamper(self, statement: str, *values: object) -> int:
        """Writes into the database beside the hub; returns how many rows changed. SQLite only."""
        with contextlib.closing(sqlite3.connect(self.database)) as db, db:
            return db.execute(statement, values).rowcount

    async def change(self, unit: Callable[[UnitOfWork], object]) -> None:
        await self.engine.write(unit)

    def request(self, identity: str) -> Request:
        found = self.read(lambda txn: txn.request(identity))
        assert found is not None
        return found

    def job(self, identity: str) -> Job:
        found = self.read(lambda txn: txn.job(identity))
        assert found is not None
        return found

    def jobs(self, request: Request) -> list[Job]:
        return self.read(lambda txn: txn.jobs_of(request.id))

    def events(self, kind: str = "", subject: str | None = None) -> list[AuditEvent]:
        return self.read(lambda txn: txn.events(limit=100_000, subject=subject, kind_prefix=kind or None))

    def kinds(self, subject: str) -> list[str]:
        return [event.kind for event in self.events(subject=subject)]

    @property
    def database(self) -> Path:
        return self.folder / "data" / "answerback.sqlite"

    def replies(self, request: Request | None = None) -> list[Reply]:
        """Everything in the outbox, in order."""
        found = self.read(lambda txn: REPLY.from_rows(txn._db.select(REPLY.select.order_by(outbox.c.id))))
        return [reply for reply in found if request is None or reply.request_id == request.id]

    def reply_kinds(self, request: Request) -> list[str]:
        """The kinds of the replies to a request."""
        return [reply.kind for reply in self.replies(request)]

    def reply_body(self, request: Request, kind: str) -> dict[str, Any]:
        """The newest reply of this kind."""
        *_, last = [reply for reply in self.replies(request) if reply.kind == kind]
        return dict(json.loads(last.body))

    def final_reply(self, request: Request) -> dict[str, Any]:
        return self.reply_body(request, "final")

    # ---- what must hold whatever a test did

    def check_invariants(self) -> None:
        """One chain; a job starts and ends at most once; an ended request has ended for good."""
        report = self.read(lambda txn: audit_chain.verify(txn.chain(limit=1_000_000), [], {}, hub=self.keys.hub_id))
        assert report.ok, report.problem
        counts = Counter((event.kind, event.subject) for event in self.events())
        for kind in ("job.started", "job.ended", "request.ended", "message.accepted"):
            again = {key: count for key, count in counts.items() if key[0] == kind and count > 1}
            assert not again, f"told more than once: {again}"


@contextmanager
def hub_harness(folder: Path, clock: FakeClock, extra_toml: str = "") -> Iterator[HubHarness]:
    made = HubHarness(folder, clock, extra_toml)
    try:
        yield made
        made.check_invariants()
    finally:
        made.store.close()


def ended_message(job: str, outcome: str = "succeeded", exit_code: int | None = 0, **more: Any) -> Ended:
    """How a machine says that a job has ended."""
    values: dict[str, Any] = {
        "job": job,
        "outcome": outcome,
        "exit_code": exit_code,
        "signal": None,
        "reason": "",
        "chunks": 0,
        "output_bytes": 0,
        "output_digest": "e3b0",
        "truncated": False,
        "started_at": NOW + 1,
        "ended_at": NOW + 2.5,
        "cpu_user": 0.25,
        "cpu_system": 0.125,
        "max_rss": 4096,
    }
    return Ended(**{**values, **more})
