"""The composition root: the only file that knows everyone. Builds the hub from its config, runs it, ends it in
order.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import uvloop
from starlette.applications import Starlette

from common.errors import UserError
from common.notify import notify, watchdog
from common.policy import Policy
from common.tls import server_context
from hub import http
from hub.acts import Acts
from hub.acts_drafts import Drafts
from hub.acts_machines import Keeper
from hub.change import Effects
from hub.chat.inlets import inlets_of
from hub.config import HubConfig
from hub.consoles import Desk
from hub.desk import Verbs
from hub.engine import Engine
from hub.files import Watched, read_chain, read_policy
from hub.fleet import Fleet
from hub.limits import Refusal
from hub.links import Links
from hub.log import configure, logger
from hub.metrics import Gauges, Metrics
from hub.ocr.eyes import Sight
from hub.ocr.reader import Bounds, Reader, installed
from hub.ocr.settings import Settings
from hub.people import People
from hub.plan.chain import Chain
from hub.planner.build import models_of, prompt_tokens
from hub.replies import Courier
from hub.setup import load_keys, refresh_certificate
from hub.speech import Speech
from hub.store.engine import Store
from hub.store.verbs import Txn
from hub.summaries import Summaries
from hub.thinking import Thinker
from hub.timers import Timers
from hub.webhook import Deps, Limits, make_app

log = logger("hub")


def serve(config: HubConfig) -> None:
    """Runs the hub until SIGTERM or SIGINT. Raises UserError for what a person can cure."""
    configure(config.log.level, config.log.format)
    uvloop.run(Hub(config, time.time).run())


class Hub:
    """One hub process."""

    def __init__(self, config: HubConfig, clock: Callable[[], float]) -> None:
        self._config = config
        self._clock = clock
        self._keys = load_keys(config)
        self._policy: Watched[Policy] = Watched(config.policy.file, read_policy)
        self._chain: Watched[Chain] = Watched(config.runbooks.file, read_chain)

    async def run(self) -> None:
        config, clock = self._config, self._clock
        refresh_certificate(config.folder, self._keys.authority, clock())
        store = Store.open(config.store.url, folder=config.folder.path, clock=clock)
        try:
            epoch = store.take_over()
            await self._serve(store, epoch)
        finally:
            store.close()

    async def _serve(self, store: Store, epoch: int) -> None:
        config, clock = self._config, self._clock
        metrics = Metrics()
        fleet, people = Fleet(store), People(config, store)
        inlets = inlets_of(config)
        speech = Speech(config)
        acts = Acts(
            people,
            fleet,
            speech,
            self._keys.sealer,
            lambda language: speech.help(self._chain.value.runbooks, fleet.inventory, language),
        )
        models = models_of(
            config,
            sealer=self._keys.sealer,
            policy=lambda: self._policy.value,
            chain=lambda: self._chain.value,
            clock=clock,
            monotonic=time.monotonic,
            told=metrics.model,
        )
        drafts = Drafts(
            store=store,
            people=people,
            fleet=fleet,
            policy=lambda: self._policy.value,
            file=config.runbooks.file,
            memory=config.planning.conversation,
            clock=clock,
        )
        reader = reader_of(config)
        thinker = Thinker(
            chain=lambda: self._chain.value,
            people=people,
            fleet=fleet,
            clock=clock,
            model=models.planner if models is not None else None,
            eyes=Sight(reader) if reader is not None else None,
            scribe=drafts,
        )
        engine = Engine(
            store=store,
            fleet=fleet,
            people=people,
            policy=lambda: self._policy.value,
            thinker=thinker,
            sealer=self._keys.sealer,
            speech=speech,
            acts=acts,
            authority=self._keys.authority,
            job_key=self._keys.job_key,
            epoch=epoch,
            config=config,
            metrics=metrics,
            clock=clock,
        )
        desk = Desk(renew=engine.renew)
        verbs = Verbs(
            store=store,
            engine=engine,
            acts=acts,
            drafts=drafts,
            fleet=fleet,
            people=people,
            hub_id=self._keys.hub_id,
            clock=clock,
            decide_within=config.queue.decide_within,
            choices=self._choices,
            models=models,
        )
        verbs.fill(desk)
        fleet.on_change = verbs.fleet_changed
        desk.refresh = people.refresh
        folder = config.folder
        tls = server_context(folder.certificate, folder.key, folder.ca_certificate)

        def renew_certificate() -> None:
            """A new certificate is shown to connections from now on; those that are open do not notice."""
            if refresh_certificate(folder, self._keys.authority, clock()):
                tls.load_cert_chain(folder.certificate, folder.key, password="")
                log.info("hub.certificate_renewed", hub=self._keys.hub_id)

        links = Links(
            store=store,
            fleet=fleet,
            engine=engine,
            desk=desk,
            authority=self._keys.authority,
            job_keys=self._keys.job_keys,
            hub_id=self._keys.hub_id,
            config=config,
            tls=tls,
            clock=clock,
        )
        courier = Courier(store, inlets, clock, metrics)
        web = make_app(
            Deps(
                inlets=inlets,
                accept=engine.accept,
                refused=lambda refusal: record_refusal(store, refusal),
                ready=lambda: unready(links, timers),
                gauges=lambda: read_gauges(store, links, clock()),
                metrics=metrics,
                clock=clock,
                limits=Limits(concurrency=config.http.concurrency),
            )
        )

        keeper = Keeper(store, engine, fleet, clock)

        async def keep() -> None:
            if models is not None and models.cache.look():
                log.info("plans.cleared")
            await keeper.keep()

        timers = Timers(
            store=store,
            engine=engine,
            fleet=fleet,
            people=people,
            links=links,
            speech=speech,
            key=self._keys.job_key,
            hub_id=self._keys.hub_id,
            retention=config.store.retention,
            reload_files=self._reload,
            renew_certificate=renew_certificate,
            flush=web.state.webhook.flush,
            keep=keep,
            clock=clock,
        )

        summaries = None
        if models is not None and config.planning.summaries:
            summaries = Summaries(
                store=store,
                write=engine.write,
                models=models.pool,
                sealer=self._keys.sealer,
                speech=speech,
                tokens=prompt_tokens(config),
                clock=time.monotonic,
            )

        def after(effects: Effects) -> None:
            if effects.replies:
                courier.wake()
            if summaries is not None:
                summaries.after(effects)
            links.after(effects)
            verbs.after(effects)

        engine.after = after
        await people.refresh()
        await fleet.refresh()
        if models is not None:
            metrics.registry.register(models.metrics)
            models.planner.warm(("operator",), fleet.inventory)
        now = clock()
        await store.write(lambda txn: txn.audit("hub.started", self._keys.hub_id, "hub", {"epoch": epoch}, now))
        gc.freeze()  # what is built now lives as long as the hub: no collection need walk it
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        try:
            besides: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {}
            if models is not None:
                besides["models"] = models.pool.run
            if summaries is not None:
                besides["summaries"] = summaries.run
            if reader is not None:
                besides["ocr"] = reader.run
            await self._until(stop, engine, links, courier, timers, web, verbs, besides)
        except* UserError as group:
            raise first_of(group) from None
        now = clock()
        await store.write(lambda txn: txn.audit("hub.stopped", self._keys.hub_id, "hub", {"epoch": epoch}, now))

    async def _until(
        self,
        stop: asyncio.Event,
        engine: Engine,
        links: Links,
        courier: Courier,
        timers: Timers,
        web: Starlette,
        verbs: Verbs,
        besides: Mapping[str, Callable[[], Coroutine[Any, Any, None]]],
    ) -> None:
        """Starts everything (`besides`: what only some hubs have, by name), says it is ready, and ends it in order: no
        new work, then the links, then the rest.
        """
        web_up, links_up, web_stop = asyncio.Event(), asyncio.Event(), asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            posting = tasks.create_task(courier.run(), name="courier")
            doers = [
                tasks.create_task(engine.run(), name="engine"),
                tasks.create_task(timers.run(), name="timers"),
                tasks.create_task(verbs.run(), name="consoles"),
                tasks.create_task(watchdog(), name="watchdog"),
            ]
            doers += [tasks.create_task(run(), name=name) for name, run in besides.items()]
            serving = tasks.create_task(
                http.serve(web, str(self._config.http.listen), started=web_up, stop=web_stop), name="http"
            )
            linking = tasks.create_task(links.serve(links_up, stop), name="links")
            await web_up.wait()
            await links_up.wait()
            await engine.sweep()
            log.info(
                "hub.ready",
                hub=self._keys.hub_id,
                epoch=engine.epoch,
                http=str(self._config.http.listen),
                links=str(self._config.links.listen),
            )
            notify(ready=True, status="serving")
            await stop.wait()
            notify(stopping=True)
            log.info("hub.stopping")
            web_stop.set()
            await serving
            await linking
            courier.stop()
            await posting
            for task in doers:
                task.cancel()
            await web.state.webhook.flush(self._clock(), all_of_them=True)

    def _choices(self, field: str) -> list[str]:
        """What the hub's files know for a field of the filter language."""
        match field:
            case "src":
                return [*self._config.inlets, "console"]
            case "rb" | "plan":
                return [f"runbook:{runbook.name}" for runbook in self._chain.value.runbooks.all]
        return []

    def _reload(self) -> None:
        """Takes changed policy and runbooks; a file that does not read keeps the old one in force, and says so."""
        for watched in (self._policy, self._chain):
            problem = watched.look()
            if problem:
                log.error("file.refused", file=str(watched.path), problem=problem)


def reader_of(config: HubConfig) -> Reader | None:
    """What reads pictures; None where it is not wanted, or the extra `ocr` is not installed."""
    table = config.ocr
    if not table.read or not installed():
        return None
    child = Settings(size=table.size, pixels=table.pixels, memory=table.memory, seconds=table.timeout)
    return Reader(Bounds(children=table.children, queue=table.queue, idle=table.idle, child=child))


def unready(links: Links, timers: Timers) -> list[str]:
    """Why the hub should get no traffic now; empty where it should."""
    away = [] if links.listening else ["machines cannot dial in: the hub is starting or stopping"]
    return [*away, *timers.problems()]


async def record_refusal(store: Store, refusal: Refusal) -> None:
    """One audit row for deliveries that were turned away."""
    data = {"inlet": refusal.inlet, "code": refusal.code, "remote": refusal.remote, "count": refusal.count}
    subject = refusal.inlet or "http"
    await store.write(lambda txn: txn.audit("message.refused", subject, refusal.remote or "unknown", data, refusal.at))


async def read_gauges(store: Store, links: Links, now: float) -> Gauges:
    def unit(txn: Txn) -> tuple[dict[str, int], float, int]:
        counts = {state.value: count for state, count in txn.job_counts().items()}
        oldest = txn.queue_stats().oldest
        return counts, 0.0 if oldest is None else max(0.0, now - oldest), txn.pending_replies()

    jobs, age, outbox = await store.read(unit)
    agents, consoles = links.count()
    return Gauges(
        jobs=jobs,
        agents=agents,
        consoles=consoles,
        queue_age=age,
        outbox=outbox,
        store_commits=store.commits,
        store_units=store.units,
    )


def first_of(group: BaseExceptionGroup[UserError]) -> UserError:
    """The first leaf of a group: what a person is told."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            return first_of(error)
        return error
    raise AssertionError("an exception group is never empty")
