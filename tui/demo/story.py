"""How the demo world begins, and what keeps it going."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from common.api.agents import AgentView
from common.api.requests import ApprovalView
from common.plan import Plan, Step
from tui.demo import cast
from tui.demo.cast import CHANNELS, PEOPLE, SAMPLE_COMMANDS, VERSIONS, SampleCommand
from tui.demo.records import Size
from tui.demo.world import DemoWorld, replace_plan

RECENT_SECONDS = 900.0
"""Seconds of the world that have passed when it is first shown."""
DEFAULT_ROUND_TRIP = 0.02
MAX_ASKING = 6
"""Requests that wait for approval at once."""


def create_world(seed: int, size: Size, now: float) -> DemoWorld:
    """A world at `now`, with a past."""
    world = DemoWorld(seed, size, now - RECENT_SECONDS)
    world.shown_at = now
    _add_agents(world)
    _add_recent_jobs(world)
    _schedule_arrivals(world)
    world.schedule_at(now - 380, lambda: _receive_message(world, cast.RISKY, "bob", "feishu"))
    world.schedule_at(now - 252, lambda: _receive_message(world, cast.SAFE, "han.meimei", "dingtalk"))
    world.schedule_at(now - 9, lambda: _receive_message(world, cast.ROLLBACK, "carol", "slack", ["k8s-1"]))
    world.schedule_at(now - 840, lambda: _add_stuck_job(world))
    world.schedule_at(now - 60, lambda: _add_unknown_job(world))
    world.schedule_at(now - 45, lambda: _receive_message(world, cast.STREAM, "li.lei", "feishu", ["web-eu-0003"]))
    world.schedule_at(now - 300, lambda: _pause(world))
    world.schedule_at(now - 240, lambda: _ask_broadly(world))
    world.schedule_at(now - 31, lambda: _receive_message(world, cast.QUEUED, "dave", "telegram", ["db-2"]))
    world.advance(now)
    return world


def _receive_message(
    world: DemoWorld, sample: SampleCommand, person: str, inlet: str, targets: list[str] | None = None
) -> None:
    world.receive_message(sample, person=person, inlet=inlet, targets=targets or [])


def _add_agents(world: DemoWorld) -> None:
    chance = world.random
    for name in cast.machine_names(world.scale.agents):
        offline = chance.random() < 0.02 and not name.startswith(("db", "k8s", "web-eu"))
        trip = None if offline else chance.uniform(1.2, 4.8) if chance.random() < 0.02 else chance.uniform(0.004, 0.09)
        last_seen = world.now - chance.uniform(60, 90_000) if offline else world.now
        world.agents[name] = AgentView(
            id=name,
            name=name,
            labels=cast.labels_of(name),
            state="active",
            online=not offline,
            last_seen=last_seen,
            away="silent" if offline else "",
            away_since=last_seen if offline else None,
            version=chance.choice(VERSIONS),
            facts={"os": "Debian GNU/Linux 13", "kernel": "6.12.41", "arch": "x86_64"},
            vitals={} if offline else _vitals(world),
            rtt=trip,
        )
    usual = {name: agent.rtt or DEFAULT_ROUND_TRIP for name, agent in world.agents.items()}
    started = world.now + RECENT_SECONDS - 1  # nothing shows how they were before
    world.schedule_at(started, partial(_send_vitals, world, usual))


def _vitals(world: DemoWorld) -> dict[str, float]:
    chance = world.random
    load = chance.gammavariate(1.4, 0.6)
    return {
        "load1": load,
        "cpu": min(100.0, load * 20),
        "memory": chance.uniform(18, 93),
        "disk": chance.uniform(20, 91),
    }


def _send_vitals(world: DemoWorld, usual: dict[str, float]) -> None:
    """A few machines report their vitals; every fifteen seconds each has had its turn. `usual` round trips by machine,
    in seconds.
    """
    names = list(world.agents)
    for name in world.random.sample(names, max(1, len(names) // 60)):
        agent = world.agents[name]
        if agent.online:
            vitals = _vitals(world)
            trip = (agent.rtt or DEFAULT_ROUND_TRIP) * world.random.uniform(0.75, 1.25)
            trip = min(max(trip, usual[name] * 0.5), usual[name] * 2)
            world.store_agent(replace(agent, vitals=vitals, last_seen=world.now, rtt=trip))
    world.schedule_in(0.25, partial(_send_vitals, world, usual))


def _add_recent_jobs(world: DemoWorld) -> None:
    """The commands of the last quarter of an hour, ended."""
    start, plays = world.now, [play for play in SAMPLE_COMMANDS if not play.approval_reason]
    count = min(world.scale.history, 1_200)
    for index in range(count):
        at = start + (RECENT_SECONDS - 5) * index / count
        play = world.random.choices(plays, [play.weight for play in plays])[0]
        world.schedule_at(
            at, partial(_receive_message, world, play, world.random.choice(PEOPLE), world.random.choice(CHANNELS))
        )


def _schedule_arrivals(world: DemoWorld) -> None:
    """Requests keep coming, now and then one that needs an approval."""
    world.schedule_at(world.now + RECENT_SECONDS, partial(_arrive, world))


def _arrive(world: DemoWorld) -> None:
    play = world.random.choices(SAMPLE_COMMANDS, [play.weight for play in SAMPLE_COMMANDS])[0]
    if not play.approval_reason or sum(request.is_asking for request in world.requests.values()) < MAX_ASKING:
        world.receive_message(play)
    world.schedule_in(world.random.expovariate(world.scale.per_second), partial(_arrive, world))


def _add_stuck_job(world: DemoWorld) -> None:
    """A command past its limit that prints nothing any more."""
    world.receive_message(cast.STUCK, person="dave", inlet="ops", targets=["db-1"])
    job = next(reversed(world.jobs.values()))
    world.store_job(replace(job, time_limit=600))


def _add_unknown_job(world: DemoWorld) -> None:
    """A crash between the start of a command and the proof of its end."""
    request = world.receive_message(cast.SAMPLE_COMMANDS[-3], person="erin", inlet="slack", targets=["build-0001"])
    for job in world.jobs_of(request.id):
        reason = "the machine lost power while it ran"
        world.store_job(replace(job, state="unknown", leased_at=world.now, started_at=world.now, reason=reason))
        data = {"agent": job.agent, "argv": list(job.argv or ()), "reason": reason}
        world.append_event("job.unknown", job.id, job.agent, data, job.number)


def _pause(world: DemoWorld) -> None:
    reason = "replication is catching up"
    paused = replace(world.agents["db-2"], paused_by="dave", paused_at=world.now, pause_reason=reason)
    world.store_agent(paused)
    world.append_event("agent.paused", paused.name, "dave", {"reason": reason})


def _ask_broadly(world: DemoWorld) -> None:
    """An approver narrows what somebody asks for; another one approves that, and it runs."""
    asked = world.receive_message(cast.RISKY, person="bob", inlet="feishu", targets=["web-eu-0003", "web-eu-0005"])
    world.schedule_in(25.0, lambda: _edit_plan(world, asked.id))


def _edit_plan(world: DemoWorld, asked: str) -> None:
    plan = Plan((Step(cast.NARROWED, ("web-eu-0003",), time_limit=600),), "operator")
    why = "one machine first, and only old packages"
    new = replace_plan(world, world.requests[asked], plan, "carol", why, "changes production")
    world.schedule_in(20.0, lambda: _approve_edited(world, new.id))


def _approve_edited(world: DemoWorld, identity: str) -> None:
    request = world.requests[identity]
    data = {"plan_hash": request.plan_hash, "second_factor": True, "given": 1, "needed": 1}
    world.append_event("request.approved", request.id, "erin", data, request.number)
    given = ApprovalView(person="erin", granted=True, via="console", at=world.now, second_factor=True)
    world.queue_jobs(replace(request, approvals=(given,)), None)
