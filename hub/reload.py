"""SIGHUP: everything that people write is read again, and what can change takes effect; no link and no job is dropped.

    at once          people, inlets with their secrets, models, limits of queues, retention, log; policy and runbooks
    at the next start, said by name    ports, the store, how pictures are read, and what else LIVE does not list

hub.toml is taken whole or not at all: where it has a mistake what was there before holds, and it is told like a policy
that does not read. One thing is taken all the same, as long as it is TOML: who has left [people], or has less there
than before, has no more than that at once. Models that are replaced finish what they were asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, Final

from common.errors import UserError
from common.read_file import read_toml
from hub.chat.inlets import build_inlets, load_config
from hub.chat.proven_by import remember_secrets
from hub.config import HubConfig
from hub.identity.people import narrowed
from hub.log import configure, logger
from hub.parts import Parts, make_models
from hub.planning.llm.build import PlanningModels
from hub.planning.watched_files import FileProblem

LIVE: Final = frozenset(
    {
        "people", "inlets", "models", "queue", "approvals", "log", "policy.file", "runbooks.file",
        "store.retention", "store.replies", "store.budget",
        "http.rate", "http.burst", "http.body_limit", "http.public_url",
        "links.heartbeat", "links.window", "links.public",
        "planning.models", "planning.deadline", "planning.prompt_tokens", "planning.max_tokens",
        "planning.person_minute", "planning.person_day", "planning.hedge", "planning.merge", "planning.confirm",
        "planning.cache_folder", "planning.cache_entries", "planning.cache_memory", "planning.cache_disk",
        "planning.cache_ttl", "planning.cache_negative_ttl",
    }
)  # fmt: skip
"""Tables and keys of hub.toml that take effect when it is read again."""
_MODEL_TABLES: Final = ("models", "planning")

log = logger("reload")


class Reloader:
    """Reads hub.toml again and gives each part its share. `run` keeps the models' servers going."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.config = parts.base.config
        self._started_with = parts.base.config
        self._pools: asyncio.Queue[PlanningModels] = asyncio.Queue()
        if parts.planning.models.current is not None:
            self._pools.put_nowait(parts.planning.models.current)

    async def run(self) -> None:
        """Runs the pool of the models in use; one that was replaced goes on for as long as an answer may take."""
        async with asyncio.TaskGroup() as group:
            running: asyncio.Task[None] | None = None
            loop = asyncio.get_running_loop()
            while True:
                models = await self._pools.get()
                if running is not None:
                    loop.call_later(self.config.planning.deadline, running.cancel)
                running = group.create_task(models.pool.run(), name="models")

    async def reload(self) -> None:
        """Everything again; never raises for what stands in a file."""
        base = self._parts.base
        changed: list[str] = []
        try:
            fresh = await asyncio.to_thread(load_config, base.config.path)
            changed = changed_keys(self.config, fresh)
            self._apply(fresh, changed)
        except UserError as error:
            problems = getattr(error, "problems", ()) or (str(error),)
            base.files.hub.problem = FileProblem("hub", base.config.path, tuple(problems), since=base.clock(), looks=2)
            log.error("file.refused", file=str(base.config.path), problem=str(error))
            changed = await asyncio.to_thread(self._narrow_people)
        else:
            base.files.hub.problem = None
            base.files.hub.waiting = tuple(key for key in changed_keys(self._started_with, fresh) if not is_live(key))
        self._listener_certificate()
        await asyncio.to_thread(self._watched_files)
        await base.people.refresh()
        waiting = list(base.files.hub.waiting)
        data = {"changed": changed, "next_start": waiting}
        await base.units.write(lambda uow: uow.audit("hub.reloaded", base.keys.hub_id, "hub", data))
        log.info("hub.reloaded", changed=changed, next_start=waiting)

    def _narrow_people(self) -> list[str]:
        """Takes from people what a hub.toml with a mistake takes from them; the keys that it changed."""
        base, before = self._parts.base, self.config.people
        try:
            written = read_toml(base.config.path, "").get("people")
        except UserError:
            return []
        people = narrowed(before, written)
        names = [name for name in before if people.get(name) != before[name]]
        if names:
            self.config = replace(self.config, people=people)
            base.people.configure(people)
            log.warning("people.narrowed", names=names)
        return [f"people.{name}" for name in names]

    def _listener_certificate(self) -> None:
        tls = self._parts.base.http_tls
        if tls is None:
            return
        try:
            tls.reload()
        except UserError as error:
            log.error("file.refused", file=str(tls.certificate_file), problem=str(error))

    def _watched_files(self) -> None:
        files = self._parts.base.files
        for watched, path in ((files.policy, self.config.policy.file), (files.chain, self.config.runbooks.file)):
            problem = watched.reload(path)
            if problem:
                log.error("file.refused", file=str(path), problem=problem)

    def _apply(self, fresh: HubConfig, changed: list[str]) -> None:
        """One step of the event loop: nobody sees half of it. What may fail comes first."""
        parts, base = self._parts, self._parts.base
        inlets = build_inlets(fresh)
        replaced = any(key.split(".")[0] in _MODEL_TABLES and is_live(key) for key in changed)
        models = self._new_models(fresh) if replaced else parts.planning.models.current
        self.config = fresh
        remember_secrets(inlets, base.activity.secrets)
        parts.inlets.clear()
        parts.inlets.update(inlets)
        parts.web.state.webhook.reconfigure()
        parts.outbound.reconfigure()
        base.composer.configure(fresh, inlets)
        base.people.configure(fresh.people)
        parts.engine.intake.configure(fresh)
        parts.engine.standing.settings = fresh.approvals
        parts.links.configure(fresh)
        parts.api.decide_within = fresh.queue.decide_within
        parts.maintenance.cleanup.configure(fresh.store)
        parts.planning.drafts.file = fresh.runbooks.file
        configure(fresh.log.level, fresh.log.format)
        if replaced:
            self._use(models)

    def _new_models(self, fresh: HubConfig) -> PlanningModels | None:
        registry, before = self._parts.base.metrics.registry, self._parts.planning.models.current
        if before is not None:
            registry.unregister(before.metrics)
        try:
            return make_models(self._parts.base, fresh)
        except UserError:
            if before is not None:
                registry.register(before.metrics)
            raise

    def _use(self, models: PlanningModels | None) -> None:
        parts = self._parts
        parts.planning.models.current = models
        parts.planning.service.use_model(models.planner if models is not None else None)
        parts.api.use_models(parts.planning.models)
        parts.api.register(parts.verb_table)
        if models is None:
            return
        self._pools.put_nowait(models)
        models.planner.warm(("operator",), parts.base.fleet.inventory)
        if parts.planning.summaries is not None:
            parts.planning.summaries.use_models(models.pool)


def is_live(key: str) -> bool:
    """Whether a key, `table.key`, takes effect when hub.toml is read again."""
    return key in LIVE or key.split(".")[0] in LIVE


def changed_keys(before: HubConfig, after: HubConfig) -> list[str]:
    """The keys of hub.toml that differ, as `table.key`, never with their values: some are secrets."""
    return list(_changed("", before, after))


def _changed(place: str, before: Any, after: Any) -> Iterator[str]:
    if is_dataclass(before) and type(before) is type(after):
        for entry in fields(before):
            name = f"{place}.{entry.name}" if place else entry.name
            yield from _changed(name, getattr(before, entry.name), getattr(after, entry.name))
    elif isinstance(before, dict) and isinstance(after, dict):
        for name in sorted(before.keys() | after.keys()):
            if before.get(name) != after.get(name):
                yield f"{place}.{name}"
    elif before != after:
        yield place
