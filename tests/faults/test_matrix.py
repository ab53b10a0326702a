"""tests.faults.matrix: a share of the cells with every test run, and that the table can fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.link.codec import Frame, decode, encode
from common.link.messages import Accepted, Beat
from tests.faults import faults
from tests.faults.faults import FAULTS, SKIPPED, Fault
from tests.faults.matrix import SAMPLE, Cell, cells, markdown, name_of, play_cell, play_matrix
from tests.faults.points import is_point
from tests.faults.steps import BY_ID, STEPS
from tests.faults.world import World, running_world


@pytest.mark.timeout(300)
async def test_a_share_of_the_matrix_holds(tmp_path: Path) -> None:
    """Every step once, and every way in which programs, links and frames go wrong."""
    played = await play_matrix(tmp_path, SAMPLE)
    assert len(played) == len(SAMPLE)
    assert [f"{cell.id}: {found}" for cell in played for found in cell.violations] == []


@pytest.mark.timeout(300)
async def test_what_does_not_hold_is_found(tmp_path: Path) -> None:
    """A machine whose runner forgets what it started, and a fault that ends no program but what the hub knows."""

    async def start_again(world: World, step: object, pid: int) -> None:
        """What a runner would do that lost its markers: the same command once more."""
        world.release(pid)
        await world.until(world.oracle.starts, "a start")
        line = world.oracle.file.read_text().splitlines()[-1]
        world.oracle.file.write_text(f"{line}\n{line}\n")

    twice = Fault("F0", "a second start", start_again)
    async with running_world(tmp_path) as world:
        cell = await play_cell(world, BY_ID["S7"], twice)
        assert any("started 2 times" in found for found in cell.violations)
        world.oracle.file.unlink()
        hidden = Fault("F0", "nothing is known of a runner's end", faults.kill_runner)
        cell = await play_cell(world, BY_ID["S10"], hidden)
        assert any("is unknown, and nothing here" in found for found in cell.violations)


def test_every_step_is_a_place_that_a_program_reaches() -> None:
    """A cell that is in no table is played by nobody: F1 to F16 are there, or skipped with a reason."""
    assert [step.id for step in STEPS] == [f"S{number}" for number in range(1, 16)]
    assert all(is_point(step.point) for step in STEPS)
    told = " ".join([fault.id for fault in FAULTS] + list(SKIPPED))
    assert all(f"F{number}" in told for number in range(1, 17))
    assert {name_of(step, fault) for step, fault in cells()} >= set(SAMPLE)
    assert {step.id for step, _ in cells(SAMPLE)} >= {
        step.id for step in STEPS if step.id not in ("S2", "S3", "S4", "S5")
    }
    assert len(cells()) == len(STEPS) * len(FAULTS)
    assert cells(["F1"]) == [(step, FAULTS[0]) for step in STEPS]


def test_the_table_names_what_does_not_hold() -> None:
    """A cell that was played more than once is summed up."""
    held, broken = Cell("S1", "F1", {"succeeded": 1}, 1.0, []), Cell("S1", "F1", {}, 1.0, ["J started 2 times"])
    assert "| S1 webhook read, not committed | succeeded |" in markdown([held])
    assert "2 succeeded, 1 J started 2 times" in markdown([held, held, broken])


async def test_what_becomes_of_frames() -> None:
    """Doubled, behind the next one, and a recorded one under the number that comes next."""
    first, second = (encode(Accepted(job, "h"), seq=seq) for seq, job in enumerate(("A", "B"), 1))
    world = object()
    assert faults.doubled(world)(decode(first, "agent"), first) == (first, first)  # type: ignore[arg-type]
    late = faults.reordered(world)  # type: ignore[arg-type]
    beat = encode(Beat(1.0))
    assert late(decode(first, "agent"), first) == ()
    assert late(decode(second, "agent"), second) == (second, first)
    assert late(Frame(Beat(1.0)), beat) == (beat,)
    again = faults.once_more(decode(first, "agent"), lambda: None)
    assert again(Frame(Beat(1.0)), beat) == (beat,)
    original, replayed = again(decode(second, "agent"), second)
    assert (original, decode(replayed, "agent").seq) == (second, 3)
    assert decode(replayed, "agent").message == Accepted("A", "h")
    assert again(decode(second, "agent"), second) == (second,)
