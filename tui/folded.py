"""What many machines said, folded: those that ended alike with the same output are one group, told once.

Two outputs are the same where their digests are: the machines' runners count what each stream printed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from common.catalogue import say
from tui.answers import ask
from tui.commands import SETTLED
from tui.detail_text import end_words
from tui.format import Line, Look, Tone, command, number, one_line
from tui.lines import STDERR, OutputLines
from tui.model import Row
from tui.rows import job_state
from tui.source import Source

MAX_GROUPS: Final = 12
"""Groups whose output is asked for; the others are counted."""
MAX_LINES: Final = 60
"""Lines of one group's output that are shown."""
NAMES: Final = 8
AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class Group:
    """Jobs that came to the same; `jobs` begins with the one whose output is shown for all."""

    jobs: tuple[Row, ...]

    @property
    def first(self) -> Row:
        return self.jobs[0]

    @property
    def ended(self) -> bool:
        """Whether what they printed is known, and so is known to be the same."""
        return str(self.first.get("state")) in SETTLED


def fold(jobs: Iterable[Row]) -> list[Group]:
    """By what was run, how it ended and what was printed; the most first, among equals what did not go well."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for job in jobs:
        alike = (job.get("step"), job.get("state"), job.get("exit_code"), job.get("signal"), _printed(job))
        found.setdefault(tuple(map(str, alike)), []).append(job)
    groups = [Group(tuple(alike)) for alike in found.values()]
    return sorted(groups, key=lambda group: (-len(group.jobs), group.first.get("state") == "succeeded"))


def _printed(job: Row) -> Any:
    """What tells one output from another; of a job whose digest is not known, the job itself."""
    if str(job.get("state")) not in SETTLED:
        return ""
    return job.get("output_digest") or (job.get("id") if job.get("output_bytes") != 0 else "")


async def outputs_of(source: Source, groups: Sequence[Group]) -> dict[str, OutputLines]:
    """The output of each group's first job, as far as it is shown; what does not come is left out."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(job: Row) -> tuple[str, OutputLines | None]:
        async with gate:
            answer = await ask(source.call, "job", id=job["id"])
        if answer.next != "done" or not isinstance(answer.data, dict):
            return str(job["id"]), None
        lines = OutputLines()
        lines.feed(chunk for chunk in answer.data.get("output", ()) if isinstance(chunk, Mapping))
        return str(job["id"]), lines

    async with asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(one(group.first)) for group in groups[:MAX_GROUPS] if group.ended]
    return {identity: lines for identity, lines in (task.result() for task in asked) if lines is not None}


def folded_lines(groups: Sequence[Group], outputs: Mapping[str, OutputLines], look: Look, missing: int) -> list[Line]:
    """The groups, each with its machines and its output; `outputs` by the id of each group's first job, `missing` is
    how many jobs there are beside these.
    """
    lines: list[Line] = []
    steps = {str(job.get("step")) for group in groups for job in group.jobs}
    for group in groups[:MAX_GROUPS]:
        lines += _head(group, look, with_command=len(steps) > 1)
        lines += _output(outputs.get(str(group.first.get("id"))), look)
    beside = sum(len(group.jobs) for group in groups[MAX_GROUPS:]) + max(0, missing)
    if beside:
        lines.append(Line(say(look.language, "console_fold_beside", count=number(beside)), "dim"))
    return lines


def _head(group: Group, look: Look, *, with_command: bool) -> list[Line]:
    first, state = group.first, job_state(group.first, look)
    names = sorted(one_line(job.get("agent", "?"), 64) for job in group.jobs)
    named = ", ".join(names[:NAMES]) + (f" +{len(names) - NAMES}" if len(names) > NAMES else "")
    words = f"{state.text}  {end_words(first, look)}".rstrip() if len(group.jobs) == 1 else _how(first, state.text)
    told = say(look.language, "console_fold_group", count=number(len(names)), how=words, names=named)
    tone: Tone = state.tone or "head"
    return [Line(told, tone), *([Line(command(first.get("argv")), "key", "|")] if with_command else [])]


def _how(job: Row, state: str) -> str:
    """How all of a group ended: what differs from machine to machine, as its time, is left out."""
    if job.get("signal"):
        return f"{state} signal {one_line(job['signal'], 4)}"
    return state if job.get("exit_code") is None else f"{state} exit {one_line(job['exit_code'], 6)}"


def _output(lines: OutputLines | None, look: Look) -> list[Line]:
    if lines is None:
        return []
    told = lines.all()
    shown = [
        Line(line.text, "warn" if line.stream == STDERR else "", "!" if line.stream == STDERR else "|") for line in told
    ]
    if not shown:
        return [Line(say(look.language, "console_fold_silent"), "dim")]
    if len(shown) > MAX_LINES:
        more = say(look.language, "console_fold_more", count=number(len(shown) - MAX_LINES))
        return [*shown[:MAX_LINES], Line(more, "dim")]
    return shown
