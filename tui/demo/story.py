"""How the demo world begins, and what keeps it going."""

from __future__ import annotations

from functools import partial

from tui.demo import cast
from tui.demo.cast import INLETS, PEOPLE, PLAYS, VERSIONS, Play
from tui.demo.world import Size, World

BEFORE = 900.0
"""Seconds that have passed when the curtain rises."""


def begin(seed: int, size: Size, now: float) -> World:
    """A world at `now`, with a past."""
    world = World(seed, size, now - BEFORE)
    _machines(world)
    _past(world)
    _arrivals(world)
    world.at(now - 380, lambda: _ask(world, cast.RISKY, "bob", "feishu"))
    world.at(now - 252, lambda: _ask(world, cast.SAFE, "han.meimei", "dingtalk"))
    world.at(now - 9, lambda: _ask(world, cast.ROLLBACK, "carol", "slack", ["k8s-1"]))
    world.at(now - 840, lambda: _stuck(world))
    world.at(now - 60, lambda: _unknown(world))
    world.at(now - 45, lambda: _ask(world, cast.STREAM, "li.lei", "feishu", ["web-eu-0003"]))
    world.at(now - 300, lambda: _pause(world))
    world.at(now - 31, lambda: _ask(world, cast.QUEUED, "dave", "telegram", ["db-2"]))
    world.advance(now)
    return world


def _ask(world: World, play: Play, person: str, inlet: str, targets: list[str] | None = None) -> None:
    world.ask(play, person=person, inlet=inlet, targets=targets or [])


def _machines(world: World) -> None:
    chance = world.random
    for name in cast.machine_names(world.scale.agents):
        offline = chance.random() < 0.02 and not name.startswith(("db", "k8s", "web-eu"))
        trip = None if offline else chance.uniform(1.2, 4.8) if chance.random() < 0.02 else chance.uniform(0.004, 0.09)
        world.agents[name] = {
            "id": name,
            "name": name,
            "labels": cast.labels_of(name),
            "state": "active",
            "online": not offline,
            "last_seen": world.now - chance.uniform(60, 90_000) if offline else world.now,
            "version": chance.choice(VERSIONS),
            "facts": {"os": "Debian GNU/Linux 13", "kernel": "6.12.41", "arch": "x86_64"},
            "vitals": {} if offline else _vitals(world),
            "rtt": trip,
            "usual_rtt": trip,
            "paused_by": "",
            "paused_at": None,
            "pause_reason": "",
            "draining": None,
            "queued": 0,
            "running": 0,
        }
    world.at(world.now + BEFORE - 1, lambda: _breathe(world))  # nobody sees how they were before


def _vitals(world: World) -> dict[str, float]:
    chance = world.random
    load = chance.gammavariate(1.4, 0.6)
    return {
        "load1": load,
        "cpu": min(100.0, load * 20),
        "memory": chance.uniform(18, 93),
        "disk": chance.uniform(20, 91),
    }


def _breathe(world: World) -> None:
    """A few machines say how they are; every fifteen seconds each has had its turn."""
    names = list(world.agents)
    for name in world.random.sample(names, max(1, len(names) // 60)):
        agent = world.agents[name]
        if agent["online"]:
            agent["vitals"], agent["last_seen"] = _vitals(world), world.now
            usual = (agent["rtt"] or 0.02) * world.random.uniform(0.75, 1.25)
            agent["rtt"] = min(max(usual, agent["usual_rtt"] * 0.5), agent["usual_rtt"] * 2)
            world.touched("agents", name)
    world.after(0.25, lambda: _breathe(world))


def _past(world: World) -> None:
    """The commands of the last quarter of an hour, ended."""
    start, plays = world.now, [play for play in PLAYS if not play.asks]
    count = min(world.scale.history, 1_200)
    for index in range(count):
        at = start + (BEFORE - 5) * index / count
        play = world.random.choices(plays, [play.weight for play in plays])[0]
        world.at(at, partial(_ask, world, play, world.random.choice(PEOPLE), world.random.choice(INLETS)))


def _arrivals(world: World) -> None:
    """Requests keep coming, now and then one that needs a yes."""

    def arrive() -> None:
        play = world.random.choices(PLAYS, [play.weight for play in PLAYS])[0]
        waiting = sum(1 for row in world.requests.values() if row["state"] == "asking")
        if not play.asks or waiting < 6:
            world.ask(play)
        world.after(world.random.expovariate(world.scale.per_second), arrive)

    world.at(world.now + BEFORE, arrive)


def _stuck(world: World) -> None:
    """A command past its limit that prints nothing any more."""
    world.ask(cast.STUCK, person="dave", inlet="ops", targets=["db-1"])
    job = next(reversed(world.jobs.values()))
    job["time_limit"] = 600


def _unknown(world: World) -> None:
    """A crash fell between the start and the evidence."""
    request = world.ask(cast.PLAYS[-3], person="erin", inlet="slack", targets=["build-0001"])
    for job in world.jobs.values():
        if job["request"] == request["id"]:
            world.set_state(job, "unknown")
            job |= {"leased_at": world.now, "started_at": world.now, "reason": "the machine lost power while it ran"}
            world.event("job.unknown", job["id"], job["agent"], {"agent": job["agent"]}, job["number"])


def _pause(world: World) -> None:
    agent = world.agents["db-2"]
    agent |= {"paused_by": "dave", "paused_at": world.now, "pause_reason": "replication is catching up"}
    world.event("queue.paused", "db-2", "dave", {"reason": agent["pause_reason"]})
