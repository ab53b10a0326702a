"""What every other part of the hub stands on, and how it is put together; none of it needs any of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hub.chat.compose import ReplyComposer
from hub.chat.inlet_memory import load_heard
from hub.chat.inlets import Inlet, build_inlets
from hub.chat.listener_tls import ListenerTls
from hub.chat.proven_by import remember_secrets
from hub.clock import HubClock, read_tick
from hub.config import HubConfig
from hub.core.approval_proofs import ApprovalProver
from hub.core.echo_guard import EchoGuard
from hub.core.inlet_activity import InletActivity
from hub.engine.effects import EffectFanOut
from hub.engine.recovery_state import RecoveryState
from hub.engine.snapshot import WorldSnapshot, snapshot_source
from hub.engine.unit_of_work import UnitOfWorkRunner
from hub.files import Files
from hub.identity.agents import AgentRegistry
from hub.identity.authorities import LiveAuthorities
from hub.identity.keys import HubKeys
from hub.identity.people import PeopleDirectory
from hub.identity.secret_times import read_uses
from hub.links.live_tls import LinkTls
from hub.metrics import Metrics
from hub.storage import StorageState
from hub.store.store import Store


@dataclass(frozen=True, slots=True)
class Base:
    """What every other part stands on: none of it needs any of them."""

    config: HubConfig
    clock: HubClock
    keys: HubKeys
    files: Files
    store: Store
    epoch: int
    authorities: LiveAuthorities
    tls: LinkTls
    http_tls: ListenerTls | None  # None: plain HTTP, near or behind a proxy
    metrics: Metrics
    fan_out: EffectFanOut
    people: PeopleDirectory
    fleet: AgentRegistry
    inlets: dict[str, Inlet]
    composer: ReplyComposer
    world: Callable[[], WorldSnapshot]
    units: UnitOfWorkRunner
    recovery: RecoveryState
    echo_guard: EchoGuard  # what delivery says, and intake hears
    activity: InletActivity  # what each inlet does
    storage: StorageState  # whether its disk is full, and with what


def build_base(config: HubConfig, clock: HubClock, keys: HubKeys, files: Files, store: Store, epoch: int) -> Base:
    metrics = Metrics()
    fan_out = EffectFanOut(metrics)
    people, fleet = PeopleDirectory(config, store), AgentRegistry(store, fan_out.publish_agent, clock)
    inlets = build_inlets(config)
    remember_secrets(inlets, (activity := InletActivity(metrics.heard, read_uses(store))).secrets)
    tick = store.read_now(read_tick)
    load_heard(store, activity.quiet, inlets, clock() - tick.time if tick is not None else 0.0)
    composer = ReplyComposer(config, inlets)
    recovery = RecoveryState()
    world = snapshot_source(lambda: files.policy.value, lambda: files.chain.value, people, fleet, recovery)
    return Base(
        config=config,
        clock=clock,
        keys=keys,
        files=files,
        store=store,
        epoch=epoch,
        authorities=LiveAuthorities(keys.authorities),
        tls=LinkTls(config.folder, keys.authorities),
        http_tls=ListenerTls.of(config.http),
        metrics=metrics,
        fan_out=fan_out,
        people=people,
        fleet=fleet,
        inlets=inlets,
        composer=composer,
        world=world,
        units=UnitOfWorkRunner(store, composer, world, fan_out, clock, ApprovalProver(keys.job_key), clock.wall),
        recovery=recovery,
        echo_guard=EchoGuard(),
        activity=activity,
        storage=StorageState(store),
    )
