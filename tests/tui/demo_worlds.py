"""Demo worlds made once a process and copied, since making one takes longer than many a test that looks at it."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

from tui.demo import cast
from tui.demo.records import Size
from tui.demo.story import create_world
from tui.demo.world import DemoWorld

_create: Any = cache(create_world)


def copy_world(world: DemoWorld) -> DemoWorld:
    """One that goes on by itself. The frozen rows are the same objects in both."""
    outputs = world.outputs.values()
    shared = [
        *(row for rows in (world.agents, world.jobs, world.requests) for row in rows.values()),
        *world.events,
        *(chunk for output in outputs for chunk in output.chunks),
        *(value for value in vars(cast).values() if isinstance(value, cast.SampleCommand)),
        *cast.SAMPLE_COMMANDS,
    ]
    return copy.deepcopy(world, {id(row): row for row in shared})


def ready_world(seed: int, size: Size, now: float) -> DemoWorld:
    """As `create_world`."""
    made: DemoWorld = _create(seed, size, now)
    return copy_world(made)
