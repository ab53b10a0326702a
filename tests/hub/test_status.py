"""What the pages of the webhook's port show."""

from __future__ import annotations

from pathlib import Path

from hub.chat.inlet_status import InletStatus
from hub.chat.outbound import OutboundState
from hub.links.server import LinkServer
from hub.maintenance import TimerHealth
from hub.metrics import Metrics
from hub.planning.watched_files import FileProblem
from hub.status import file_warnings, inlet_warnings, read_gauges, readiness_problems, witness_warnings
from hub.witness.service import PATIENCE, PlaceState
from tests.hub.hub_harness import HubHarness
from tests.hub.link_harness import LinkHarness

PROBLEM = FileProblem("policy", Path("/etc/x/policy.toml"), ("policy.toml: line 7: a secret: mend it",), since=3.0)


def links_of(harness: HubHarness) -> LinkServer:
    return LinkHarness(harness).links


async def test_why_the_hub_is_not_ready(harness: HubHarness) -> None:
    """Machines cannot dial in, or a timer fails; a recovery is no reason, for messages are to come."""
    links, health = links_of(harness), TimerHealth()
    assert readiness_problems(links, health) == ["machines cannot dial in: the hub is starting or stopping"]
    links.listening = True
    assert readiness_problems(links, health) == []
    assert readiness_problems(links, health, "full of x") == ["storage: full of x"]
    assert readiness_problems(links, health, "", "locked") == ["locked"]
    assert readiness_problems(links, health, "full of x", "full") == ["storage: full of x"]
    health.failing["lapse"] = "the disk is full"
    assert readiness_problems(links, health) == ["lapse: the disk is full"]


def test_what_somebody_should_look_at() -> None:
    """Which file, and nothing of what is in it."""
    (told,) = file_warnings([PROBLEM])
    assert "policy" in told
    assert "secret" not in told
    assert file_warnings([], ["http.listen"])[0].endswith("http.listen")
    assert file_warnings([]) == []


def test_inlets_that_are_not_well() -> None:
    """A line for each trouble of each, as `doctor` prints it; those that are well have none."""
    down = OutboundState("far", error="the token is wrong")
    inlets = [
        InletStatus("far", "made-up", outbound=down, reply_problem="no answer"),
        InletStatus("hush", "made-up", quiet=True, quiet_after=7_200.0),
        InletStatus("ops", "made-up", waiting=3),
    ]
    assert inlet_warnings(inlets) == [
        "inlet far: the token is wrong",
        "inlet far: replies do not arrive: no answer",
        "inlet hush: nothing was delivered for longer than 2h00m",
    ]


def test_witnesses_that_are_not_well() -> None:
    """Nothing signed at once, a place that takes nothing after a while; each with why."""
    states = [PlaceState("checkpoint", 0.0), PlaceState("s3", 600.0)]
    assert witness_warnings(states, 0.0) == []
    for state in states:
        state.failed("odd", 10.0)
    assert witness_warnings(states, 11.0) == ["audit checkpoint: odd"]
    assert witness_warnings(states, 10.0 + PATIENCE) == ["audit checkpoint: odd", "audit s3: odd"]


async def test_the_gauges_are_of_now(harness: HubHarness) -> None:
    """Jobs by state, the oldest's age, files, and whether the hub waits for an admin after a restore."""
    links = links_of(harness)
    await harness.queued_job()
    harness.clock.advance(30)
    found = await read_gauges(harness.store, links, [PROBLEM], harness.clock.now)
    assert (found.jobs["queued"], found.queue_age, found.agents, found.recovering) == (1, 30.0, 0, False)
    assert {name for name, refused in found.files_refused.items() if refused} == {"policy"}
    assert (await read_gauges(harness.store, links, [], harness.clock.now, recovering=True)).recovering
    hush = await read_gauges(harness.store, links, [], harness.clock.now, quiet={"ops": True})
    assert 'answerback_inlet_quiet{inlet="ops"} 1.0' in Metrics().render(hush).decode()
