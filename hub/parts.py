"""The parts of the hub and how they are put together: the only module that knows every part.

    base -> delivery, planning -> engine -> outbound -> operators' API -> links -> webhook -> maintenance

Each part is complete when it is built: it gets what it needs, and what it does after commits it subscribes to the
fan-out, which is part of the base.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from starlette.applications import Starlette

from common.identity.certificates import DAY
from hub.api.verbs import OperatorApi
from hub.archive.archiver import Archiver
from hub.archive.reader import AuditArchive
from hub.authorities import AuthorityTasks, renew_certificates
from hub.base import Base
from hub.chat.code_form_door import CodeFormDeps
from hub.chat.confirm_page import ConfirmDeps
from hub.chat.delivery import DeliveryWorker
from hub.chat.inlet_memory import write_heard
from hub.chat.inlet_status import InletStatusReader
from hub.chat.inlets import Inlet
from hub.chat.open_sockets import OpenSockets
from hub.chat.outbound import OutboundSupervisor
from hub.chat.passkey_page import PasskeyDeps
from hub.chat.picture_fetch import PictureFetcher
from hub.chat.recorder import DeliveryRecorder
from hub.chat.refusals import Refusals, record_refusal
from hub.chat.webhook import WebhookDeps, WebhookLimits, build_app
from hub.cleanup import Cleanup
from hub.config import HubConfig
from hub.core.outcome import BOT
from hub.core.rate_limits import parse_networks
from hub.engine.effects import Effects
from hub.engine.engine import Engine
from hub.engine.file_notices import FileNotices
from hub.engine.partial_results import PartialResults
from hub.engine.pause_drain import PauseDrainTask
from hub.engine.request_actions import RequestActions
from hub.engine.runbook_drafts import DraftActions
from hub.engine.standing_approvals import StandingApprovals
from hub.engine.summaries import OutputSummarizer
from hub.identity.secret_times import write_uses
from hub.links.console import VerbTable
from hub.links.server import LinkServer
from hub.log import logger
from hub.maintenance import MaintenanceTasks, TimerHealth
from hub.planning.llm.build import LiveModels, PlanningModels, build_models, max_prompt_tokens
from hub.planning.ocr.build import build_image_reader
from hub.planning.ocr.reader import OcrService
from hub.planning.service import PlanningService
from hub.status import (
    budget_warnings,
    file_warnings,
    inlet_warnings,
    read_gauges,
    readiness_problems,
    store_warnings,
    witness_warnings,
)
from hub.time_steps import TimeSteps
from hub.witness.build import build_witnesses
from hub.witness.service import Witnesses

log = logger("hub")


@dataclass(frozen=True, slots=True)
class Planning:
    """Everything that makes a plan of a message; models and pictures only where they are wanted."""

    service: PlanningService
    drafts: DraftActions
    models: LiveModels
    image_reader: OcrService | None
    summaries: OutputSummarizer | None


@dataclass(frozen=True, slots=True)
class Parts:
    """The hub, put together."""

    base: Base
    planning: Planning
    engine: Engine
    delivery: DeliveryWorker
    api: OperatorApi
    links: LinkServer
    web: Starlette
    outbound: OutboundSupervisor
    maintenance: MaintenanceTasks
    witnesses: Witnesses
    inlets: dict[str, Inlet]
    verb_table: VerbTable
    authorities: AuthorityTasks


# ---- building, from the base up


def build(base: Base) -> Parts:
    """Whoever has something to do after a commit subscribes to the fan-out when it is built, in this order."""
    inlets = base.inlets
    sockets = OpenSockets()
    delivery = build_delivery(base, inlets, sockets)
    planning = build_planning(base, inlets)
    actions = RequestActions(base.keys.sealer, StandingApprovals(base.config.approvals))
    engine = build_engine(base, planning, actions, inlets)
    outbound = build_outbound(base, engine, inlets, sockets)
    recorder = DeliveryRecorder(base.store, inlets, base.config.folder.path)
    status = InletStatusReader(inlets, base.activity, outbound.states, base.clock, recorder.left)
    witnesses = build_witnesses(base.config, base.keys, base.store, base.composer, delivery.wake, base.clock.wall)
    health = TimerHealth()
    api = build_api(base, planning, engine, actions, status, witnesses, health)
    verb_table = VerbTable(refresh=base.people.refresh, renew=engine.renew)
    links = build_links(base, engine, api, verb_table)
    authorities = build_authorities(base, links)
    web = build_http(base, engine, inlets, links, outbound, status, recorder, health, witnesses)
    maintenance = build_maintenance(
        base, planning, engine, links, web, outbound, recorder, health, witnesses, authorities
    )
    return Parts(
        base,
        planning,
        engine,
        delivery,
        api,
        links,
        web,
        outbound,
        maintenance,
        witnesses,
        inlets,
        verb_table,
        authorities,
    )


def build_delivery(base: Base, inlets: Mapping[str, Inlet], sockets: OpenSockets) -> DeliveryWorker:
    delivery = DeliveryWorker(
        base.store, inlets, base.clock, base.metrics, base.echo_guard, sockets, base.activity, wall=base.clock.wall
    )

    def wake_for_replies(effects: Effects) -> None:
        if effects.replies:
            delivery.wake()

    base.fan_out.subscribe(wake_for_replies)
    return delivery


def build_planning(base: Base, inlets: Mapping[str, Inlet]) -> Planning:
    config = base.config
    models = LiveModels(make_models(base, config))
    drafts = DraftActions(
        store=base.store,
        units=base.units,
        world=base.world,
        file=config.runbooks.file,
        history_seconds=config.planning.conversation,
    )
    image_reader = build_image_reader(config)
    service = PlanningService(
        chain=lambda: base.files.chain.value,
        people=base.people,
        fleet=base.fleet,
        clock=base.clock,
        model=models.current.planner if models.current is not None else None,
        image_reader=image_reader,
        draft_commands=drafts,
        policy=lambda: base.files.policy.value,
        bot_of=lambda inlet: inlets[inlet].bot if inlet in inlets else BOT,
    )
    return Planning(service, drafts, models, image_reader, build_summaries(base, models.current))


def make_models(base: Base, config: HubConfig) -> PlanningModels | None:
    """The models of a configuration, and their metrics with the hub's; raises UserError."""
    models = build_models(
        config,
        sealer=base.keys.sealer,
        policy=lambda: base.files.policy.value,
        chain=lambda: base.files.chain.value,
        clock=base.clock,
        monotonic=time.monotonic,
        on_result=base.metrics.count_model_plan,
        on_key=lambda owner, key: base.activity.secrets.note(owner, key, base.clock()),
    )
    if models is not None:
        base.metrics.registry.register(models.metrics)
    return models


def build_summaries(base: Base, models: PlanningModels | None) -> OutputSummarizer | None:
    """What sums up long output; None where it is not wanted, or no model is there."""
    if models is None or not base.config.planning.summaries:
        return None
    summaries = OutputSummarizer(
        store=base.store,
        write=base.units.write,
        models=models.pool,
        sealer=base.keys.sealer,
        composer=base.composer,
        tokens=max_prompt_tokens(base.config),
        clock=time.monotonic,
    )
    base.fan_out.subscribe(summaries.on_commit)
    return summaries


def build_engine(base: Base, planning: Planning, actions: RequestActions, inlets: Mapping[str, Inlet]) -> Engine:
    engine = Engine(
        store=base.store,
        units=base.units,
        fleet=base.fleet,
        people=base.people,
        planning_service=planning.service,
        sealer=base.keys.sealer,
        composer=base.composer,
        actions=actions,
        authorities=base.authorities,
        job_key=base.keys.job_key,
        epoch=base.epoch,
        echo_guard=base.echo_guard,
        config=base.config,
        metrics=base.metrics,
        clock=base.clock,
        wall=base.clock.wall,
        recovery=base.recovery,
        inlets=base.inlets,
        fetch_pictures=PictureFetcher(inlets, base.clock.wall).fetch,
    )
    base.fan_out.subscribe(engine.wakes.on_commit)
    return engine


def build_api(
    base: Base,
    planning: Planning,
    engine: Engine,
    actions: RequestActions,
    inlets: InletStatusReader,
    witnesses: Witnesses,
    health: TimerHealth,
) -> OperatorApi:
    config = base.config
    api = OperatorApi(
        store=base.store,
        engine=engine,
        actions=actions,
        drafts=planning.drafts,
        fleet=base.fleet,
        people=base.people,
        hub_id=base.keys.hub_id,
        clock=base.clock,
        decide_within=config.queue.decide_within,
        choices=lambda field: base.files.filter_choices(config, field),
        files=base.files.problems,
        models=planning.models,
        inlets=inlets.read,
        witnesses=witnesses.states,
        hub_ahead=lambda: base.clock.ahead,
        over_budget=lambda: health.over_budget,
        storage=base.storage,
    )
    base.fan_out.subscribe(api.on_commit)
    base.fan_out.subscribe_agents(api.on_agent_changed)
    return api


def build_links(base: Base, engine: Engine, api: OperatorApi, verb_table: VerbTable) -> LinkServer:
    api.register(verb_table)
    links = LinkServer(
        store=base.store,
        fleet=base.fleet,
        engine=engine,
        verb_table=verb_table,
        authorities=base.authorities,
        job_keys=base.keys.job_keys,
        hub_id=base.keys.hub_id,
        config=base.config,
        tls=lambda: base.tls.context,
        clock=base.clock,
        wall=base.clock.wall,
    )
    base.fan_out.subscribe(links.on_commit)
    engine.on_epoch = links.raise_epoch
    engine.places.hold, engine.places.free = links.handover.hold_place, links.handover.free_place
    engine.wakes.tell = links.say
    return links


def build_authorities(base: Base, links: LinkServer) -> AuthorityTasks:
    return AuthorityTasks(
        store=base.store,
        folder=base.config.folder,
        live=base.authorities,
        tls=base.tls,
        tell=links.tell_trust,
        clock=base.clock,
        wall=base.clock.wall,
    )


def build_outbound(base: Base, engine: Engine, inlets: Mapping[str, Inlet], sockets: OpenSockets) -> OutboundSupervisor:
    refusals = Refusals(base.metrics, partial(record_refusal, base.store), base.clock, base.activity)
    return OutboundSupervisor(
        store=base.store,
        inlets=inlets,
        accept=partial(engine.intake.accept, retried=False),  # what was heard is told as received
        refusals=refusals,
        clock=base.clock,
        wall=base.clock.wall,
        sockets=sockets,
        activity=base.activity,
        code_forms=CodeFormDeps(engine.code_forms.form_for, engine.code_forms.take),
    )


def build_http(
    base: Base,
    engine: Engine,
    inlets: Mapping[str, Inlet],
    links: LinkServer,
    outbound: OutboundSupervisor,
    status: InletStatusReader,
    recorder: DeliveryRecorder,
    health: TimerHealth,
    witnesses: Witnesses,
) -> Starlette:
    return build_app(
        WebhookDeps(
            inlets=inlets,
            accept=engine.intake.accept,
            record_refusal=partial(record_refusal, base.store),
            in_line=lambda: engine.intake.in_line,
            ready=lambda: readiness_problems(links, health, base.storage.sentence("en"), base.store.trouble()),
            storage=lambda: base.storage.mode,
            recovery=lambda: base.recovery.sentence("en"),
            warnings=lambda: [
                *file_warnings(base.files.problems(), base.files.hub.waiting),
                *store_warnings(base.store.broken),
                *budget_warnings(health.over_budget),
                *inlet_warnings(status.read()),
                *witness_warnings(witnesses.states(), base.clock()),
            ],
            gauges=lambda: read_gauges(
                base.store,
                links,
                base.files.problems(),
                base.clock(),
                recovering=base.recovery.active,
                inlets=outbound.states(),
                quiet=status.quiet(),
                recording=status.recording(),
                witnesses=witnesses.states(),
            ),
            metrics=base.metrics,
            activity=base.activity,
            record=recorder.note,
            clock=base.clock,
            wall=base.clock.wall,
            limits=WebhookLimits(
                concurrency=base.config.http.concurrency,
                trusted_proxies=parse_networks(base.config.http.trusted_proxies),
            ),
            confirm=ConfirmDeps(engine.confirm_links, engine.confirmations.show, engine.confirmations.act),
            passkeys=PasskeyDeps(engine.passkey_links, engine.passkeys.ask, engine.passkeys.add),
            code_forms=CodeFormDeps(engine.code_forms.form_for, engine.code_forms.take),
        )
    )


def build_maintenance(
    base: Base,
    planning: Planning,
    engine: Engine,
    links: LinkServer,
    web: Starlette,
    outbound: OutboundSupervisor,
    recorder: DeliveryRecorder,
    health: TimerHealth,
    witnesses: Witnesses,
    authorities: AuthorityTasks,
) -> MaintenanceTasks:
    pauses, models = PauseDrainTask(base.store, engine, base.fleet, base.clock), planning.models
    news = PartialResults(base.store, base.units, base.composer, base.clock)
    base.fan_out.subscribe(news.on_commit)
    steps = TimeSteps(base.clock, base.units, base.keys.hub_id, lambda: base.fleet.vitals)

    async def run_due() -> None:
        if models.current is not None and models.current.cache.forget_if_cleared():
            log.info("plans.cleared")
        await pauses.run_due()
        await engine.wakes.run_due()
        await news.run_due()
        await recorder.run_due(base.clock())
        await steps.run_due()
        await write_uses(base.store, base.activity.secrets, base.clock())

    async def flush(now: float) -> None:
        await web.state.webhook.flush(now)
        await write_heard(base.store, base.activity.quiet, now)
        await outbound.flush(now)
        await engine.agent_events.flush()

    return MaintenanceTasks(
        store=base.store,
        engine=engine,
        fleet=base.fleet,
        people=base.people,
        links=links,
        composer=base.composer,
        checkpoint=witnesses.checkpoint,
        cleanup=Cleanup(
            base.store,
            base.config.store,
            base.clock,
            keep_certificates=max(base.config.links.agent_grace, base.config.links.operator_grace) + DAY,
            tell=health.note_budget,
            archiver=Archiver(
                base.store,
                AuditArchive(base.config.audit.archive, base.keys.hub_id, base.keys.audit_known),
                base.keys.audit.key,
                base.clock,
            ),
            keep_events=base.config.audit.keep,
        ),
        reload_files=base.files.reload,
        tell_of_files=FileNotices(base.units, base.people, base.files.problems, base.keys.hub_id).tell,
        renew_certificate=lambda: renew_certificates(base.http_tls, authorities),
        flush=flush,
        run_due=run_due,
        health=health,
        clock=base.clock,
    )
