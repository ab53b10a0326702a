"""`python -m tests.faults`: the long tables of faults, as Markdown on standard output, for docs/faults.md.

Each table plays its cases on whole systems of real processes and has the checker read what they left. What is under
way is told on standard error. Status 1 where something was found that must not have been.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import pytest

from tests.faults import clocks, databases, disks, faults, kills, malformed, matrix, outages, upgrades

Table = tuple[str, list[str]]
"""Markdown, and what must not have been."""
UPGRADES: Final = 20


class Row(Protocol):
    @property
    def violations(self) -> Sequence[str]: ...

    def row(self) -> str: ...


def tell(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


async def matrix_table(options: argparse.Namespace, folder: Path) -> Table:
    played = await matrix.play_matrix(folder, options.only, options.count, tell)
    text = matrix.markdown(played)
    if not options.only:
        text += "\n\nNot played here:\n\n" + "\n".join(f"- {what}: {why}" for what, why in faults.SKIPPED.items())
    return text, [f"{cell.id}: {found}" for cell in played for found in cell.violations]


async def kills_table(options: argparse.Namespace, folder: Path) -> Table:
    rows = []
    for victim in kills.VICTIMS:
        if not options.only or victim in options.only:
            rows.append(await kills.kill_again_and_again(folder / victim, victim, options.kills, told=tell))
            tell(rows[-1].row())
    text = "\n".join([kills.HEAD, *(row.row() for row in rows)])
    return text, [f"{row.victim}: {found}" for row in rows for found in row.violations]


async def clocks_table(options: argparse.Namespace, folder: Path) -> Table:
    rows: list[clocks.Outcome] = []

    async def play(outcome: Awaitable[clocks.Outcome]) -> None:
        rows.append(await outcome)
        tell(rows[-1].row())

    for number, ahead in enumerate(clocks.AGENT_CLOCKS):
        await play(clocks.agent_case(folder / f"a{number}", ahead))
    for number, step in enumerate(clocks.HUB_STEPS):
        await play(clocks.hub_case(folder / f"h{number}", [step]))
        await play(clocks.restart_case(folder / f"r{number}", step))
    head = "| case | jobs | late | links | violations |\n|---|---|---|---|---|"
    late = [f"{row.case}: {row.late} late" for row in rows if row.late]
    return "\n".join([head, *(row.row() for row in rows)]), late + [f for row in rows for f in row.violations]


async def rows_table(head: str, cases: Mapping[str, Callable[[Path], Awaitable[Row]]], folder: Path) -> Table:
    """A table with a row for each of these cases; one that cannot be played here says why."""
    rows, found = [head], []
    for number, (case, play) in enumerate(cases.items()):
        try:
            (folder / str(number)).mkdir(parents=True)
            row = await play(folder / str(number))
        except pytest.skip.Exception as skipped:
            rows.append(f"| {case}: not played, {skipped} |")
            continue
        rows.append(row.row())
        tell(row.row())
        found += [f"{case}: {violation}" for violation in row.violations]
    return "\n".join(rows), found


async def disks_table(options: argparse.Namespace, folder: Path) -> Table:
    return await rows_table(disks.HEAD, disks.CASES, folder)


async def postgres_table(options: argparse.Namespace, folder: Path) -> Table:
    cases = {**databases.SHORT, **databases.LONG}
    return await rows_table(
        databases.HEAD,
        {case: partial(databases.run_case, case=case, fault=fault) for case, fault in cases.items()},
        folder,
    )


async def power_table(options: argparse.Namespace, folder: Path) -> Table:
    cases = {case: partial(outages.run_case, case=case, places=places) for case, places in outages.LONG.items()}
    return await rows_table(outages.HEAD, cases, folder)


async def upgrades_table(options: argparse.Namespace, folder: Path) -> Table:
    rows = []
    for both in (False, True):
        (folder / f"{both:d}").mkdir(parents=True)
        rows.append(await upgrades.upgrade_case(folder / f"{both:d}", UPGRADES, both=both))
        tell(rows[-1].row())
    head = "| upgrades | jobs handed on | jobs | came back | violations |\n|---|---|---|---|---|"
    return "\n".join([head, *(row.row() for row in rows)]), [found for row in rows for found in row.violations]


async def malformed_table(options: argparse.Namespace, folder: Path) -> Table:
    report = await malformed.flood(folder, options.malformed, seconds=60 * options.minutes, told=tell)
    return report.markdown(), report.violations


TABLES: Final[Mapping[str, Callable[[argparse.Namespace, Path], Awaitable[Table]]]] = {
    "matrix": matrix_table,
    "kills": kills_table,
    "clocks": clocks_table,
    "disks": disks_table,
    "upgrades": upgrades_table,
    "malformed": malformed_table,
    "postgres": postgres_table,
    "power": power_table,
}


async def run(options: argparse.Namespace, folder: Path) -> list[str]:
    found: list[str] = []
    for name in options.tables or TABLES:
        try:
            text, violations = await TABLES[name](options, folder / f"{list(TABLES).index(name)}")
        except pytest.skip.Exception as skipped:  # root or a compiler is missing
            text, violations = f"Not played here: {skipped.msg}", []
        print(f"\n## {name}\n\n{text}", flush=True)
        found += violations
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description="Plays the tables of faults and prints them as Markdown; status 1 where something did not hold.",
        epilog="examples: `python -m tests.faults matrix --only F1 --count 20`, `… matrix --only S7xF9r`, "
        "`… kills --only hub --kills 200`, `… malformed --malformed 1000000`",
    )
    parser.add_argument("tables", nargs="*", help=f"which of {', '.join(TABLES)}; left out, all")
    parser.add_argument(
        "--only", action="append", default=[], metavar="ID", help="a step, a fault, a cell (S7xF1), or who is killed"
    )
    parser.add_argument("--count", type=int, default=1, metavar="N", help="how often each cell of the matrix is played")
    parser.add_argument("--kills", type=int, default=200, metavar="N", help="kill -9 of each program")
    parser.add_argument(
        "--malformed", type=int, default=1_000_000, metavar="N", help="malformed frames and bodies that are sent"
    )
    parser.add_argument("--minutes", type=float, default=120.0, metavar="M", help="after which that flood ends")
    options = parser.parse_args()
    if unknown := sorted(set(options.tables) - set(TABLES)):
        parser.error(f"there is no table {', '.join(unknown)}; there are {', '.join(TABLES)}")
    known = {one for step, fault in matrix.cells() for one in (step.id, fault.id, matrix.name_of(step, fault))}
    if unknown := sorted(set(options.only) - known - set(kills.VICTIMS)):
        parser.error(f"--only {', '.join(unknown)}: there is no such step, fault or cell, nor such a program")
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None, prefix="f") as folder:
        found = asyncio.run(run(options, Path(folder)))
    for one in found:
        print(f"did not hold: {one}", file=sys.stderr)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
