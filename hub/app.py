"""The hub as a process: builds its parts from the configuration, runs them, ends them in order."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import uvloop

from common.errors import UserError, WorkFailed
from common.process.confine import forbid_inspection
from common.process.hangup import StandardError, outlive_hangup
from common.process.notify import notify, watchdog
from hub.base import Base, build_base
from hub.chat import http_server
from hub.clock import HubClock, read_tick, write_tick
from hub.config import HubConfig
from hub.core.rate_limits import parse_networks
from hub.engine.unit_of_work import UnitOfWork
from hub.fencing import Fencing
from hub.files import Files
from hub.identity.audit_keys import make_audit_key
from hub.identity.authorities import Authorities
from hub.identity.key_ring import read_ring
from hub.identity.keys import load_keys, refresh_certificate
from hub.log import configure, logger
from hub.parts import Parts, build
from hub.reload import Reloader
from hub.sealing import SealingTasks
from hub.storage import StorageTasks
from hub.store.errors import StoreFenced
from hub.store.store import Store

log = logger("hub")


def serve(config: HubConfig) -> None:
    """Runs the hub until SIGTERM or SIGINT. Raises UserError for what a person can cure."""
    forbid_inspection()  # before any key is read
    outlive_hangup()
    configure(config.log.level, config.log.format)
    uvloop.run(Hub(config, HubClock()).run())


class Hub:
    """One hub process."""

    def __init__(self, config: HubConfig, clock: HubClock) -> None:
        self._config = config
        self._clock = clock
        authority = load_keys(config).authority
        make_audit_key(config.folder, authority.hub)
        self._keys = load_keys(config)
        self._files = Files.of(config, clock)

    async def run(self) -> None:
        config, clock = self._config, self._clock
        url, folder = config.store.url, config.folder.path
        store = Store.open(url, folder=folder, clock=clock, sealer=self._keys.sealer, serving=True)
        try:
            clock.resume(store.read_now(read_tick))
            epoch = store.acquire()
            renew_certificate(config, self._keys.authorities, clock.wall(), full=store.room.read_only)
            parts = build(build_base(config, clock, self._keys, self._files, store, epoch))
            await prepare(parts)
            try:
                await run_until(parts, stop_on_signals())
            except* UserError as group:
                error = first_error(group)
                if isinstance(error, StoreFenced):
                    log.critical("hub.fenced", reason=error.problem, cure=error.cure)
                raise error from None
            await record_end(parts)
            await parts.witnesses.close()
        finally:
            store.close()


async def prepare(parts: Parts) -> None:
    """What has to be known before anybody may come."""
    base, models = parts.base, parts.planning.models.current
    await base.people.refresh()
    await base.fleet.refresh()
    if models is not None:
        models.planner.warm(("operator",), base.fleet.inventory)
    if not base.store.waits:
        await record_event(parts, "hub.started")
        await parts.engine.recovery.load()
    gc.freeze()  # what is built now lives as long as the hub: no collection need walk it


def stop_on_signals() -> asyncio.Event:
    return event_of(signal.SIGTERM, signal.SIGINT)


def event_of(*numbers: int) -> asyncio.Event:
    """An event that is set when one of these signals comes."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in numbers:
        loop.add_signal_handler(number, event.set)
    return event


async def reload_on_hangup(reloader: Reloader) -> None:
    """Reads everything again on SIGHUP, and continues the log in a new file where the old one was moved away."""
    hangup, standard_error = event_of(signal.SIGHUP), StandardError()
    while True:
        await hangup.wait()
        hangup.clear()
        problem = standard_error.reopen()
        if problem:
            log.error("log.not_reopened", problem=problem)
        await reloader.reload()


async def run_until(parts: Parts, stop: asyncio.Event) -> None:
    """Starts everything, says that it is ready, and ends it in order: no new work, then the links, then the rest."""
    web_up, links_up, web_stop = asyncio.Event(), asyncio.Event(), asyncio.Event()
    listen = str(parts.base.config.http.listen)
    async with asyncio.TaskGroup() as tasks:
        delivering = tasks.create_task(parts.delivery.run(), name="delivery")
        asking = tasks.create_task(parts.outbound.run(), name="outbound")
        background = start_background(tasks, parts)
        tls = parts.base.http_tls.context if parts.base.http_tls is not None else None
        proxies = parse_networks(parts.base.config.http.trusted_proxies)
        web = http_server.serve(parts.web, listen, started=web_up, stop=web_stop, tls=tls, trusted_proxies=proxies)
        serving = tasks.create_task(web, name="http")
        linking = tasks.create_task(parts.links.serve(links_up, stop), name="links")
        await web_up.wait()
        await links_up.wait()
        await parts.engine.intake.sweep()
        announce_ready(parts)
        await stop.wait()
        notify(stopping=True)
        log.info("hub.stopping")
        web_stop.set()
        asking.cancel()
        await asyncio.wait([asking])
        await serving
        await linking
        parts.delivery.stop()
        await delivering
        for task in background:
            task.cancel()
        await flush_all(parts)


def start_background(tasks: asyncio.TaskGroup, parts: Parts) -> list[asyncio.Task[None]]:
    """The tasks that run from start to end."""
    planning, reloader = parts.planning, Reloader(parts)
    runs: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
        "engine": parts.engine.run,
        "timers": parts.maintenance.run,
        "witnesses": parts.witnesses.run,
        "consoles": parts.api.run,
        "watchdog": watchdog,
        "authorities": parts.authorities.run,
        "sealing": sealing_tasks(parts.base).run,
        "storage": storage_tasks(parts).run,
        "reload": lambda: reload_on_hangup(reloader),
        "models": reloader.run,
        "fencing": Fencing(parts.base.store, parts.maintenance.health, partial(record_event, parts)).run,
    }
    if planning.summaries is not None:
        runs["summaries"] = planning.summaries.run
    if planning.image_reader is not None:
        runs["ocr"] = planning.image_reader.run
    return [tasks.create_task(run(), name=name) for name, run in runs.items()]


def sealing_tasks(base: Base) -> SealingTasks:
    store = base.config.store
    return SealingTasks(base.store, base.keys.sealer, lambda: read_ring(store), base.clock)


def storage_tasks(parts: Parts) -> StorageTasks:
    base = parts.base

    async def begun(epoch: int) -> None:
        await parts.engine.take_up(epoch)
        await record_event(parts, "hub.started")

    return StorageTasks(
        state=base.storage,
        folder=base.config.folder.path,
        begun=begun,
        write=base.units.write,
        release=parts.links.release,
        changed=parts.api.overview.mark_dirty,
        hub_id=base.keys.hub_id,
        clock=base.clock,
    )


async def flush_all(parts: Parts) -> None:
    """Sums that nobody has written yet. They are lost where the store takes nothing."""
    try:
        await parts.web.state.webhook.flush(parts.base.clock(), all_of_them=True)
        await parts.outbound.flush(parts.base.clock(), all_of_them=True)
        await parts.engine.agent_events.flush(everything=True)
    except WorkFailed as error:
        log.warning("hub.sums_unsaved", reason=str(error))


def announce_ready(parts: Parts) -> None:
    base = parts.base
    config = base.config
    if os.geteuid() == 0:
        log.warning("hub.root", cure="a user of its own needs no more than its folder: systemd/README.md sets it up")
    log.info(
        "hub.ready",
        hub=base.keys.hub_id,
        epoch=parts.engine.epoch,
        http=str(config.http.listen),
        links=str(config.links.listen),
    )
    notify(ready=True, status="serving")


async def record_event(parts: Parts, kind: str) -> None:
    """One audit row about this process, with the hub's time: the next start goes on from it."""

    base = parts.base

    def unit(uow: UnitOfWork) -> None:
        uow.audit(kind, base.keys.hub_id, "hub", {"epoch": parts.engine.epoch})
        write_tick(uow.txn, base.clock)

    await base.units.write(unit)


async def record_end(parts: Parts) -> None:
    """A store that takes nothing now is stopped all the same."""
    try:
        await record_event(parts, "hub.stopped")
    except WorkFailed as error:
        log.warning("hub.stop_unsaved", reason=str(error))


def renew_certificate(config: HubConfig, authorities: Authorities, now: float, *, full: bool) -> None:
    """Where that is due. On a full disk the hub serves with the one that it has."""
    try:
        refresh_certificate(config.folder, authorities, now)
    except UserError as error:
        if not (full and config.folder.certificate.exists()):
            raise
        log.warning("hub.certificate_not_renewed", reason=str(error))


def first_error(group: BaseExceptionGroup[UserError]) -> UserError:
    """The first leaf of a group: what a person is told."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            return first_error(error)
        return error
    raise AssertionError("an exception group is never empty")
