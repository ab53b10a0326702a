"""A machine's row: what several readers ask of it."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from common.api.agents import AgentView, DrainView
from common.api.codec import decode, encode
from common.filter.match import FLAG_PREDICATES

DRAIN = DrainView(by="bob", at=1.0, left=1, of=2)


@pytest.mark.parametrize(
    ("state", "online", "paused", "draining", "running"),
    itertools.product(("active", "locked", "revoked"), (True, False), ("", "bob"), (None, DRAIN), (0, 2)),
)
def test_conditions_are_those_of_the_filter_language(
    state: str, online: bool, paused: str, draining: DrainView | None, running: int
) -> None:
    """What `is:` names there."""
    agent = AgentView(name="web-1", state=state, online=online, paused_by=paused, draining=draining, running=running)
    flags = {name: flag(encode(agent), 0.0) for name, flag in FLAG_PREDICATES["agents"].items()}
    assert flags == {
        "online": agent.online,
        "offline": not agent.online,
        "paused": agent.is_paused,
        "draining": agent.is_draining,
        "busy": agent.is_busy,
        "active": agent.is_active,
        "locked": agent.is_locked,
        "revoked": agent.is_revoked,
        "bad": agent.is_bad,
    }
    assert agent.takes_jobs is (state == "active" and not paused and draining is None)


def test_the_runner_s_version_is_told_where_it_is_another() -> None:
    """One that was not upgraded with its uplink, or has not said."""
    agent = AgentView(name="web-1", state="active", online=True, version="1.1", facts={"runner": "1.0"})
    assert agent.versions == "1.1, runner 1.0"
    assert replace(agent, facts={"runner": "1.1"}).versions == replace(agent, facts={}).versions == "1.1"
    assert replace(agent, version="").versions == ""


def test_labels_as_people_write_them() -> None:
    """In the order of their names."""
    agent = AgentView(name="a", state="active", online=True, labels={"role": "web", "env": "prod"})
    assert agent.label_words == "env=prod role=web"
    assert decode(AgentView, {"name": "a", "state": "active", "online": True}).label_words == ""


def test_the_vitals_by_name() -> None:
    """None where they are not known."""
    known = AgentView(name="a", state="active", online=True, vitals={"load1": 0.5, "memory": 40.0})
    assert (known.load, known.memory, known.disk) == (0.5, 40.0, None)
